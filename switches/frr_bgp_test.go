package switches_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ferrodur/lab/netns"
	"ferrodur/lab/tor"
	"ferrodur/switches"
)

// A host with an FRR of its own announces what it may and what it may not: the switch
// takes the one and not the other, tells it a default route and no more, and ends the
// session when there is too much of it.
func TestBGPWithAHost(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.device.ASN = 65000
	const port = "swp20"
	host := speakingHost(t, rig, port, "198.51.100.61/31")

	intent := tenantOn(port, "198.51.100.60/31")
	intent.BGP = &switches.BGP{ASN: 65010, Accept: prefixes("203.0.113.0/25"), MaxPrefixes: 2}
	if change := rig.apply(t, intent); !change.Running.Equal(intent) {
		t.Fatalf("got %+v", change)
	}
	announce(t, host, "198.51.100.60",
		"address-family ipv4 unicast", "network 203.0.113.0/28", "network 203.0.113.128/28", "network 0.0.0.0/0")
	heard := func(want, wantNot string) func() bool {
		return func() bool {
			routes := rig.vtysh(t, "show bgp ipv4 unicast neighbors 198.51.100.61 routes")
			return strings.Contains(routes, want) && !strings.Contains(routes, wantNot)
		}
	}
	await(t, "the allowed prefix", heard("203.0.113.0/28", "203.0.113.128/28"))
	routes := rig.vtysh(t, "show bgp ipv4 unicast neighbors 198.51.100.61 routes")
	expectNot(t, routes, "203.0.113.128/28", "0.0.0.0/0")
	expect(t, rig.vtysh(t, "show ip route bgp"), "203.0.113.0/28", port)
	await(t, "the default route", func() bool {
		return strings.Contains(showByHand(t, host, "show bgp ipv4 unicast neighbors 198.51.100.60 routes"), "0.0.0.0/0")
	})
	told := showByHand(t, host, "show bgp ipv4 unicast neighbors 198.51.100.60 routes")
	expectNot(t, told, "203.0.113.")

	// FRR 8.4 looks before it counts: one more than the maximum gets through.
	configureByHand(t, host, "router bgp 65010", "address-family ipv4 unicast", "network 203.0.113.16/28", "network 203.0.113.32/28", "network 203.0.113.48/28", "network 203.0.113.64/28")
	await(t, "the end of the session", func() bool {
		return !strings.Contains(rig.vtysh(t, "show ip route bgp"), "203.0.113.0/28")
	})

	// Without the session there is nothing of it left.
	intent.BGP = nil
	rig.apply(t, intent)
	expectNot(t, rig.vtysh(t, "show running-config"), "neighbor ", "prefix-list")
}

// speakingHost has an FRR of its own, at a new port of the switch.
func speakingHost(t *testing.T, rig *rig, port string, addresses ...string) netns.Namespace {
	t.Helper()
	host := rig.namespace + "-speaker"
	t.Cleanup(func() { check(t, host.Delete()) })
	check(t, host.Create())
	check(t, netns.Connect(netns.End{Namespace: rig.namespace, Interface: port}, netns.End{Namespace: host, Interface: "eth0"}))
	check(t, host.AddAddress("lo", netip.MustParsePrefix("192.0.2.3/32")))
	for _, address := range addresses {
		check(t, host.AddAddress("eth0", netip.MustParsePrefix(address)))
	}
	dir := filepath.Join(t.TempDir(), "host")
	t.Cleanup(func() { check(t, tor.Stop(context.Background(), dir)) })
	_, err := tor.Start(t.Context(), tor.Config{
		Name: "host", Namespace: host, Dir: dir, Address: netip.MustParseAddrPort("192.0.2.3:22"), User: "operator", Password: rigPassword,
	})
	check(t, err)
	return host
}

// announce has such a host speak BGP with the switch, and say lines in its configuration.
func announce(t *testing.T, host netns.Namespace, neighbour string, lines ...string) {
	t.Helper()
	configureByHand(t, host, append([]string{
		"router bgp 65010", "bgp router-id 192.0.2.3", "no bgp ebgp-requires-policy", "no bgp network import-check",
		"neighbor " + neighbour + " remote-as 65000", "neighbor " + neighbour + " timers connect 1",
	}, lines...)...)
}

// FRR has neighbours exchange IPv4 routes whatever their address is, and asks for no filters of
// them where somebody wants that: an IPv6 session carries IPv6 only.
func TestIPv6SessionCarriesNoIPv4(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.device.ASN = 65000
	const port = "swp20"
	host := speakingHost(t, rig, port, "2001:db8:0:20::1/127")
	configureByHand(t, rig.namespace, "router bgp 65000", "no bgp ebgp-requires-policy")
	intent := tenantOn(port, "2001:db8:0:20::/127")
	intent.BGP = &switches.BGP{ASN: 65010, Accept: prefixes("2001:db8:9000::/48"), MaxPrefixes: 10}
	rig.apply(t, intent)
	announce(t, host, "2001:db8:0:20::",
		"address-family ipv4 unicast", "network 203.0.113.0/24", "exit",
		"address-family ipv6 unicast", "neighbor 2001:db8:0:20:: activate", "network 2001:db8:9000::/64")
	await(t, "the allowed prefix", func() bool {
		return strings.Contains(rig.vtysh(t, "show bgp ipv6 unicast"), "2001:db8:9000::/64")
	})
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		expectNot(t, rig.vtysh(t, "show bgp ipv4 unicast"), "203.0.113.0")
	}
}

