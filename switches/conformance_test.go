package switches_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"ferrodur/switches"
	"ferrodur/switches/emulator"
)

// TestConformance tries every driver in the same way.
func TestConformance(t *testing.T) {
	t.Parallel()
	everywhere := map[string]func(*testing.T, *bench){
		"every intent, from every other": everyIntent,
		"foreign configuration stays":    foreignStays,
		"drift is seen and healed":       driftIsHealed,
		"cut anywhere":                   cutEverywhere,
		"many at once":                   manyAtOnce,
		"secrets stay hidden":            secretsStayHidden,
		"lists shrink":                   listsShrink,
		"what it cannot do, it says":     lacksAreSaid,
	}
	emulated := map[string]func(*testing.T, *bench){
		"one bad port among many":       oneBadPort,
		"a commit that fails":           failedCommit,
		"a line that does nothing":      ignoredLine,
		"locked by a human":             lockedByHuman,
		"slow":                          slowDevice,
		"confirmation that never comes": neverConfirmed,
		"two masters":                   twoMasters,
	}
	for platform, set := range benches {
		t.Run(platform, func(t *testing.T) {
			t.Parallel() // they wait more than they work
			b := set(t)
			for name, test := range everywhere {
				t.Run(name, func(t *testing.T) { test(t, b) })
			}
			if b.emulated == nil {
				return
			}
			for name, test := range emulated {
				t.Run(name, func(t *testing.T) {
					defer b.emulated.Fail(emulator.Faults{})
					test(t, b)
				})
			}
		})
	}
}

// everyIntent: what was applied is read back, there is nothing left to change, and no trace
// of what was there before is left.
func everyIntent(t *testing.T, b *bench) {
	intents := intentsOf(b.port(1))
	var names []string
	for _, name := range slices.Sorted(maps.Keys(intents)) {
		if b.has(name) {
			names = append(names, name)
		}
	}
	session := b.open(t)
	traces := map[string]string{}
	from := "nothing"
	steps := []int{1, 2, 5} // each after three others
	if b.emulated == nil {
		steps = steps[:2] // after two: a real switch takes its time
	}
	for _, step := range steps {
		for i := range names {
			to := names[i*step%len(names)]
			intent := intents[to]
			change, err := applyOne(t, session, intent)
			if err != nil {
				t.Fatalf("from %s to %s: %v", from, to, err)
			}
			if change.Changed == (from == to) || !change.Running.Equal(intent) || len(change.Foreign) > 0 {
				t.Fatalf("from %s to %s: got %+v", from, to, change)
			}
			again, err := diffOne(t, session, intent)
			if err != nil || again.Changed {
				t.Fatalf("%s again: %+v, %v", to, again, err)
			}
			now := sortedLines(b.running(t))
			if traces[to] == "" {
				traces[to] = now
			}
			if now != traces[to] {
				t.Fatalf("from %s to %s leaves traces: the configuration is\n%s\nand was, from another,\n%s", from, to, now, traces[to])
			}
			from = to
		}
	}
}

func sortedLines(text string) string {
	return strings.Join(slices.Sorted(strings.SplitSeq(text, "\n")), "\n")
}

func foreignStays(t *testing.T, b *bench) {
	port := b.port(2)
	b.byHand(t, b.foreign(port)...)
	change := b.must(t, b.rich(port))
	if len(change.Foreign) == 0 {
		t.Error("what is foreign on the port is not reported")
	}
	expect(t, b.running(t), b.shown...)
	b.must(t, intentsOf(port)["quarantine"])
	expect(t, b.running(t), b.shown...)
}

func driftIsHealed(t *testing.T, b *bench) {
	port := b.port(3)
	intent := b.rich(port)
	b.must(t, intent)
	b.byHand(t, b.shut(port)...)
	session := b.open(t)
	running, err := readOne(t, session, port)
	check(t, err)
	if running.Profile != "" || running.Description != intent.Description {
		t.Errorf("a port that was shut by hand reads as %+v", running)
	}
	change, err := applyOne(t, session, intent)
	check(t, err)
	if len(change.Diff) == 0 || !change.Running.Equal(intent) {
		t.Errorf("healed with %+v", change)
	}
}

