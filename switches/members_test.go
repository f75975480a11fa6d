package switches_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ferrodur/switches"
	"ferrodur/switches/emulator"
)

// Members of one group come, change and go together, and leave nothing behind.
func TestMembersOfAGroup(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"arista_eos", "cisco_nxos", "cisco_iosxe", "ovs"} {
		t.Run(platform, func(t *testing.T) {
			b := benches[platform](t)
			ports := []string{b.port(11), b.port(12)}
			for _, port := range ports {
				b.must(t, intentsOf(port)["quarantine"])
			}
			before := sortedLines(b.running(t))
			access := switches.Intent{
				Profile: switches.Tenant, Description: "s1", VLANs: &switches.VLANs{Untagged: 100}, Bond: &switches.Bond{Group: 9, Fallback: true, MultiChassis: platform != "cisco_iosxe" && platform != "ovs"},
			}
			trunk := access
			trunk.VLANs, trunk.Bond = &switches.VLANs{Untagged: 1, Tagged: []int{100, 101, 300}}, &switches.Bond{Group: 9}
			if platform == "arista_eos" { // which is not told of VLAN 1 without a tag
				trunk.VLANs.Untagged = 200
			}
			routed := switches.Intent{
				Profile: switches.Tenant, Description: "s1", MTU: 9000, Bond: &switches.Bond{Group: 9},
				Addresses: prefixes("198.51.100.10/31", "2001:db8:0:10::/127"), SourceFilter: true, VRF: "red",
			}
			bare := switches.Intent{Profile: switches.Quarantine, Description: "ams1-r1-s1"}
			for n, step := range [][2]switches.Intent{{access, access}, {trunk, trunk}, {bare, trunk}, {access, access}, {routed, routed}, {trunk, trunk}, {bare, bare}, {routed, routed}, {routed, bare}, {bare, bare}} {
				if !b.has("routed") && (len(step[0].Addresses) > 0 || len(step[1].Addresses) > 0) {
					continue
				}
				session := b.open(t)
				for i := range step {
					step[i].Port = ports[i]
				}
				results, err := session.Apply(t.Context(), step[:]...)
				check(t, err)
				for i, result := range results {
					if result.Err != nil || !result.Change.Running.Equal(step[i]) {
						t.Fatalf("step %d, %s: %+v, %v", n, ports[i], result.Change, result.Err)
					}
				}
				session.Close()
			}
			if now := sortedLines(b.running(t)); now != before {
				t.Errorf("the group left\n%s\nand it was\n%s", now, before)
			}
		})
	}
}

// Members of one group are put back together, line by line where the switch's own roll-back
// fails.
func TestMembersAreUndone(t *testing.T) {
	for _, platform := range []string{"cisco_nxos", "cisco_iosxe"} {
		t.Run(platform, func(t *testing.T) {
			b := benches[platform](t)
			var members []switches.Intent
			for n := 30; n < 32; n++ {
				b.must(t, intentsOf(b.port(n))["quarantine"])
				members = append(members, switches.Intent{
					Port: b.port(n), Profile: switches.Tenant, Description: "s1", VLANs: &switches.VLANs{Untagged: 100}, Bond: &switches.Bond{Group: 9},
				})
			}
			before := sortedLines(b.running(t))
			b.emulated.Fail(emulator.Faults{
				Ignore: func(line string) bool { return line == "no shutdown" },
				Refuse: func(line string) string {
					if strings.HasPrefix(line, "rollback running-config ") || line == "configure revert now" {
						return refusal(b, line)
					}
					return ""
				},
			})
			results, err := b.open(t).Apply(t.Context(), members...)
			check(t, err)
			for _, result := range results {
				var mismatch *switches.MismatchError
				if !errors.As(result.Err, &mismatch) {
					t.Errorf("got %v, want a MismatchError", result.Err)
				}
			}
			if now := sortedLines(b.running(t)); now != before {
				t.Errorf("what was taken back left\n%s\nand it was\n%s", now, before)
			}
		})
	}
}

// Long lists of VLANs are said in several commands.
func TestManyVLANs(t *testing.T) {
	for _, platform := range []string{"cisco_nxos", "cisco_iosxe"} {
		t.Run(platform, func(t *testing.T) {
			b := benches[platform](t)
			intent := switches.Intent{Port: b.port(1), Profile: switches.Tenant, VLANs: new(switches.VLANs)}
			for id := 1000; id < 1400; id += 2 {
				b.byHand(t, fmt.Sprintf("vlan %d", id))
				intent.VLANs.Tagged = append(intent.VLANs.Tagged, id)
			}
			if change := b.must(t, intent); !change.Running.Equal(intent) {
				t.Errorf("got %+v", change.Running)
			}
			expect(t, b.running(t), "switchport trunk allowed vlan add ")
			fewer := intent
			fewer.VLANs = &switches.VLANs{Tagged: intent.VLANs.Tagged[:150]}
			if change := b.must(t, fewer); !change.Running.Equal(fewer) {
				t.Errorf("got %+v", change.Running)
			}
			intent.Bond = &switches.Bond{Group: 9}
			if change := b.must(t, intent); !change.Running.Equal(intent) {
				t.Errorf("got %+v", change.Running)
			}
		})
	}
}

// The MTU that ports have when nothing is said is not shown.
func TestDefaultMTU(t *testing.T) {
	for _, platform := range []string{"arista_eos", "cisco_nxos", "cisco_iosxe"} {
		b := benches[platform](t)
		intent := intentsOf(b.port(1))["with an MTU"]
		b.must(t, intent)
		intent.MTU = 1500
		b.must(t, intent)
		if change, err := diffOne(t, b.open(t), intent); err != nil || change.Changed {
			t.Errorf("%s: there is a difference left: %+v, %v", platform, change, err)
		}
	}
}
