package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"ferrodur/ipam"
)

// poolInterval is how often it is looked how full pools are.
const poolInterval = time.Minute

// watchPools tells metrics and log how full pools are.
func watchPools(addresses *ipam.Store, r rooms) func(context.Context) error {
	return func(ctx context.Context) error {
		watch := poolWatch{log: r.log, addresses: addresses, past: map[string]bool{}}
		if err := watch.register(r.meter); err != nil {
			return err
		}
		for ticker := time.NewTicker(poolInterval); ; {
			watch.look(ctx)
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	}
}

type poolWatch struct {
	log       *slog.Logger
	addresses *ipam.Store
	past      map[string]bool // pools that were past their thresholds

	mu    sync.Mutex
	usage []ipam.PoolUsage
}

// look logs once that a pool has passed its threshold, and once that it no longer does.
func (w *poolWatch) look(ctx context.Context) {
	usage, err := w.addresses.Usage(ctx)
	if err != nil {
		if ctx.Err() == nil {
			w.log.Error("how full the pools are is not known", "error", err)
		}
		return
	}
	w.mu.Lock()
	w.usage = usage
	w.mu.Unlock()
	for _, u := range usage {
		name := u.Domain + "/" + u.Name
		if u.Unknown != nil {
			w.log.Warn("how full a pool is is not known", "pool", u.Name, "domain", u.Domain, "error", u.Unknown)
		}
		if past := u.PastThreshold(); past != w.past[name] {
			w.past[name] = past
			attributes := []any{"pool", u.Name, "domain", u.Domain, "site", u.Site, "role", u.Role, "used_percent", u.Used(), "threshold_percent", u.Threshold}
			if past {
				w.log.Warn("a pool has passed its threshold: add one for the same site and role, or grow it", attributes...)
			} else {
				w.log.Info("a pool is below its threshold again", attributes...)
			}
		}
	}
}

// register makes the gauges. Prometheus sees ferrodur_pool_addresses, with the label state,
// and ferrodur_pool_past_threshold.
func (w *poolWatch) register(meter metric.Meter) error {
	count, err := meter.Float64ObservableGauge("ferrodur_pool_addresses", metric.WithDescription("addresses of a pool by state"))
	if err != nil {
		return err
	}
	past, err := meter.Int64ObservableGauge("ferrodur_pool_past_threshold", metric.WithDescription("1 where a pool has passed its threshold"))
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, u := range w.usage {
			pool := []attribute.KeyValue{attribute.String("pool", u.Name), attribute.String("domain", u.Domain), attribute.String("site", u.Site), attribute.String("role", string(u.Role))}
			for state, n := range map[string]float64{"held": u.Held, "resting": u.Resting, "reserved": u.Reserved, "free": u.Free} {
				o.ObserveFloat64(count, n, metric.WithAttributes(append(pool[:len(pool):len(pool)], attribute.String("state", state))...))
			}
			value := int64(0)
			if u.PastThreshold() {
				value = 1
			}
			o.ObserveInt64(past, value, metric.WithAttributes(pool...))
		}
		return nil
	}, count, past)
	return err
}
