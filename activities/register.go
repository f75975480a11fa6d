// Package activities is what touches the world on behalf of workflows: one file a task
// queue. An activity translates its input, calls a domain room, and classifies the
// room's error, once: worth a retry, refused, or a matter for an operator (see fail).
// Every activity may run twice, or half and then whole.
package activities

import (
	"context"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"ferrodur/workflows/api"
)

// register ties a name to its implementation; the compiler checks that the types fit.
func register[In, Out any](r worker.ActivityRegistry, name api.Activity[In, Out], run func(context.Context, In) (Out, error)) {
	r.RegisterActivityWithOptions(run, activity.RegisterOptions{Name: string(name)})
}
