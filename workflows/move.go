package workflows

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

// Move takes an elastic block from one instance to another: first in the book, then off the
// port of the one that has it, and at last onto the port of the other. It answers with where
// the block was.
func Move(ctx workflow.Context, in api.MoveInput) (api.Elastic, error) {
	limits := api.Limits{}.WithDefaults()
	book := options(ctx, fmt.Sprintf("%s of %s", in.Name, in.Owner), workflow.ActivityOptions{
		TaskQueue: api.QueueIPAM, StartToCloseTimeout: 30 * time.Second, ScheduleToCloseTimeout: limits.Command,
	})
	elastic, err := call(book, api.FindElastic, in.ElasticKey)
	if err != nil {
		return elastic, err
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("### %s of %s\n\n- block: `%s`\n- from: `%s`\n- to: `%s`\n",
		in.Name, in.Owner, strings.Trim(fmt.Sprint(elastic.Prefixes), "[]"), cmp.Or(elastic.Instance, "nobody"), cmp.Or(in.Instance, "nobody")))
	if err := do(book, api.MoveElastic, in); err != nil {
		return elastic, err
	}
	// The book is right by now: what one instance's switch fails at does not keep the other waiting.
	var failed []error
	run := workflow.GetInfo(ctx).WorkflowExecution.RunID
	for _, instance := range []string{elastic.Instance, in.Instance} {
		if instance == "" {
			continue
		}
		// An attempt that is refused is tried anew, which is an update of the instance each time: it
		// takes 2000 of them, and ten at once.
		port := workflow.WithRetryPolicy(options(ctx, instance+" carries its blocks", workflow.ActivityOptions{
			TaskQueue: api.QueueLifecycle, StartToCloseTimeout: limits.Switch, ScheduleToCloseTimeout: limits.Switch, HeartbeatTimeout: silence,
		}), temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 10 * time.Minute})
		failed = append(failed, do(port, api.RouteInstance, api.RouteInput{Instance: instance, Request: run + " " + instance}))
	}
	return elastic, errors.Join(failed...)
}
