package switches_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"ferrodur/report"
	"ferrodur/switches"
	"ferrodur/switches/emulator"
)

// bench is a switch, real or emulated, that a driver is tried on.
type bench struct {
	device   switches.Device
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	port     func(n int) string
	byHand   func(t *testing.T, lines ...string) // configures past Ferrodur
	running  func(t *testing.T) string
	announce func(t *testing.T, port string, who report.Neighbour) // by LLDP, at the other end of a port's cable
	// answer has a host answer for an address at the other end of a port's cable.
	answer   func(t *testing.T, intent switches.Intent, host netip.Addr, mac net.HardwareAddr)
	emulated *emulator.Device // nil: real
	words
}

// words are what the suite says in a platform's own language.
type words struct {
	prepare []string                   // what the switch has of its own: BGP, VRFs, VLANs
	foreign func(port string) []string // on a port and beside it; none of Ferrodur's concern
	shown   []string                   // of those, in the running configuration
	shut    func(port string) []string
	refusal func(line string) string // a complaint about a line; nil: in the style of IOS
	commits bool                     // changes take effect together, by a commit
	hurry   float64                  // of confirm timers; 0: 300 times
	lacks   []string                 // features that the platform does not have: names of intents
}

func industryWords() words {
	return words{
		prepare: []string{
			"vrf instance red", "vlan 100", "vlan 101", "vlan 102", "vlan 200", "vlan 300",
			"router bgp 65000", "address-family ipv4", "address-family ipv6", "vrf red", "address-family ipv4", "address-family ipv6",
		},
		foreign: func(port string) []string {
			return []string{"ip route 203.0.113.128/25 Null0", "interface " + port, "load-interval 30", "ntp server 192.0.2.123"}
		},
		shown: []string{"ip route 203.0.113.128/25 Null0", "load-interval 30", "ntp server 192.0.2.123"},
		shut:  func(port string) []string { return []string{"interface " + port, "shutdown"} },
	}
}

