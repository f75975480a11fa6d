package switches_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
	emulated *emulator.Device        // nil: real
	small    func(*testing.T) *bench // an emulated switch like this one, which has two ports
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
	keeps   bool                     // an access list's entries keep the numbers that they came with, which are not compared
	hurry   float64                  // of confirm timers; 0: 150 times
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
		b := &bench{
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
				lacks:   []string{"in a VRF", "relayed", "with an MTU", "access", "trunk", "hybrid", "installing in a VLAN", "jumbo VLAN", "bond"},
			},
		}
		return b.prepared(t)
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
				return rig.onSwitch(t, "ovs-vsctl", "list-ports", "ferrodur-shut", "--", "--columns=name,fail_mode", "list", "Bridge") +
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
				shut: func(port string) []string {
					return []string{"--id=@p get Port " + port + " -- remove Bridge br0 ports @p -- add Bridge ferrodur-shut ports @p -- set Port " + port + " external_ids:ferrodur-bridge=br0"}
				},
				lacks: []string{
					"routed", "IPv4 only", "blocks", "advertising", "in a VRF", "filtered", "reaching", "relayed", "BGP", "with an MTU",
				},
			},
		}
	},
	"juniper_junos": emulated("juniper_junos", "xe-0/0/%d", words{
		prepare: []string{
			"set routing-options autonomous-system 65000", "set routing-instances red instance-type virtual-router", "set chassis aggregated-devices ethernet device-count 16",
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
		w.keeps = true
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
		w.commits, w.hurry = true, 45 // the timer runs from the first line on
		w.keeps = true
	})),
	"arista_eos": emulated("arista_eos", "Ethernet%d", with(industryWords(), func(w *words) { w.commits = true })),
}

func with(w words, change func(*words)) words {
	change(&w)
	return w
}

func emulated(platform, names string, own words) func(*testing.T) *bench {
	return func(t *testing.T) *bench {
		b := emulate(t, platform, names, 48, own)
		b.small = func(t *testing.T) *bench { return emulate(t, platform, names, 2, own) }
		return b
	}
}

// emulate starts an emulated switch, and configures what it has of its own.
func emulate(t *testing.T, platform, names string, ports int, own words) *bench {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	hurry := cmp.Or(own.hurry, 150)
	if *cutAtOnce > 1 { // many switches take their time
		hurry = min(hurry, 45)
	}
	config := emulator.Config{Platform: platform, Name: "sw1", User: "operator", Password: rigPassword, Hurry: hurry, Banner: "Authorised access only!\n# or else >\n"}
	for n := 1; n <= ports; n++ {
		config.Ports = append(config.Ports, fmt.Sprintf(names, n))
	}
	device, err := emulator.Start(listener, config)
	check(t, err)
	t.Cleanup(device.Close)
	b := &bench{
		device: switches.Device{
			Name: "sw1", Platform: platform, Address: device.Address(), ASN: 65000,
			User: "operator", Password: rigPassword, HostKey: device.HostKey(),
		},
		dial: new(net.Dialer).DialContext, emulated: device, words: own,
		port:   func(n int) string { return config.Ports[n-1] },
		byHand: func(t *testing.T, lines ...string) { t.Helper(); check(t, device.ByHand(lines...)) },
		running: func(*testing.T) string {
			if own.keeps {
				return withoutNumbers(device.Running())
			}
			return device.Running()
		},
		announce: func(_ *testing.T, port string, who report.Neighbour) { device.Hear(port, who) },
		answer: func(_ *testing.T, intent switches.Intent, host netip.Addr, mac net.HardwareAddr) {
			device.Answer(intent.Port, intent.VRF, host, mac.String())
		},
	}
	return b.prepared(t)
}

var entryNumber = regexp.MustCompile(`(?m)^( +)(?:sequence )?\d+ (permit|deny) `)

// withoutNumbers leaves out those of access lists' entries, and how long the text is.
func withoutNumbers(running string) string {
	return configSize.ReplaceAllString(entryNumber.ReplaceAllString(running, "$1$2 "), "")
}

var configSize = regexp.MustCompile(`(?m)^Current configuration : \d+ bytes$`)

// prepared has what the switch has of its own.
func (b *bench) prepared(t *testing.T) *bench {
	t.Helper()
	b.byHand(t, b.prepare...)
	return b
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
	for end := time.Now().Add(10 * time.Second); ; {
		change, err := applyOver(t, b, intent, b.dial)
		if errors.Is(err, switches.ErrNotReady) && time.Now().Before(end) {
			continue // as whoever configures a switch does
		}
		check(t, err)
		return change
	}
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
	provisioning := switched(switches.VLANs{Untagged: 300})
	provisioning.Profile = switches.Provisioning
	bond := switched(switches.VLANs{Untagged: 100})
	bond.Bond = &switches.Bond{Group: 7, Fallback: true}
	return map[string]switches.Intent{
		"quarantine":           {Port: port, Profile: switches.Quarantine, Description: "ams1-r1-s1"},
		"routed":               routed,
		"IPv4 only":            ipv4,
		"blocks":               behind,
		"advertising":          advertising,
		"in a VRF":             vrf,
		"filtered":             filtered,
		"reaching":             reaching,
		"relayed":              relayed,
		"BGP":                  speaking,
		"with an MTU":          mtu,
		"access":               switched(switches.VLANs{Untagged: 100}),
		"trunk":                switched(switches.VLANs{Tagged: []int{100, 101, 102, 200}}),
		"hybrid":               switched(switches.VLANs{Untagged: 100, Tagged: []int{200, 300}}),
		"jumbo VLAN":           jumbo,
		"installing in a VLAN": provisioning,
		"bond":                 bond,
	}
}
