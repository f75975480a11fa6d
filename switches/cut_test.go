package switches_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ferrodur/switches"
	"ferrodur/switches/emulator"
)

// The dialogues with emulated switches are waited for more than worked at: at every byte, one
// platform takes hours with one switch.
var (
	cutEvery  = flag.Int("cut-every", 0, "cut dialogues after every so many bytes; 0: after every line, and after some bytes between")
	cutAtOnce = flag.Int("cut-at-once", 1, "emulated switches that share the cuts")
)

// cutEverywhere: a connection that breaks off anywhere, in what is said or in what is
// answered, is reported as such or was not needed any more; what it left behind, the next
// Apply completes.
func cutEverywhere(t *testing.T, b *bench) {
	if b.emulated == nil {
		cutPackets(t, b, b.toAndFro(t))
		return
	}
	for share := range *cutAtOnce {
		t.Run(fmt.Sprint("share ", share), func(t *testing.T) {
			if *cutAtOnce > 1 {
				t.Parallel()
			}
			cutDialogues(t, b.small(t), share)
		})
	}
}

// toAndFro is what a port is led from and back to.
func (b *bench) toAndFro(t *testing.T) [2]switches.Intent {
	t.Helper()
	port := b.port(2)
	ways := [2]switches.Intent{b.rich(port), intentsOf(port)["quarantine"]}
	b.must(t, ways[0])
	b.must(t, ways[1])
	return ways
}

// cutDialogues leads a port to and fro, over and over, and each time the connection breaks
// off somewhere else, at one of a share of all places.
func cutDialogues(t *testing.T, b *bench, share int) {
	ways := b.toAndFro(t)
	var whole [2]emulator.Counts
	var cuts [2][]int
	place := -1
	for way, to := range ways {
		b.must(t, to)
		whole[way] = b.emulated.Counts()
		cuts[way] = slices.DeleteFunc(placesToCut(b, whole[way]), func(int) bool {
			place++
			return place%*cutAtOnce != share
		})
	}
	var felt [2]int
	for i := range max(len(cuts[0]), len(cuts[1])) {
		for way, to := range ways {
			n := cuts[way][i%len(cuts[way])]
			b.emulated.Fail(emulator.Faults{CutAfter: n})
			_, err := applyOver(t, b, to, b.dial)
			b.emulated.Fail(emulator.Faults{})
			if err != nil {
				felt[way]++
			}
			if err != nil && !errors.Is(err, switches.ErrUnreachable) {
				t.Errorf("%s, cut after %d of %d bytes: got %v, want ErrUnreachable", to.Profile, n, whole[way].Dialogue, err)
			}
			if change := b.must(t, to); !reflect.DeepEqual(change.Running, to) {
				t.Errorf("%s, cut after %d of %d bytes: the next Apply left %+v", to.Profile, n, whole[way].Dialogue, change.Running)
			}
		}
	}
	for way, to := range ways {
		t.Logf("%d bytes and %d lines to %s, cut at %d places", whole[way].Dialogue, len(whole[way].Steps), to.Profile, len(cuts[way]))
		if felt[way] < len(cuts[way])*9/10 {
			t.Errorf("only %d of %d cuts were felt", felt[way], len(cuts[way]))
		}
	}
}

// placesToCut are, for every line, when it is carried out and not yet answered; and some
// bytes that differ from time to time.
func placesToCut(b *bench, whole emulator.Counts) []int {
	places := slices.Clone(whole.Steps)
	if *cutEvery > 0 {
		for n := 1; n <= whole.Dialogue; n += *cutEvery {
			places = append(places, n)
		}
		return places
	}
	if b.hurry > 0 { // most cuts are waited out until the timer has ended: a third of them each time
		rand.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
		places = places[:len(places)/3]
	}
	for range 10 {
		places = append(places, 1+rand.N(whole.Dialogue))
	}
	return places
}

