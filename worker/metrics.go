package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	otel "go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
)

// metrics are what a worker tells Prometheus: Temporal's own metrics of workflows and
// activities, the stages', and the process's.
type metrics struct {
	registry *prometheus.Registry
	meter    metric.Meter
}

// durations are the histogram buckets, in seconds: from an answer of the database to a
// burn-in.
var durations = []float64{.005, .025, .1, .25, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400}

func newMetrics() (metrics, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reader, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo())
	if err != nil {
		return metrics{}, err
	}
	provider := otel.NewMeterProvider(otel.WithReader(reader), otel.WithView(otel.NewView(
		otel.Instrument{Kind: otel.InstrumentKindHistogram},
		otel.Stream{Aggregation: otel.AggregationExplicitBucketHistogram{Boundaries: durations}},
	)))
	return metrics{registry: registry, meter: provider.Meter("ferrodur")}, nil
}

// temporal is where the SDK puts its metrics, and the workflows theirs.
func (m metrics) temporal(onError func(error)) client.MetricsHandler {
	return opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter: m.meter, OnError: onError, UseMonotonicCounters: true,
	})
}

// serve answers Prometheus at /metrics until ctx ends.
func (m metrics) serve(ctx context.Context, log *slog.Logger, address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("serve metrics (--metrics): %w", err)
	}
	log.Info("serving metrics", "url", "http://"+listener.Addr().String()+"/metrics")
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}
