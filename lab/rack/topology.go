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
const (
	SiteName   = "lab"
	RackName   = "r1"
	SwitchName = "sw1"
	PlanName   = "c1.small"

	SwitchUser = "ferrodur" // of the switch, over SSH
	BMCUser    = "admin"    // of every BMC
	bmcPort    = 623        // RMCP, IPMI 2.0 §13.1.2

	uplinkOfSite   = "sw1"    // the site's end of the cable, named after what it leads to
	uplinkOfSwitch = "uplink" // the switch's end

	// MaxServers is how many servers the addresses below are laid out for.
	MaxServers = 16
)

// Addresses are the addresses of the rack; see the drawing.
type Addresses struct {
	Boot         netip.Addr // the site's workers
	Switch       netip.Addr // management of the switch
	UplinkSite   [2]netip.Prefix
	UplinkSwitch [2]netip.Prefix
	Provisioning netip.Prefix // servers that run the agent
	Tenant       netip.Prefix // servers that run a tenant's system
	Tenant6      netip.Prefix
}

// Layout returns the addresses. They are the same in every rack.
func Layout() Addresses {
	return Addresses{
		Boot:   netip.MustParseAddr("192.0.2.1"),
		Switch: netip.MustParseAddr("192.0.2.9"),
		UplinkSite: [2]netip.Prefix{
			netip.MustParsePrefix("192.0.2.128/31"), netip.MustParsePrefix("2001:db8:0:1::/127"),
		},
		UplinkSwitch: [2]netip.Prefix{
			netip.MustParsePrefix("192.0.2.129/31"), netip.MustParsePrefix("2001:db8:0:1::1/127"),
		},
		Provisioning: netip.MustParsePrefix("203.0.113.0/25"),
		Tenant:       netip.MustParsePrefix("198.51.100.0/24"),
		Tenant6:      netip.MustParsePrefix("2001:db8:100::/48"),
	}
}

// bmcAddress returns the address of the BMC of the n-th server, from 1.
func bmcAddress(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + n)}), bmcPort)
}

func serverName(n int) string { return fmt.Sprintf("s%d", n) }
func portName(n int) string   { return fmt.Sprintf("swp%d", n) }
func serialOf(n int) string   { return fmt.Sprintf("FD%04d", n) }

// macOf returns a locally administered address in the range that QEMU's users take.
func macOf(n int) string { return fmt.Sprintf("52:54:00:fd:00:%02x", n) }

// Site returns the namespace of the site's network.
func (c Config) Site() netns.Namespace { return netns.Namespace(c.Prefix + "-site") }

// Switch returns the namespace of the switch.
func (c Config) Switch() netns.Namespace { return netns.Namespace(c.Prefix + "-" + SwitchName) }

// The folders of the parts within the state folder.
func (c Config) machineDir(n int) string { return filepath.Join(c.Dir, "servers", serverName(n)) }
func (c Config) bmcDir(n int) string     { return filepath.Join(c.Dir, "bmcs", serverName(n)) }
func (c Config) switchDir() string       { return filepath.Join(c.Dir, "switches", SwitchName) }
func (c Config) relayDir() string        { return filepath.Join(c.Dir, "relays") }
func (c Config) secretsDir() string      { return filepath.Join(c.Dir, "secrets") }