// cutPackets is for a real switch, where only what is encrypted can be counted. Packets come
// as a whole, or not at all.
func cutPackets(t *testing.T, b *bench, ways [2]switches.Intent) {
	const cuts = 10
	var whole [2]atomic.Int64
	_, err := applyOver(t, b, ways[0], fragile(b.dial, &whole, [2]int64{-1, -1}))
	check(t, err)
	for direction := range whole {
		felt := 0
		for n := range cuts {
			limits := [2]int64{-1, -1}
			limits[direction] = whole[direction].Load() * int64(n) / cuts
			to := ways[(n+1)%len(ways)]
			if _, err := applyOver(t, b, to, fragile(b.dial, new([2]atomic.Int64), limits)); err != nil {
				felt++
				if !errors.Is(err, switches.ErrUnreachable) {
					t.Errorf("cut %d of %d: got %v, want ErrUnreachable", n, cuts, err)
				}
			}
			if change := b.must(t, to); !reflect.DeepEqual(change.Running, to) {
				t.Errorf("cut %d of %d: the next Apply left %+v", n, cuts, change.Running)
			}
		}
		if felt < cuts/2 {
			t.Errorf("only %d of %d cuts were felt", felt, cuts)
		}
	}
}

type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// applyOver applies an intent over connections of its own.
func applyOver(t *testing.T, b *bench, intent switches.Intent, dial dialer) (switches.Change, error) {
	t.Helper()
	session, err := switches.NewSessions(switches.Config{Dial: dial}).Open(t.Context(), b.device)
	if err != nil {
		return switches.Change{}, err
	}
	defer session.Close()
	return applyOne(t, session, intent)
}

// fragile makes connections that break after so many bytes were written, and read; negative:
// never.
func fragile(dial dialer, counts *[2]atomic.Int64, limits [2]int64) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return &cuttable{Conn: conn, counts: counts, writes: limits[0], reads: limits[1]}, err
	}
}

// cuttable breaks after so many bytes; negative: never.
type cuttable struct {
	net.Conn
	counts        *[2]atomic.Int64 // written, read
	writes, reads int64
}

func (c *cuttable) Write(b []byte) (int, error) {
	if n := c.counts[0].Add(int64(len(b))); c.writes >= 0 && n > c.writes {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

func (c *cuttable) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if all := c.counts[1].Add(int64(n)); c.reads >= 0 && all > c.reads {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// filtersWholeOrNot: filters that take several packets are put into effect, and kept, as a
// whole, wherever the connection breaks off.
func filtersWholeOrNot(t *testing.T, rig *rig) {
	b := &bench{device: rig.device, dial: rig.namespace.Dial}
	reaching := func(network byte) switches.Intent {
		intent := switches.Intent{Port: port(10), Profile: switches.Provisioning, Addresses: prefixes("198.51.100.30/31")}
		for n := range 1024 { // 32 bytes each and more
			intent.Reach = append(intent.Reach, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, network, byte(n >> 8), byte(n)}), 32))
		}
		return intent
	}
	states := map[string]string{} // tables of rules
	for what, intent := range map[string]switches.Intent{"before": reaching(1), "after": reaching(2)} {
		b.must(t, intent)
		states[rig.filters(t)] = what
	}
	var whole [2]atomic.Int64
	b.must(t, reaching(1))
	_, err := applyOver(t, b, reaching(2), fragile(b.dial, &whole, [2]int64{-1, -1}))
	check(t, err)
	const cuts = 12
	for n := range cuts {
		b.must(t, reaching(1))
		_, _ = applyOver(t, b, reaching(2), fragile(b.dial, new([2]atomic.Int64), [2]int64{whole[0].Load() * int64(n) / cuts, -1}))
		time.Sleep(100 * time.Millisecond) // for what the broken connection has left running
		if states[rig.filters(t)] == "" {
			t.Errorf("cut %d of %d: the rules in effect are neither the old ones nor the new ones", n, cuts)
		}
		if kept := besides(t, rig.namespace, "zebra", "cat", "/etc/nftables.d/ferrodur.nft"); states[strings.TrimRight(kept, "\n")+"\n"] == "" {
			t.Errorf("cut %d of %d: %d bytes of rules are kept, which are neither the old ones nor the new ones", n, cuts, len(kept))
		}
	}
	b.must(t, switches.Intent{Port: port(10), Profile: switches.Quarantine})
}
