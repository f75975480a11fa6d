package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"ferrodur/workflows/api"
)

// switchAnswer is how long a switch's workflow is waited for when it is asked how it stands.
const switchAnswer = 5 * time.Second

// SwitchState asks how a switch's workflow stands. One that nobody has asked for anything
// yet applies what it is asked for.
func (c *Client) SwitchState(ctx context.Context, ref api.SwitchRef) (api.SwitchState, error) {
	state, err := c.askSwitch(ctx, ref)
	if err != nil || state.Since.IsZero() {
		return state, err
	}
	pending, err := c.pending(ctx, api.SwitchID(ref.Switch))
	for _, activity := range pending {
		state.Trouble = cmp.Or(state.Trouble, activity.Trouble)
	}
	return state, err
}

// askSwitch is SwitchState without what its activities say.
func (c *Client) askSwitch(ctx context.Context, ref api.SwitchRef) (api.SwitchState, error) {
	state := api.SwitchState{SwitchRef: ref, Mode: api.ModeApply}
	asking, cancel := context.WithTimeout(ctx, switchAnswer)
	defer cancel()
	answer, err := c.temporal.QueryWorkflowWithOptions(asking, &client.QueryWorkflowWithOptionsRequest{
		WorkflowID: api.SwitchID(ref.Switch), QueryType: api.QueryState, QueryRejectCondition: enumspb.QUERY_REJECT_CONDITION_NOT_OPEN,
	})
	var notFound *serviceerror.NotFound
	switch {
	case errors.As(err, &notFound), err == nil && answer.QueryRejected != nil: // it has ended, and starts anew when it is asked
		return state, nil
	case ctx.Err() == nil && (asking.Err() != nil || unanswered(err)):
		return state, fmt.Errorf("%s: %w: is a lifecycle worker running?", api.SwitchID(ref.Switch), ErrNoAnswer)
	}
	if err == nil {
		err = answer.QueryResult.Get(&state)
	}
	return state, translate(api.SwitchID(ref.Switch), err)
}

// SetSwitchMode says what a switch's workflow does with changes from now on. What is under
// way is ended first.
func (c *Client) SetSwitchMode(ctx context.Context, ref api.SwitchRef, in api.ModeInput) (api.SwitchState, error) {
	return c.updateSwitch(ctx, ref, api.UpdateMode, in)
}

// ApproveSwitch lets changes through that wait for approval.
func (c *Client) ApproveSwitch(ctx context.Context, ref api.SwitchRef, in api.ApproveInput) (api.SwitchState, error) {
	return c.updateSwitch(ctx, ref, api.UpdateApprove, in)
}

// RejectSwitch refuses changes that wait; whoever asked for them is told.
func (c *Client) RejectSwitch(ctx context.Context, ref api.SwitchRef, in api.ApproveInput) (api.SwitchState, error) {
	return c.updateSwitch(ctx, ref, api.UpdateReject, in)
}

// updateSwitch sends an update to a switch's workflow, and starts that if there is none.
func (c *Client) updateSwitch(ctx context.Context, ref api.SwitchRef, name string, input any) (api.SwitchState, error) {
	var state api.SwitchState
	id := api.SwitchID(ref.Switch)
	asking, cancel := context.WithTimeout(ctx, updatePatience)
	defer cancel()
	handle, err := c.temporal.UpdateWithStartWorkflow(asking, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: c.temporal.NewWithStartWorkflowOperation(startSwitch(ref), api.WorkflowSwitch, api.SwitchInput{SwitchRef: ref}),
		UpdateOptions: client.UpdateWorkflowOptions{
			UpdateName: name, Args: []any{input}, WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	if err == nil {
		err = handle.Get(asking, &state)
	}
	if nobodyTook(ctx, err) {
		return state, lateUpdate(id, name)
	}
	return state, translate(id, err)
}

func startSwitch(ref api.SwitchRef) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       api.SwitchID(ref.Switch),
		TaskQueue:                api.QueueLifecycle,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            fmt.Sprintf("ports of %s at %s", ref.Switch, ref.Site),
	}
}

