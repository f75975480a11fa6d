package switches_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ferrodur/switches"
	"ferrodur/switches/emulator"
)

func TestSonic(t *testing.T) {
	for name, test := range map[string]func(*testing.T, *bench){
		"no room in the hardware":         noRoomInHardware,
		"no room any more":                noRoomAnyMore,
		"between VRFs":                    betweenVRFs,
		"another fallback":                anotherFallback,
		"a program outlives its session":  outlivedSession,
		"someone else's group":            someoneElsesGroup,
		"undone by a roll-back":           undoneByRollBack,
		"an interface that is in the way": interfaceInTheWay,
		"someone else's route":            someoneElsesRoute,
		"open with its filter, or shut":   openWithItsFilter,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := benches["sonic"](t)
			test(t, b)
		})
	}
}

// The updater succeeds, and the hardware has no room for the filter.
func noRoomInHardware(t *testing.T, b *bench) {
	intent := intentsOf(b.port(1))["reaching"]
	b.must(t, intent)
	before := b.running(t)
	for n := range 250 {
		intent.Reach = append(intent.Reach, prefixes(fmt.Sprintf("10.0.%d.0/24", n))...)
	}
	other := intentsOf(b.port(2))["filtered"] // whose rules come after
	intent.SourceFilter = true
	intent.Addresses = append(intent.Addresses, prefixes("2001:db8:0:1::/127")...)
	for n := range 250 {
		intent.Reach = append(intent.Reach, prefixes(fmt.Sprintf("2001:db8:%x::/48", n+1))...)
	}
	results, err := b.open(t).Apply(t.Context(), other, intent)
	check(t, err)
	var refused *switches.RefusedError
	if !errors.As(results[1].Err, &refused) || !strings.Contains(refused.Answer, "hardware") {
		t.Errorf("got %v, want a RefusedError", results[1].Err)
	}
	if results[0].Err != nil || !results[0].Change.Running.Equal(other) {
		t.Errorf("its neighbour: %+v", results[0])
	}
	b.must(t, intentsOf(b.port(2))["quarantine"])
	if now := b.running(t); !strings.Contains(now, "ferrodur-Ethernet1-rest") || strings.Contains(now, "10.0.7.0/24") {
		t.Errorf("left\n%s\nand it was\n%s", now, before)
	}
}

// A filter that the hardware has lost is drift, though the configuration is what it should be.
func noRoomAnyMore(t *testing.T, b *bench) {
	intent := intentsOf(b.port(1))["filtered"]
	b.must(t, intent)
	lines := []string{
		"HSET ACL_TABLE_TYPE|EARLIER MATCHES@ SRC_IP", "HSET ACL_TABLE_TYPE|EARLIER BIND_POINTS@ PORT", "HSET ACL_TABLE|EARLIER type EARLIER",
	}
	for n := range 500 {
		lines = append(lines, fmt.Sprintf("HSET ACL_RULE|EARLIER|%d PRIORITY 5", n))
	}
	before := b.running(t)
	b.byHand(t, lines...)
	change, err := diffOne(t, b.open(t), intent)
	check(t, err)
	if !change.Changed || !strings.Contains(change.Diff[0], "- ACL_RULE|FERRODUR_V4|ferrodur-Ethernet1-") || !strings.HasSuffix(change.Diff[0], "status=Pending creation") || change.Running.Profile != "" {
		t.Errorf("got %+v", change)
	}
	var refused *switches.RefusedError
	if _, err := applyOne(t, b.open(t), intent); !errors.As(err, &refused) || !strings.Contains(refused.Answer, "hardware") {
		t.Errorf("got %v, want a RefusedError", err)
	}
	b.must(t, intentsOf(b.port(1))["quarantine"])
	if !strings.Contains(before, "ferrodur-Ethernet1-") || strings.Contains(b.running(t), "ferrodur-Ethernet1-") {
		t.Error("the filter stays")
	}
}

// An interface has to go before it comes in another VRF.
func betweenVRFs(t *testing.T, b *bench) {
	intent := intentsOf(b.port(1))["blocks"]
	b.must(t, intent)
	for _, vrf := range []string{"red", ""} {
		before := b.emulated.Counts().Commits
		intent.VRF = vrf
		if change := b.must(t, intent); !change.Running.Equal(intent) {
			t.Errorf("VRF %q: got %+v", vrf, change)
		}
		if n := b.emulated.Counts().Commits - before; n != 2 {
			t.Errorf("VRF %q: %d patches", vrf, n)
		}
	}
	intent.VRF = "blue" // which is not there
	var refused *switches.RefusedError
	if _, err := applyOne(t, b.open(t), intent); !errors.As(err, &refused) {
		t.Errorf("got %v, want a RefusedError", err)
	}
	intent.VRF = ""
	if running, err := readOne(t, b.open(t), b.port(1)); err != nil || !running.Equal(intent) {
		t.Errorf("it was not put back: %+v, %v", running, err)
	}
}

// SONiC reads how a group falls back when it is made, and never again.
func anotherFallback(t *testing.T, b *bench) {
	intent := intentsOf(b.port(1))["bond"]
	b.must(t, intent)
	intent.Bond = &switches.Bond{Group: 7}
	var refused *switches.RefusedError
	if _, err := applyOne(t, b.open(t), intent); !errors.As(err, &refused) || !strings.Contains(refused.Answer, "quarantine") {
		t.Errorf("got %v, want a RefusedError", err)
	}
	b.must(t, intentsOf(b.port(1))["quarantine"])
	b.must(t, intent)
}

