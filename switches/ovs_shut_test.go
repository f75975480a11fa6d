package switches_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ferrodur/switches"
)

// A port that is shut is on a bridge that forwards nothing, with all that others keep in its record,
// and comes back to its own bridge.
func TestShutPorts(t *testing.T) {
	t.Parallel()
	rig := newBridgeRig(t)
	vsctl := func(line string) string { t.Helper(); return rig.onSwitch(t, "ovs-vsctl", strings.Fields(line)...) }
	intents := intentsOf(port(5))
	on := func(bridge string) {
		t.Helper()
		if now := strings.TrimSpace(vsctl("port-to-br " + port(5))); now != bridge {
			t.Errorf("the port is on %s, want %s", now, bridge)
		}
	}
	refused := func(word string) {
		t.Helper()
		session := rig.open(t)
		defer session.Close()
		_, err := applyOne(t, session, intents["access"])
		var refused *switches.RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), word) {
			t.Errorf("got %v, want a refusal with %q", err, word)
		}
	}
	vsctl("add-br br1 -- set Bridge br1 datapath_type=netdev -- del-port " + port(5) + " -- add-port br1 " + port(5) + " tag=7 external_ids:owner=ops")
	rig.apply(t, intents["quarantine"])
	on("ferrodur-shut")
	rig.apply(t, intents["access"])
	on("br1")
	rig.apply(t, intents["quarantine"])
	if kept := vsctl("get Port " + port(5) + " external_ids:owner"); kept != "ops\n" {
		t.Errorf("what others keep became %q", kept)
	}

	vsctl("remove Port " + port(5) + " external_ids ferrodur-bridge")
	refused("its own bridge, which is not known, is not there")
	vsctl("set Port " + port(5) + " external_ids:ferrodur-bridge=br9")
	refused("its own bridge, br9, is not there")
	on("ferrodur-shut")

	for _, change := range []string{"set Bridge ferrodur-shut fail_mode=standalone", "set-controller ferrodur-shut tcp:192.0.2.9"} {
		vsctl(change)
		session := rig.open(t)
		if diff, err := diffOne(t, session, intents["quarantine"]); err != nil || !slices.Contains(diff.Diff, "- Port "+port(5)+" / bridge=ferrodur-shut, which forwards") {
			t.Errorf("after %s: %+v, %v", change, diff, err)
		}
		session.Close()
		rig.apply(t, intents["quarantine"])
		on("ferrodur-shut")
	}

	bonded := intentsOf(port(8))["bond"]
	rig.apply(t, bonded)
	vsctl(fmt.Sprintf("--id=@bond get Port bond%d -- remove Bridge br0 ports @bond -- add Bridge ferrodur-shut ports @bond -- set Port bond%[1]d external_ids:ferrodur-bridge=br0", bonded.Bond.Group))
	rig.apply(t, bonded)
	if now := vsctl("iface-to-br " + port(8)); now != "br0\n" {
		t.Errorf("a bond that was shut by hand is on %s", now)
	}

	// All others lose their records with the bridge.
	vsctl("del-br ferrodur-shut -- add-port br0 " + port(5))
	rig.apply(t, intents["quarantine"]) // which makes it
	on("ferrodur-shut")
	vsctl("set Bridge br1 datapath_type=system -- add-port br1 " + port(6))
	session := rig.open(t)
	quarantine := intentsOf(port(6))["quarantine"]
	if _, err := applyOne(t, session, quarantine); err == nil || !strings.Contains(err.Error(), "bridge br1 has datapath type system, and ferrodur-shut has netdev") {
		t.Errorf("a port on another datapath: %v", err)
	}
}

// What is shut stays so when the switch program ends and starts again: from its first moment.
func TestShutAcrossRestarts(t *testing.T) {
	t.Parallel()
	rig := newBridgeRig(t)
	rig.apply(t, intentsOf(port(5))["quarantine"])
	for _, n := range []int{6, 7} { // take all VLANs
		rig.onSwitch(t, "ovs-vsctl", "del-port", port(n), "--", "add-port", "br0", port(n))
	}
	far := func(n int) *end { return newEnd(t, rig.namespace, "far"+port(n)) }
	shut, sender, others := far(5), far(6), []*end{far(7), far(8)} // the eighth is shut, too
	shutOne, openOne := []byte(strings.Repeat("shut", 16)), []byte(strings.Repeat("open", 16))

	check(t, unix.Kill(pidOf(t, rig.namespace, "ovs-vswitchd"), unix.SIGKILL))
	besides(t, rig.namespace, "ovsdb-server", "ovs-vswitchd", "--disable-system", "--pidfile", "--unixctl="+vswitchdControl, "--detach", "--no-chdir", "--log-file=/dev/null")
	deadline := time.Now().Add(20 * time.Second)
	for passed := false; !passed; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the switch forwards nothing at all")
		}
		shut.send(t, 0, shutOne)
		shut.send(t, 4095, shutOne)
		sender.send(t, 0, openOne)
		for _, other := range others {
			for _, f := range other.received() {
				if slices.Equal(f.payload, shutOne) {
					t.Fatal("a frame from a port that is shut came through")
				}
				passed = passed || slices.Equal(f.payload, openOne)
			}
		}
	}
}