func secretsStayHidden(t *testing.T, b *bench) {
	if !b.has("BGP") {
		t.Skip("skipped: the platform has no secrets")
	}
	port := b.port(4)
	intent := intentsOf(port)["BGP"]
	session := b.open(t)
	before, err := diffOne(t, session, intent)
	check(t, err)
	change, err := applyOne(t, session, intent)
	check(t, err)
	text := fmt.Sprintf("%+v %#v %+v %#v", before, before, change, change)
	expectNot(t, text, string(intent.BGP.Password))
	expect(t, text, switches.Hidden)
	passwordIsRenewed(t, b, intent)
	if b.emulated != nil {
		intent.BGP.Password = "another-mule"
		intent.BGP.ASN = 65011
		b.emulated.Fail(emulator.Faults{Refuse: func(line string) string {
			if strings.Contains(line, string(intent.BGP.Password)) {
				return refusal(b, line)
			}
			return ""
		}})
		b.must(t, intentsOf(port)["quarantine"])
		_, err := applyOne(t, b.open(t), intent)
		b.emulated.Fail(emulator.Faults{})
		var refused *switches.RefusedError
		if !errors.As(err, &refused) || strings.Contains(err.Error(), string(intent.BGP.Password)) {
			t.Errorf("a refusal of the line with the password: %v", err)
		}
	}
	b.must(t, intentsOf(port)["quarantine"])
}

// passwordIsRenewed: which password a switch has cannot be told, but it can be told another one.
func passwordIsRenewed(t *testing.T, b *bench, intent switches.Intent) {
	t.Helper()
	had := b.running(t)
	other := *intent.BGP
	other.Password = "stubborn-mule"
	intent.BGP = &other
	if change := b.must(t, intent); change.Changed || b.running(t) != had {
		t.Errorf("another password, which nobody wants to have sent, changes %q", change.Diff)
	}
	other.Renew = true
	notHidden := func(line string) bool { return !strings.Contains(line, switches.Hidden) }
	if change := b.must(t, intent); !change.Changed || slices.ContainsFunc(change.Diff, notHidden) || b.running(t) == had {
		t.Errorf("another password changes %q", change.Diff)
	}
	other.Renew = false
	if change := b.must(t, intent); change.Changed {
		t.Errorf("after another password there is a change left: %q", change.Diff)
	}
	other.Password = ""
	if change := b.must(t, intent); !change.Changed || !change.Running.Equal(intent) {
		t.Errorf("without a password the port is %+v", change.Running)
	}
}

// listsShrink: of what is routed to a host and may be announced, some goes and the rest stays.
func listsShrink(t *testing.T, b *bench) {
	if !b.has("filtered") {
		t.Skip("skipped: the platform has no filters")
	}
	port := b.port(7)
	many := intentsOf(port)["filtered"]
	many.Behind = prefixes("203.0.113.64/28", "203.0.113.80/28", "203.0.113.96/28", "2001:db8:8000::/56")
	if b.has("BGP") {
		many.BGP = &switches.BGP{ASN: 65010, Accept: prefixes("203.0.113.0/28", "203.0.113.16/28", "2001:db8:9000::/48"), MaxPrefixes: 10}
	}
	few := many
	few.Behind = prefixes("203.0.113.80/28")
	if b.has("BGP") {
		bgp := *many.BGP
		bgp.Accept = prefixes("203.0.113.16/28")
		few.BGP = &bgp
	}
	b.must(t, few)
	want := sortedLines(b.running(t))
	b.must(t, many)
	if change := b.must(t, few); !change.Running.Equal(few) {
		t.Errorf("shrunk to %+v", change.Running)
	}
	if got := sortedLines(b.running(t)); got != want {
		t.Errorf("what shrank left\n%s\nand was, when it was made,\n%s", got, want)
	}
	b.must(t, intentsOf(port)["quarantine"])
}

