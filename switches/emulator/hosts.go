package emulator

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// answering is a host that is there for those who ask for its address.
type answering struct {
	port, vrf string
	host      netip.Addr
	mac       string
}

// Answer has a host on a port answer for an address, by ARP (RFC 826) or neighbour discovery
// (RFC 4861), with a MAC in colon form. An empty VRF is the default one.
func (d *Device) Answer(port, vrf string, host netip.Addr, mac string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answering = append(d.answering, answering{port, vrf, host, mac})
}

// hostTable is how a platform shows who answers for an address. Of the command, the groups
// "host" and "vrf" count, where they are there.
type hostTable struct {
	command    *regexp.Regexp
	ipv4, ipv6 string // a line each: %[1]s host, %[2]s MAC with colons, %[3]s with dots, %[4]s port, %[5]s its number
}

// hostTables are as the vendors' references show them: EOS "Show ARP", IOS "show ip arp", "show
// ipv6 neighbors", NX-OS "show ipv6 neighbor", which breaks the line after an IPv6 address, Junos
// "show arp", "show ipv6 neighbors", SR Linux's model srl_nokia-interfaces-nbr, and ip-neighbour(8).
var hostTables = map[string]hostTable{
	"arista_eos": {
		regexp.MustCompile(`^show (?:ip arp|ipv6 neighbors)(?: vrf (?P<vrf>\S+))? (?P<host>\S+)$`),
		"Address         Age (sec)  Hardware Addr   Interface\n%[1]s      0:00:12  %[3]s  %[4]s",
		"IPv6 Address                                  Age Hardware Addr    State Interface\n%[1]s            0:00:12 %[3]s REACH Et%[5]s",
	},
	"cisco_iosxe": {
		regexp.MustCompile(`^show (?:ip arp|ipv6 neighbors)(?: vrf (?P<vrf>\S+))? (?P<host>\S+)$`),
		"Protocol  Address          Age (min)  Hardware Addr   Type   Interface\nInternet  %[1]s            0   %[3]s  ARPA   %[4]s",
		"IPv6 Address                              Age Link-layer Addr State Interface\n%[1]s                 0 %[3]s  REACH Gi%[5]s",
	},
	"cisco_nxos": {
		regexp.MustCompile(`^show (?:ip arp|ipv6 neighbor) (?P<host>\S+)(?: vrf (?P<vrf>\S+))?$`),
		"IP ARP Table\nTotal number of entries: 1\nAddress         Age       MAC Address     Interface       Flags\n%[1]s   00:00:12  %[3]s  %[4]s",
		"Total number of entries: 1\nAddress         Age       MAC Address     Pref Source     Interface\n%[1]s\n                00:00:12  %[3]s  50   icmpv6     %[4]s",
	},
	"juniper_junos": {
		regexp.MustCompile(`^show (?:arp no-resolve|ipv6 neighbors) \| no-more$`),
		"MAC Address       Address         Interface         Flags\n%[2]s %[1]s   %[4]s.0          none",
		"IPv6 Address                 Linklayer Address  State       Exp   Rtr  Secure  Interface\n%[1]s   %[2]s  reachable   12    no  no      %[4]s.0",
	},
	"nokia_srl": {
		regexp.MustCompile(`^info flat from state interface \* subinterface \* (?:ipv4 arp|ipv6 neighbor-discovery) neighbor (?P<host>\S+) link-layer-address$`),
		"/ interface %[4]s subinterface 0 ipv4 arp neighbor %[1]s link-layer-address %[2]s",
		"/ interface %[4]s subinterface 0 ipv6 neighbor-discovery neighbor %[1]s link-layer-address %[2]s",
	},
	"sonic": {
		regexp.MustCompile(`^ip neigh show to (?P<host>\S+)$`),
		"%[1]s dev %[4]s lladdr %[2]s REACHABLE", "%[1]s dev %[4]s lladdr %[2]s REACHABLE",
	},
}

// lookUp answers for the commands that look for hosts, and is false for all others. A ping is
// never answered: hosts' filters drop it.
func (d *Device) lookUp(line string) (text string, is bool) {
	if strings.HasPrefix(line, "ping ") || strings.HasPrefix(line, "ping6 ") {
		return "100% packet loss", true
	}
	table := hostTables[d.config.Platform]
	groups := table.command.FindStringSubmatch(line)
	if groups == nil {
		return "", false
	}
	asked := map[string]string{}
	for i, name := range table.command.SubexpNames() {
		asked[name] = groups[i]
	}
	_, namesVRF := asked["vrf"]
	host, namesHost := asked["host"]
	var lines []string
	for _, a := range d.answering {
		ofFamily := strings.Contains(line, "ipv6") == a.host.Is6() || d.config.Platform == "sonic"
		if !ofFamily || namesVRF && asked["vrf"] != a.vrf || namesHost && host != a.host.String() {
			continue
		}
		format := table.ipv4
		if a.host.Is6() {
			format = table.ipv6
		}
		number := a.port[strings.IndexAny(a.port, "0123456789"):]
		lines = append(lines, fmt.Sprintf(format, a.host, a.mac, dotted(a.mac), a.port, number))
	}
	return strings.Join(lines, "\n"), true
}
