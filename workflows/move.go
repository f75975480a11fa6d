package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

// Move takes an elastic block from one instance to another: first in the book, then off the
// port of the one that has it, and at last onto the port of the other. It answers with where
// the block was.
func Move(ctx workflow.Context, in api.MoveInput) (api.Elastic, error) {
	limits := api.Limits{}.WithDefaults()
	onQueue := func(queue, summary string, patience time.Duration) workflow.Context {
		return options(ctx, summary, workflow.ActivityOptions{
			TaskQueue: queue, StartToCloseTimeout: limits.Command, ScheduleToCloseTimeout: patience, HeartbeatTimeout: silence,
		})
	}
	book := workflow.WithHeartbeatTimeout(onQueue(api.QueueIPAM, fmt.Sprintf("%s of %s", in.Name, in.Owner), limits.Command), 0)
	elastic, err := call(book, api.FindElastic, in.ElasticKey)
	if err != nil {
		return elastic, err
	}
	if err := do(book, api.MoveElastic, in); err != nil {
		return elastic, err
	}
	run := workflow.GetInfo(ctx).WorkflowExecution.RunID
	for _, instance := range []string{elastic.Instance, in.Instance} {
		if instance == "" {
			continue
		}
		err := do(onQueue(api.QueueLifecycle, instance+" carries its blocks", limits.Switch), api.RouteInstance,
			api.RouteInput{Instance: instance, Request: run + " " + instance})
		if err != nil {
			return elastic, err
		}
	}
	return elastic, nil
}
