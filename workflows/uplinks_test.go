package workflows_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

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
	if !slices.Equal(w.resolved, []string{"s1", "s1 uplink 2"}) {
		t.Errorf("the switches found the server on %q", w.resolved)
	}
}

// Another machine at the end of a cable parks the order, and once that is mended, a retry
// goes on.
func TestAnotherMachineAnswers(t *testing.T) {
	w := newWorld(t)
	w.uplinks = []api.Uplink{{Switch: "sw2", Port: "swp1", MAC: "52:54:00:00:00:02"}}
	w.others = make([]api.ConfigurePortInput, 1)
	w.faults[string(api.ResolveHosts)] = &fault{times: 1, before: true, err: temporal.NewNonRetryableApplicationError("another answers", api.ErrorOperator, nil)}
	w.env.RegisterDelayedCallback(func() {
		if state := w.state(t); state.Status != api.StatusParked || state.Reason != "verify: another answers" || w.instance != "parked" {
			t.Errorf("the order is %s (%s), the instance %s", state.Status, state.Reason, w.instance)
		}
	}, time.Hour)
	w.update(t, api.UpdateRetry, 2*time.Hour, nil)
	w.update(t, api.UpdateReturn, 3*time.Hour, nil)
	if err := w.run(api.WorkflowInstance, api.InstanceID(order.ID), order); err != nil {
		t.Fatal(err)
	}
	w.mustHoldNothing(t)
}

// Uplinks that are bonded are one for a tenant, with the same addresses; those that lead to two
// switches are so in networks only. While its server is provisioned, no port is in a bond.
func TestBond(t *testing.T) {
	for name, test := range map[string]struct {
		second  string // switch
		network string
		want    api.ConfigurePortInput // of both ports, as far as the bond is concerned
		asked   int                    // how often a switch has looked for the server
	}{
		"in a network, over two switches": {"sw2", "blue", api.ConfigurePortInput{Bond: 17, MultiChassis: true}, 0},
		"in a network, over one switch":   {"sw1", "blue", api.ConfigurePortInput{Bond: 17}, 0},
		"routed, over one switch":         {"sw1", "", api.ConfigurePortInput{Bond: 17}, 1},
		"routed, over two switches":       {"sw2", "", api.ConfigurePortInput{}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.uplinks = []api.Uplink{{Switch: test.second, Port: "swp2", MAC: "52:54:00:00:00:02"}}
			w.others, w.bond = make([]api.ConfigurePortInput, 1), 17
			order := order
			order.Network = test.network
			w.env.RegisterDelayedCallback(func() {
				for n, port := range []api.ConfigurePortInput{w.first, w.others[0]} {
					if port.Profile != api.TenantProfile || port.Bond != test.want.Bond || port.MultiChassis != test.want.MultiChassis {
						t.Errorf("port %d: %+v", n, port)
					}
				}
				if one := w.others[0].Links == w.first.Links; one != (test.want.Bond > 0) {
					t.Errorf("links %+v and %+v", w.first.Links, w.others[0].Links)
				}
			}, time.Hour)
			w.update(t, api.UpdateReturn, 2*time.Hour, nil)
			if err := w.run(api.WorkflowInstance, api.InstanceID(order.ID), order); err != nil {
				t.Fatal(err)
			}
			if asked := len(w.resolved); asked != test.asked {
				t.Errorf("the switches found the server on %q", w.resolved)
			}
			if w.first.Bond > 0 || w.others[0].Bond > 0 {
				t.Errorf("closed ports are in a bond: %+v, %+v", w.first, w.others[0])
			}
			w.mustHoldNothing(t)
		})
	}
}

// The port carries the networks that are tagged, and the installed system has its addresses
// there.
func TestTaggedNetworks(t *testing.T) {
	w := newWorld(t)
	order := order
	order.Network, order.Tagged = "blue", []string{"green", "red"}
	w.env.RegisterDelayedCallback(func() {
		if w.first.Network != "blue" || !slices.Equal(w.first.Tagged, order.Tagged) {
			t.Errorf("the port carries %+v", w.first)
		}
		if tagged := w.state(t).Tagged; len(tagged) != 2 || tagged[1].Network != "red" || tagged[1].VLAN != 301 || tagged[1].Links != tenantLinks {
			t.Errorf("the instance is in %+v", tagged)
		}
	}, time.Hour)
	w.update(t, api.UpdateReturn, 2*time.Hour, nil)
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

// A return ends a route that waits for a switch: the tenant is cut off where the switch is there.
func TestReturnWhileRouting(t *testing.T) {
	w := newWorld(t)
	w.uplinks = []api.Uplink{{Switch: "sw2", Port: "swp1", MAC: "52:54:00:00:00:02"}}
	w.others = make([]api.ConfigurePortInput, 1)
	w.awayFrom(80*time.Minute, 5*time.Hour)
	w.env.RegisterDelayedCallback(func() { w.elastic = []netip.Prefix{elastic} }, 80*time.Minute)
	w.update(t, api.UpdateRoute, 90*time.Minute, nil)
	w.env.RegisterDelayedCallback(func() {
		if !slices.Equal(w.others[0].Blocks, []netip.Prefix{elastic}) || w.state(t).Stage != api.StageActive {
			t.Errorf("the second port carries %v at stage %q", w.others[0].Blocks, w.state(t).Stage)
		}
	}, 110*time.Minute)
	w.update(t, api.UpdateReturn, 2*time.Hour, nil)
	w.env.RegisterDelayedCallback(func() {
		if w.others[0].Profile != api.QuarantineProfile || w.port != api.TenantProfile {
			t.Errorf("an hour after the return: first port %s, second %s", w.port, w.others[0].Profile)
		}
	}, 3*time.Hour)
	if err := w.run(api.WorkflowInstance, api.InstanceID(order.ID), order); err != nil {
		t.Fatal(err)
	}
	w.mustHoldNothing(t)
}

// An install that is done again, after the tenant's ports were open, is by one uplink like the
// first: the others are shut.
func TestInstallAgainByOneUplink(t *testing.T) {
	w := newWorld(t)
	w.uplinks = []api.Uplink{{Switch: "sw2", Port: "swp1", MAC: "52:54:00:00:00:02"}}
	w.others = make([]api.ConfigurePortInput, 1)
	w.faults[string(api.VerifyInstance)] = &fault{times: 1, before: true, err: temporal.NewNonRetryableApplicationError("did not call home", api.ErrorStalled, nil)}
	w.update(t, api.UpdateReturn, returnAfter, nil)
	if err := w.run(api.WorkflowInstance, api.InstanceID(order.ID), order); err != nil {
		t.Fatal(err)
	}
	w.mustHoldNothing(t)
	if want := []api.Profile{api.TenantProfile, api.QuarantineProfile, api.TenantProfile, api.QuarantineProfile}; !slices.Equal(slices.Compact(slices.Clone(w.otherTrail))[1:], want) {
		t.Errorf("the second port became %q, want quarantine and then %q", w.otherTrail, want)
	}
}
