package switches

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// frr is the driver for FRRouting on Linux. The user that logs in has a shell, may run
// vtysh (group frrvty) and, by sudo and without a password, nft, install and mv. It was
// tried with FRR 8.4. Configuration lines of vtysh take effect one by one. Filters are
// nftables': see frr_filter.go. What else FRR leaves to the kernel (MTU, VRF, VLANs, bonds,
// the DHCP relay) this driver leaves to it, too.
type frr struct{ linux }

// The definition differs from scrapligo's cumulus_vtysh in that there is no shell below
// vtysh, and that the prompts of the modes below "(config)" are known.
//
//go:embed frr.yaml
var frrDefinition []byte

//go:embed frr.tmpl
var frrTemplate string

// Lines of vtysh; https://docs.frrouting.org/en/stable-8.4/zebra.html, …/ipv6.html, "Router
// Advertisement", and …/bgp.html.
const (
	frrDescription = "description "
	frrIPv4        = "ip address "
	frrIPv6        = "ipv6 address "
	frrInterval    = "ipv6 nd ra-interval "
	frrAdvertise   = "no ipv6 nd suppress-ra"
	frrShut        = "shutdown"
)

// definition: passwords are typed, and would be kept with all that is.
func (frr) definition() definition {
	return definition{prompts: frrDefinition, program: "VTYSH_HISTFILE=/dev/null VTYSH_PAGER=cat vtysh"}
}

// refused: vtysh and the daemons behind it begin every complaint with a percent sign.
func (frr) refused(answer string) bool {
	for line := range strings.Lines(answer) {
		if strings.HasPrefix(line, "%") {
			return true
		}
	}
	return false
}

// ready asks watchfrr, without which FRR is not run: ErrNotReady unless every daemon is up, which
// watchfrr says of none before all have read their configuration. What vtysh shows meanwhile looks
// whole, and is not.
func (frr) ready(ctx context.Context, cli *terminal) error {
	answer, err := cli.say(ctx, "show watchfrr")
	if err != nil {
		return err
	}
	up := 0
	for line := range strings.Lines(answer) {
		fields := strings.Fields(line) // zebra Up
		switch {
		case len(fields) < 2 || strings.Contains(line, ":"):
		case strings.HasPrefix(fields[1], "Up"):
			up++
		default:
			return fmt.Errorf("%w: %s", ErrNotReady, strings.Join(fields, " "))
		}
	}
	if up == 0 {
		return fmt.Errorf("%w: vtysh knows of no daemon", ErrNotReady)
	}
	return nil
}

// ports leaves out what vtysh calls "pseudo interface": it lets one configure interfaces
// that do not exist.
func (d frr) ports(ctx context.Context, cli *terminal) (map[string]bool, error) {
	if err := d.ready(ctx, cli); err != nil {
		return nil, err
	}
	answer, err := cli.say(ctx, "show interface")
	if err != nil {
		return nil, err
	}
	ports := map[string]bool{}
	port := ""
	for line := range strings.Lines(answer) {
		fields := strings.Fields(line) // Interface swp1 is up, line protocol is up
		switch {
		case len(fields) > 3 && fields[0] == "Interface" && fields[2] == "is":
			port = fields[1]
			ports[port] = fields[3] == "up," && fields[len(fields)-1] == "up"
		case strings.Contains(line, "pseudo interface"):
			delete(ports, port)
		}
	}
	return ports, nil
}

// running is whole if all daemons were up before, when ports asked, and still are.
func (d frr) running(ctx context.Context, cli *terminal) (string, error) {
	routing, err := cli.say(ctx, "show running-config")
	if err != nil {
		return "", err
	}
	filters, err := nftTable(ctx, cli)
	if err != nil {
		return "", err
	}
	return routing + "\n" + filters, d.ready(ctx, cli)
}

// read: the last line of vtysh's is "end"; the table of filters follows.
func (frr) read(text string) ([]statement, error) {
	routing, filters, whole := strings.Cut(strings.ReplaceAll(text, "\r", "")+"\n", "\nend\n")
	if !whole {
		return nil, ErrUnreadable
	}
	all := parseIndented(routing, func(words string) bool {
		return strings.HasPrefix(words, "!") || words == "exit" || strings.HasPrefix(words, "exit-")
	})
	for i, s := range all {
		all[i] = frrCanonical(s)
	}
	rules, err := readNFT(filters)
	return append(frrActivated(all), rules...), err
}

// frrCanonical writes addresses as this package does, and no passwords.
func frrCanonical(s statement) statement {
	line := s.line()
	if address, ok := frrAddress(line); ok {
		line = line[:strings.LastIndexByte(line, ' ')+1] + address.String()
	} else if address, text, is := neighbourLine(line); is && strings.HasPrefix(text, "password ") {
		line = "neighbor " + address + " password " + Hidden
	}
	return s.header().with(line)
}

