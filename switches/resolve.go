package switches

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Resolve has the switch look for the hosts at the other ends of a routed port's links, and
// returns the MACs that answer there, by ARP (RFC 826) or neighbour discovery (RFC 4861
// §7.2). Who does not answer is left out: it is worth another try a moment later, as the
// switch may still be asking. On a member of a bond, any port's answer will do.
// Errors: *UnsupportedError, ErrUnreachable.
func (s *Session) Resolve(ctx context.Context, intent Intent) (map[netip.Addr]net.HardwareAddr, error) {
	found := map[netip.Addr]net.HardwareAddr{}
	for _, link := range intent.Links() {
		table, err := s.driver.resolve(ctx, s.cli, intent, link.Host)
		if err != nil {
			return nil, fmt.Errorf("look for %s on port %s of %s: %w", link.Host, intent.Port, s.device, err)
		}
		port := intent.Port
		if intent.Bond != nil {
			port = ""
		}
		if mac := readHost(table, link.Host, port); mac != nil {
			found[link.Host] = mac
		}
	}
	return found, nil
}

// readHost finds a host in a table of ARP or of neighbour discovery. All platforms have its
// address, its MAC and the port on one line, in some order; NX-OS goes on to the next line
// after a long address. An entry that is not, or no longer, known to be right is none.
func readHost(table string, host netip.Addr, port string) net.HardwareAddr {
	var line []string
	for text := range strings.Lines(table) {
		line = append(line, strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,", r) })...)
		if len(line) == 1 && isAddress(line[0], host) {
			continue
		}
		var mac net.HardwareAddr
		isHost, onPort, doubtful := false, port == "", false
		for _, word := range line {
			if found, err := net.ParseMAC(word); err == nil && len(found) == 6 && !bytes.Equal(found, make([]byte, 6)) {
				mac = found
			}
			isHost = isHost || isAddress(word, host)
			onPort = onPort || fullName(strings.TrimSuffix(word, ".0"), map[string]bool{port: true}) == port
			doubtful = doubtful || slices.Contains(doubts, strings.ToLower(word))
		}
		if isHost && onPort && !doubtful && mac != nil {
			return mac
		}
		line = nil
	}
	return nil
}

// doubts are the states of RFC 4861 §7.3.2 in which an entry may be wrong, as they are called
// by the platforms.
var doubts = []string{"incomplete", "incmp", "stale", "delay", "probe", "failed", "unreachable"}

func isAddress(word string, host netip.Addr) bool {
	address, err := netip.ParseAddr(word)
	return err == nil && address == host
}

// resolve: what Linux keeps after a packet was sent to the host.
func (linux) resolve(ctx context.Context, cli *terminal, intent Intent, host netip.Addr) (string, error) {
	return resolveOnLinux(ctx, cli, "", host)
}

func (sonic) resolve(ctx context.Context, cli *terminal, intent Intent, host netip.Addr) (string, error) {
	from := ""
	if intent.VRF != "" {
		from = "-I " + sonicVRF + intent.VRF + " "
	}
	return resolveOnLinux(ctx, cli, from, host)
}

func resolveOnLinux(ctx context.Context, cli *terminal, from string, host netip.Addr) (string, error) {
	_, err := cli.run(ctx, fmt.Sprintf("ping -c 1 -W 1 %s%s", from, host), "")
	var silent *RefusedError // a host need not answer that, which its ARP does
	if err != nil && !errors.As(err, &silent) {
		return "", err
	}
	return cli.run(ctx, "ip neigh show to "+host.String(), "")
}

func (ovs) resolve(context.Context, *terminal, Intent, netip.Addr) (string, error) {
	return "", &UnsupportedError{Platform: "ovs", What: "a routed port"}
}

// knock sends a packet to a host, whether it answers or not, and returns the table that says
// who would have it.
func knock(ctx context.Context, cli *terminal, ping, table string) (string, error) {
	if _, err := cli.say(ctx, ping); err != nil {
		return "", err
	}
	return cli.say(ctx, table)
}

// byFamily chooses by the family of an address.
func byFamily(host netip.Addr, ipv4, ipv6 string) string {
	if host.Is4() {
		return ipv4
	}
	return ipv6
}

// in says where a command is to look, if that is not the default VRF: " vrf red".
func in(word, vrf string) string {
	if vrf == "" {
		return ""
	}
	return " " + word + " " + vrf
}

func (eos) resolve(ctx context.Context, cli *terminal, intent Intent, host netip.Addr) (string, error) {
	return industryResolve(ctx, cli, intent, host)
}

func (iosxe) resolve(ctx context.Context, cli *terminal, intent Intent, host netip.Addr) (string, error) {
	return industryResolve(ctx, cli, intent, host)
}

// industryResolve: EOS has these commands of IOS's.
func industryResolve(ctx context.Context, cli *terminal, intent Intent, host netip.Addr) (string, error) {
	vrf := in("vrf", intent.VRF)
	return knock(ctx, cli,
		fmt.Sprintf("ping%s %s %s repeat 1 timeout 1", vrf, byFamily(host, "ip", "ipv6"), host),
		fmt.Sprintf("show %s%s %s", byFamily(host, "ip arp", "ipv6 neighbors"), vrf, host))
}

func (nxos) resolve(ctx context.Context, cli *terminal, intent Intent, host netip.Addr) (string, error) {
	vrf := in("vrf", intent.VRF)
	return knock(ctx, cli,
		fmt.Sprintf("%s %s%s count 1 timeout 1", byFamily(host, "ping", "ping6"), host, vrf),
		fmt.Sprintf("show %s %s%s", byFamily(host, "ip arp", "ipv6 neighbor"), host, vrf))
}

func (d junos) resolve(ctx context.Context, cli *terminal, intent Intent, host netip.Addr) (string, error) {
	if _, err := cli.say(ctx, fmt.Sprintf("ping %s count 1 wait 1%s", host, in("routing-instance", intent.VRF))); err != nil {
		return "", err
	}
	return d.show(ctx, cli, fmt.Sprintf("show %s | no-more", byFamily(host, "arp no-resolve", "ipv6 neighbors")))
}

// resolve: the state of a neighbour is beside its MAC, and none but those that are there have
// one.
func (d srl) resolve(ctx context.Context, cli *terminal, intent Intent, host netip.Addr) (string, error) {
	instance := intent.VRF
	if instance == "" {
		instance = "default"
	}
	return knock(ctx, cli,
		fmt.Sprintf("%s %s network-instance %s -c 1 -W 1", byFamily(host, "ping", "ping6"), host, instance),
		fmt.Sprintf("info flat from state interface * subinterface * %s neighbor %s link-layer-address",
			byFamily(host, "ipv4 arp", "ipv6 neighbor-discovery"), host))
}
