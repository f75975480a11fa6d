package switches_test

import (
	"slices"
	"strings"
	"testing"
)

// While an access list changes, what is permitted before and after is permitted, and nothing that
// neither permits; the open port has its list, which is never empty.
func TestAccessListsChangeInPlace(t *testing.T) {
	for _, platform := range []string{"cisco_nxos", "cisco_iosxe"} {
		t.Run(platform, func(t *testing.T) {
			b := benches[platform](t)
			intent := intentsOf(b.port(1))["filtered"]
			blocks := [][]string{
				{"203.0.113.64/28", "2001:db8:8000::/56"},
				{"203.0.113.0/28", "203.0.113.64/28", "2001:db8:7000::/56", "2001:db8:8000::/56"},
				{"203.0.113.0/28", "203.0.113.96/28"},
				{},
				{"203.0.113.64/28", "2001:db8:8000::/56"},
			}
			intent.Behind = prefixes(blocks[0]...)
			b.must(t, intent)
			for _, behind := range blocks[1:] {
				var steps []string
				b.emulated.Watch(func(running string) { steps = append(steps, withoutNumbers(running)) })
				before := b.running(t)
				intent.Behind = prefixes(behind...)
				b.must(t, intent)
				b.emulated.Watch(nil)
				after := b.running(t)
				for _, family := range []string{"4", "6"} {
					old, new := entries(before, family), entries(after, family)
					for n, running := range steps {
						now := entries(running, family)
						if len(now) == 0 || !containsAll(now, old) && !containsAll(now, new) || !containsAll(slices.Concat(old, new), now) {
							t.Errorf("to %q, step %d: the list has\n%q\nbetween\n%q\nand\n%q", behind, n, now, old, new)
						}
						expect(t, running, "-filter"+family+" in")
					}
				}
			}
		})
	}
}

// entries are those of the list of a family that Ferrodur has written.
func entries(running, family string) []string {
	_, list, _ := strings.Cut(running, "-filter"+family+"\n")
	var all []string
	for line := range strings.Lines(list) {
		if !strings.HasPrefix(line, " ") {
			break
		}
		all = append(all, strings.TrimSpace(line))
	}
	return all
}

func containsAll(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// An entry may have any number. One that Ferrodur did not write is drift, wherever it stands.
func TestAccessListsHaveAnyNumbers(t *testing.T) {
	for platform, list := range map[string]string{
		"cisco_nxos":  "ip access-list ferrodur-Ethernet1-1-filter4",
		"cisco_iosxe": "ip access-list extended ferrodur-GigabitEthernet1-0-1-filter4",
	} {
		t.Run(platform, func(t *testing.T) {
			b := benches[platform](t)
			intent := intentsOf(b.port(1))["filtered"]
			b.must(t, intent)
			b.byHand(t, list, "no 10", "7 permit udp any eq bootpc any eq bootps")
			if change := b.must(t, intent); change.Changed {
				t.Errorf("another number is a change: %q", change.Diff)
			}
			b.byHand(t, list, "8 deny ip any any")
			if change := b.must(t, intent); !change.Changed || !change.Running.Equal(intent) {
				t.Errorf("someone's denial was healed with %q", change.Diff)
			}
			expectNot(t, b.running(t), "deny ip any any")
			expect(t, b.emulated.Running(), " 7 permit udp any eq bootpc any eq bootps")
		})
	}
}