func (frr) section(running []statement, port string) section {
	var found section
	leads := nftLeads(running)
	peers, ends := frrNeighbours(running, port), frrEnds(running, port)
	for _, s := range running {
		line := s.line()
		fields := strings.Fields(line)
		stanza := strings.Fields(s.parts()[0])
		who, isNeighbour := frrNeighbourOf(s)
		switch {
		case len(stanza) > 1 && stanza[0] == "interface" && stanza[1] == port:
			switch {
			case s.header() == "":
			case s.header().header() == "" && frrOwned(line):
				found.owned = append(found.owned, under("interface "+port, line))
			default:
				found.foreign = append(found.foreign, s)
			}
		case s.header() == "" && len(fields) > 4 && fields[1] == "route" && fields[4] == port: // ip route PREFIX VIA NAME [tag N …]
			if len(fields) == 5 {
				found.owned = append(found.owned, s)
			} else {
				found.foreign = append(found.foreign, s)
			}
		case s.header() == "" && len(fields) > 3 && fields[1] == "route" && (fields[3] == port || ends[fields[3]]): // out of the port, or to the host
			found.foreign = append(found.foreign, s)
		case len(fields) > 2 && fields[1] == "prefix-list" && isNamed(fields[2], port),
			isNeighbour && peers[who],
			s.in(nftChain(port)):
			if line == nftJump(port) && !leads {
				s += nftIdle
			}
			found.owned = append(found.owned, s)
		}
	}
	return found
}

// frrOwned tells whether an intent decides on a line of an interface.
func frrOwned(line string) bool {
	return line == frrShut || line == frrAdvertise ||
		slices.ContainsFunc([]string{frrDescription, frrIPv4, frrIPv6, frrInterval}, func(prefix string) bool { return strings.HasPrefix(line, prefix) })
}

// frrAddress parses an address line that has nothing but an address, no peer or label.
func frrAddress(line string) (netip.Prefix, bool) {
	text, ipv4 := strings.CutPrefix(line, frrIPv4)
	text, ipv6 := strings.CutPrefix(text, frrIPv6)
	if !ipv4 && !ipv6 {
		return netip.Prefix{}, false
	}
	address, err := netip.ParsePrefix(text)
	return address, err == nil && address.Addr().Is4() == ipv4
}

func (frr) render(device Device, intent Intent) ([]statement, error) {
	if err := unsupported("frr", map[string]bool{
		"MTU": intent.MTU != 0, "VRF": intent.VRF != "", "VLANs": intent.VLANs != nil, "bonds": intent.Bond != nil,
		"a DHCP relay": len(intent.Relay) > 0,
	}); err != nil {
		return nil, err
	}
	text, err := execute(frrTemplate, newView(device, intent, intent.Port))
	return append(leaves(parseIndented(text, nil)), nftRules(intent)...), err
}

func (frr) parse(port string, owned []statement) Intent {
	intent := Intent{Port: port}
	for _, s := range owned {
		line := s.line()
		fields := strings.Fields(line)
		if text, ok := strings.CutPrefix(line, frrDescription); ok && s.header() == under("interface "+port) {
			intent.readLabel(text)
		}
		if address, ok := frrAddress(line); ok {
			intent.Addresses = append(intent.Addresses, address)
		}
		intent.Advertise = intent.Advertise || line == frrAdvertise
		if len(fields) > 2 && fields[1] == "route" {
			if prefix, err := netip.ParsePrefix(fields[2]); err == nil {
				intent.Behind = append(intent.Behind, prefix)
			}
		}
		intent.readBGP(s)
		intent.readNFT(s)
	}
	return intent
}

func (frr) edit(port string, have section, want []statement) []string {
	hasFilters, hasRouting := partition(have.owned, nftChain(port))
	wantFilters, wantRouting := partition(want, nftChain(port))
	lines := indentedEdit{
		negate: frrNegate, neighbour: frrNeighbourOf,
		once: func(s statement) string {
			for _, kind := range []string{frrDescription, frrInterval} {
				if strings.HasPrefix(s.line(), kind) {
					return kind
				}
			}
			return neighbourKind(s.line())
		},
	}
	shut := under("interface "+port, frrShut)
	marks, clears := frrRefreshes(hasRouting, wantRouting)
	unmarked, done := without(hasRouting, marks), without(wantRouting, marks)
	return slices.Concat(
		lines.commands(hasRouting, unmarked, shut), lines.commands(unmarked, done, shut), clears, lines.commands(done, wantRouting, shut),
		nftEdit(port, hasFilters, wantFilters),
	)
}

func frrNegate(line string) string {
	if positive, ok := strings.CutPrefix(line, "no "); ok {
		return positive
	}
	if strings.HasPrefix(line, frrDescription) {
		return "no " + strings.TrimSpace(frrDescription)
	}
	if text, ok := strings.CutSuffix(line, " password "+Hidden); ok {
		return "no " + text + " password"
	}
	return "no " + line
}

func (d frr) transact(ctx context.Context, cli *terminal, t transaction) error {
	return lineByLine(ctx, t, func(ctx context.Context, commands []command) error {
		return sendFiltered(ctx, cli, commands, d.sender(cli))
	})
}

// settle: what a session that broke off has done is in effect, and is read.
func (frr) settle(context.Context, *terminal) error { return nil }

// save writes frr.conf, which takes watchfrr where vtysh's user may not write it.
func (frr) save(ctx context.Context, cli *terminal) error {
	return saveNFT(ctx, cli, func() error {
		const command = "write memory"
		answer, err := cli.say(ctx, command)
		switch {
		case err != nil:
		case strings.Contains(answer, "Not all daemons are up"):
			err = fmt.Errorf("%w: %q", ErrNotReady, answer)
		case !strings.Contains(answer, "[OK]"):
			err = &RefusedError{Line: command, Answer: fmt.Sprintf("%q", answer)}
		}
		return err
	})
}
