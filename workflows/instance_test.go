package workflows_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"ferrodur/workflows/api"
)

var order = api.Order{ID: "o-1", Site: "ewr1", Plan: "c1.small", Image: "debian-12", SSHKeys: []string{"ssh-ed25519 AAAA"}}

// returnAfter is long after any provisioning of the test's clock has ended.
const returnAfter = 30 * 24 * time.Hour

func (w *world) provision(order api.Order) error {
	w.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: api.InstanceID(order.ID), TaskQueue: api.QueueLifecycle})
	w.env.ExecuteWorkflow(api.WorkflowInstance, order)
	return w.env.GetWorkflowError()
}

// A block is routed to the instance while it is the tenant's, and no longer.
func TestInstanceWithABlock(t *testing.T) {
	w := newWorld(t)
	ordered := order
	ordered.Blocks.IPv4 = 29
	w.env.RegisterDelayedCallback(func() {
		block := netip.MustParsePrefix("192.0.2.0/29")
		if state := w.state(t); !slices.Equal(state.Blocks, []netip.Prefix{block}) || !slices.Equal(w.routed, state.Blocks) {
			t.Errorf("before the return %v is routed: %+v", w.routed, state)
		}
	}, returnAfter-time.Hour)
	w.update(t, api.UpdateReturn, returnAfter, nil)
	if err := w.provision(ordered); err != nil {
		t.Fatal(err)
	}
	w.mustHoldNothing(t)
	if len(w.routed) > 0 {
		t.Errorf("after the return %v is routed", w.routed)
	}
}

func TestInstanceFromOrderToReturn(t *testing.T) {
	w := newWorld(t)
	w.env.RegisterDelayedCallback(func() {
		state := w.state(t)
		if state.Status != api.StatusActive || state.Addresses != tenantLinks || state.DNSName != "o-1.example.net" {
			t.Errorf("before the return: %+v", state)
		}
		if w.port != api.TenantProfile || w.disk != "tenant" || !w.powered || w.target != "" || w.instance != "active" {
			t.Errorf("before the return: port %s, disk %s, power %v, target %q, instance %s", w.port, w.disk, w.powered, w.target, w.instance)
		}
	}, returnAfter-time.Hour)
	w.update(t, api.UpdateReturn, returnAfter, nil)
	if err := w.provision(order); err != nil {
		t.Fatal(err)
	}
	w.mustHoldNothing(t)
	if w.wipes != 1 || w.disk != "clean" {
		t.Errorf("disk %s with %d proofs of a wipe", w.disk, w.wipes)
	}
	if w.calls["PowerCycle"] != 2 {
		t.Errorf("%d power cycles, want one for the install and one for the wipe", w.calls["PowerCycle"])
	}
	// The order on the way back: cut off, wiped, shut, and only then given away.
	positions := []int{
		slices.Index(w.trail, "Wipe"), slices.Index(w.trail, "StoreWipe"), slices.Index(w.trail, "RemoveNames"), slices.Index(w.trail, "ReleaseAddresses"), slices.Index(w.trail, "FreeServer"),
	}
	if !slices.IsSorted(positions) || positions[0] < 0 {
		t.Errorf("the way back was %s", strings.Join(w.trail, " "))
	}
}

