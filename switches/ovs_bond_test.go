package switches_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ferrodur/switches"
)

// A host that speaks LACP (IEEE 802.1AX) is reached by its bond, also with one cable less; and one
// that does not, by the one cable that the switch has chosen.
func TestFramesOfABond(t *testing.T) {
	t.Parallel()
	rig := newBridgeRig(t)
	vsctl := func(line string) { t.Helper(); rig.onSwitch(t, "ovs-vsctl", strings.Fields(line)...) }
	for _, n := range []int{5, 6} {
		rig.apply(t, switches.Intent{
			Port: port(n), Profile: switches.Tenant, Description: "s1", VLANs: &switches.VLANs{Untagged: 100, Tagged: []int{200}},
			Bond: &switches.Bond{Group: 9, Fallback: true},
		})
	}
	rig.apply(t, switches.Intent{Port: port(7), Profile: switches.Tenant, Description: "s2", VLANs: &switches.VLANs{Untagged: 100}})
	vsctl("add-br host -- set Bridge host datapath_type=netdev -- add-port host inside -- set Interface inside type=internal" +
		" -- add-bond host hosts far" + port(5) + " far" + port(6) + " lacp=active bond_mode=balance-tcp other_config:lacp-time=fast")
	check(t, rig.namespace.Up("inside"))
	host, other := newEnd(t, rig.namespace, "inside"), newEnd(t, rig.namespace, "far"+port(7))
	passes := func(when string) {
		t.Helper()
		payload := []byte(strings.Repeat("ferrodur", 8))
		for _, way := range [][2]*end{{host, other}, {other, host}} {
			way[1].drain()
			arrived := false
			for deadline := time.Now().Add(15 * time.Second); !arrived && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
				way[0].send(t, 0, payload)
				arrived = slices.ContainsFunc(way[1].received(), func(f frame) bool { return slices.Equal(f.payload, payload) && f.tag == 0 })
			}
			if !arrived {
				t.Errorf("%s: nothing came through; the switch says:\n%s", when, rig.onSwitch(t, "ovs-appctl", "-t", vswitchdControl, "bond/show"))
			}
		}
	}
	speaksLACP := func(wanted bool) {
		t.Helper()
		text := ""
		for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			text = rig.onSwitch(t, "ovs-appctl", "-t", vswitchdControl, "lacp/show", "bond9")
			if strings.Contains(text, "status: active negotiated") == wanted {
				return
			}
		}
		t.Errorf("that the host speaks LACP is not %t:\n%s", wanted, text)
	}
	speaksLACP(true)
	passes("with both cables")
	_, err := rig.namespace.Run(t.Context(), "ip", "link", "set", "far"+port(5), "down")
	check(t, err)
	passes("with one cable")
	_, err = rig.namespace.Run(t.Context(), "ip", "link", "set", "far"+port(5), "up")
	check(t, err)
	vsctl("set Port hosts lacp=off bond_mode=active-backup")
	speaksLACP(false)
	chosen := regexp.MustCompile(`active member mac: \S+\((\w+)\)`).FindStringSubmatch(rig.onSwitch(t, "ovs-appctl", "-t", vswitchdControl, "bond/show", "bond9"))
	if chosen == nil {
		t.Fatal("no member carries anything without LACP")
	}
	rig.onSwitch(t, "ovs-appctl", "-t", vswitchdControl, "bond/set-active-member", "hosts", "far"+chosen[1])
	passes("without LACP")
	rig.apply(t, switches.Intent{Port: port(5), Profile: switches.Quarantine})
	rig.onSwitch(t, "ovs-appctl", "-t", vswitchdControl, "bond/set-active-member", "hosts", "far"+port(6))
	passes("with one member")
	rig.apply(t, switches.Intent{Port: port(6), Profile: switches.Quarantine})
	if on, shut := rig.onSwitch(t, "ovs-vsctl", "list-ports", "br0"), rig.onSwitch(t, "ovs-vsctl", "list-ports", "ferrodur-shut"); strings.Contains(on, "bond9") || !strings.Contains(shut, port(5)+"\n") {
		t.Errorf("the bond left %s; shut are %s", on, shut)
	}
}

// What others keep on a port, or a bond of theirs, is not lost for a bond of ours.
func TestBondsOfOthers(t *testing.T) {
	t.Parallel()
	rig := newBridgeRig(t)
	bond := func(n, group int) error {
		session := rig.open(t)
		defer session.Close()
		results, err := session.Apply(t.Context(), switches.Intent{
			Port: port(n), Profile: switches.Tenant, Description: "s1", VLANs: &switches.VLANs{Untagged: 100}, Bond: &switches.Bond{Group: group},
		})
		check(t, err)
		return results[0].Err
	}
	refused := func(err error, word string) {
		t.Helper()
		var refused *switches.RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), word) {
			t.Errorf("got %v, want a refusal with %q", err, word)
		}
	}
	rig.onSwitch(t, "ovs-vsctl", "set", "Port", port(5), "external_ids:owner=ops")
	refused(bond(5, 9), `external_ids:owner="ops"`)
	rig.onSwitch(t, "ovs-vsctl", "del-port", port(6), "--", "del-port", port(7), "--", "add-bond", "br0", "bond7", port(6), port(7))
	refused(bond(8, 7), "port bond7 that is not Ferrodur's")
	if err := bond(6, 9); !errors.Is(err, switches.ErrUnknownPort) {
		t.Errorf("a member of somebody else's bond: %v", err)
	}
	if kept := rig.onSwitch(t, "ovs-vsctl", "--columns=name,external_ids", "list", "Port"); !strings.Contains(kept, "owner=ops") || !strings.Contains(kept, "bond7") {
		t.Errorf("what others have is gone:\n%s", kept)
	}
}

// vswitchdControl is where the lab's switch program listens to ovs-appctl(8).
const vswitchdControl = "/run/openvswitch/vswitchd.ctl"