// benches are what every driver is tried on.
var benches = map[string]func(*testing.T) *bench{
	"frr": func(t *testing.T) *bench {
		rig := newRig(t)
		device := rig.device
		device.ASN = 65000
		first := tenantOn(port(rigPorts), "198.51.100.250/31") // what all filters have in common stays
		first.SourceFilter = true
		rig.apply(t, first)
		return &bench{
			device: device, dial: rig.namespace.Dial, port: port,
			byHand:   func(t *testing.T, lines ...string) { rig.vtysh(t, append([]string{"configure terminal"}, lines...)...) },
			running:  func(t *testing.T) string { return rig.vtysh(t, "show running-config") + rig.filters(t) },
			announce: rig.announce,
			answer:   rig.answer,
			words: words{
				foreign: func(port string) []string {
					return []string{"ip route 203.0.113.128/25 blackhole", "interface " + port, "bandwidth 12345"}
				},
				shown:   []string{"ip route 203.0.113.128/25 blackhole", "bandwidth 12345"},
				shut:    func(port string) []string { return []string{"interface " + port, "shutdown"} },
				prepare: []string{"router bgp 65000"},
				lacks:   []string{"in a VRF", "relayed", "with an MTU", "access", "trunk", "hybrid", "jumbo VLAN", "bond"},
			},
		}
	},
	"ovs": func(t *testing.T) *bench {
		rig := newBridgeRig(t)
		device := rig.device
		device.ASN = 65000 // it still speaks no BGP
		return &bench{
			device: device, dial: rig.namespace.Dial, port: port,
			byHand: func(t *testing.T, lines ...string) {
				for _, line := range lines {
					rig.onSwitch(t, "ovs-vsctl", strings.Fields(line)...)
				}
			},
			running: func(t *testing.T) string {
				return rig.onSwitch(t, "ovs-vsctl", "--columns=fail_mode", "list", "Bridge") +
					rig.onSwitch(t, "ovs-vsctl", "--columns=name,tag,trunks,vlan_mode,external_ids,other_config", "list", "Port") +
					rig.onSwitch(t, "ovs-vsctl", "--columns=name,mtu_request", "list", "Interface")
			},
			announce: rig.announce,
			answer:   rig.answer,
			words: words{
				foreign: func(port string) []string {
					return []string{"set Port " + port + " external_ids:owner=ops other_config:rstp-enable=true", "set Bridge br0 fail_mode=standalone"}
				},
				shown: []string{"owner=ops", "rstp-enable", "standalone"},
				shut:  func(port string) []string { return []string{"set Port " + port + " vlan_mode=trunk trunks=4095"} },
				lacks: []string{
					"routed", "IPv4 only", "blocks", "advertising", "in a VRF", "filtered", "reaching", "relayed", "BGP", "with an MTU",
				},
			},
		}
	},
	"juniper_junos": emulated("juniper_junos", "xe-0/0/%d", words{
		prepare: []string{
			"set routing-options autonomous-system 65000", "set routing-instances red instance-type virtual-router",
			"set vlans v100 vlan-id 100", "set vlans v101 vlan-id 101", "set vlans v102 vlan-id 102", "set vlans v200 vlan-id 200", "set vlans v300 vlan-id 300",
		},
		foreign: func(port string) []string {
			return []string{
				"set routing-options static route 203.0.113.128/25 discard", "set interfaces " + port + " hold-time up 100 down 100",
				"set interfaces " + port + " unit 0 family inet sampling input", "set protocols lldp interface " + port,
			}
		},
		shown:   []string{"static route 203.0.113.128/25 discard", "hold-time up 100 down 100", "family inet sampling input", "protocols lldp interface"},
		shut:    func(port string) []string { return []string{"set interfaces " + port + " disable"} },
		refusal: func(line string) string { return "error: refused: " + line },
		commits: true,
	}),
	"nokia_srl": emulated("nokia_srl", "ethernet-1/%d", words{
		prepare: []string{
			"set / network-instance default type default", "set / network-instance red type ip-vrf",
			"set / network-instance default protocols bgp autonomous-system 65000", "set / network-instance red protocols bgp autonomous-system 65000",
			"set / network-instance default next-hop-groups group uplink nexthop 1 ip-address 192.0.2.1", "set / network-instance default static-routes route 0.0.0.0/0 next-hop-group uplink",
			"set / network-instance red next-hop-groups group uplink nexthop 1 ip-address 192.0.2.3", "set / network-instance red static-routes route 0.0.0.0/0 next-hop-group uplink",
			"set / network-instance vlan-100 type mac-vrf", "set / network-instance vlan-101 type mac-vrf", "set / network-instance vlan-102 type mac-vrf",
			"set / network-instance vlan-200 type mac-vrf", "set / network-instance vlan-300 type mac-vrf",
		},
		foreign: func(port string) []string {
			return []string{
				"set / network-instance default static-routes route 203.0.113.128/25 next-hop-group uplink", "set / interface " + port + " ethernet reload-delay 10",
				"set / interface " + port + " subinterface 0 ipv6 router-advertisement router-role router-lifetime 600", "set / system lldp interface " + port + " admin-state enable",
			}
		},
		shown:   []string{"static-routes route 203.0.113.128/25 next-hop-group uplink", "ethernet reload-delay 10", "router-lifetime 600", "system lldp interface"},
		shut:    func(port string) []string { return []string{"set / interface " + port + " admin-state disable"} },
		refusal: func(line string) string { return "Error: refused: " + line },
		commits: true,
	}),
	"sonic": emulated("sonic", "Ethernet%d", words{
		prepare: []string{
			"HSET VRF|Vrfred NULL NULL", "HSET VLAN|Vlan100 vlanid 100", "HSET VLAN|Vlan101 vlanid 101", "HSET VLAN|Vlan102 vlanid 102",
			"HSET VLAN|Vlan200 vlanid 200", "HSET VLAN|Vlan300 vlanid 300",
		},
		foreign: func(port string) []string {
			return []string{
				"HSET STATIC_ROUTE|default|203.0.113.128/25 blackhole true", "HSET PORT|" + port + " fec rs", "HSET PFC_WD|" + port + " action drop", "HSET NTP_SERVER|192.0.2.123 iburst on",
			}
		},
		shown:   []string{"default|203.0.113.128/25", `"fec": "rs"`, `"action": "drop"`, "192.0.2.123"},
		shut:    func(port string) []string { return []string{"HSET PORT|" + port + " admin_status down"} },
		refusal: func(line string) string { return "refused: " + line },
		commits: true,
		lacks:   []string{"advertising", "in a VRF", "relayed", "BGP"},
	}),
	"cisco_nxos": emulated("cisco_nxos", "Ethernet1/%d", with(industryWords(), func(w *words) {
		w.prepare = []string{
			"feature bgp", "vrf context red", "vlan 100", "vlan 101", "vlan 102", "vlan 200", "vlan 300", "router bgp 65000", "address-family ipv4 unicast",
			"address-family ipv6 unicast", "vrf red", "address-family ipv4 unicast", "address-family ipv6 unicast",
		}
		w.foreign = func(port string) []string {
			return []string{"ip route 203.0.113.128/25 Null0", "interface " + port, "load-interval counter 1 60", "ntp server 192.0.2.123"}
		}
		w.shown[1] = "load-interval counter 1 60"
		w.refusal = func(string) string { return "                          ^\n% Invalid command at '^' marker." }
		w.lacks = []string{"jumbo VLAN"} // a switched port has 1500 bytes, or the system's jumbo size
	})),
	"cisco_iosxe": emulated("cisco_iosxe", "GigabitEthernet1/0/%d", with(industryWords(), func(w *words) {
		w.prepare = []string{
			"archive", "path flash:archive", "vrf definition red", "rd 65000:1", "address-family ipv4", "address-family ipv6",
			"vlan 100", "vlan 101", "vlan 102", "vlan 200", "vlan 300", "router bgp 65000", "address-family ipv4", "address-family ipv6",
			"address-family ipv4 vrf red", "address-family ipv6 vrf red",
		}
		w.foreign = func(port string) []string {
			return []string{"ip route 203.0.113.128 255.255.255.128 Null0", "interface " + port, "load-interval 30", "ntp server 192.0.2.123"}
		}
		w.shown[0] = "ip route 203.0.113.128 255.255.255.128 Null0"
		w.commits, w.hurry = true, 80 // the timer runs from the first line on
	})),
	"arista_eos": emulated("arista_eos", "Ethernet%d", with(industryWords(), func(w *words) { w.commits = true })),
}

