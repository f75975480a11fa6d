package switches_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ferrodur/switches"
)

// A daemon of FRR's that is away, or that reads its configuration yet, is waited for: what the
// others show is neither drift nor a missing port, and is not saved.
func TestFRRRestarts(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.device.ASN = 65000
	speaker := intentsOf(port(1))["BGP"]
	rig.apply(t, speaker)
	many := []string{"router bgp 65000"} // with which it takes its time
	for n := range 400 {
		many = append(many, fmt.Sprintf("neighbor 203.0.%d.%d remote-as 65010", 200+n/200, n%200))
	}
	configureByHand(t, rig.namespace, many...)
	rig.apply(t, speaker)
	startup := rig.startup(t)

	watch := func(t *testing.T, patience time.Duration) {
		waited := false
		for end := time.Now().Add(patience); time.Now().Before(end); {
			session, err := rig.sessions.Open(t.Context(), rig.device)
			if err == nil {
				var change switches.Change
				if change, err = applyOne(t, session, speaker); err == nil && change.Changed {
					t.Fatalf("the port differs by %q", change.Diff)
				}
				session.Close()
			}
			switch {
			case err == nil && waited:
				return
			case err == nil:
			case errors.Is(err, switches.ErrNotReady), errors.Is(err, switches.ErrUnreachable): // without any daemon there is no vtysh
				waited = true
			default:
				t.Fatalf("got %v, want ErrNotReady", err)
			}
		}
		t.Errorf("waited: %t, and it did not end", waited)
	}
	for _, daemon := range []string{"bgpd", "zebra"} {
		t.Run(daemon, func(t *testing.T) {
			other := *rig // a worker of its own, which does not wait for this one
			other.sessions = switches.NewSessions(switches.Config{Dial: rig.namespace.Dial})
			session := other.open(t)
			_, err := readOne(t, session, port(1))
			check(t, err)
			check(t, unix.Kill(pidOf(t, rig.namespace, daemon), unix.SIGKILL))
			for range 3 {
				if change, err := applyOne(t, session, speaker); !errors.Is(err, switches.ErrNotReady) {
					t.Fatalf("got %v, %v, want ErrNotReady", change, err)
				}
			}
			watch(t, 2*time.Minute)
			if change, err := diffOne(t, session, speaker); err == nil && change.Changed {
				t.Errorf("a session that was open meanwhile has the port differ by %q", change.Diff)
			}
			session.Close()
		})
	}
	if now := rig.startup(t); now != startup {
		t.Errorf("saved was\n%s\nand was\n%s", now, startup)
	}
}
