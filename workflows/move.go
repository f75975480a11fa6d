package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

// mover takes an elastic block from one instance to another.
type mover struct {
	in      api.MoveInput
	elastic api.Elastic // where the block was
	state   api.State
	aborted bool
}

// Move takes an elastic block from one instance to another: first in the book, then off the
// port of the one that has it, and at last onto the port of the other. It answers with where
// the block was.
func Move(ctx workflow.Context, in api.MoveInput) (api.Elastic, error) {
	m := mover{in: in, state: api.State{ID: workflow.GetInfo(ctx).WorkflowExecution.ID, Status: api.StatusRunning}}
	ctx, cancel := workflow.WithCancel(ctx)
	if err := m.answer(ctx, cancel); err != nil {
		return m.elastic, err
	}
	err := m.move(ctx)
	if m.aborted && err != nil {
		err = temporal.NewApplicationErrorWithOptions(errAborted.Error()+": the book says where the block is, and moving it there once more has its ports follow", api.ErrorAborted,
			temporal.ApplicationErrorOptions{Category: temporal.ApplicationErrorCategoryBenign, Cause: err})
	}
	m.state.Status = api.StatusDone
	if err != nil {
		m.state.Status, m.state.Reason, m.state.ErrorType = api.StatusFailed, explain(err), typeOf(err)
	}
	m.show(ctx)
	return m.elastic, err
}

// answer installs the query, and the update that ends the waiting for a port.
func (m *mover) answer(ctx workflow.Context, cancel workflow.CancelFunc) error {
	if err := workflow.SetQueryHandler(ctx, api.QueryState, func() (api.State, error) { return m.state, nil }); err != nil {
		return err
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, api.UpdateAbort, func(workflow.Context) (api.State, error) {
		m.aborted = true
		cancel()
		return m.state, nil
	}, workflow.UpdateHandlerOptions{Description: "Wait for no port any more, and end. What the book says stays."})
}

func (m *mover) move(ctx workflow.Context) error {
	book := options(ctx, fmt.Sprintf("%s of %s", m.in.Name, m.in.Owner), workflow.ActivityOptions{
		TaskQueue: api.QueueIPAM, StartToCloseTimeout: 30 * time.Second, ScheduleToCloseTimeout: api.Limits{}.WithDefaults().Command,
	})
	err := m.stage(ctx, api.StageBook, func() (err error) {
		if m.elastic, err = call(book, api.FindElastic, m.in.ElasticKey); err != nil {
			return err
		}
		m.show(ctx)
		return do(book, api.MoveElastic, m.in)
	})
	if err != nil {
		return err
	}
	away, err := m.carriers(ctx)
	if err != nil {
		return err
	}
	// The book is right by now: what one instance's switch fails at does not keep the other waiting.
	var failed []error
	for _, instance := range away {
		failed = append(failed, m.route(ctx, api.StageUnroute, instance))
	}
	if m.in.Instance != "" {
		failed = append(failed, m.route(ctx, api.StageRoute, m.in.Instance))
	}
	return together(failed)
}

// carriers are the instances that are to let the block go: the one that has had it, and whoever an
// earlier move did not reach.
func (m *mover) carriers(ctx workflow.Context) (away []string, err error) {
	if m.elastic.Instance != "" {
		away = append(away, m.elastic.Instance)
	}
	if workflow.GetVersion(ctx, "carriers", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return away, nil
	}
	carriers, err := call(options(ctx, "who carries the block", workflow.ActivityOptions{
		TaskQueue: api.QueueLifecycle, StartToCloseTimeout: 30 * time.Second, ScheduleToCloseTimeout: api.Limits{}.WithDefaults().Command,
	}), api.ListCarriers, api.ListCarriersInput{Blocks: m.elastic.Prefixes})
	for _, instance := range carriers {
		if !slices.Contains(away, instance) {
			away = append(away, instance)
		}
	}
	return slices.DeleteFunc(away, func(instance string) bool { return instance == m.in.Instance }), err
}

// route has an instance's port carry the blocks that are at it by now. An attempt that is refused is
// tried anew, which is an update of the instance each time: it takes 2000 of them, and ten at once.
func (m *mover) route(ctx workflow.Context, stage api.Stage, instance string) error {
	patience := api.Limits{}.WithDefaults().Switch
	port := workflow.WithRetryPolicy(options(ctx, instance+" carries its blocks", workflow.ActivityOptions{
		TaskQueue: api.QueueLifecycle, StartToCloseTimeout: patience, ScheduleToCloseTimeout: patience, HeartbeatTimeout: silence,
	}), temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 10 * time.Minute})
	return m.stage(ctx, stage, func() error {
		return do(port, api.RouteInstance, api.RouteInput{Instance: instance, Request: workflow.GetInfo(ctx).WorkflowExecution.RunID + " " + instance})
	})
}

// stage runs a stage, and keeps the record of it.
func (m *mover) stage(ctx workflow.Context, stage api.Stage, do func() error) error {
	record := api.StageRecord{Stage: stage, Started: workflow.Now(ctx)}
	m.state.Stage, m.state.Stages = stage, append(m.state.Stages, record)
	m.show(ctx)
	err := do()
	record.Took, record.Outcome = workflow.Now(ctx).Sub(record.Started), api.OutcomeDone
	if err != nil {
		record.Outcome, record.Detail = api.OutcomeFailed, explain(err)
	}
	m.state.Stages[len(m.state.Stages)-1] = record
	return err
}

// show shows on the workflow's page what is moved, and how far it is.
func (m *mover) show(ctx workflow.Context) {
	m.state.Elastic = m.elastic.Prefixes
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("%s\n\n- of: %s, %s\n- from: `%s`\n- to: `%s`\n", strings.TrimSpace(details(m.state)),
		m.in.Owner, m.in.Name, cmp.Or(m.elastic.Instance, "nobody"), cmp.Or(m.in.Instance, "nobody")))
}