// Every activity fails before its effect, and after it with its answer lost: once, and
// the order goes through; for good, and nothing is held afterwards.
func TestInstanceSurvivesEveryFailure(t *testing.T) {
	passing := errors.New("the network is away")
	for _, activity := range []string{
		"ReserveServer", "AllocateAddresses", "NameAddresses", "RequestPort", configurePort, "SetInstanceState", "SetBootTarget", "PowerCycle", "AwaitAgent",
		"Install", "SetBootDevice", "ReleaseAgent", "Verify", "ClearBootTarget", "PowerOff", "Wipe", "StoreWipe", "RemoveNames", "ReleaseAddresses", "FreeServer",
	} {
		for _, before := range []bool{true, false} {
			when := map[bool]string{true: "before", false: "after"}[before]
			t.Run(fmt.Sprintf("%s fails twice %s its effect", activity, when), func(t *testing.T) {
				w := newWorld(t)
				w.faults[activity] = &fault{times: 2, before: before, err: passing}
				w.update(t, api.UpdateReturn, returnAfter, nil)
				if err := w.provision(order); err != nil {
					t.Fatal(err)
				}
				w.mustHoldNothing(t)
			})
		}
	}
	for _, activity := range []string{
		"ReserveServer", "AllocateAddresses", "NameAddresses", "RequestPort", configurePort, "SetInstanceState", "SetBootTarget", "PowerCycle", "AwaitAgent",
		"Install", "SetBootDevice", "ReleaseAgent", "Verify",
	} {
		for _, before := range []bool{true, false} {
			when := map[bool]string{true: "before", false: "after"}[before]
			t.Run(fmt.Sprintf("%s fails for good %s its effect", activity, when), func(t *testing.T) {
				w := newWorld(t)
				cause := temporal.NewNonRetryableApplicationError("the part is broken", api.ErrorOperator, nil)
				// As often as the way there tries it; the way back finds it mended.
				w.faults[activity] = &fault{times: 1, before: before, err: cause}
				undo := order
				undo.OnFailure = api.Undo
				err := w.provision(undo)
				if err == nil || !strings.Contains(err.Error(), "the part is broken") {
					t.Fatalf("the order ended with %v", err)
				}
				w.mustHoldNothing(t)
				if w.state(t).Status != api.StatusFailed {
					t.Errorf("status %s", w.state(t).Status)
				}
			})
		}
	}
}

func TestInstanceRefusedHoldsNothing(t *testing.T) {
	w := newWorld(t)
	w.server = "active"
	err := w.provision(order)
	if err == nil || !strings.Contains(err.Error(), "no c1.small is available") {
		t.Fatalf("got %v", err)
	}
	w.mustHoldNothing(t)
	if w.server != "active" {
		t.Errorf("another's server became %s", w.server)
	}
}

func TestInstanceParksUntilRetry(t *testing.T) {
	w := newWorld(t)
	w.faults["Verify"] = &fault{times: 2, before: true, err: temporal.NewNonRetryableApplicationError("no call home within 15m0s", api.ErrorStalled, nil)}
	w.env.RegisterDelayedCallback(func() {
		state := w.state(t)
		if state.Status != api.StatusParked || !strings.Contains(state.Reason, "no call home") || w.instance != "parked" {
			t.Errorf("state %s (%s), instance %s", state.Status, state.Reason, w.instance)
		}
		if w.calls["Install"] != 2 {
			t.Errorf("%d installs before it parked, want 2", w.calls["Install"])
		}
	}, returnAfter-2*time.Hour)
	w.update(t, api.UpdateRetry, returnAfter-time.Hour, nil)
	w.update(t, api.UpdateReturn, returnAfter, nil)
	if err := w.provision(order); err != nil {
		t.Fatal(err)
	}
	if w.calls["Install"] != 3 {
		t.Errorf("%d installs, want the retry to install again", w.calls["Install"])
	}
	if w.patience != time.Hour {
		t.Errorf("the retry's limit was not heeded: %s", w.patience)
	}
	w.mustHoldNothing(t)
}

func TestInstanceParksUntilAbort(t *testing.T) {
	w := newWorld(t)
	w.faults["PowerCycle"] = &fault{times: 1, before: true, err: temporal.NewNonRetryableApplicationError("the BMC refuses the password", api.ErrorOperator, nil)}
	w.update(t, api.UpdateAbort, returnAfter, nil)
	err := w.provision(order)
	if err == nil || !strings.Contains(err.Error(), "aborted") {
		t.Fatalf("got %v", err)
	}
	w.mustHoldNothing(t)
}

func TestInstanceAbortInterruptsTheStage(t *testing.T) {
	w := newWorld(t)
	w.awayFrom(0, 2*time.Minute)
	w.update(t, api.UpdateAbort, time.Minute, nil)
	err := w.provision(order)
	if err == nil || !strings.Contains(err.Error(), "aborted") {
		t.Fatalf("got %v", err)
	}
	w.mustHoldNothing(t)
	if w.calls["Install"] != 0 {
		t.Error("the install ran after the abort")
	}
}