// What a session began that broke off is waited for: it would undo the next one's work.
func outlivedSession(t *testing.T, b *bench) {
	intents := intentsOf(b.port(1))
	b.must(t, intents["quarantine"])
	b.emulated.Fail(emulator.Faults{CommitTime: 4 * time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // in which it has been handed over
	defer cancel()
	if _, err := b.open(t).Apply(ctx, intents["routed"]); !errors.Is(err, switches.ErrUnreachable) {
		t.Errorf("got %v, want ErrUnreachable", err)
	}
	b.emulated.Fail(emulator.Faults{})
	commits := b.emulated.Counts().Commits
	b.must(t, intents["quarantine"])
	time.Sleep(time.Second)
	if b.emulated.Counts().Commits != commits+4 { // to open a port takes two patches, and to close it
		t.Errorf("%d commits: the program did not outlive its session", b.emulated.Counts().Commits-commits)
	}
	if running, err := readOne(t, b.open(t), b.port(1)); err != nil || !running.Equal(intents["quarantine"]) {
		t.Errorf("got %+v, %v", running, err)
	}
}

// A group that someone has configured is joined and left, and stays as he has it.
func someoneElsesGroup(t *testing.T, b *bench) {
	b.byHand(t, "HSET PORTCHANNEL|PortChannel7 admin_status up", "HSET PORTCHANNEL|PortChannel7 fallback true", "HSET PORTCHANNEL|PortChannel7 min_links 1")
	b.must(t, intentsOf(b.port(1))["bond"])
	change, err := diffOne(t, b.open(t), intentsOf(b.port(1))["bond"])
	check(t, err)
	if len(change.Foreign) != 1 || !strings.Contains(change.Foreign[0], "min_links=1") {
		t.Errorf("got %+v", change)
	}
	b.must(t, intentsOf(b.port(1))["quarantine"])
	expect(t, b.running(t), `"min_links": "1"`)
	expectNot(t, b.running(t), "PORTCHANNEL_MEMBER")
}

// Where a port's own rows cannot be put back, the checkpoint is.
func undoneByRollBack(t *testing.T, b *bench) {
	intents := intentsOf(b.port(1))
	b.must(t, intents["quarantine"])
	before := b.running(t)
	address := intents["routed"].Addresses[0].Addr().String()
	b.emulated.Fail(emulator.Faults{
		Ignore: func(line string) bool { return strings.Contains(line, address) },
		Refuse: func(line string) string {
			if strings.HasPrefix(line, "remove ") {
				return "refused"
			}
			return ""
		},
	})
	var mismatch *switches.MismatchError
	if _, err := applyOne(t, b.open(t), intents["routed"]); !errors.As(err, &mismatch) {
		t.Errorf("got %v, want a MismatchError", err)
	}
	if now := b.running(t); now != before {
		t.Errorf("left\n%s\nand it was\n%s", now, before)
	}
}

// What is foreign stays, and where it keeps the port from being switched the switch says so.
func interfaceInTheWay(t *testing.T, b *bench) {
	port := b.port(1)
	b.must(t, intentsOf(port)["IPv4 only"])
	b.byHand(t, "HSET INTERFACE|"+port+" mpls enable")
	var refused *switches.RefusedError
	if _, err := applyOne(t, b.open(t), intentsOf(port)["access"]); !errors.As(err, &refused) || !strings.Contains(refused.Answer, "Port is a router interface.") {
		t.Errorf("got %v, want a RefusedError", err)
	}
	b.must(t, intentsOf(port)["quarantine"])
	expect(t, b.running(t), `"mpls": "enable"`)
}

// A static route that says more than Ferrodur would is not made its own.
func someoneElsesRoute(t *testing.T, b *bench) {
	b.byHand(t, "HSET STATIC_ROUTE|default|203.0.113.64/28 nexthop 192.0.2.1", "HSET STATIC_ROUTE|default|203.0.113.64/28 distance 7")
	before := b.running(t)
	var refused *switches.RefusedError
	if _, err := applyOne(t, b.open(t), intentsOf(b.port(1))["blocks"]); !errors.As(err, &refused) || !strings.Contains(refused.Answer, "someone else's") {
		t.Errorf("got %v, want a RefusedError", err)
	}
	if b.running(t) != before {
		t.Error("the configuration changed")
	}
}

// While a port's filter comes or goes with what is behind it, the port is shut, in whatever order
// the updater takes its steps. Where the hardware has no room for the filter it is never opened.
func openWithItsFilter(t *testing.T, b *bench) {
	port := b.port(1)
	intents := intentsOf(port)
	tooLong := intents["reaching"]
	for n := range 600 {
		tooLong.Reach = append(tooLong.Reach, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(n / 256), byte(n)}), 32))
	}
	isOpen := func(running string) bool {
		var db struct {
			PORT map[string]struct {
				Status string `json:"admin_status"`
			}
		}
		check(t, json.Unmarshal([]byte(running), &db))
		return db.PORT[port].Status == "up"
	}
	b.must(t, intents["quarantine"])
	var open []string
	b.emulated.Watch(func(running string) {
		if isOpen(running) {
			open = append(open, running)
		}
	})
	for _, name := range []string{"filtered", "access", "filtered", "quarantine", "reaching", "routed", "filtered", "quarantine"} {
		open = nil
		before, commits := b.running(t), b.emulated.Counts().Commits
		b.must(t, intents[name])
		after := b.running(t)
		for _, running := range open {
			if running != before && running != after {
				t.Errorf("to %s: it is open with\n%s", name, running)
			}
		}
		if n := b.emulated.Counts().Commits - commits; n > 3 {
			t.Errorf("to %s: %d patches", name, n)
		}
	}
	open = nil
	var refused *switches.RefusedError
	_, err := applyOne(t, b.open(t), tooLong)
	b.emulated.Watch(nil)
	if !errors.As(err, &refused) || len(open) > 0 {
		t.Errorf("without room for its filter it is open in %d steps, and refused by %v", len(open), err)
	}
}
