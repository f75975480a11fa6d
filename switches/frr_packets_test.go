package switches_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ferrodur/lab/netns"
	"ferrodur/lab/tor"
	"ferrodur/switches"
)

// What a host may send is tried with packets, and not with configuration: to the boot
// service, to another customer, from addresses of its own and from borrowed ones.
func TestPacketsOfAHost(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	host := far(t, rig, "swp20", "h", "198.51.100.61/31", "2001:db8:0:20::1/127", "203.0.113.65/32", "203.0.113.200/32", "2001:db8:bad::1/128")
	world := far(t, rig, "swp21", "w", "192.0.2.65/31", "2001:db8:0:21::1/127", "192.0.2.10/32", "192.0.2.20/32", "2001:db8:99::1/128")
	check(t, host.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("198.51.100.60")))
	check(t, host.AddRoute(netip.MustParsePrefix("::/0"), netip.MustParseAddr("2001:db8:0:20::")))
	check(t, rig.namespace.Forward())

	rig.apply(t, switches.Intent{
		Port: "swp21", Profile: switches.Tenant, Description: "world", Addresses: prefixes("192.0.2.64/31", "2001:db8:0:21::/127"),
		Behind: prefixes("192.0.2.10/32", "192.0.2.20/32", "2001:db8:99::1/128"),
	})
	const own, own6, routed, borrowed, borrowed6 = "198.51.100.61", "2001:db8:0:20::1", "203.0.113.65", "203.0.113.200", "2001:db8:bad::1"
	const boot, other, other6 = "192.0.2.10", "192.0.2.20", "2001:db8:99::1"
	links := prefixes("198.51.100.60/31", "2001:db8:0:20::/127")

	for _, step := range []struct {
		name    string
		intent  switches.Intent
		through [][2]string
		stopped [][2]string
	}{
		{"a tenant without a filter", switches.Intent{Profile: switches.Tenant, Addresses: links, Behind: prefixes(routed + "/32")},
			[][2]string{{own, other}, {borrowed, other}, {own6, other6}, {borrowed6, other6}}, nil},
		{"a tenant", switches.Intent{Profile: switches.Tenant, Addresses: links, Behind: prefixes(routed + "/32"), SourceFilter: true},
			[][2]string{{own, other}, {routed, other}, {own6, other6}}, [][2]string{{borrowed, other}, {borrowed6, other6}}},
		{"a server that is provisioned", switches.Intent{Profile: switches.Provisioning, Addresses: links, SourceFilter: true, Reach: prefixes(boot + "/32")},
			[][2]string{{own, boot}}, [][2]string{{own, other}, {own6, other6}, {routed, boot}, {borrowed, boot}}},
		{"quarantine", switches.Intent{Profile: switches.Quarantine},
			nil, [][2]string{{own, boot}, {own, other}, {own6, other6}}},
		{"a tenant again", switches.Intent{Profile: switches.Tenant, Addresses: links, SourceFilter: true},
			[][2]string{{own, other}, {own6, other6}}, [][2]string{{routed, other}, {borrowed, other}}},
	} {
		step.intent.Port, step.intent.Description = "swp20", "s1"
		rig.apply(t, step.intent)
		for _, pair := range step.through {
			if !arrives(t, host, world, pair[0], pair[1], 5*time.Second) {
				t.Errorf("%s: nothing came through from %s to %s; filters:\n%s", step.name, pair[0], pair[1], rig.filters(t))
			}
		}
		for _, pair := range step.stopped {
			if arrives(t, host, world, pair[0], pair[1], 300*time.Millisecond) {
				t.Errorf("%s: a packet from %s came through to %s; filters:\n%s", step.name, pair[0], pair[1], rig.filters(t))
			}
		}
	}
}