// A switch that is away on the way back: what must not be left undone is retried, then
// parked; an abort is refused, a retry goes on.
func TestInstanceNeverLeavesThePortOpen(t *testing.T) {
	w := newWorld(t)
	w.awayFrom(returnAfter-time.Hour, time.Hour+31*24*time.Hour)
	w.update(t, api.UpdateReturn, returnAfter, nil)
	w.update(t, api.UpdateAbort, returnAfter+30*24*time.Hour, func(err error) {
		if !strings.Contains(err.Error(), "must not be left undone") {
			t.Errorf("refused with %v", err)
		}
	})
	w.env.RegisterDelayedCallback(func() {
		if state := w.state(t); state.Status != api.StatusParked || !w.links["instance/o-1"] {
			t.Errorf("state %s, links %v: parked and holding was expected", state.Status, w.links)
		}
	}, returnAfter+30*24*time.Hour)
	w.update(t, api.UpdateRetry, returnAfter+32*24*time.Hour, nil)
	if err := w.provision(order); err != nil {
		t.Fatal(err)
	}
	w.mustHoldNothing(t)
}

// A server that cannot be wiped is given up by an operator: it goes to nobody.
func TestInstanceGivesUpAWipe(t *testing.T) {
	w := newWorld(t)
	w.faults["Wipe"] = &fault{times: -1, before: true, err: temporal.NewNonRetryableApplicationError("disk /dev/vda cannot be written", api.ErrorOperator, nil)}
	w.update(t, api.UpdateReturn, returnAfter, nil)
	w.update(t, api.UpdateAbort, returnAfter+time.Hour, nil)
	if err := w.provision(order); err != nil {
		t.Fatal(err)
	}
	if w.server != "parked" || w.wipes != 0 {
		t.Errorf("server %s, %d proofs", w.server, w.wipes)
	}
	if held := strings.Join(w.held(), "; "); held != "the disk holds the tenant's data" {
		t.Errorf("held: %s", held)
	}
}

func TestInstanceRefusesWhatDoesNotFit(t *testing.T) {
	w := newWorld(t)
	w.awayFrom(0, 90*time.Second)
	refusals := 0
	refused := func(error) { refusals++ }
	w.update(t, api.UpdateReturn, time.Minute, refused) // not yet active
	w.update(t, api.UpdateRetry, time.Minute+time.Second, refused)
	w.update(t, api.UpdateAbort, returnAfter-time.Minute, refused) // active
	w.update(t, api.UpdateReturn, returnAfter, nil)
	if err := w.provision(order); err != nil {
		t.Fatal(err)
	}
	if refusals != 3 {
		t.Errorf("%d updates were refused, want 3", refusals)
	}
}

// The Web UI's Cancel is an abort while that is allowed, and else changes nothing.
func TestInstanceCancelled(t *testing.T) {
	t.Run("while provisioning", func(t *testing.T) {
		w := newWorld(t)
		w.awayFrom(0, 2*time.Minute)
		w.env.RegisterDelayedCallback(w.env.CancelWorkflow, time.Minute)
		if err := w.provision(order); err == nil {
			t.Fatal("the cancelled order ended well")
		}
		w.mustHoldNothing(t)
	})
	t.Run("while active", func(t *testing.T) {
		w := newWorld(t)
		w.env.RegisterDelayedCallback(w.env.CancelWorkflow, returnAfter-time.Hour)
		w.env.RegisterDelayedCallback(func() {
			if w.state(t).Status != api.StatusActive || w.port != api.TenantProfile {
				t.Error("a cancellation took the server from its tenant")
			}
		}, returnAfter-time.Minute)
		w.update(t, api.UpdateReturn, returnAfter, nil)
		if err := w.provision(order); err != nil {
			t.Fatal(err)
		}
		w.mustHoldNothing(t)
	})
}