func with(w words, change func(*words)) words {
	change(&w)
	return w
}

func emulated(platform, names string, own words) func(*testing.T) *bench {
	return func(t *testing.T) *bench {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		config := emulator.Config{Platform: platform, Name: "sw1", User: "operator", Password: rigPassword, Hurry: cmp.Or(own.hurry, 300), Banner: "Authorised access only!\n# or else >\n"}
		for n := 1; n <= 48; n++ {
			config.Ports = append(config.Ports, fmt.Sprintf(names, n))
		}
		device, err := emulator.Start(listener, config)
		check(t, err)
		t.Cleanup(device.Close)
		return &bench{
			device: switches.Device{
				Name: "sw1", Platform: platform, Address: device.Address(), ASN: 65000,
				User: "operator", Password: rigPassword, HostKey: device.HostKey(),
			},
			dial: new(net.Dialer).DialContext, emulated: device, words: own,
			port:     func(n int) string { return config.Ports[n-1] },
			byHand:   func(t *testing.T, lines ...string) { t.Helper(); check(t, device.ByHand(lines...)) },
			running:  func(*testing.T) string { return device.Running() },
			announce: func(_ *testing.T, port string, who report.Neighbour) { device.Hear(port, who) },
			answer: func(_ *testing.T, intent switches.Intent, host netip.Addr, mac net.HardwareAddr) {
				device.Answer(intent.Port, intent.VRF, host, mac.String())
			},
		}
	}
}

