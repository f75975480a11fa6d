package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

// enrolment is the way of a server into service: of a new one the whole way, of one in
// the pool the part that a burn-in on demand repeats.
type enrolment struct {
	journey
	server string
	passed bool
	// failedTo is the inventory's state of a server that did not pass.
	failedTo string
}

// Enroll brings a declared server into service: its BMC answers, its hardware is what
// was declared, it passes a burn-in. The burn-in writes to every disk. A server that
// falls short is parked until an operator retries or aborts.
func Enroll(ctx workflow.Context, input api.EnrollInput) (api.State, error) {
	e := &enrolment{server: input.Server, failedTo: "enrolled"}
	return e.travel(ctx, input.Limits, []step{
		{stage: api.StageTakeServer, do: e.take("inspecting"), undone: api.StageFree, undo: e.free},
		{stage: api.StageCheckBMC, do: e.checkBMC},
		{stage: api.StagePort, do: e.openPort, undone: api.StageClosePort, undo: e.closePort, skip: true},
		{stage: api.StageInspect, do: e.inspect, redo: api.StageInspect},
		{stage: api.StageBurnIn, do: e.burnIn, redo: api.StageBurnIn},
	})
}

// BurnIn tests a server that no order holds. The burn-in writes to every disk. A server
// that fails is parked until an operator retries or aborts; aborted, it stays out of the
// pool.
func BurnIn(ctx workflow.Context, input api.BurnInInput) (api.State, error) {
	e := &enrolment{server: input.Server, failedTo: "maintenance"}
	return e.travel(ctx, input.Limits, []step{
		{stage: api.StageTakeServer, do: e.take("burning-in"), undone: api.StageFree, undo: e.free},
		{stage: api.StagePort, do: e.openPort, undone: api.StageClosePort, undo: e.closePort, skip: true},
		{stage: api.StageBurnIn, do: e.burnIn, redo: api.StageBurnIn},
	})
}

func (e *enrolment) travel(ctx workflow.Context, limits api.Limits, steps []step) (api.State, error) {
	e.limits = limits.WithDefaults()
	e.parks = true
	e.onPark = func(ctx workflow.Context, reason string) error { return e.setServerState(ctx, "parked", reason) }
	e.state = api.State{
		ID: workflow.GetInfo(ctx).WorkflowExecution.ID, Status: api.StatusRunning,
		Server: api.Server{Name: e.server},
	}
	ctx = e.heedCancellation(ctx)
	if err := e.answer(ctx); err != nil {
		return e.state, err
	}
	err := e.there(ctx, steps)
	e.passed = err == nil
	e.back(ctx)
	if e.abandoned != "" {
		if err == nil {
			err = errAborted
		}
		err = fmt.Errorf("%w; %s", err, e.abandoned)
	}
	return e.end(ctx, err)
}

// take keeps orders off the server while it is tested.
func (e *enrolment) take(state string) func(workflow.Context) error {
	return func(ctx workflow.Context) error {
		server, err := call(e.inventory(ctx, "look "+e.server+" up"), api.FindServer, api.FindServerInput{Server: e.server})
		if err != nil {
			return err
		}
		e.state.Server, e.state.Site, e.state.Plan = server, server.Site, server.Plan
		return do(e.inventory(ctx, e.server+" is "+state), api.TakeServer, api.TakeServerInput{Server: e.server, State: state})
	}
}

// free puts the server where its test says that it belongs.
func (e *enrolment) free(ctx workflow.Context) error {
	state := e.failedTo
	if e.passed && e.abandoned == "" {
		state = "available"
	}
	return do(e.inventory(ctx, e.server+" is "+state), api.LeaveServer, api.LeaveServerInput{Server: e.server, State: state})
}

func (e *enrolment) checkBMC(ctx workflow.Context) error {
	return do(e.bmcWork(ctx, "BMC of "+e.server), api.CheckBMC, api.BMCInput{Server: e.server})
}

// inspect stores what the agent found, and compares it with what was declared.
func (e *enrolment) inspect(ctx workflow.Context) error {
	if err := e.setServerState(ctx, "inspecting", ""); err != nil {
		return err
	}
	result, target, err := e.runAgent(ctx, bootJob{kind: api.JobInspect, await: api.AwaitInspect})
	if err != nil {
		return err
	}
	store := api.StoreHardwareInput{Server: e.server, Hardware: *result.Hardware}
	if e.state.Server.LLDP {
		// The agent announces itself until it is released.
		heard, err := call(e.switchWork(ctx, fmt.Sprintf("who %s hears on %s", e.state.Server.Switch, e.state.Server.Port)),
			api.ReadNeighbours, api.ReadNeighboursInput{Server: e.server})
		if err != nil {
			return err
		}
		store.Port = &heard
	}
	diff, err := call(e.inventory(ctx, "hardware of "+e.server), api.StoreHardware, store)
	if err != nil {
		return err
	}
	if err := e.releaseAgent(ctx, target, false); err != nil {
		return err
	}
	if len(diff.Mismatches) > 0 {
		return needsOperator("%s is not what was declared: %s. Mend the server or its cable and retry; or abort, declare what it is with starter apply, and enrol it again",
			e.server, strings.Join(diff.Mismatches, "; "))
	}
	return nil
}

func (e *enrolment) burnIn(ctx workflow.Context) error {
	if err := e.setServerState(ctx, "burning-in", ""); err != nil {
		return err
	}
	result, target, err := e.runAgent(ctx, bootJob{kind: api.JobBurnIn, await: api.AwaitBurnIn})
	if err != nil {
		return err
	}
	err = do(e.inventory(ctx, "burn-in of "+e.server), api.StoreBurnIn,
		api.StoreBurnInInput{Server: e.server, Key: target, Report: *result.BurnIn})
	if err != nil {
		return err
	}
	if err := e.releaseAgent(ctx, target, false); err != nil {
		return err
	}
	var failures []string
	for _, test := range result.BurnIn.Tests {
		if !test.Passed {
			failures = append(failures, fmt.Sprintf("%s of %s: %s", test.Name, test.Component, test.Detail))
		}
	}
	if !result.BurnIn.Passed {
		return needsOperator("%s failed its burn-in: %s. Replace the part, then retry", e.server, strings.Join(failures, "; "))
	}
	return nil
}

// needsOperator is an error that no retry without a person can mend.
func needsOperator(format string, args ...any) error {
	return temporal.NewApplicationError(fmt.Sprintf(format, args...), api.ErrorOperator)
}
