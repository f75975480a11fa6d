package workflows_test

import (
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"go.temporal.io/sdk/temporal"

	"ferrodur/report"
	"ferrodur/workflows/api"
)

func (w *world) run(workflow, id string, input any) error {
	w.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id, TaskQueue: api.QueueLifecycle})
	w.env.ExecuteWorkflow(workflow, input)
	return w.env.GetWorkflowError()
}

func TestEnroll(t *testing.T) {
	w := newWorld(t)
	w.server = "enrolled"
	if err := w.run(api.WorkflowEnroll, "enroll/s1", api.EnrollInput{Server: "s1"}); err != nil {
		t.Fatal(err)
	}
	w.mustHoldNothing(t)
	if w.server != "available" {
		t.Errorf("server is %s", w.server)
	}
}

func TestEnrollParksAServerThatFallsShort(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(*world)
		mend  func(*world)
		want  string
	}{
		{
			"hardware", func(w *world) { w.short = []string{"1 GiB of memory, 2 GiB declared"} },
			func(w *world) { w.short = nil }, "1 GiB of memory, 2 GiB declared",
		},
		{
			"cable", func(w *world) { w.heard = "s7" }, func(w *world) { w.heard = theServer.Name }, "port swp1 hears s7",
		},
		{
			"burn-in", func(w *world) {
				w.burnIn = report.BurnIn{Tests: []report.Test{{Name: "fio", Component: "/dev/vda", Detail: "verify failed at 4096"}}}
			},
			func(w *world) { w.burnIn = report.BurnIn{Passed: true} }, "fio of /dev/vda: verify failed at 4096",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			test.spoil(w)
			w.env.RegisterDelayedCallback(func() {
				if state := w.state(t); state.Status != api.StatusParked || !strings.Contains(state.Reason, test.want) || w.server != "parked" {
					t.Errorf("state %s (%s), server %s", state.Status, state.Reason, w.server)
				}
				test.mend(w)
			}, time.Hour)
			w.update(t, api.UpdateRetry, 2*time.Hour, nil)
			if err := w.run(api.WorkflowEnroll, "enroll/s1", api.EnrollInput{Server: "s1"}); err != nil {
				t.Fatal(err)
			}
			w.mustHoldNothing(t)
			if w.server != "available" {
				t.Errorf("server is %s after the retry", w.server)
			}
		})
	}
}

// A port that the switch does not have can neither be opened nor closed: an operator gives up on both,
// and declares the server anew.
func TestEnrollGivenUpWhereThePortCannotBeClosed(t *testing.T) {
	w := newWorld(t)
	w.server = "enrolled"
	w.faults[configurePort] = &fault{times: -1, before: true, err: temporal.NewApplicationError("switch has no such port", api.ErrorOperator)}
	for n, stage := range []api.Stage{api.StagePort, api.StageClosePort} {
		at := time.Duration(n+1) * time.Hour
		w.env.RegisterDelayedCallback(func() {
			if state := w.state(t); state.Status != api.StatusParked || state.Stage != stage || !state.MayAbort {
				t.Errorf("at %s: %+v", stage, state)
			}
		}, at)
		w.update(t, api.UpdateAbort, at+time.Minute, nil)
	}
	err := w.run(api.WorkflowEnroll, "enroll/s1", api.EnrollInput{Server: "s1"})
	if err == nil || !strings.Contains(err.Error(), "close port was given up: switch has no such port") {
		t.Errorf("it ended with %v", err)
	}
	if w.server != "enrolled" || w.holder != "" {
		t.Errorf("the server is %s, held by %q", w.server, w.holder)
	}
}

func TestBurnInAbortedKeepsTheServerOutOfThePool(t *testing.T) {
	w := newWorld(t)
	w.burnIn = report.BurnIn{}
	w.update(t, api.UpdateAbort, time.Hour, nil)
	if err := w.run(api.WorkflowBurnIn, "burn-in/s1", api.BurnInInput{Server: "s1"}); err == nil {
		t.Fatal("the aborted burn-in ended well")
	}
	w.mustHoldNothing(t)
	if w.server != "maintenance" {
		t.Errorf("server is %s", w.server)
	}
}

func TestBurnInLeavesAHeldServerAlone(t *testing.T) {
	w := newWorld(t)
	w.holder, w.server = "instance/o-9", "active"
	if err := w.run(api.WorkflowBurnIn, "burn-in/s1", api.BurnInInput{Server: "s1"}); err == nil {
		t.Fatal("a held server was taken")
	}
	if w.holder != "instance/o-9" || w.server != "active" || w.powered || w.calls["PowerOff"] != 0 {
		t.Errorf("holder %s, server %s, power %v", w.holder, w.server, w.powered)
	}
}
