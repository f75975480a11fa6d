package switches_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ferrodur/switches"
)

// Where one of Open vSwitch's two programs is away, so is the switch: what is in the database is
// not done before it is back.
func TestOVSAway(t *testing.T) {
	t.Parallel()
	rig := newBridgeRig(t)
	rig.sessions = switches.NewSessions(switches.Config{Dial: rig.namespace.Dial, Command: time.Minute}) // ovs-vsctl gives up before
	access := intentsOf(port(1))["access"]
	apply := func() error {
		session := rig.open(t)
		defer session.Close()
		_, err := applyOne(t, session, access)
		return err
	}
	pid := pidOf(t, rig.namespace, "ovs-vswitchd")
	check(t, unix.Kill(pid, unix.SIGSTOP))
	for range 2 { // the second finds in the database what the first has put there
		if err := apply(); !errors.Is(err, switches.ErrUnreachable) {
			t.Errorf("without ovs-vswitchd: got %v, want ErrUnreachable", err)
		}
	}
	check(t, unix.Kill(pid, unix.SIGCONT))
	check(t, apply())
	check(t, unix.Kill(pidOf(t, rig.namespace, "ovsdb-server"), unix.SIGKILL))
	if err := apply(); !errors.Is(err, switches.ErrUnreachable) || !strings.Contains(err.Error(), "database connection failed") {
		t.Errorf("without its database: got %v, want ErrUnreachable", err)
	}
}