// SetPorts asks a switch's workflow to make ports, by name, again what they were asked to be, and
// waits until each is answered. The results are in the order of what was asked for. Where somebody
// else's change of a port waits or is under way, that one is left to it: its result says so.
func (c *Client) SetPorts(ctx context.Context, ref api.SwitchRef, ports ...api.PortRequest) ([]api.PortResult, error) {
	requests := make([]string, len(ports))
	for i, port := range ports {
		requests[i] = "by-hand/" + stamped(port.Port)
		port.Request, port.SwitchSite, port.Again = requests[i], ref.Site, true
		_, err := c.temporal.SignalWithStartWorkflow(ctx, api.SwitchID(ref.Switch), api.SignalSetPort,
			port, startSwitch(ref), api.WorkflowSwitch, api.SwitchInput{SwitchRef: ref})
		if err != nil {
			return nil, translate(api.SwitchID(ref.Switch), err)
		}
	}
	results := make([]api.PortResult, len(ports))
	answered := map[string]bool{}
	heard := time.Now()
	for {
		state, err := c.SwitchState(ctx, ref)
		switch {
		case err == nil:
			heard = time.Now()
		case ctx.Err() == nil && (!errors.Is(err, ErrNoAnswer) || time.Since(heard) > updatePatience):
			return nil, fmt.Errorf("%w; what was asked for stays in its queue", err)
		}
		for _, done := range state.Done {
			for i, request := range requests {
				if done.Request == request {
					results[i], answered[request] = done.Result, true
					results[i].Port = ports[i].Port // a change that was not begun has none
				}
			}
		}
		if len(answered) == len(ports) {
			return results, nil
		}
		select {
		case <-ctx.Done():
			return results, fmt.Errorf("%d of %d ports of %s are not answered yet (mode %s), and stay in its queue: %w",
				len(ports)-len(answered), len(ports), ref.Switch, state.Mode, context.Cause(ctx))
		case <-time.After(switchPoll):
		}
	}
}

// switchPoll is how often a switch's workflow is asked whether it is done.
const switchPoll = 200 * time.Millisecond

// Audit has switches compared with what was asked for, and waits for the result.
func (c *Client) Audit(ctx context.Context, input api.AuditInput) (result api.AuditResult, err error) {
	err = c.await(ctx, api.WorkflowAudit, "audit/"+stamped(cmp.Or(strings.Join(input.Switches, ","), input.Site, "all")), "compare switches with what was asked for", input, &result)
	return result, err
}

// HostKey has a worker near a switch see which key that offers.
func (c *Client) HostKey(ctx context.Context, ref api.SwitchRef) (key api.HostKey, err error) {
	err = c.await(ctx, api.WorkflowHostKey, "host-key/"+stamped(ref.Switch), "which host key "+ref.Switch+" offers", ref, &key)
	return key, err
}

// await has a workflow run that nobody else asks about, and waits for its result.
func (c *Client) await(ctx context.Context, name, id, summary string, input, result any) error {
	run, err := c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: api.QueueLifecycle, StaticSummary: summary}, name, input)
	if err != nil {
		return translate(name, err)
	}
	if err := c.taken(ctx, id); err != nil {
		return err
	}
	return translate(id, run.Get(ctx, result))
}

// taken waits until a lifecycle worker has begun with a workflow: ErrNoAnswer, if none does for a while.
// The workflow begins when one does.
func (c *Client) taken(ctx context.Context, id string) error {
	const untouched = 2 // events of a workflow that has been started, and whose first task waits
	for until := time.Now().Add(updatePatience); ; {
		description, err := c.temporal.DescribeWorkflowExecution(ctx, id, "")
		switch {
		case err != nil:
			return translate(id, err)
		case description.GetWorkflowExecutionInfo().GetHistoryLength() > untouched:
			return nil
		case time.Now().After(until):
			return fmt.Errorf("%s: %w within %s, and begins when there is one: is a lifecycle worker running?", id, ErrNoAnswer, updatePatience)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(switchPoll):
		}
	}
}

// stamped tells what somebody wants now from what he wanted before.
func stamped(what string) string { return what + "/" + time.Now().UTC().Format(time.RFC3339Nano) }

// EndSwitch ends the workflow of a switch that is no more, if there is one.
func (c *Client) EndSwitch(ctx context.Context, name string) error {
	err := c.temporal.CancelWorkflow(ctx, api.SwitchID(name), "")
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		return nil
	}
	return err
}

// auditEvery is how often switches are compared, unless an operator has changed the
// Schedule.
const auditEvery = 10 * time.Minute

// ScheduleAudits has all switches compared regularly, by a Temporal Schedule. One that is
// there is left as it is: operators change it in the Web UI.
func (c *Client) ScheduleAudits(ctx context.Context) error {
	_, err := c.temporal.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID:      "audit",
		Spec:    client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: auditEvery}}},
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		Action: &client.ScheduleWorkflowAction{
			ID: "audit", Workflow: api.WorkflowAudit, Args: []any{api.AuditInput{}}, TaskQueue: api.QueueLifecycle,
			StaticSummary: "compare switches with what was asked for",
		},
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return nil
	}
	return err
}