// Which routes a neighbour exchanges is as it should be whatever the switch's defaults are, and
// seen where it is not.
func TestAddressFamiliesOfNeighbours(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.device.ASN = 65000
	configureByHand(t, rig.namespace, "router bgp 65000")
	intent := intentsOf(port(1))["BGP"]
	active := func() {
		t.Helper()
		for neighbour, families := range map[string][2]string{
			"198.51.100.3": {"IPv4 Unicast", "IPv6 Unicast"}, "2001:db8:0:1::1": {"IPv6 Unicast", "IPv4 Unicast"},
		} {
			shown := rig.vtysh(t, "show bgp neighbors "+neighbour)
			expect(t, shown, "For address family: "+families[0])
			expectNot(t, shown, "For address family: "+families[1])
		}
	}
	for _, defaults := range [][]string{
		{"bgp default ipv4-unicast", "no bgp default ipv6-unicast"},
		{"no bgp default ipv4-unicast", "no bgp default ipv6-unicast"},
		{"no bgp default ipv4-unicast", "bgp default ipv6-unicast"},
		{"bgp default ipv4-unicast", "bgp default ipv6-unicast"},
	} {
		rig.apply(t, switches.Intent{Port: port(1), Profile: switches.Quarantine})
		configureByHand(t, rig.namespace, append([]string{"router bgp 65000"}, defaults...)...)
		rig.apply(t, intent)
		active()
		configureByHand(t, rig.namespace, "router bgp 65000",
			"address-family ipv4 unicast", "no neighbor 198.51.100.3 activate", "neighbor 2001:db8:0:1::1 activate", "exit",
			"address-family ipv6 unicast", "no neighbor 2001:db8:0:1::1 activate", "neighbor 198.51.100.3 activate")
		if change := rig.apply(t, intent); len(change.Diff) != 8 || !change.Running.Equal(intent) {
			t.Errorf("with %q, all that was changed by hand was seen as %q", defaults, change.Diff)
		}
		active()
	}
}

// What a host may announce counts for what it has announced, too: a block that is taken from it is
// withdrawn, and one that it announced early comes in. Its session lasts, if it can be asked again.
func TestRevokedBlockIsWithdrawn(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.device.ASN = 65000
	const port = "swp20"
	host := speakingHost(t, rig, port, "198.51.100.61/31")
	intent := tenantOn(port, "198.51.100.60/31")
	accepting := func(blocks ...string) switches.Intent {
		intent.BGP = &switches.BGP{ASN: 65010, Accept: prefixes(blocks...), MaxPrefixes: 10}
		return intent
	}
	const stays, goes = "203.0.113.0/28", "203.0.113.16/28"
	rig.apply(t, accepting(stays, goes))
	announce(t, host, "198.51.100.60",
		"address-family ipv4 unicast", "network "+stays, "network "+goes)
	routed := func(goesIs bool) func() bool {
		return func() bool {
			routes := rig.vtysh(t, "show ip route bgp")
			return strings.Contains(routes, stays) && strings.Contains(routes, goes) == goesIs
		}
	}
	await(t, "the routes to both", routed(true))
	rig.apply(t, accepting(stays))
	await(t, "the end of the route to what was revoked", routed(false))
	rig.apply(t, accepting(stays, goes))
	await(t, "the route to what is allowed again", routed(true))
	expect(t, rig.vtysh(t, "show bgp neighbors 198.51.100.61"), "Connections established 1; dropped 0")

	// Wherever a session breaks off, the next one has the list count.
	b := &bench{device: rig.device, dial: rig.namespace.Dial}
	var whole [2]atomic.Int64
	_, err := applyOver(t, b, accepting(stays), fragile(b.dial, &whole, [2]int64{-1, -1}))
	check(t, err)
	await(t, "the end of the route to what was revoked", routed(false))
	const cuts = 10
	for n := range cuts {
		blocks := []string{stays, goes}[:1+(n+1)%2]
		_, _ = applyOver(t, b, accepting(blocks...), fragile(b.dial, new([2]atomic.Int64), [2]int64{whole[0].Load() * int64(n+cuts/2) / (3 * cuts / 2), -1}))
		rig.apply(t, accepting(blocks...))
		await(t, fmt.Sprintf("what %q allow, after cut %d of %d,", blocks, n, cuts), routed(len(blocks) == 2))
	}

	// A host that knows nothing of RFC 2918 has its session reset.
	configureByHand(t, host, "router bgp 65010", "neighbor 198.51.100.60 dont-capability-negotiate")
	rig.vtysh(t, "clear bgp ipv4 unicast 198.51.100.61")
	rig.apply(t, accepting(stays, goes))
	await(t, "the routes to both", routed(true))
	rig.apply(t, accepting(stays))
	await(t, "the end of the route to what was revoked", routed(false))
}

