package workflows

import (
	"cmp"
	"fmt"
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
	limits := api.Limits{}.WithDefaults()
	book := options(ctx, fmt.Sprintf("%s of %s", m.in.Name, m.in.Owner), workflow.ActivityOptions{
		TaskQueue: api.QueueIPAM, StartToCloseTimeout: 30 * time.Second, ScheduleToCloseTimeout: limits.Command,
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
	// The book is right by now: what one instance's switch fails at does not keep the other waiting.
	var failed []error
	run := workflow.GetInfo(ctx).WorkflowExecution.RunID
	for _, end := range []struct {
		stage    api.Stage
		instance string
	}{{api.StageUnroute, m.elastic.Instance}, {api.StageRoute, m.in.Instance}} {
		if end.instance == "" {
			continue
		}
		// An attempt that is refused is tried anew, which is an update of the instance each time: it
		// takes 2000 of them, and ten at once.
		port := workflow.WithRetryPolicy(options(ctx, end.instance+" carries its blocks", workflow.ActivityOptions{
			TaskQueue: api.QueueLifecycle, StartToCloseTimeout: limits.Switch, ScheduleToCloseTimeout: limits.Switch, HeartbeatTimeout: silence,
		}), temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 10 * time.Minute})
		failed = append(failed, m.stage(ctx, end.stage, func() error {
			return do(port, api.RouteInstance, api.RouteInput{Instance: end.instance, Request: run + " " + end.instance})
		}))
	}
	return together(failed)
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
