package switches_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ferrodur/switches"
	"ferrodur/switches/emulator"
)

// A change is taken back in the platform's own way. What others have configured meanwhile
// stays. Where the one way fails the other is gone.
func TestRollBack(t *testing.T) {
	t.Parallel()
	const byLine = "no ip address " // which only that has
	for platform, inOne := range map[string]string{"cisco_nxos": "rollback running-config ", "cisco_iosxe": "configure revert now"} {
		for _, test := range []struct {
			name   string
			others bool     // configure something meanwhile
			refuse []string // ways that fail
			tried  []string // ways
			stays  bool     // what others have configured
		}{
			{"in one", false, nil, []string{inOne}, false},
			{"line by line", true, nil, []string{byLine}, true},
			{"line by line, since it fails in one", false, []string{inOne}, []string{inOne, byLine}, false},
			{"in one, since it fails line by line", true, []string{byLine}, []string{byLine, inOne}, false},
		} {
			t.Run(platform+" "+test.name, func(t *testing.T) {
				b := benches[platform](t)
				intents := intentsOf(b.port(1))
				b.must(t, intents["quarantine"])
				before := sortedLines(b.running(t))
				done := make(chan error, 1)
				var tried []string
				b.emulated.Fail(emulator.Faults{Slow: 4 * time.Millisecond, Refuse: func(line string) string {
					refused := strings.HasPrefix(line, "ipv6 address ")
					if refused && test.others {
						go func() { done <- b.emulated.ByHand("hostname renamed") }()
					}
					for _, way := range []string{inOne, byLine} {
						if strings.HasPrefix(line, way) {
							tried = append(tried, way)
							refused = slices.Contains(test.refuse, way)
						}
					}
					if refused {
						return refusal(b, line)
					}
					return ""
				}})
				_, err := applyOne(t, b.open(t), intents["routed"])
				var refused *switches.RefusedError
				if !errors.As(err, &refused) || !strings.HasPrefix(refused.Line, "ipv6 address ") {
					t.Errorf("got %v, want a RefusedError", err)
				}
				if test.others {
					check(t, <-done)
				}
				now := b.running(t)
				if !slices.Equal(tried, test.tried) {
					t.Errorf("tried %q", tried)
				}
				if strings.Contains(now, "hostname renamed") != test.stays {
					t.Errorf("what others have configured: stays is %t", !test.stays)
				}
				if rest := sortedLines(strings.Replace(now, "hostname renamed\n", "", 1)); withoutSizes(rest) != withoutSizes(before) {
					t.Errorf("the change left\n%s\nand it was\n%s", rest, before)
				}
			})
		}
	}
}

// withoutSizes leaves out what depends on the length of the text, and empty lines.
func withoutSizes(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if words := strings.TrimSpace(line); words != "" && words != "!" && !strings.HasPrefix(words, "Current configuration") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// After an upgrade of its system, a switch asks before it saves.
func TestIOSXEUpgraded(t *testing.T) {
	b := benches["cisco_iosxe"](t)
	b.emulated.Fail(emulator.Faults{Upgraded: true})
	b.must(t, intentsOf(b.port(1))["IPv4 only"])
}

// A switch that cannot take changes back is told about, and nothing is changed.
func TestIOSXEWithoutArchive(t *testing.T) {
	b := emulate(t, "cisco_iosxe", "GigabitEthernet1/0/%d", 2, words{hurry: 80}) // with nothing of its own
	before := b.running(t)
	_, err := applyOne(t, b.open(t), intentsOf(b.port(1))["IPv4 only"])
	var refused *switches.RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "configure an archive") {
		t.Errorf("got %v", err)
	}
	if b.running(t) != before {
		t.Error("the configuration changed")
	}
}

// Where each who configures keeps others out, the switch says so to him, too.
func TestIOSXEExclusive(t *testing.T) {
	b := benches["cisco_iosxe"](t)
	b.byHand(t, "configuration mode exclusive auto")
	b.must(t, intentsOf(b.port(1))["IPv4 only"])
}

// Someone else's change that waits to be confirmed, or that is at work, is let alone.
func TestCiscoBusy(t *testing.T) {
	for platform, test := range map[string]struct{ line, answer, says string }{
		"cisco_nxos": {"copy running-config startup-config", "ERROR: Another checkpoint, rollback or copy is in progress", "in progress"},
		"cisco_iosxe": {
			"show archive config rollback timer",
			"Time configured(or reconfigured): 10:00:00 UTC Mon Nov 23 2026\nTimer type: absolute timer\nTimer value: 20 min\nUser: alice", "User: alice",
		},
	} {
		t.Run(platform, func(t *testing.T) {
			b := benches[platform](t)
			b.emulated.Fail(emulator.Faults{Refuse: func(line string) string {
				if line == test.line {
					return test.answer
				}
				return ""
			}})
			_, err := applyOne(t, b.open(t), intentsOf(b.port(1))["IPv4 only"])
			if !errors.Is(err, switches.ErrLocked) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want ErrLocked", err)
			}
		})
	}
}

// A switch that refuses a commit does not say for which port. The halves are tried one after
// the other, and the one does not take the other's commit for somebody else's.
func TestHalves(t *testing.T) {
	for _, platform := range []string{"juniper_junos", "nokia_srl", "arista_eos"} { // those with a command that is so called
		t.Run(platform, func(t *testing.T) {
			b := benches[platform](t)
			refused := false
			b.emulated.Fail(emulator.Faults{Refuse: func(line string) string {
				if !strings.HasPrefix(line, "commit") || refused {
					return ""
				}
				refused = true
				return refusal(b, line)
			}})
			var intents []switches.Intent
			for n := 1; n <= 4; n++ {
				intents = append(intents, tenantOn(b.port(n), fmt.Sprintf("198.51.100.%d/31", 2*n)))
			}
			results, err := b.open(t).Apply(t.Context(), intents...)
			check(t, err)
			for n, result := range results {
				if result.Err != nil || !result.Change.Running.Equal(intents[n]) {
					t.Errorf("port %d: %v, %+v", n+1, result.Err, result.Change.Running)
				}
			}
			if !refused {
				t.Error("nothing was refused")
			}
		})
	}
}