func (b *bench) open(t *testing.T) *switches.Session {
	t.Helper()
	sessions := switches.NewSessions(switches.Config{Dial: b.dial, Connect: 10 * time.Second, Command: 10 * time.Second})
	session, err := sessions.Open(t.Context(), b.device)
	check(t, err)
	t.Cleanup(session.Close)
	return session
}

// must applies an intent in a session of its own.
func (b *bench) must(t *testing.T, intent switches.Intent) switches.Change {
	t.Helper()
	session := b.open(t)
	defer session.Close()
	change, err := applyOne(t, session, intent)
	check(t, err)
	return change
}

// rich is an intent for which the platform has much to say.
func (b *bench) rich(port string) switches.Intent {
	if b.has("filtered") {
		return intentsOf(port)["filtered"]
	}
	return intentsOf(port)["hybrid"]
}

func (b *bench) has(feature string) bool { return !slices.Contains(b.lacks, feature) }

// intentsOf are what a port can be, by what is special about it. Each port has its own
// addresses.
func intentsOf(port string) map[string]switches.Intent {
	n, _ := strconv.Atoi(port[strings.LastIndexFunc(port, func(r rune) bool { return !unicode.IsDigit(r) })+1:])
	routed := switches.Intent{
		Port: port, Profile: switches.Tenant, Description: "ams1-r1-s1 instance/o-42",
		Addresses: prefixes(fmt.Sprintf("198.51.100.%d/31", 2*n), fmt.Sprintf("2001:db8:0:%x::/127", n)),
	}
	ipv4 := routed
	ipv4.Addresses = routed.Addresses[:1]
	behind := routed
	behind.Behind = prefixes("203.0.113.64/28", "2001:db8:8000::/56")
	advertising := routed
	advertising.Profile, advertising.Advertise = switches.Provisioning, true
	vrf := behind
	vrf.VRF = "red"
	vrf.BGP = &switches.BGP{ASN: 65010, Accept: prefixes("203.0.113.0/26"), MaxPrefixes: 12}
	filtered := behind
	filtered.SourceFilter = true
	reaching := ipv4
	reaching.Profile, reaching.SourceFilter, reaching.Reach = switches.Provisioning, true, prefixes("192.0.2.10/32", "192.0.2.64/28")
	relayed := ipv4
	relayed.Profile, relayed.Relay = switches.Provisioning, addresses("192.0.2.10", "192.0.2.11")
	speaking := behind
	speaking.BGP = &switches.BGP{ASN: 4200000010, Password: "wrong-mule", Accept: prefixes("203.0.113.0/26", "203.0.113.200/32", "2001:db8:9000::/48"), MaxPrefixes: 10}
	mtu := ipv4
	mtu.MTU = 9000
	switched := func(vlans switches.VLANs) switches.Intent {
		return switches.Intent{Port: port, Profile: switches.Tenant, Description: "ams1-r1-s1 instance/o-42", VLANs: &vlans}
	}
	jumbo := switched(switches.VLANs{Untagged: 100})
	jumbo.MTU = 9000
	bond := switched(switches.VLANs{Untagged: 100})
	bond.Bond = &switches.Bond{Group: 7, Fallback: true}
	return map[string]switches.Intent{
		"quarantine":  {Port: port, Profile: switches.Quarantine, Description: "ams1-r1-s1"},
		"routed":      routed,
		"IPv4 only":   ipv4,
		"blocks":      behind,
		"advertising": advertising,
		"in a VRF":    vrf,
		"filtered":    filtered,
		"reaching":    reaching,
		"relayed":     relayed,
		"BGP":         speaking,
		"with an MTU": mtu,
		"access":      switched(switches.VLANs{Untagged: 100}),
		"trunk":       switched(switches.VLANs{Tagged: []int{100, 101, 102, 200}}),
		"hybrid":      switched(switches.VLANs{Untagged: 100, Tagged: []int{200, 300}}),
		"jumbo VLAN":  jumbo,
		"bond":        bond,
	}
}