// A host with two uplinks to one switch sends from its blocks by either: the kernel, which
// has two ways back, does not think of the other one only.
func TestPacketsOfTwoUplinks(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	host := far(t, rig, "swp20", "h", "198.51.100.61/31", "2001:db8:0:20::1/127")
	check(t, netns.Connect(netns.End{Namespace: rig.namespace, Interface: "swp22"}, netns.End{Namespace: host, Interface: "eth1"}))
	check(t, host.AddAddress("eth1", netip.MustParsePrefix("2001:db8:0:22::1/127")))
	check(t, host.AddRoute(netip.MustParsePrefix("::/0"), netip.MustParseAddr("2001:db8:0:20::")))
	const other = "2001:db8:99::1"
	world := far(t, rig, "swp21", "w", "192.0.2.65/31", "2001:db8:0:21::1/127", other+"/128")
	check(t, world.AddRoute(netip.MustParsePrefix("2001:db8:8000::/56"), netip.MustParseAddr("2001:db8:0:21::")))
	check(t, rig.namespace.Forward())
	rig.apply(t, switches.Intent{
		Port: "swp21", Profile: switches.Tenant, Description: "world", Addresses: prefixes("2001:db8:0:21::/127"), Behind: prefixes(other + "/128"),
	})
	for port, link := range map[string]string{"swp20": "2001:db8:0:20::/127", "swp22": "2001:db8:0:22::/127"} {
		intent := tenantOn(port, link)
		intent.Behind, intent.SourceFilter = prefixes("2001:db8:8000::/56"), true
		if change := rig.apply(t, intent); !change.Running.Equal(intent) {
			t.Fatalf("got %+v", change)
		}
	}
	for n := 1; n <= 12; n++ {
		from := fmt.Sprintf("2001:db8:8000::%x", n)
		check(t, host.AddAddress("lo", netip.MustParsePrefix(from+"/128")))
		if !arrives(t, host, world, from, other, 3*time.Second) {
			t.Errorf("nothing came through from %s", from)
		}
	}
	const borrowed = "2001:db8:bad::1"
	check(t, host.AddAddress("lo", netip.MustParsePrefix(borrowed+"/128")))
	if arrives(t, host, world, borrowed, other, 300*time.Millisecond) {
		t.Errorf("a packet from %s came through", borrowed)
	}
}

// The filters are there again after a power cut.
func TestFiltersAreKept(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	intent := intentsOf(port(1))["reaching"]
	rig.apply(t, intent)
	before := rig.filters(t)
	expect(t, before, "ip daddr 192.0.2.64/28 accept", "jump port-swp1")
	check(t, tor.Stop(t.Context(), rig.config.Dir))
	_, err := tor.Start(t.Context(), rig.config)
	check(t, err)
	if after := rig.filters(t); after != before {
		t.Errorf("before the power cut the filters were\n%s\nand after it\n%s", before, after)
	}
}

