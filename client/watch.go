package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"ferrodur/workflows/api"
)

// Snapshot is how a workflow stands: its own account, and what the activities report
// that are under way.
type Snapshot struct {
	api.State
	Activities []Activity `json:"activities,omitempty"`
	// SwitchMode is that of the switch whose workflow is waited for (WaitsFor), if it answers.
	SwitchMode api.ModeInput `json:"switch_mode,omitzero"`
}

// Activity is one that is under way. Attempt counts from 1. Trouble is why the last
// attempt failed.
type Activity struct {
	Name     string       `json:"name"`
	Attempt  int          `json:"attempt"`
	Trouble  string       `json:"trouble,omitempty"`
	Progress api.Progress `json:"progress,omitzero"`
}

// Watch yields a workflow's snapshot every interval until it has ended, or ctx is done.
// A server or worker that is away for a moment is waited for.
func (c *Client) Watch(ctx context.Context, workflowID string, interval time.Duration) iter.Seq2[Snapshot, error] {
	return func(yield func(Snapshot, error) bool) {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			snapshot, err := c.Snapshot(ctx, workflowID)
			if err != nil && !passing(err) {
				yield(snapshot, err)
				return
			}
			if err == nil && (!yield(snapshot, nil) || snapshot.Ended()) {
				return
			}
			select {
			case <-ctx.Done():
				yield(snapshot, ctx.Err())
				return
			case <-ticker.C:
			}
		}
	}
}

// Snapshot asks a workflow how it stands, and Temporal for its pending activities.
func (c *Client) Snapshot(ctx context.Context, workflowID string) (Snapshot, error) {
	state, err := c.State(ctx, workflowID)
	if err != nil {
		return Snapshot{}, err
	}
	description, err := c.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	if err != nil {
		return Snapshot{}, translate(workflowID, err)
	}
	snapshot := Snapshot{State: state}
	if status := description.GetWorkflowExecutionInfo().GetStatus(); endedFromOutside(status) {
		snapshot.Status = api.StatusFailed
		snapshot.Reason = fmt.Sprintf("the workflow was %s from outside, and what it held is held still: look at the server, its port and its addresses",
			strings.ToLower(status.String()))
	}
	for _, pending := range description.GetPendingActivities() {
		snapshot.Activities = append(snapshot.Activities, activity(pending))
	}
	switch {
	case state.WaitsFor == "":
	case api.SwitchOf(state.WaitsFor) == state.WaitsFor: // an instance
		other, err := c.Snapshot(ctx, state.WaitsFor)
		if err == nil {
			snapshot.Activities, snapshot.SwitchMode = append(snapshot.Activities, other.Activities...), other.SwitchMode
		}
	default: // what keeps the other workflow keeps this one
		others, err := c.pending(ctx, state.WaitsFor)
		if err != nil {
			return Snapshot{}, err
		}
		at, err := c.askSwitch(ctx, api.SwitchRef{Switch: api.SwitchOf(state.WaitsFor)})
		if err == nil { // that it does not answer is no trouble of the switch
			snapshot.SwitchMode = api.ModeInput{Mode: at.Mode, Reason: at.Reason}
			if at.Trouble != "" && len(others) == 0 { // it will be tried again
				others = append(others, Activity{Name: string(api.ConfigurePorts), Trouble: at.Trouble})
			}
		}
		for _, activity := range others {
			if activity.Name == string(api.ConfigurePorts) { // it looks at the switch for others, too
				snapshot.Activities = append(snapshot.Activities, activity)
			}
		}
	}
	return snapshot, nil
}

// pending are the activities that a workflow has under way; none where there is none.
func (c *Client) pending(ctx context.Context, workflowID string) ([]Activity, error) {
	description, err := c.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		return nil, nil
	}
	if err != nil {
		return nil, translate(workflowID, err)
	}
	var all []Activity
	for _, pending := range description.GetPendingActivities() {
		all = append(all, activity(pending))
	}
	return all, nil
}

// endedFromOutside says whether a workflow was ended in a way that let it undo nothing.
func endedFromOutside(status enumspb.WorkflowExecutionStatus) bool {
	switch status {
	case enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT, enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return true
	}
	return false
}

func activity(pending *workflowpb.PendingActivityInfo) Activity {
	a := Activity{
		Name:    pending.GetActivityType().GetName(),
		Attempt: int(pending.GetAttempt()),
		Trouble: pending.GetLastFailure().GetMessage(),
	}
	// A heartbeat without details, or of another version, is shown as none.
	_ = converter.GetDefaultDataConverter().FromPayloads(pending.GetHeartbeatDetails(), &a.Progress)
	return a
}

// passing says whether an error is one that waiting may cure.
func passing(err error) bool {
	var (
		unavailable *serviceerror.Unavailable
		exhausted   *serviceerror.ResourceExhausted
		deadline    *serviceerror.DeadlineExceeded
		queryFailed *serviceerror.QueryFailed
	)
	return errors.Is(err, ErrNoAnswer) || errors.As(err, &unavailable) || errors.As(err, &exhausted) || errors.As(err, &deadline) || errors.As(err, &queryFailed)
}

// Listed is one workflow of a list.
type Listed struct {
	ID             string    `json:"id"`
	Status         string    `json:"status"` // Temporal's: Running, Completed, Failed, …
	Server         string    `json:"server,omitempty"`
	Site           string    `json:"site,omitempty"`
	Plan           string    `json:"plan,omitempty"`
	Stage          api.Stage `json:"stage,omitempty"`
	NeedsAttention bool      `json:"needs_attention"`
	Started        time.Time `json:"started"`
}

// List yields the workflows that a Temporal list filter selects, newest first, such as
// `FerrodurNeedsAttention = true` or `WorkflowType = "Instance" AND FerrodurSite = "ewr1"`.
func (c *Client) List(ctx context.Context, query string) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		var token []byte
		for {
			page, err := c.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
				Namespace: c.namespace, Query: query, NextPageToken: token,
			})
			if err != nil {
				yield(Listed{}, err)
				return
			}
			for _, execution := range page.GetExecutions() {
				if !yield(listed(execution), nil) {
					return
				}
			}
			if token = page.GetNextPageToken(); len(token) == 0 {
				return
			}
		}
	}
}

func listed(execution *workflowpb.WorkflowExecutionInfo) Listed {
	l := Listed{
		ID:      execution.GetExecution().GetWorkflowId(),
		Status:  execution.GetStatus().String(),
		Started: execution.GetStartTime().AsTime(),
	}
	decode := converter.GetDefaultDataConverter()
	// What cannot be decoded stays empty: the list is still worth showing.
	attribute := func(name string, value any) {
		if payload, ok := execution.GetSearchAttributes().GetIndexedFields()[name]; ok {
			_ = decode.FromPayload(payload, value)
		}
	}
	attribute(api.SearchServer, &l.Server)
	attribute(api.SearchSite, &l.Site)
	attribute(api.SearchPlan, &l.Plan)
	attribute(api.SearchStage, &l.Stage)
	attribute(api.SearchNeedsAttention, &l.NeedsAttention)
	return l
}
