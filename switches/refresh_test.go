package switches_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"ferrodur/switches"
	"ferrodur/switches/emulator"
)

var refreshing = []string{"cisco_nxos", "cisco_iosxe"}

// speaking is what a port with BGP accepts, in a VRF.
func speaking(port, vrf, accept string) switches.Intent {
	intent := intentsOf(port)["BGP"]
	bgp := *intent.BGP
	bgp.Accept = prefixes(accept, "2001:db8:9000::/48")
	intent.BGP, intent.VRF = &bgp, vrf
	return intent
}

// clears notes the lines that clear sessions, and refuses some of them.
func clears(b *bench, said *[]string, refuse func(line string) bool) func(line string) string {
	return func(line string) string {
		if !strings.HasPrefix(line, "clear ") {
			return ""
		}
		*said = append(*said, line)
		if refuse(line) {
			return refusal(b, line)
		}
		return ""
	}
}

// What a host may announce counts for the routes that are there already, and each host is asked
// once for them, if its own list changed.
func TestListsCountForRoutesThatAreThere(t *testing.T) {
	t.Parallel()
	for _, platform := range refreshing {
		t.Run(platform, func(t *testing.T) {
			b := benches[platform](t)
			for vrf, want := range map[string]string{
				"": "clear bgp ipv4 unicast 198.51.100.3 soft in", "red": "clear bgp vrf red ipv4 unicast 198.51.100.3 soft in",
			} {
				var said []string
				b.emulated.Fail(emulator.Faults{Refuse: clears(b, &said, func(string) bool { return false })})
				for n, accept := range []string{"203.0.113.0/26", "203.0.113.128/26", "203.0.113.0/24"} {
					b.must(t, speaking(b.port(1), vrf, accept))
					expect(t, b.emulated.LetIn(vrf, "198.51.100.3"), accept)
					if wanted := slices.Repeat([]string{want}, n); !slices.Equal(said, wanted) {
						t.Errorf("%s in VRF %q: said %q, want %q", accept, vrf, said, wanted)
					}
				}
				b.must(t, intentsOf(b.port(1))["quarantine"])
			}
		})
	}
}

// A session that cannot be refreshed is reset; where that is refused, too, the change is undone.
func TestRefreshIsRefused(t *testing.T) {
	for _, platform := range refreshing {
		t.Run(platform, func(t *testing.T) {
			b := benches[platform](t)
			before, after := speaking(b.port(1), "", "203.0.113.0/26"), speaking(b.port(1), "", "203.0.113.128/26")
			b.must(t, before)
			was := b.running(t)
			var said []string
			b.emulated.Fail(emulator.Faults{Refuse: clears(b, &said, func(string) bool { return true })})
			var refused *switches.RefusedError
			if _, err := applyOne(t, b.open(t), after); !errors.As(err, &refused) || refused.Line != "clear bgp ipv4 unicast 198.51.100.3" {
				t.Errorf("got %v, want a RefusedError", err)
			}
			if sortedLines(withoutSizes(b.running(t))) != sortedLines(withoutSizes(was)) {
				t.Errorf("left\n%s\nand it was\n%s", b.running(t), was)
			}
			said = nil
			b.emulated.Fail(emulator.Faults{Refuse: clears(b, &said, func(line string) bool { return strings.Contains(line, " soft ") })})
			b.must(t, after)
			if !slices.Contains(said, "clear bgp ipv4 unicast 198.51.100.3") {
				t.Errorf("said %q", said)
			}
			expect(t, b.emulated.LetIn("", "198.51.100.3"), "203.0.113.128/26")
		})
	}
}

// Wherever a session breaks off, the next one has the lists count for the routes that are there.
func TestRefreshAfterACut(t *testing.T) {
	for _, platform := range refreshing {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			b := benches[platform](t).small(t)
			lists := []string{"203.0.113.128/26", "203.0.113.192/26"}
			b.must(t, speaking(b.port(1), "", lists[0]))
			b.must(t, speaking(b.port(1), "", lists[1]))
			steps := b.emulated.Counts().Steps
			for n, cut := range steps[len(steps)-9:] {
				list := lists[n%2]
				b.emulated.Fail(emulator.Faults{CutAfter: cut})
				_, _ = applyOver(t, b, speaking(b.port(1), "", list), b.dial)
				b.emulated.Fail(emulator.Faults{})
				b.must(t, speaking(b.port(1), "", list))
				if got := b.emulated.LetIn("", "198.51.100.3"); !strings.Contains(got, list) {
					t.Errorf("cut after %d bytes: routes were let in under\n%s\nthe list has %s", cut, got, list)
				}
			}
		})
	}
}
