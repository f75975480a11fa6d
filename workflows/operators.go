package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

// answer installs the query, the updates and the signal that every journey answers to.
func (j *journey) answer(ctx workflow.Context) error {
	j.hearSwitch(ctx)
	if err := workflow.SetQueryHandler(ctx, api.QueryState, func() (api.State, error) { return j.state, nil }); err != nil {
		return err
	}
	err := workflow.SetUpdateHandlerWithOptions(ctx, api.UpdateRetry, func(_ workflow.Context, in api.RetryInput) (api.State, error) {
		j.limits = in.Limits.Or(j.limits)
		j.retryWanted = true
		return j.state, nil
	}, workflow.UpdateHandlerOptions{Validator: j.mayRetry, Description: "Parked: run the stage that failed again."})
	if err != nil {
		return err
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, api.UpdateAbort, func(workflow.Context) (api.State, error) {
		j.abort()
		return j.state, nil
	}, workflow.UpdateHandlerOptions{Validator: j.mayAbort, Description: "Stop, undo everything that was done, and end."})
}

func (j *journey) mayRetry(api.RetryInput) error {
	if j.state.Status != api.StatusParked {
		return fmt.Errorf("%s is %s at stage %q: only a parked workflow can be retried", j.state.ID, j.state.Status, j.state.Stage)
	}
	return nil
}

func (j *journey) mayAbort() error {
	switch {
	case j.state.Status == api.StatusRunning:
		return nil
	case j.state.Status == api.StatusParked && !j.goingBack():
		return nil
	case j.state.Status == api.StatusParked && j.travelled[len(j.travelled)-1].skip:
		return nil
	case j.state.Status == api.StatusParked:
		return fmt.Errorf("%s is parked at stage %q, which must not be left undone: mend the cause, then retry", j.state.ID, j.state.Stage)
	case j.state.Status == api.StatusActive:
		return fmt.Errorf("%s is active: send the update %q to end the tenancy", j.state.ID, api.UpdateReturn)
	}
	return fmt.Errorf("%s is %s: there is nothing to abort", j.state.ID, j.state.Status)
}

// goingBack says whether the stage that parked is an undo.
func (j *journey) goingBack() bool {
	return len(j.travelled) > 0 && j.state.Stage == j.travelled[len(j.travelled)-1].undone
}

func (j *journey) abort() {
	j.abortWanted = true
	if j.cancelStage != nil {
		j.cancelStage()
	}
}

// heedCancellation makes the Web UI's Cancel button, and anyone's cancel request, an
// abort where an abort is allowed. The journey itself runs on a context that cannot be
// cancelled, because what it holds has to be given back.
func (j *journey) heedCancellation(ctx workflow.Context) workflow.Context {
	journeyCtx, _ := workflow.NewDisconnectedContext(ctx)
	workflow.Go(journeyCtx, func(watchCtx workflow.Context) {
		ctx.Done().Receive(watchCtx, nil)
		if err := j.mayAbort(); err != nil {
			workflow.GetLogger(watchCtx).Warn("cancellation not heeded", "reason", err)
			return
		}
		j.abort()
	})
	return journeyCtx
}

// end publishes the last state and turns it into the workflow's result.
func (j *journey) end(ctx workflow.Context, cause error) (api.State, error) {
	j.state.Status = api.StatusDone
	if cause != nil {
		j.state.Status, j.state.Reason, j.state.ErrorType = api.StatusFailed, explain(cause), typeOf(cause)
	}
	if err := j.publish(ctx); err != nil {
		return j.state, err
	}
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return j.state, err
	}
	switch {
	case cause == nil:
		return j.state, nil
	case errors.Is(cause, errAborted):
		return j.state, temporal.NewApplicationErrorWithOptions(cause.Error(), api.ErrorAborted,
			temporal.ApplicationErrorOptions{Category: temporal.ApplicationErrorCategoryBenign})
	}
	return j.state, cause
}
