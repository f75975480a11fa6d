package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// rate is how quick one thing is.
type rate struct {
	Clients   int     `json:"clients"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	Longest   float64 `json:"longest_ms"`
	Errors    int     `json:"errors"`
	Error     string  `json:"error,omitempty"` // one of them
}

// measure has clients do one thing after the other until the time is over. What is under
// way then is waited for.
func measure(ctx context.Context, clients int, span time.Duration, do func(context.Context) error) rate {
	start := time.Now()
	return repeat(ctx, clients, func() bool { return time.Since(start) < span }, do)
}

// measureTimes has clients do one thing so many times in all.
func measureTimes(ctx context.Context, clients, times int, do func(context.Context) error) rate {
	var begun atomic.Int64
	return repeat(ctx, clients, func() bool { return begun.Add(1) <= int64(times) }, do)
}

func repeat(ctx context.Context, clients int, more func() bool, do func(context.Context) error) rate {
	var (
		mu    sync.Mutex
		all   []time.Duration
		r     = rate{Clients: clients}
		wait  sync.WaitGroup
		start = time.Now()
	)
	for range clients {
		wait.Go(func() {
			var (
				own    []time.Duration
				failed []error
			)
			for ctx.Err() == nil && more() {
				begin := time.Now()
				if err := do(ctx); err != nil {
					failed = append(failed, err)
					continue
				}
				own = append(own, time.Since(begin))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
			if r.Errors += len(failed); len(failed) > 0 {
				r.Error = failed[0].Error()
			}
		})
	}
	wait.Wait()
	r.PerSecond = float64(len(all)) / time.Since(start).Seconds()
	r.fill(all)
	return r
}

// fill sets the percentiles.
func (r *rate) fill(all []time.Duration) {
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	at := func(share float64) float64 { return ms(all[int(share*float64(len(all)-1))]) }
	r.P50, r.P99, r.Longest = at(0.5), at(0.99), at(1)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