// A switch that loses its power while it is told what to start with starts with no port open
// without its filter.
func TestFiltersAreKeptInTime(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	open := func(n int) switches.Intent { return intentsOf(port(n))["filtered"] }
	shut := func(n int) switches.Intent { return intentsOf(port(n))["quarantine"] }
	apply := func(intents ...switches.Intent) error {
		session := rig.open(t)
		defer session.Close()
		_, err := session.Apply(t.Context(), intents...)
		return err
	}
	for _, step := range []struct {
		name     string
		from, to []switches.Intent
		keeps    string // what the disk has failed to
	}{
		{"filters that come", []switches.Intent{shut(1)}, []switches.Intent{open(1)}, "/etc/nftables.d"},
		{"ports that are opened", []switches.Intent{shut(1)}, []switches.Intent{open(1)}, "/etc/frr"},
		{"filters that go", []switches.Intent{open(1)}, []switches.Intent{shut(1)}, "/etc/nftables.d"},
		{"ports that are shut", []switches.Intent{open(1)}, []switches.Intent{shut(1)}, "/etc/frr"},
		{"both at once", []switches.Intent{open(1), shut(2)}, []switches.Intent{shut(1), open(2)}, "/etc/frr"},
	} {
		check(t, apply(step.from...))
		besides(t, rig.namespace, "zebra", "mount", "-o", "remount,bind,ro", step.keeps)
		if err := apply(step.to...); err == nil {
			t.Errorf("%s: saved to a disk that keeps nothing", step.name)
		}
		besides(t, rig.namespace, "zebra", "mount", "-o", "remount,bind,rw", step.keeps)
		filters, err := os.ReadFile(filepath.Join(rig.config.Dir, "nftables.d", "ferrodur.nft"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for n := 1; n <= 2; n++ {
			_, config, _ := strings.Cut(rig.startup(t), "interface "+port(n)+"\n")
			config, _, _ = strings.Cut(config, "exit\n")
			if strings.Contains(config, "ip address ") && !strings.Contains(string(filters), "jump port-"+port(n)) {
				t.Errorf("%s: the switch would start with %s\n%sand the filters\n%s", step.name, port(n), config, filters)
			}
		}
	}
	check(t, tor.Stop(t.Context(), rig.config.Dir))
	_, err := tor.Start(t.Context(), rig.config)
	check(t, err)
	expect(t, rig.filters(t), "jump port-"+port(1), "jump port-"+port(2))
	check(t, apply(shut(1), open(2)))
	expectNot(t, rig.filters(t), port(1))
}

// far makes a host at a new port of the switch.
func far(t *testing.T, rig *rig, port, name string, addresses ...string) netns.Namespace {
	t.Helper()
	host := rig.namespace + netns.Namespace("-"+name)
	t.Cleanup(func() { check(t, host.Delete()) })
	check(t, host.Create())
	check(t, netns.Connect(netns.End{Namespace: rig.namespace, Interface: port}, netns.End{Namespace: host, Interface: "eth0"}))
	for i, address := range addresses {
		device := "lo"
		if i < 2 {
			device = "eth0"
		}
		check(t, host.AddAddress(device, netip.MustParsePrefix(address)))
	}
	return host
}

// arrives tells whether packets from one address come to another within a time.
func arrives(t *testing.T, sender, receiver netns.Namespace, from, to string, within time.Duration) bool {
	t.Helper()
	listen := func(namespace netns.Namespace, address string) (conn net.PacketConn) {
		check(t, namespace.Do(func() (err error) {
			conn, err = new(net.ListenConfig).ListenPacket(context.Background(), "udp", net.JoinHostPort(address, "9"))
			return err
		}))
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	out, in := listen(sender, from), listen(receiver, to)
	defer func() { _, _ = out.Close(), in.Close() }()
	for end := time.Now().Add(within); time.Now().Before(end); {
		// A host that is not reached may say so to the sender: no more can be asked of it.
		_, _ = out.WriteTo([]byte("knock"), net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(to), 9)))
		check(t, in.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
		packet := make([]byte, 16)
		if _, address, err := in.ReadFrom(packet); err == nil && netip.MustParseAddrPort(address.String()).Addr() == netip.MustParseAddr(from) {
			return true
		}
	}
	return false
}

// Filters that somebody switched off, or went past, are no longer what was asked for.
func TestFiltersSwitchedOff(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	intent := tenantOn(port(1), "198.51.100.0/31")
	intent.SourceFilter = true
	rig.apply(t, intent)
	whole := rig.filters(t)
	for name, command := range map[string][]string{
		"switched off": {"flush", "chain", "inet", "ferrodur", "hosts"},
		"gone past":    {"insert", "rule", "inet", "ferrodur", "hosts", "iifname", port(1), "accept"},
		"asleep":       {"add table inet ferrodur { flags dormant; }"},
		"let through":  {fmt.Sprintf("delete element inet ferrodur ports { %[1]q }; add element inet ferrodur ports { %[1]q : accept }", port(1))},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rig.namespace.Run(t.Context(), "nft", command...)
			check(t, err)
			if change := rig.apply(t, intent); !change.Changed || !change.Running.Equal(intent) {
				t.Errorf("got %+v", change)
			}
			if rig.filters(t) != whole {
				t.Errorf("the filters are %s, and were %s", rig.filters(t), whole)
			}
		})
	}
	_, err := rig.namespace.Run(t.Context(), "nft", "flush", "chain", "inet", "ferrodur", "hosts")
	check(t, err)
	rig.apply(t, switches.Intent{Port: port(1), Profile: switches.Quarantine})
	expectNot(t, rig.filters(t), port(1))
}
