package switches

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// frr is the driver for FRRouting's vtysh, the CLI of the user that logs in. It was tried
// with FRR 8.4. Configuration lines take effect one by one.
type frr struct{}

// The definition differs from scrapligo's cumulus_vtysh in that there is no shell below
// vtysh, and that the prompts of the modes below "(config)" are known.
//
//go:embed frr.yaml
var frrDefinition []byte

//go:embed frr.tmpl
var frrTemplate string

// Commands and lines of vtysh; https://docs.frrouting.org/en/stable-8.4/zebra.html and
// …/ipv6.html, "Router Advertisement".
const (
	frrDescription = "description "
	frrIPv4        = "ip address "
	frrIPv6        = "ipv6 address "
	frrRoute4      = "ip route "
	frrRoute6      = "ipv6 route "
	frrInterval    = "ipv6 nd ra-interval "
	frrAdvertise   = "no ipv6 nd suppress-ra"
	frrShut        = "shutdown"
)

func (frr) definition() []byte { return frrDefinition }

func (frr) render(intent Intent) ([]string, error) { return renderLines(frrTemplate, intent) }

// refused: vtysh and the daemons behind it begin every complaint with a percent sign.
func (frr) refused(answer string) bool {
	for line := range strings.Lines(answer) {
		if strings.HasPrefix(line, "%") {
			return true
		}
	}
	return false
}

// read asks whether there is such an interface first: vtysh lets one configure interfaces
// that do not exist, and shows them from then on as "pseudo interface".
func (d frr) read(ctx context.Context, cli *terminal, port string) (section, error) {
	found, err := cli.show(ctx, "show interface "+port)
	if err != nil {
		return section{}, err
	}
	if d.refused(found) || strings.Contains(found, "pseudo interface") {
		return section{}, ErrUnknownPort
	}
	running, err := cli.show(ctx, "show running-config")
	if err != nil {
		return section{}, err
	}
	return parseFRR(running, port)
}

// parseFRR finds a port's lines in a running configuration: static routes over it, which name
// it after the next hop, and its stanzas. Lines of those, of which there may be several, are indented by one blank; deeper ones belong to a mode of their
// own, such as link-params. The last line is "end", or the text is not whole:
// ErrUnreadable.
func parseFRR(running, port string) (section, error) {
	var found section
	within, whole := false, false
	for line := range strings.Lines(running) {
		line = strings.TrimRight(line, "\r\n ")
		if line == "" {
			continue
		}
		whole = line == "end"
		line, indented := strings.CutPrefix(line, " ")
		switch {
		case !indented:
			fields := strings.Fields(line) // interface NAME [vrf NAME]; ip route PREFIX VIA NAME [tag N …]
			within = len(fields) > 1 && fields[0] == "interface" && fields[1] == port
			switch {
			case !frrIsRoute(line) || len(fields) < 5 || fields[4] != port:
			case len(fields) == 5:
				found.owned = append(found.owned, line)
			default:
				found.foreign = append(found.foreign, line)
			}
		case !within:
		case frrOwned(line):
			found.owned = append(found.owned, frrCanonical(line))
		default:
			found.foreign = append(found.foreign, line)
		}
	}
	if !whole {
		return section{}, ErrUnreadable
	}
	return found, nil
}

func frrIsRoute(line string) bool {
	return strings.HasPrefix(line, frrRoute4) || strings.HasPrefix(line, frrRoute6)
}

// frrOwned tells whether a profile decides on a line of this kind.
func frrOwned(line string) bool {
	if line == frrShut || line == frrAdvertise {
		return true
	}
	return slices.ContainsFunc([]string{frrDescription, frrIPv4, frrIPv6, frrInterval}, func(prefix string) bool {
		return strings.HasPrefix(line, prefix)
	})
}

// frrCanonical writes an address as this package does.
func frrCanonical(line string) string {
	if address, ok := frrAddress(line); ok {
		return line[:strings.LastIndexByte(line, ' ')+1] + address.String()
	}
	return line
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

func (frr) parse(port string, lines []string) Intent {
	intent := Intent{Port: port}
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, frrDescription); ok {
			intent.Profile, intent.Description = parseLabel(text)
		}
		if address, ok := frrAddress(line); ok {
			intent.Addresses = append(intent.Addresses, address)
		}
		if fields := strings.Fields(line); frrIsRoute(line) && len(fields) > 2 {
			if prefix, err := netip.ParsePrefix(fields[2]); err == nil {
				intent.Behind = append(intent.Behind, prefix)
			}
		}
	}
	return intent
}

// edit shuts a port before anything is taken from it, and opens it after everything is
// there: no packet meets a half-configured port.
func (frr) edit(port string, have, want []string) []string {
	gone, added := without(have, want), without(want, have)
	enter := "interface " + port
	commands := []string{enter}
	if slices.Contains(added, frrShut) {
		commands = append(commands, frrShut)
	}
	var routes []string // are said outside of the interface
	for _, line := range gone {
		switch {
		case frrIsRoute(line):
			routes = append(routes, frrNegate(line))
		case line != frrShut && !frrReplaced(line, added):
			commands = append(commands, frrNegate(line))
		}
	}
	for _, line := range added {
		switch {
		case frrIsRoute(line):
			routes = append(routes, line)
		case line != frrShut:
			commands = append(commands, line)
		}
	}
	if len(routes) > 0 {
		commands = append(append(commands, "exit"), routes...)
	}
	if slices.Contains(gone, frrShut) {
		if len(routes) > 0 {
			commands = append(commands, enter)
		}
		commands = append(commands, frrNegate(frrShut))
	}
	return commands
}

// frrReplaced tells whether a line that there is once in a stanza goes by being said anew.
func frrReplaced(line string, added []string) bool {
	for _, kind := range []string{frrDescription, frrInterval} {
		if strings.HasPrefix(line, kind) {
			return slices.ContainsFunc(added, func(other string) bool { return strings.HasPrefix(other, kind) })
		}
	}
	return false
}

func frrNegate(line string) string {
	if positive, ok := strings.CutPrefix(line, "no "); ok {
		return positive
	}
	if strings.HasPrefix(line, frrDescription) {
		return "no " + strings.TrimSpace(frrDescription)
	}
	return "no " + line
}

// save writes frr.conf, which takes watchfrr where vtysh's user may not write it.
func (frr) save(ctx context.Context, cli *terminal) error {
	const command = "write memory"
	answer, err := cli.show(ctx, command)
	if err != nil {
		return err
	}
	if !strings.Contains(answer, "[OK]") {
		return &RefusedError{Line: command, Answer: fmt.Sprintf("%q", answer)}
	}
	return nil
}
