package workflows_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"ferrodur/workflows/api"
)

// Each of a server's uplinks has a link of its own, and carries the tenant's blocks.
func TestTwoUplinks(t *testing.T) {
	w := newWorld(t)
	w.uplinks = []api.Uplink{{Switch: "sw2", Port: "swp1", MAC: "52:54:00:00:00:02"}}
	w.others = make([]api.ConfigurePortInput, 1)
	order := order
	order.Blocks.IPv4 = 28
	w.env.RegisterDelayedCallback(func() {
		second := w.others[0]
		if w.port != api.TenantProfile || second.Profile != api.TenantProfile || second.Links.IPv4.Server.String() != "198.51.100.3/31" ||
			!slices.Equal(second.Blocks, w.routed) || !slices.Equal(second.Blocks, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}) {
			t.Errorf("first port %s with %v, second %+v", w.port, w.routed, second)
		}
	}, time.Hour)
	// The tenant is cut off where the switch is there, though the other one is not.
	w.awayFrom(90*time.Minute, 3*time.Hour)
	w.update(t, api.UpdateReturn, 2*time.Hour, nil)
	w.env.RegisterDelayedCallback(func() {
		if state := w.state(t); w.others[0].Profile != api.QuarantineProfile || w.port != api.TenantProfile || state.WaitsFor != api.SwitchID("sw1") {
			t.Errorf("first port %s, second %s, waits for %q", w.port, w.others[0].Profile, state.WaitsFor)
		}
	}, 3*time.Hour)
	if err := w.run(api.WorkflowInstance, api.InstanceID(order.ID), order); err != nil {
		t.Fatal(err)
	}
	w.mustHoldNothing(t)
}

// In a network a server is by one uplink. The others stay shut.
func TestTwoUplinksInANetwork(t *testing.T) {
	w := newWorld(t)
	w.uplinks = []api.Uplink{{Switch: "sw2", Port: "swp1", MAC: "52:54:00:00:00:02"}}
	w.others = make([]api.ConfigurePortInput, 1)
	order := order
	order.Network = "blue"
	w.env.RegisterDelayedCallback(func() {
		if w.port != api.TenantProfile || w.others[0].Profile != api.QuarantineProfile {
			t.Errorf("first port %s, second %s", w.port, w.others[0].Profile)
		}
	}, time.Hour)
	w.update(t, api.UpdateReturn, 2*time.Hour, nil)
	if err := w.run(api.WorkflowInstance, api.InstanceID(order.ID), order); err != nil {
		t.Fatal(err)
	}
	w.mustHoldNothing(t)
}
