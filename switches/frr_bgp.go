package switches

import (
	"context"
	"net/netip"
	"slices"
	"strings"
)

// frrActivated says of each BGP neighbour and family whether routes of that are exchanged. FRR
// shows where it is not as "bgp default" has it, which may have changed.
func frrActivated(all []statement) []statement {
	said := map[statement]bool{}
	for _, s := range all {
		said[s] = true
	}
	for _, s := range all {
		who, text, is := neighbourOf(s)
		if !is || !strings.HasPrefix(text, "remote-as ") {
			continue
		}
		router := who.header()
		byDefault := map[string]bool{
			"ipv4": !said[router.with("no bgp default ipv4-unicast")], "ipv6": said[router.with("bgp default ipv6-unicast")],
		}
		for _, family := range []string{"ipv4", "ipv6"} {
			active := router.with("address-family " + family + " unicast").with(who.line() + " activate")
			passive := active.header().with("no " + active.line())
			switch {
			case said[active], said[passive]:
			case byDefault[family]:
				all = append(all, active)
			default:
				all = append(all, passive)
			}
		}
	}
	return all
}

// frrNeighbourOf is the neighbour that a line is about, be it one with "no".
func frrNeighbourOf(s statement) (who statement, is bool) {
	who, _, is = neighbourOf(s.header().with(strings.TrimPrefix(s.line(), "no ")))
	return who, is
}

// frrNeighbours are a port's: those that say so, and those at the other ends of its links, which
// a session may have left without a description when it broke off.
func frrNeighbours(running []statement, port string) map[statement]bool {
	found, ends := neighbours(running, port), frrEnds(running, port)
	for _, s := range running {
		who, is := frrNeighbourOf(s)
		if is && ends[strings.TrimPrefix(who.line(), "neighbor ")] && !strings.Contains(who.parts()[0], " vrf ") {
			found[who] = true
		}
	}
	return found
}

// frrEnds are the other ends of a port's links.
func frrEnds(running []statement, port string) map[string]bool {
	ends := map[string]bool{}
	for _, s := range running {
		address, is := frrAddress(s.line())
		if is && address.Bits() == address.Addr().BitLen()-1 && s.header() == under("interface "+port) {
			ends[Intent{Addresses: []netip.Prefix{address}}.Links()[0].Host.String()] = true
		}
	}
	return ends
}

// frrRefreshes are for the neighbours that were there and whose lists of what they may announce
// change: FRR holds the routes that are there against them when it is told to clear the session.
// Its description marks a neighbour for which that is done: it goes before the lists change and
// comes after, so that it is missing where a session breaks off in between.
func frrRefreshes(have, want []statement) (marks []statement, clears []string) {
	there := indentedEdit{neighbour: frrNeighbourOf}.neighbours(have)
	for _, s := range want {
		who, text, is := neighbourOf(s)
		if !is || !strings.HasPrefix(text, "description ") || !there[who] {
			continue
		}
		const direction = "in" // what it is told follows the list
		if !slices.Contains(have, s) || len(difference(policy(have, who, direction), policy(want, who, direction))) > 0 {
			marks, clears = append(marks, s), append(clears, clearing(who, softly+direction))
		}
	}
	return marks, clears
}

// sender sends what clears a session besides configuration mode.
func (d frr) sender(cli *terminal) sender {
	configure := cli.sender(d.refused)
	return func(ctx context.Context, commands []command) error {
		for {
			n := slices.IndexFunc(commands, func(c command) bool { return strings.HasPrefix(c.text, "clear ") })
			if n < 0 {
				return configure(ctx, commands)
			}
			if err := configure(ctx, commands[:n]); err != nil {
				return err
			}
			if err := refresh(ctx, cli, commands[n], d.refused); err != nil {
				return err
			}
			commands = commands[n+1:]
		}
	}
}
