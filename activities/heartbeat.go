package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
)

// pulse is the pause between heartbeats; the workflows allow for three times as much
// silence.
const pulse = 4 * time.Second

// beating runs work that reports no progress of its own, with a heartbeat beside it, so
// that a worker that died is noticed and a cancellation arrives. The details are what the
// next attempt finds if this one is cut off.
//
// The heartbeats have the activity's own context: the SDK sends those of a while together, by
// the context of the first, and cancels the activity where that has ended.
func beating[Out any](ctx context.Context, work func(context.Context) (Out, error), details ...any) (Out, error) {
	done, stopped := make(chan struct{}), make(chan struct{})
	defer func() { close(done); <-stopped }()
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(pulse)
		defer ticker.Stop()
		for {
			activity.RecordHeartbeat(ctx, details...)
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return work(ctx)
}
