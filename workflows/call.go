package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

// silence is how long an activity near the rack may go without a heartbeat before
// another worker takes it over.
const silence = 15 * time.Second

// call runs an activity. The context says where and for how long; see inventory, ipam,
// switchWork, bmcWork and bootWork.
func call[In, Out any](ctx workflow.Context, activity api.Activity[In, Out], input In) (Out, error) {
	var output Out
	err := workflow.ExecuteActivity(ctx, string(activity), input).Get(ctx, &output)
	return output, err
}

// do is call for activities whose answer says nothing.
func do[In any](ctx workflow.Context, activity api.Activity[In, api.None], input In) error {
	_, err := call(ctx, activity, input)
	return err
}

func (j *journey) inventory(ctx workflow.Context, summary string) workflow.Context {
	return inventoryWork(ctx, summary, j.limits.Command)
}

// inventoryWork waits for a database that is away; without patience, for as long as it is.
func inventoryWork(ctx workflow.Context, summary string, patience time.Duration) workflow.Context {
	return options(ctx, summary, workflow.ActivityOptions{
		TaskQueue:              api.QueueLifecycle,
		StartToCloseTimeout:    30 * time.Second,
		ScheduleToCloseTimeout: patience,
	})
}

// ipam waits for an outside IPAM, or a DNS server, that is away: that is a wait and not a
// failure.
func (j *journey) ipam(ctx workflow.Context, summary string) workflow.Context {
	return options(ctx, summary, workflow.ActivityOptions{
		TaskQueue:              api.QueueIPAM,
		StartToCloseTimeout:    2 * time.Minute,
		ScheduleToCloseTimeout: j.limits.Outside,
	})
}

// switchWork waits for a switch that is away: that is a wait and not a failure.
func (j *journey) switchWork(ctx workflow.Context, summary string) workflow.Context {
	return options(ctx, summary, workflow.ActivityOptions{
		TaskQueue:              api.SiteQueue(api.RoleSwitch, j.state.Site),
		StartToCloseTimeout:    5 * time.Minute,
		ScheduleToCloseTimeout: j.limits.Switch,
		HeartbeatTimeout:       silence,
	})
}

func (j *journey) bmcWork(ctx workflow.Context, summary string) workflow.Context {
	return options(ctx, summary, workflow.ActivityOptions{
		TaskQueue:              api.SiteQueue(api.RoleBMC, j.state.Site),
		StartToCloseTimeout:    5 * time.Minute,
		ScheduleToCloseTimeout: j.limits.Command,
		HeartbeatTimeout:       silence,
	})
}

// bootWork bounds an activity of the boot service that waits for a server for at most
// wait by itself, and leaves it a minute to say what it waited for in vain.
func (j *journey) bootWork(ctx workflow.Context, summary string, wait time.Duration) workflow.Context {
	return options(ctx, summary, workflow.ActivityOptions{
		TaskQueue:              api.SiteQueue(api.RoleBoot, j.state.Site),
		StartToCloseTimeout:    wait + time.Minute,
		ScheduleToCloseTimeout: wait + j.limits.Command,
		HeartbeatTimeout:       silence,
	})
}

// options adds what all activities share. A cancelled activity is waited for, so that
// nothing of it still works on a device while the undo does.
func options(ctx workflow.Context, summary string, o workflow.ActivityOptions) workflow.Context {
	o.Summary = summary
	o.WaitForCancellation = true
	o.RetryPolicy = &temporal.RetryPolicy{
		InitialInterval:        500 * time.Millisecond,
		BackoffCoefficient:     2,
		MaximumInterval:        15 * time.Second,
		NonRetryableErrorTypes: []string{api.ErrorRefused, api.ErrorOperator, api.ErrorStalled, api.ErrorRejected},
	}
	return workflow.WithActivityOptions(ctx, o)
}
