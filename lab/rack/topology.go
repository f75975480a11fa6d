package rack

import (
	"fmt"
	"net/netip"
	"path/filepath"

	"ferrodur/lab/netns"
)

// The rack, with the names of its namespaces after a prefix (here lab). All addresses are
// of the ranges for documentation (RFC 5737, RFC 3849); nothing leads out of the machine,
// and the machine's own namespace has no interface in the rack. Relays are the one way in:
// each brings a port of the host's loopback to the site.
//
//	lab-site: the site's network                        host's loopback
//	+--------------------------------------------+      (Temporal, PostgreSQL)
//	| lo  192.0.2.1   the site's workers: boot   |              ^
//	|                 service, switch, BMC       |              |
//	|     192.0.2.11  BMC of s1, UDP 623         |    relay     |
//	|     192.0.2.12  BMC of s2 ...              |    127.0.0.1:PORT to 127.0.0.1:PORT
//	|                                            |
//	| routes to the switch: provisioning, tenant |
//	+---- sw1: 192.0.2.128/31 -------------------+
//	           2001:db8:0:1::/127
//	                  |
//	lab-sw1: the switch (FRR)
//	+---- uplink: 192.0.2.129/31 ----------------+
//	|             2001:db8:0:1::1/127            |
//	| default route to the site                  |
//	| lo  192.0.2.9  management, SSH             |
//	|                                            |
//	| ports, configured by the switch's driver   |
//	+---- swp1 ------------ swp2 ----------- ... +
//	        |                 |
//	     s1 (QEMU)         s2 (QEMU)
//	     SeaBIOS, iPXE     OVMF, PXE and TFTP
//
// Servers may be cabled to a second switch instead, sw2 (Open vSwitch): 192.0.2.10, by
// 192.0.2.130/31 and 2001:db8:0:2::/127 from the site. Its ports are in VLANs, each with a
// gateway on the switch: see Networks. Second NICs are cabled to a second router, sw3:
// 192.0.2.8, by 192.0.2.132/31 and 2001:db8:0:3::/127. The site has no routes to what is
// behind it.
const (
	SiteName   = "lab"
	RackName   = "r1"
	SwitchName = "sw1" // the router
	BridgeName = "sw2" // the switch of VLANs
	SecondName = "sw3" // the router that second NICs are cabled to
	PlanName   = "c1.small"
	// BridgedPlanName is the plan of servers that are cabled to the switch of VLANs.
	BridgedPlanName = "v1.small"

	SwitchUser = "ferrodur" // of the switch, over SSH
	BMCUser    = "admin"    // of every BMC
	bmcPort    = 623        // RMCP, IPMI 2.0 §13.1.2

	// The switch's end of the cable to the site. The site's is named after the switch.
	uplinkOfSwitch = "uplink"

	// MaxServers is how many servers the addresses below are laid out for.
	MaxServers = 16
)

// Addresses are the addresses of the rack; see the drawing.
type Addresses struct {
	Boot         netip.Addr // the site's workers
	Switch       netip.Addr // management of the router
	Bridge       netip.Addr // management of the switch of VLANs
	Second       netip.Addr // management of the second router
	UplinkSite   [2]netip.Prefix
	UplinkSwitch [2]netip.Prefix
	// The cable to the switch of VLANs.
	BridgeUplinkSite   [2]netip.Prefix
	BridgeUplinkSwitch [2]netip.Prefix
	// The cable to the second router.
	SecondUplinkSite   [2]netip.Prefix
	SecondUplinkSwitch [2]netip.Prefix
	Provisioning       netip.Prefix // servers that run the agent
	Tenant             netip.Prefix // servers that run a tenant's system
	Routed             netip.Prefix // blocks of instances
	Elastic            netip.Prefix // blocks that move between instances
	Tenant6            netip.Prefix
}

