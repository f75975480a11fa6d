package workflows

import (
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

// step is one stage on the way there and the stage that undoes it on the way back.
// A stage may run again after it was interrupted anywhere, and so may its undo, which
// finds nothing to do where the stage did nothing.
type step struct {
	stage  api.Stage
	do     func(workflow.Context) error
	undone api.Stage                    // name of the undo, if there is one
	undo   func(workflow.Context) error // nil: nothing to undo

	// redo is the stage from which a failed step is driven again, by itself for as often
	// as the limits say and then when an operator says so. Empty: the activities' own
	// retries were all there is to do; an operator's retry runs the same stage again.
	redo api.Stage
	// skip allows an operator to give up on the undo, which parks the server.
	skip bool
}

// errAborted says that an operator told the workflow to stop.
var errAborted = errors.New("aborted by an operator")

// journey takes a server through steps and back again. On the way it parks when a step
// has failed for good, obeys operators, and tells everyone where it stands.
type journey struct {
	state  api.State
	limits api.Limits
	parks  bool   // whether a failure on the way there parks, or turns back at once
	tenant string // instance ID, if the journey is a tenancy

	// onPark lets the workflow record in the inventory that an operator is needed.
	onPark func(ctx workflow.Context, reason string) error

	abortWanted bool
	retryWanted bool
	cancelStage workflow.CancelFunc // of the step under way that an abort may interrupt
	abandoned   string              // why the server must not go back into the pool
	travelled   []step              // steps begun, in order
	boots       int                 // boot targets made so far

	waiting  []string                  // workflows that are waited for
	requests int                       // changes of the port asked for so far
	ports    map[string]api.PortResult // answers of switches that nobody has looked at, by request
}

// there runs the steps in order. The error says why it had to turn back.
func (j *journey) there(ctx workflow.Context, steps []step) error {
	tries := map[api.Stage]int{}
	for i := 0; i < len(steps); i++ {
		s := steps[i]
		j.begin(s)
		err := j.run(ctx, s.stage, s.do, true)
		if err == nil {
			continue
		}
		if j.abortWanted {
			return errAborted
		}
		tries[s.stage]++
		again := s.redo != "" && tries[s.stage] < j.limits.Attempts && !isType(err, api.ErrorRefused, api.ErrorOperator, api.ErrorRejected)
		if !again {
			if !j.parks || isType(err, api.ErrorRefused) {
				return err
			}
			if err := j.park(ctx, s.stage, err); err != nil {
				return err
			}
			tries[s.stage] = 0
		}
		i = indexOf(steps, s) - 1
	}
	if j.abortWanted { // it came while the last step was ending
		return errAborted
	}
	return nil
}

// back undoes, in reverse, every step that was begun. It does not end before all is
// undone, or an operator has given up on a step that may be skipped.
func (j *journey) back(ctx workflow.Context) {
	j.state.Status = api.StatusUndoing
	j.abortWanted = false
	for len(j.travelled) > 0 {
		last := len(j.travelled) - 1
		s := j.travelled[last]
		for tries := 1; s.undo != nil; tries++ {
			err := j.run(ctx, s.undone, s.undo, false)
			if err == nil {
				break
			}
			if s.redo != "" && tries < j.limits.Attempts && !isType(err, api.ErrorOperator, api.ErrorRejected) {
				continue
			}
			if j.park(ctx, s.undone, err) != nil {
				j.abandoned = fmt.Sprintf("%s was given up: %s", s.undone, explain(err))
				break
			}
			tries = 0
		}
		j.travelled = j.travelled[:last]
	}
}

// begin notes that a step must be undone, before it runs. A step that runs again is
// undone once.
func (j *journey) begin(s step) {
	if indexOf(j.travelled, step{stage: s.stage}) < len(j.travelled) {
		return
	}
	j.travelled = append(j.travelled, s)
}

// run runs one stage and keeps the record of it.
func (j *journey) run(ctx workflow.Context, stage api.Stage, do func(workflow.Context) error, abortable bool) error {
	started := workflow.Now(ctx)
	j.state.Stage = stage
	j.state.Stages = append(j.state.Stages, api.StageRecord{Stage: stage, Started: started})
	if err := j.publish(ctx); err != nil {
		return err
	}
	stageCtx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	if abortable {
		j.cancelStage = cancel
		defer func() { j.cancelStage = nil }()
		if j.abortWanted {
			cancel()
		}
	}
	err := do(stageCtx)

	record := &j.state.Stages[len(j.state.Stages)-1]
	record.Took = workflow.Now(ctx).Sub(started)
	switch {
	case err == nil:
		record.Outcome = api.OutcomeDone
	case abortable && j.abortWanted:
		record.Outcome, record.Detail = api.OutcomeAborted, errAborted.Error()
	default:
		record.Outcome, record.Detail = api.OutcomeFailed, explain(err)
		workflow.GetLogger(ctx).Warn("stage failed", "stage", stage, "server", j.state.Server.Name, "error", err)
	}
	j.metrics(ctx, stage).WithTags(map[string]string{"outcome": string(record.Outcome)}).Timer(api.MetricStage).Record(record.Took)
	return err
}

// metrics counts what concerns a stage. It is quiet during a replay.
func (j *journey) metrics(ctx workflow.Context, stage api.Stage) client.MetricsHandler {
	return workflow.GetMetricsHandler(ctx).WithTags(map[string]string{"stage": string(stage), "site": j.state.Site, "plan": j.state.Plan})
}

// park waits until an operator says how to go on. It returns nil for a retry and
// errAborted for an abort.
func (j *journey) park(ctx workflow.Context, stage api.Stage, cause error) error {
	before := j.state.Status
	j.state.Status, j.state.Reason = api.StatusParked, fmt.Sprintf("%s: %s", stage, explain(cause))
	j.retryWanted, j.abortWanted = false, false
	j.state.MayAbort = j.mayAbort() == nil
	j.metrics(ctx, stage).Counter(api.MetricParked).Inc(1)
	if err := j.publish(ctx); err != nil {
		return err
	}
	if j.onPark != nil {
		if err := j.onPark(ctx, j.state.Reason); err != nil {
			workflow.GetLogger(ctx).Error("the inventory was not told of the parking", "error", err)
		}
	}
	if err := workflow.Await(ctx, func() bool { return j.retryWanted || j.abortWanted }); err != nil {
		return err
	}
	j.state.Status, j.state.Reason, j.state.MayAbort = before, "", false
	if j.abortWanted {
		return errAborted
	}
	return nil
}

// indexOf finds the step that s is driven again from; len(steps) if there is none.
func indexOf(steps []step, s step) int {
	from := s.redo
	if from == "" {
		from = s.stage
	}
	for i := range steps {
		if steps[i].stage == from {
			return i
		}
	}
	return len(steps)
}

// isType says whether err is an application error of one of the types.
func isType(err error, types ...string) bool { return slices.Contains(types, typeOf(err)) }

// typeOf is the type of an application error; empty for other errors.
func typeOf(err error) string {
	var applicationErr *temporal.ApplicationError
	switch {
	case errors.Is(err, errAborted):
		return api.ErrorAborted
	case errors.As(err, &applicationErr):
		return applicationErr.Type()
	}
	return ""
}

// explain is the innermost message of an error: what an operator wants to read, without
// Temporal's account of activity types and attempts.
func explain(err error) string {
	var applicationErr *temporal.ApplicationError
	if errors.As(err, &applicationErr) {
		return applicationErr.Message()
	}
	var timeoutErr *temporal.TimeoutError
	if errors.As(err, &timeoutErr) {
		// Of the timeouts it is that of the last attempt that tells more.
		if cause := timeoutErr.Unwrap(); cause != nil && !errors.As(cause, &timeoutErr) {
			return explain(cause)
		}
		var activityErr *temporal.ActivityError
		if errors.As(err, &activityErr) {
			return fmt.Sprintf("%s did not end in time (%s): is a worker for it running?",
				activityErr.ActivityType().GetName(), timeoutErr.TimeoutType())
		}
	}
	return err.Error()
}
