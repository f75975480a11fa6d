package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"ferrodur/workflows/api"
)

// Prometheus sees the names that the reference documents.
func TestPrometheusSeesStages(t *testing.T) {
	metrics, err := newMetrics()
	if err != nil {
		t.Fatal(err)
	}
	handler := metrics.temporal(func(err error) { t.Error(err) })
	handler.WithTags(map[string]string{"stage": "install", "outcome": "done"}).Timer(api.MetricStage).Record(50 * time.Second)
	handler.WithTags(map[string]string{"stage": "install"}).Counter(api.MetricParked).Inc(2)

	address := freeAddress(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- metrics.serve(ctx, slog.New(slog.DiscardHandler), address) }()
	page := scrape(t, "http://"+address+"/metrics")
	for _, line := range []string{
		`ferrodur_stage_seconds_bucket{outcome="done",stage="install",le="15"} 0`,
		`ferrodur_stage_seconds_bucket{outcome="done",stage="install",le="60"} 1`,
		`ferrodur_parked_total{stage="install"} 2`,
		"process_resident_memory_bytes",
	} {
		if !strings.Contains(page, line) {
			t.Errorf("no %s in\n%s", line, page)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("after the end of the context: %v", err)
	}
}

// An address that is taken ends the worker, with the flag's name.
func TestMetricsAddressTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	metrics, err := newMetrics()
	if err != nil {
		t.Fatal(err)
	}
	if err := metrics.serve(t.Context(), slog.New(slog.DiscardHandler), listener.Addr().String()); err == nil || !strings.Contains(err.Error(), "--metrics") {
		t.Errorf("got %v", err)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func scrape(t *testing.T, url string) string {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(url)
		if err == nil {
			defer response.Body.Close()
			page, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(page)
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
