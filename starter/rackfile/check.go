package rackfile

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/ipam/dns"
)

// What belongs to the address management completes the inventory's kinds.
const (
	kindPool   inventory.Kind = "pool"
	kindDomain inventory.Kind = "domain"
)

func parseRole(text string, role *ipam.Role) error {
	*role = ipam.Role(text)
	if !slices.Contains(ipam.Roles, *role) {
		names := make([]string, len(ipam.Roles))
		for i, r := range ipam.Roles {
			names[i] = string(r)
		}
		return fmt.Errorf("must be one of %s, not %q", strings.Join(names, ", "), text)
	}
	return nil
}

// parsePrefix reads a prefix in its canonical form.
func parsePrefix(text string, prefix *netip.Prefix) error {
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return fmt.Errorf(`must be a prefix such as "198.51.100.0/24", not %q`, text)
	case p != p.Masked():
		return fmt.Errorf("%s has host bits set: write %s", text, p.Masked())
	case p.Addr().Is4In6():
		return fmt.Errorf("%s is IPv4 in IPv6 form: write it as IPv4", text)
	}
	*prefix = p
	return nil
}

func checkZoneName(text string) error {
	return dns.Zone{Name: text, Key: "k", Algorithm: dns.Algorithms[0]}.Validate()
}

func checkAlgorithm(text string) error {
	if !slices.Contains(dns.Algorithms, text) {
		return fmt.Errorf("must be one of %s, not %q", strings.Join(dns.Algorithms, ", "), text)
	}
	return nil
}

func parseDuration(text string, duration *time.Duration) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf(`must be a time with its unit such as "30s" or "24h", not %q`, text)
	}
	if d < 0 {
		return fmt.Errorf("must not be negative, as %s is", text)
	}
	*duration = d
	return nil
}

// parseMAC takes every usual notation and gives the lower-case colon form. A group
// address (IEEE 802, bit 0 of the first octet) is no NIC's own.
func parseMAC(text string, mac *string) error {
	address, err := net.ParseMAC(text)
	if err != nil || len(address) != 6 {
		return fmt.Errorf(`must be a MAC such as "02:00:00:00:00:01", not %q`, text)
	}
	if address[0]&1 == 1 || slices.Equal(address, make(net.HardwareAddr, 6)) {
		return fmt.Errorf("%s is not the address of one NIC", text)
	}
	*mac = address.String()
	return nil
}

func checkSHA256(text string) error {
	if regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(text) {
		return nil
	}
	return errors.New("must be 64 lower-case hexadecimal digits, as sha256sum prints them")
}

func checkHostKey(text string) error {
	_, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil || len(options) > 0 || len(rest) > 0 {
		return errors.New(`must be the type and key that ssh-keyscan prints after the host, such as "ssh-ed25519 AAAA…"`)
	}
	return nil
}

func checkDisk(text string) error {
	if path.Clean(text) != text || !strings.HasPrefix(text, "/dev/") {
		return fmt.Errorf("must be a device path such as /dev/nvme0n1, not %q", text)
	}
	return nil
}

// checkHost takes a host name or IP address, with or without a port.
func checkHost(text string) error {
	if validHost(text) || checkHostPort(text) == nil {
		return nil
	}
	return fmt.Errorf("must be a host or host:port, not %q", text)
}

func checkHostPort(text string) error {
	host, port, err := net.SplitHostPort(text)
	number, numberErr := strconv.ParseUint(port, 10, 16)
	if err != nil || numberErr != nil || number == 0 || !validHost(host) {
		return fmt.Errorf("must be host:port, not %q", text)
	}
	return nil
}

func validHost(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	return len(text) <= 253 && regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`).MatchString(text)
}

// portName is what a switch may call an interface ("swp1", "Ethernet1/1", "xe-0/0/1:0"),
// and nothing that its command line would take for something else.
func portName() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9/._:-]{0,63}$`) }

// cabling checks that each port, MAC and BMC is one server's.
type cabling struct {
	switches map[string]inventory.Switch
	taken    map[string]string // what is claimed, and by which server
}

func newCabling(switches []inventory.Switch) cabling {
	c := cabling{switches: map[string]inventory.Switch{}, taken: map[string]string{}}
	for _, s := range switches {
		c.switches[s.Name] = s
	}
	return c
}

func (c cabling) check(o *object, server inventory.Server, uplink inventory.Uplink) {
	if s, found := c.switches[uplink.Switch]; found && uplink.Switch != "" {
		if uplink.Port != "" && len(s.Ports) > 0 && !slices.Contains(s.Ports, uplink.Port) {
			o.wrong("port", "%q is not among the ports of switch %s", uplink.Port, s.Name)
		}
		if server.Site != s.Site && server.Site != "" && s.Site != "" {
			o.wrong("switch", "%s stands at site %s, the server at %s", s.Name, s.Site, server.Site)
		}
	}
	if uplink.Switch != "" && uplink.Port != "" {
		c.claim(o, "port", fmt.Sprintf("%s of switch %s", uplink.Port, uplink.Switch), server.Name)
	}
	if uplink.MAC != "" {
		c.claim(o, "mac", uplink.MAC, server.Name)
	}
}

// checkBond: a group is one server's on each switch that its uplinks lead to.
func (c cabling) checkBond(o *object, server inventory.Server) {
	if server.Bond < 1 || server.Bond > inventory.MostBond {
		o.wrong("bond", "must be the number of a link aggregation group, from 1 to %d", inventory.MostBond)
	}
	if len(server.Others) == 0 {
		o.wrong("bond", "needs a second cable: declare it under uplinks")
	}
	named := map[string]bool{}
	for _, uplink := range server.Uplinks() {
		if uplink.Switch != "" && !named[uplink.Switch] {
			c.claim(o, "bond", fmt.Sprintf("%d of switch %s", server.Bond, uplink.Switch), server.Name)
		}
		named[uplink.Switch] = true
	}
}

func (c cabling) claim(o *object, field, what, server string) {
	claim := field + " " + what
	if first, twice := c.taken[claim]; twice {
		o.wrong(field, "%s is taken by server %s", what, first)
		return
	}
	c.taken[claim] = server
}
