package switches_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ferrodur/switches"
	"ferrodur/switches/emulator"
)

// The history of a Junos says for good that a commit was to be confirmed. One that was, by
// "commit check", holds nobody up when its time is over; until then it is waited for.
func TestJunosConfirmedByCheck(t *testing.T) {
	t.Parallel()
	b := benches["juniper_junos"](t)
	intent := intentsOf(b.port(1))["IPv4 only"]
	b.byHand(t, "set system ntp server 192.0.2.123", "commit confirmed 10", "commit check")
	begun := time.Now()
	if change := b.must(t, intent); !change.Running.Equal(intent) {
		t.Errorf("got %+v", change.Running)
	}
	if took, least := time.Since(begun), 10*time.Minute/300; took < least {
		t.Errorf("waited for %v, want %v", took, least)
	}
	expect(t, b.running(t), "ntp server 192.0.2.123")
}

// Somebody's commit that waits to be confirmed is not confirmed by Ferrodur, whose checks and
// commits would do so, even where it came at the last moment: it is taken back, and then it
// is Ferrodur's turn.
func TestJunosConfirmsNothingOfOthers(t *testing.T) {
	t.Parallel()
	b := benches["juniper_junos"](t)
	intent := intentsOf(b.port(1))["IPv4 only"]
	others := []string{"set system ntp server 192.0.2.123", "commit confirmed 4"}
	b.byHand(t, others...)
	b.must(t, intent)
	expectNot(t, b.running(t), "ntp server 192.0.2.123")

	done := make(chan error, 1)
	b.emulated.Fail(emulator.Faults{Slow: 20 * time.Millisecond, Refuse: func(line string) string {
		if line == "configure exclusive" {
			go func() { done <- b.emulated.ByHand(others...) }()
		}
		return ""
	}})
	_, err := applyOne(t, b.open(t), intentsOf(b.port(1))["quarantine"])
	b.emulated.Fail(emulator.Faults{})
	check(t, <-done)
	if !errors.Is(err, switches.ErrLocked) || !strings.Contains(err.Error(), "confirmed") {
		t.Errorf("got %v, want ErrLocked", err)
	}
	if change := b.must(t, intent); change.Changed {
		t.Errorf("the port was changed: %q", change.Diff)
	}
	expectNot(t, b.running(t), "ntp server 192.0.2.123")
}

// A group that the switch is not told to have would forward nothing. It is refused, and other
// ports are not; it does not matter in which way the switch was told.
func TestJunosCountsGroups(t *testing.T) {
	b := benches["juniper_junos"](t)
	bond, other := intentsOf(b.port(1))["bond"], intentsOf(b.port(2))["access"] // ae7
	for _, few := range []string{"delete chassis aggregated-devices", "set chassis aggregated-devices ethernet device-count 7"} {
		b.byHand(t, few)
		results, err := b.open(t).Apply(t.Context(), bond, other)
		check(t, err)
		var unsupported *switches.UnsupportedError
		if !errors.As(results[0].Err, &unsupported) || !strings.Contains(results[0].Err.Error(), "ethernet device-count 8") || results[1].Err != nil {
			t.Errorf("%s: %v, %v", few, results[0].Err, results[1].Err)
		}
		expectNot(t, b.running(t), "ae7")
	}
	b.byHand(t, "delete chassis aggregated-devices")
	for _, enough := range []string{"set groups lags chassis aggregated-devices ethernet device-count 8", "set chassis aggregated-devices ethernet device-count 8"} {
		b.byHand(t, enough)
		if change := b.must(t, bond); !change.Running.Equal(bond) {
			t.Errorf("%s: got %+v", enough, change.Running)
		}
		b.must(t, intentsOf(bond.Port)["quarantine"])
		b.byHand(t, "delete "+strings.TrimPrefix(enough, "set "))
	}
}

// A member is up without LACP by a line of its own. Where it stands with the group, as earlier
// versions had it, it is a difference, and goes.
func TestJunosForcesMembersUp(t *testing.T) {
	b := benches["juniper_junos"](t)
	const members, groups = " ether-options 802.3ad lacp force-up", " aggregated-ether-options lacp force-up"
	bond := intentsOf(b.port(1))["bond"]
	b.must(t, bond)
	want := b.running(t)
	expect(t, want, "set interfaces "+bond.Port+members)
	expectNot(t, want, groups)
	b.byHand(t, "delete interfaces "+bond.Port+members, "set interfaces ae7"+groups)
	if running, err := readOne(t, b.open(t), bond.Port); err != nil || running.Profile != "" {
		t.Errorf("got %+v, %v", running, err)
	}
	b.must(t, bond)
	if now := b.running(t); sortedLines(now) != sortedLines(want) {
		t.Errorf("mended, it is\n%s\nand was\n%s", now, want)
	}
	bond.Bond.Fallback = false
	b.must(t, bond)
	expectNot(t, b.running(t), "force-up")
	bond.Bond = &switches.Bond{Group: 8, Fallback: true}
	b.must(t, bond)
	expect(t, b.running(t), bond.Port+members, bond.Port+" ether-options 802.3ad ae8")
	expectNot(t, b.running(t), "ae7")
}

// What somebody deactivated is not there, though it is shown, and setting it does not bring it
// back: the change is undone, and its lines are reported as somebody else's.
func TestJunosDeactivated(t *testing.T) {
	for what, path := range map[string]string{"a filter's use": " unit 0 family inet filter", "a unit": " unit 0", "an interface": ""} {
		t.Run(what, func(t *testing.T) {
			b := benches["juniper_junos"](t)
			intent := intentsOf(b.port(1))["filtered"]
			path := "interfaces " + intent.Port + path
			b.must(t, intent)
			b.byHand(t, "deactivate "+path)
			idle := b.running(t)
			if running, err := readOne(t, b.open(t), intent.Port); err != nil || running.Profile != "" {
				t.Errorf("it reads as %+v, %v", running, err)
			}
			line := path + strings.TrimPrefix("interfaces "+intent.Port+" unit 0 family inet filter input ferrodur-xe-0-0-1-filter4", path)
			change, err := diffOne(t, b.open(t), intent)
			check(t, err)
			if !slices.Contains(change.Diff, "+ "+line) || !slices.Contains(change.Foreign, "inactive: "+line) {
				t.Errorf("the difference is %q, and foreign is %q", change.Diff, change.Foreign)
			}
			_, err = applyOne(t, b.open(t), intent)
			var mismatch *switches.MismatchError
			if !errors.As(err, &mismatch) || b.running(t) != idle {
				t.Errorf("got %v, want a MismatchError, and\n%s", err, b.running(t))
			}
			b.byHand(t, "activate "+path)
			if change := b.must(t, intent); change.Changed || !change.Running.Equal(intent) {
				t.Errorf("activated, it is %+v", change)
			}
		})
	}
}

// Somebody's changes that wait in the candidate of all keep Ferrodur out, as a lock does, and
// stay.
func TestJunosEditedByHuman(t *testing.T) {
	b := benches["juniper_junos"](t)
	intent := intentsOf(b.port(1))["routed"]
	before := b.running(t)
	b.emulated.Fail(emulator.Faults{EditedBy: "alice"})
	_, err := applyOne(t, b.open(t), intent)
	if !errors.Is(err, switches.ErrLocked) || !strings.Contains(err.Error(), "alice") {
		t.Errorf("got %v, want ErrLocked", err)
	}
	if b.running(t) != before {
		t.Error("the configuration changed")
	}
	b.emulated.Fail(emulator.Faults{})
	b.must(t, intent)
}
