// Package activities is what touches the world on behalf of workflows: one file a task
// queue. An activity translates its input, calls a domain room, and classifies the
// room's error, once: worth a retry, refused, or a matter for an operator (see fail).
// Every activity may run twice, or half and then whole.
package activities

import (
	"context"
	"reflect"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"ferrodur/workflows/api"
)

// register ties a name to its implementation; the compiler checks that the types fit. The
// log tells of each run what it was about and how long it took.
func register[In, Out any](r worker.ActivityRegistry, name api.Activity[In, Out], run func(context.Context, In) (Out, error)) {
	logged := func(ctx context.Context, in In) (Out, error) {
		started := time.Now()
		out, err := run(ctx, in)
		log := sdklog.With(activity.GetLogger(ctx), append(subjects(in), "seconds", time.Since(started).Seconds())...)
		if err != nil {
			log.Warn("activity failed", "error", err)
		} else {
			log.Info("activity done")
		}
		return out, err
	}
	r.RegisterActivityWithOptions(logged, activity.RegisterOptions{Name: string(name)})
}

// subjects are the fields of an input that say what it is about, as a log takes them.
func subjects(in any) []any {
	var pairs []any
	fields := reflect.ValueOf(in)
	for _, name := range []string{"Server", "Instance", "Target", "Owner"} {
		if field := fields.FieldByName(name); field.IsValid() && field.String() != "" {
			pairs = append(pairs, strings.ToLower(name), field.String())
		}
	}
	return pairs
}