// A neighbour that a session left bare when it broke off, or that somebody made, is the port's as
// its address is: it is completed, or goes.
func TestBareNeighbours(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.device.ASN = 65000
	speaking := intentsOf(port(1))["BGP"]
	silent := speaking
	silent.BGP = nil
	rig.apply(t, speaking)
	whole := sortedLines(rig.vtysh(t, "show running-config"))
	rig.apply(t, silent)
	bare := [][]string{{"neighbor 198.51.100.3 remote-as 65010"}, {"neighbor 198.51.100.3 remote-as 65010", "neighbor 198.51.100.3 shutdown"}, {"neighbor 2001:db8:0:1::1 remote-as 65010"}}
	for _, lines := range bare {
		for _, intent := range []switches.Intent{silent, speaking, {Port: port(1), Profile: switches.Quarantine}} {
			configureByHand(t, rig.namespace, append([]string{"router bgp 65000"}, lines...)...)
			if change := rig.apply(t, intent); !change.Changed || !change.Running.Equal(intent) {
				t.Errorf("from %q: got %+v, want %+v", lines, change, intent)
			}
			running := rig.vtysh(t, "show running-config")
			if intent.BGP == nil {
				expectNot(t, running, "neighbor ")
			} else if sortedLines(running) != whole {
				t.Errorf("from %q to\n%s\nwant\n%s", lines, sortedLines(running), whole)
			}
			if !intent.Equal(silent) {
				rig.apply(t, silent)
			}
		}
	}
}

// Another AS number needs no other neighbour.
func TestASNumberChanges(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.device.ASN = 65000
	intent := intentsOf(port(1))["BGP"]
	rig.apply(t, intent)
	other := *intent.BGP
	other.ASN, intent.BGP = 65011, &other
	if change := rig.apply(t, intent); !change.Running.Equal(intent) {
		t.Errorf("got %+v", change)
	}
	configureByHand(t, rig.namespace, "router bgp 65000", "neighbor 198.51.100.3 remote-as 65012")
	if change := rig.apply(t, intent); !change.Running.Equal(intent) {
		t.Errorf("healed with %+v", change)
	}
}

// Where the switch asks for no filters a session without its own would let in anything: it is never
// without.
func TestNeighboursComeAndGoWithTheirLists(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.device.ASN = 65000
	const port = "swp20"
	host := speakingHost(t, rig, port, "198.51.100.61/31")
	configureByHand(t, rig.namespace, "router bgp 65000", "no bgp ebgp-requires-policy")
	announce(t, host, "198.51.100.60",
		"address-family ipv4 unicast", "network 203.0.113.0/28", "network 203.0.113.128/28")
	silent := tenantOn(port, "198.51.100.60/31")
	speaking := silent
	speaking.BGP = &switches.BGP{ASN: 65010, Accept: prefixes("203.0.113.0/25"), MaxPrefixes: 10}
	log := filepath.Join(t.TempDir(), "routes")
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() {
		_, err := rig.namespace.Run(ctx, "sh", "-c", "exec ip monitor route >"+log)
		stopped <- err
	}()
	rig.sessions = switches.NewSessions(switches.Config{Dial: slowly(rig.namespace.Dial)})
	rig.apply(t, speaking)
	await(t, "the allowed prefix", func() bool { return strings.Contains(rig.vtysh(t, "show bgp ipv4 unicast"), "203.0.113.0/28") })
	rig.apply(t, silent)
	stop()
	<-stopped
	routes, err := os.ReadFile(log)
	check(t, err)
	expect(t, string(routes), "203.0.113.0/28")
	expectNot(t, string(routes), "203.0.113.128/28")
}

// slowly makes connections that take their time for each packet, as far switches do: what a line
// does happens before the next one comes.
func slowly(dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return slow{conn}, err
	}
}

type slow struct{ net.Conn }

func (s slow) Write(b []byte) (int, error) {
	time.Sleep(150 * time.Millisecond)
	return s.Conn.Write(b)
}

// vtysh keeps what is typed in a file of the login's, for whoever reads that: not from Ferrodur.
func TestFRRKeepsNoHistory(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.device.ASN = 65000
	besides(t, rig.namespace, "zebra", "install", "-d", "-o", rig.config.User, "/run/home")
	besides(t, rig.namespace, "zebra", "usermod", "--home", "/run/home", rig.config.User)
	intent := intentsOf(port(1))["BGP"]
	rig.apply(t, intent)
	kept := besides(t, rig.namespace, "zebra", "sh", "-c", "find /run/home -type f -exec cat {} +")
	expectNot(t, kept, string(intent.BGP.Password), "configure terminal")
}

func await(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !reached(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}