// TestConformance tries every driver in the same way.
func TestConformance(t *testing.T) {
	everywhere := map[string]func(*testing.T, *bench){
		"every intent, from every other": everyIntent,
		"foreign configuration stays":    foreignStays,
		"drift is seen and healed":       driftIsHealed,
		"cut anywhere":                   cutEverywhere,
		"many at once":                   manyAtOnce,
		"secrets stay hidden":            secretsStayHidden,
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
			b.byHand(t, b.prepare...)
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
	for _, step := range []int{1, 2, 5} { // each after three others
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

// cutEverywhere: a connection that breaks off anywhere, in what is said or in what is
// answered, is reported as such or was not needed any more; what it left behind, the next
// Apply completes.
func cutEverywhere(t *testing.T, b *bench) {
	port := b.port(6)
	ways := []switches.Intent{b.rich(port), intentsOf(port)["quarantine"]}
	b.must(t, ways[1])
	var whole [2]atomic.Int64
	applyOverFragile(t, b, ways[0], &whole, -1, -1)
	cuts := 40
	switch {
	case testing.Short() || b.emulated == nil:
		cuts = 10
	case b.hurry > 0: // most cuts are waited out until the timer has ended
		cuts = 20
	}
	felt := 0
	for direction := range whole {
		for n := range cuts {
			limits := [2]int64{-1, -1}
			limits[direction] = whole[direction].Load() * int64(n) / int64(cuts)
			intent := ways[(n+1)%len(ways)]
			if err := applyOverFragile(t, b, intent, new([2]atomic.Int64), limits[0], limits[1]); err != nil {
				felt++
				if !errors.Is(err, switches.ErrUnreachable) {
					t.Errorf("cut %d of %d: got %v, want ErrUnreachable", n, cuts, err)
				}
			}
			if change := b.must(t, intent); !reflect.DeepEqual(change.Running, intent) {
				t.Errorf("cut %d of %d: the next Apply left %+v", n, cuts, change.Running)
			}
		}
	}
	if felt < cuts/2 {
		t.Errorf("only %d of %d cuts were felt", felt, 2*cuts)
	}
}

func applyOverFragile(t *testing.T, b *bench, intent switches.Intent, counts *[2]atomic.Int64, writes, reads int64) error {
	sessions := switches.NewSessions(switches.Config{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := b.dial(ctx, network, address)
		return &cuttable{Conn: conn, counts: counts, writes: writes, reads: reads}, err
	}})
	session, err := sessions.Open(t.Context(), b.device)
	if err != nil {
		return err
	}
	defer session.Close()
	_, err = applyOne(t, session, intent)
	return err
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
	var whole [2]atomic.Int64
	check(t, applyOverFragile(t, b, intents["routed"], &whole, -1, -1))
	b.must(t, intents["quarantine"])
	before := b.running(t)
	for n := int64(20); n > 0; n-- { // the last commands are those that commit
		cut := whole[0].Load() * (40 - n) / 40
		if err := applyOverFragile(t, b, intents["routed"], new([2]atomic.Int64), cut, -1); err == nil {
			break
		}
		for end := time.Now().Add(2 * time.Second); b.running(t) != before; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				if running, err := readOne(t, b.open(t), port); err != nil || !running.Equal(intents["routed"]) {
					t.Fatalf("cut at %d of 40: neither taken back nor done: %+v, %v", 40-n, running, err)
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