// refusal is a complaint about a line in the platform's style.
func refusal(b *bench, line string) string {
	if b.refusal == nil {
		return "% Invalid input: " + line
	}
	return b.words.refusal(line)
}

func lacksAreSaid(t *testing.T, b *bench) {
	before := b.running(t)
	session := b.open(t)
	for name, intent := range intentsOf(b.port(5)) {
		_, err := diffOne(t, session, intent)
		var unsupported *switches.UnsupportedError
		if is := errors.As(err, &unsupported); is == b.has(name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if b.running(t) != before {
		t.Error("a diff changed the configuration")
	}
}

// many are tenants on ports from the tenth on.
func many(b *bench, n int) []switches.Intent {
	var intents []switches.Intent
	for i := range n {
		intent := b.rich(b.port(10 + i))
		if b.has("routed") {
			intent = intentsOf(b.port(10 + i))["IPv4 only"]
			intent.Addresses = prefixes(fmt.Sprintf("198.51.100.%d/31", 100+2*i))
		}
		intents = append(intents, intent)
	}
	return intents
}

func manyAtOnce(t *testing.T, b *bench) {
	intents := many(b, 4)
	session := b.open(t)
	before := commits(b)
	results, err := session.Apply(t.Context(), intents...)
	check(t, err)
	for i, result := range results {
		if result.Err != nil || !result.Change.Running.Equal(intents[i]) {
			t.Errorf("%s: %+v, %v", intents[i].Port, result.Change, result.Err)
		}
	}
	if n := commits(b) - before; b.commits && n != 1 {
		t.Errorf("%d commits", n)
	}
	read, err := session.Read(t.Context())
	check(t, err)
	for _, intent := range intents {
		if !slices.ContainsFunc(read, func(r switches.Result) bool { return r.Change.Running.Equal(intent) && r.Change.Linked }) {
			t.Errorf("%s is not among all that were read", intent.Port)
		}
	}
	if _, err := session.Apply(t.Context(), intents[0], intents[0]); err != nil {
		t.Error(err)
	}
}

// commits counts those that took effect.
func commits(b *bench) int {
	if b.emulated == nil {
		return 0
	}
	return b.emulated.Counts().Commits
}

func oneBadPort(t *testing.T, b *bench) {
	intents := many(b, 6)
	for i := range intents {
		intents[i].Addresses = prefixes(fmt.Sprintf("203.0.113.%d/31", 2*i))
	}
	bad := intents[3].Addresses[0].Addr().String()
	b.emulated.Fail(emulator.Faults{Refuse: func(line string) string {
		if strings.Contains(line, " "+bad+"/") || strings.Contains(line, " "+bad+" 255.") {
			return refusal(b, line)
		}
		return ""
	}})
	results, err := b.open(t).Apply(t.Context(), intents...)
	check(t, err)
	var refused *switches.RefusedError
	for i, result := range results {
		switch {
		case i == 3 && (!errors.As(result.Err, &refused) || !strings.Contains(refused.Line, bad)):
			t.Errorf("the bad port: %v", result.Err)
		case i != 3 && (result.Err != nil || !result.Change.Running.Equal(intents[i])):
			t.Errorf("its neighbour %d: %+v, %v", i, result.Change, result.Err)
		}
	}
}

func failedCommit(t *testing.T, b *bench) {
	port := b.port(7)
	intents := intentsOf(port)
	b.must(t, intents["routed"])
	before := b.running(t)
	if !b.commits {
		t.Skip("skipped: the platform has no commit")
	}
	b.emulated.Fail(emulator.Faults{FailCommit: refusal(b, "commit")})
	_, err := applyOne(t, b.open(t), intents["quarantine"])
	var refused *switches.RefusedError
	if !errors.As(err, &refused) {
		t.Errorf("got %v, want a RefusedError", err)
	}
	if now := b.running(t); now != before {
		t.Errorf("a commit that failed left\n%s\nand it was\n%s", now, before)
	}
}

// ignoredLine: the device says yes and does something else.
func ignoredLine(t *testing.T, b *bench) {
	port := b.port(8)
	intents := intentsOf(port)
	b.must(t, intents["quarantine"])
	before := b.running(t)
	b.emulated.Fail(emulator.Faults{Ignore: func(line string) bool { return strings.Contains(line, intents["routed"].Addresses[0].Addr().String()) }})
	_, err := applyOne(t, b.open(t), intents["routed"])
	var mismatch *switches.MismatchError
	if !errors.As(err, &mismatch) || len(mismatch.Diff) == 0 {
		t.Errorf("got %v, want a MismatchError", err)
	}
	if now := b.running(t); now != before {
		t.Errorf("a change that was not made left\n%s\nand it was\n%s", now, before)
	}
}

func lockedByHuman(t *testing.T, b *bench) {
	port := b.port(9)
	b.must(t, intentsOf(port)["quarantine"])
	before := b.running(t)
	b.emulated.Fail(emulator.Faults{LockedBy: "alice"})
	_, err := applyOne(t, b.open(t), intentsOf(port)["routed"])
	if !errors.Is(err, switches.ErrLocked) || !strings.Contains(err.Error(), "alice") {
		t.Errorf("got %v, want ErrLocked", err)
	}
	if b.running(t) != before {
		t.Error("the configuration changed")
	}
	b.emulated.Fail(emulator.Faults{})
	b.must(t, intentsOf(port)["routed"])
}

func slowDevice(t *testing.T, b *bench) {
	intent := intentsOf(b.port(9))["IPv4 only"]
	b.emulated.Fail(emulator.Faults{Slow: 5 * time.Millisecond, CommitTime: 200 * time.Millisecond})
	b.must(t, intent)
}

// neverConfirmed: what a session committed that died before it confirmed is taken back by
// the device itself, or by the next session.
func neverConfirmed(t *testing.T, b *bench) {
	if !b.commits {
		t.Skip("skipped: the platform has no commit")
	}
	port := b.port(9)
	intents := intentsOf(port)
	b.must(t, intents["quarantine"])
	b.must(t, intents["routed"])
	whole := b.emulated.Counts()
	b.must(t, intents["quarantine"])
	before := b.running(t)
	for _, cut := range whole.Steps[len(whole.Steps)/2:] { // the last commands are those that commit
		b.emulated.Fail(emulator.Faults{CutAfter: cut})
		_, err := applyOver(t, b, intents["routed"], b.dial)
		b.emulated.Fail(emulator.Faults{})
		if err == nil {
			break
		}
		for end := time.Now().Add(5 * time.Second); b.running(t) != before; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				if running, err := readOne(t, b.open(t), port); err != nil || !running.Equal(intents["routed"]) {
					t.Fatalf("cut after %d of %d bytes: neither taken back nor done: %+v, %v", cut, whole.Dialogue, running, err)
				}
				b.must(t, intents["quarantine"])
				break
			}
		}
	}
}

// twoMasters: two programs that configure other ports of a switch do not undo each other's
// work.
func twoMasters(t *testing.T, b *bench) {
	one, other := intentsOf(b.port(20))["routed"], intentsOf(b.port(21))["routed"]
	errs := make(chan error, 2)
	for _, intent := range []switches.Intent{one, other} {
		go func() {
			sessions := switches.NewSessions(switches.Config{Dial: b.dial})
			var err error
			for range 20 {
				var session *switches.Session
				if session, err = sessions.Open(context.Background(), b.device); err != nil {
					break
				}
				var results []switches.Result
				results, err = session.Apply(context.Background(), intent)
				session.Close()
				if err == nil {
					err = results[0].Err
				}
				if err == nil {
					break
				}
			}
			errs <- err
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	session := b.open(t)
	for _, intent := range []switches.Intent{one, other} {
		if running, err := readOne(t, session, intent.Port); err != nil || !running.Equal(intent) {
			t.Errorf("%s is %+v, %v", intent.Port, running, err)
		}
	}
}
