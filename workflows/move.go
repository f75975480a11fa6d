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

// halfMoved says how to go on after a move that did not reach every port.
const halfMoved = "; in the book the block has moved: the same move, asked for once more, sees to the ports"

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
		text := errAborted.Error()
		if m.state.Stage != api.StageBook {
			text += halfMoved
		}
		err = temporal.NewApplicationErrorWithOptions(text, api.ErrorAborted,
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
	var away []string
	err := m.stage(ctx, api.StageBook, func() (err error) {
		away, err = m.book(ctx)
		return err
	})
	if err != nil {
		return err
	}
	// The book is right by now: what one instance's switch fails at does not keep the other waiting. But
	// an operator who wants a port left as it is does not want a second one to carry the block.
	var failed []error
	for _, instance := range away {
		failed = append(failed, m.route(ctx, api.StageUnroute, instance))
	}
	rejected := slices.ContainsFunc(failed, func(err error) bool { return isType(err, api.ErrorRejected) })
	if m.in.Instance != "" && !rejected {
		failed = append(failed, m.route(ctx, api.StageRoute, m.in.Instance))
	}
	if err := together(failed); err != nil {
		return temporal.NewApplicationErrorWithCause(explain(err)+halfMoved, typeOf(err), err)
	}
	return nil
}

// book writes into the book where the block is by now, and names those who are to let it go.
func (m *mover) book(ctx workflow.Context) (away []string, err error) {
	book := func(format string, args ...any) workflow.Context {
		return options(ctx, fmt.Sprintf(format, args...), workflow.ActivityOptions{
			TaskQueue: api.QueueIPAM, StartToCloseTimeout: 30 * time.Second, ScheduleToCloseTimeout: api.Limits{}.WithDefaults().Command,
		})
	}
	if m.elastic, err = call(book("find %s of %s", m.in.Name, m.in.Owner), api.FindElastic, m.in.ElasticKey); err != nil {
		return nil, err
	}
	m.show(ctx)
	if away, err = m.carriers(ctx); err != nil {
		return nil, err
	}
	return away, do(book("%s of %s is at %s", m.in.Name, m.in.Owner, cmp.Or(m.in.Instance, "no instance")), api.MoveElastic, m.in)
}

// carriers are the instances that are to let the block go: the one that has had it, and whoever an
// earlier move did not reach. One that has ended is refused as the block's next place.
func (m *mover) carriers(ctx workflow.Context) (away []string, err error) {
	if m.elastic.Instance != "" {
		away = append(away, m.elastic.Instance)
	}
	if workflow.GetVersion(ctx, "carriers", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return away, nil
	}
	patience := api.Limits{}.WithDefaults().Command
	if m.in.Instance != "" {
		if err := do(inventoryWork(ctx, m.in.Instance+" has not ended", patience), api.AwaitsBlocks, api.AwaitsBlocksInput{Instance: m.in.Instance}); err != nil {
			return nil, err
		}
	}
	carriers, err := call(inventoryWork(ctx, "whose ports carry the block", patience), api.ListCarriers, api.ListCarriersInput{Blocks: m.elastic.Prefixes})
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
	m.state.WaitsFor = instance
	defer func() { m.state.WaitsFor = "" }()
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
	switch {
	case err != nil && m.aborted:
		record.Outcome, record.Detail = api.OutcomeAborted, errAborted.Error()
	case err != nil:
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