// Layout returns the addresses. They are the same in every rack.
func Layout() Addresses {
	return Addresses{
		Boot:   netip.MustParseAddr("192.0.2.1"),
		Switch: netip.MustParseAddr("192.0.2.9"),
		Bridge: netip.MustParseAddr("192.0.2.10"),
		Second: netip.MustParseAddr("192.0.2.8"),
		UplinkSite: [2]netip.Prefix{
			netip.MustParsePrefix("192.0.2.128/31"), netip.MustParsePrefix("2001:db8:0:1::/127"),
		},
		UplinkSwitch: [2]netip.Prefix{
			netip.MustParsePrefix("192.0.2.129/31"), netip.MustParsePrefix("2001:db8:0:1::1/127"),
		},
		BridgeUplinkSite: [2]netip.Prefix{
			netip.MustParsePrefix("192.0.2.130/31"), netip.MustParsePrefix("2001:db8:0:2::/127"),
		},
		BridgeUplinkSwitch: [2]netip.Prefix{
			netip.MustParsePrefix("192.0.2.131/31"), netip.MustParsePrefix("2001:db8:0:2::1/127"),
		},
		SecondUplinkSite: [2]netip.Prefix{
			netip.MustParsePrefix("192.0.2.132/31"), netip.MustParsePrefix("2001:db8:0:3::/127"),
		},
		SecondUplinkSwitch: [2]netip.Prefix{
			netip.MustParsePrefix("192.0.2.133/31"), netip.MustParsePrefix("2001:db8:0:3::1/127"),
		},
		Provisioning: netip.MustParsePrefix("203.0.113.0/25"),
		Tenant:       netip.MustParsePrefix("198.51.100.0/25"),
		Routed:       netip.MustParsePrefix("198.51.100.128/26"),
		Elastic:      netip.MustParsePrefix("198.51.100.192/27"),
		Tenant6:      netip.MustParsePrefix("2001:db8:100::/48"),
	}
}

// Network is a VLAN of the second switch.
type Network struct {
	Name     string
	VLAN     int
	Prefixes []netip.Prefix // the gateway has the first address of each
}

// Networks are the VLANs: the first is for provisioning, the others for tenants.
func Networks() []Network {
	return []Network{
		{Name: "boot", VLAN: 100, Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.128/26")}},
		{Name: "blue", VLAN: 200, Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.192/26"), netip.MustParsePrefix("2001:db8:200::/64")}},
		{Name: "green", VLAN: 300, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.224/27"), netip.MustParsePrefix("2001:db8:300::/64")}},
	}
}

// CircuitID is what the relay says in option 82: the name of the gateway's interface.
func (n Network) CircuitID() string { return fmt.Sprintf("vlan%d", n.VLAN) }

func (n Network) gateways() (all []netip.Prefix) {
	for _, prefix := range n.Prefixes {
		all = append(all, netip.PrefixFrom(prefix.Addr().Next(), prefix.Bits()))
	}
	return all
}

// bmcAddress returns the address of the BMC of the n-th server, from 1.
func bmcAddress(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + n)}), bmcPort)
}

func serverName(n int) string { return fmt.Sprintf("s%d", n) }
func portName(n int) string   { return fmt.Sprintf("swp%d", n) }

// secondPortName and secondMACOf are those of a server's second NIC.
func secondPortName(n int) string { return portName(MaxServers + n) }
func secondMACOf(n int) string    { return fmt.Sprintf("52:54:00:fd:01:%02x", n) }

func serialOf(n int) string { return fmt.Sprintf("FD%04d", n) }

// macOf returns a locally administered address in the range that QEMU's users take.
func macOf(n int) string { return fmt.Sprintf("52:54:00:fd:00:%02x", n) }

// Site returns the namespace of the site's network.
func (c Config) Site() netns.Namespace { return netns.Namespace(c.Prefix + "-site") }

// Switch returns the namespace of the router, Bridge that of the switch of VLANs, and Second
// that of the second router.
func (c Config) Switch() netns.Namespace { return netns.Namespace(c.Prefix + "-" + SwitchName) }
func (c Config) Bridge() netns.Namespace { return netns.Namespace(c.Prefix + "-" + BridgeName) }
func (c Config) Second() netns.Namespace { return netns.Namespace(c.Prefix + "-" + SecondName) }

// The folders of the parts within the state folder.
func (c Config) machineDir(n int) string      { return filepath.Join(c.Dir, "servers", serverName(n)) }
func (c Config) bmcDir(n int) string          { return filepath.Join(c.Dir, "bmcs", serverName(n)) }
func (c Config) switchDir(name string) string { return filepath.Join(c.Dir, "switches", name) }
func (c Config) relayDir() string             { return filepath.Join(c.Dir, "relays") }
func (c Config) secretsDir() string           { return filepath.Join(c.Dir, "secrets") }
