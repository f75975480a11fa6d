package switches

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// On Linux a port's filter is a chain of rules in the table "inet ferrodur" of nftables,
// nft(8), which no other program has to know of: packets of the ports in the map are led
// through their chains before they are routed.
//
// The source filter is strict unicast reverse path forwarding (RFC 3704 §2.2): a packet is
// dropped unless its source is routed back through the port that it came from. So it
// follows the routes, those that a host announces among them. Where two ports lead to a host
// the kernel looks at all of the ways back for IPv4, and for IPv6 at the one that the flow's
// hash picks: IPv6 blocks of the host's are let through before.
const (
	nftTableName = "table inet ferrodur"
	nftMap       = "ports"
	// Empty files and tables are no error for what loads it when the switch starts.
	nftFile = "/etc/nftables.d/ferrodur.nft"

	nftReverse = "fib saddr . iif oif missing drop"
	nftDrop    = "drop"
)

// nftFrame makes what all ports have in common, if it is not there. A table that is added without
// flags is dormant no longer.
const nftFrame = `add table inet ferrodur
add map inet ferrodur ports { type ifname : verdict; }
add chain inet ferrodur hosts { type filter hook prerouting priority raw; policy accept; }
flush chain inet ferrodur hosts
add rule inet ferrodur hosts iifname vmap @ports
`

// nftHosts is the chain of nftFrame as nft lists it. With another one the ports' chains may
// filter nothing.
var nftHosts = []statement{
	nftNumbered(under(nftTableName, "chain hosts"), 0, "type filter hook prerouting priority raw; policy accept;"),
	nftNumbered(under(nftTableName, "chain hosts"), 1, "iifname vmap @ports"),
}

// nftIdle is said of a port's jump where the chain of nftFrame is not as it should be.
const nftIdle = ", where nothing leads to"

// nftLeads tells whether packets are led to the ports' chains.
func nftLeads(running []statement) bool {
	inside, _ := partition(running, nftHosts[0].header())
	return slices.Equal(inside, nftHosts) && !slices.Contains(running, nftDormant)
}

// nftDormant is a table that filters nothing.
var nftDormant = nftNumbered(under(nftTableName), 0, "flags dormant")

// nftNeighbours let through what neighbour discovery needs (RFC 4861 §4): it asks for an
// address from none.
var nftNeighbours = []string{
	"icmpv6 type nd-router-solicit accept",
	"icmpv6 type nd-neighbor-solicit accept",
	"icmpv6 type nd-neighbor-advert accept",
}

// nftChain is a port's.
func nftChain(port string) statement { return under(nftTableName, "chain "+nftChainName(port)) }

func nftChainName(port string) string { return "port-" + tag(port) }

// nftJump sends what comes from a port through its chain.
func nftJump(port string) string { return fmt.Sprintf("%q : jump %s", port, nftChainName(port)) }

// nftVerdict tells whether a line is what is done with packets of a port, be it a jump or what
// somebody else has put there.
func nftVerdict(line, port string) bool { return strings.HasPrefix(line, fmt.Sprintf("%q : ", port)) }

// nftRules are the rules of a port, in the words that nft lists them in. They are numbered,
// for their order matters.
func nftRules(intent Intent) []statement {
	if !intent.SourceFilter && len(intent.Reach) == 0 {
		return nil
	}
	rules := slices.Clone(nftNeighbours)
	if intent.SourceFilter {
		if len(intent.Reach) == 0 { // who is bounded in that, too, has one port
			rules = append(rules, nftBlocks(intent)...)
		}
		rules = append(rules, nftReverse)
	}
	for _, prefix := range sorted(intent.Reach) {
		rules = append(rules, nftAccept("daddr", prefix))
	}
	if len(intent.Reach) > 0 {
		rules = append(rules, nftDrop)
	}
	all := []statement{nftChain(intent.Port).with(nftJump(intent.Port))}
	for n, rule := range rules {
		all = append(all, nftNumbered(nftChain(intent.Port), n, rule))
	}
	return all
}

// nftBlocks let through what comes from IPv6 blocks that are routed to the port, or may be.
func nftBlocks(intent Intent) (rules []string) {
	blocks := intent.Behind
	if intent.BGP != nil {
		blocks = slices.Concat(blocks, intent.BGP.Accept)
	}
	for _, block := range slices.Compact(sorted(blocks)) {
		if block.Addr().Is6() && block.Bits() > 0 { // everything is no block of his
			rules = append(rules, nftAccept("saddr", block))
		}
	}
	return rules
}

func nftNumbered(chain statement, n int, rule string) statement {
	return chain.with(fmt.Sprintf("%d %s", n+1, rule))
}

// nftAccept lets packets through that have an address, "saddr" or "daddr", in a prefix. nft
// knows addresses from prefixes, and a prefix of no length not at all.
func nftAccept(address string, prefix netip.Prefix) string {
	family := familyWord(prefix.Addr().Is4())
	if family == "ipv6" {
		family = "ip6"
	}
	switch {
	case prefix.Bits() == 0 && family == "ip":
		return "meta nfproto ipv4 accept"
	case prefix.Bits() == 0:
		return "meta nfproto ipv6 accept"
	case prefix.IsSingleIP():
		return family + " " + address + " " + prefix.Addr().String() + " accept"
	}
	return family + " " + address + " " + prefix.String() + " accept"
}

// readNFT reads a rule of a port's into the intent.
func (i *Intent) readNFT(s statement) {
	_, rule, _ := strings.Cut(s.line(), " ")
	switch {
	case !s.in(nftChain(i.Port)):
	case rule == nftReverse:
		i.SourceFilter = true
	case rule == "meta nfproto ipv4 accept":
		i.Reach = append(i.Reach, everything(true))
	case rule == "meta nfproto ipv6 accept":
		i.Reach = append(i.Reach, everything(false))
	default:
		fields := strings.Fields(rule) // ip daddr 192.0.2.0/24 accept
		if len(fields) != 4 || fields[1] != "daddr" {
			return
		}
		if to, _, ok := readEndpoint(fields[2:], false); ok {
			i.Reach = append(i.Reach, to)
		} else if address, err := netip.ParseAddr(fields[2]); err == nil {
			i.Reach = append(i.Reach, netip.PrefixFrom(address, address.BitLen()))
		}
	}
}

// nftTable lists Ferrodur's table; empty if there is none.
func nftTable(ctx context.Context, cli *terminal) (string, error) {
	text, err := cli.run(ctx, "sudo -n nft -s list "+nftTableName, "")
	var refused *RefusedError
	if errors.As(err, &refused) && strings.Contains(refused.Answer, "No such file or directory") {
		return "", nil
	}
	return text, err
}

// readNFT takes such a list apart: ErrUnreadable if it is not whole. The entries of the map
// are those of the chains of the ports that they are for.
func readNFT(text string) ([]statement, error) {
	var all []statement
	var inside []string
	count := map[statement]int{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		at := under(inside...)
		switch {
		case len(inside) > 0 && inside[len(inside)-1] == "map "+nftMap && strings.Contains(line, "\" : "):
			line = strings.Trim(strings.TrimPrefix(line, "elements = "), "{} ")
			for entry := range strings.SplitSeq(line, ",") {
				entry = strings.TrimSpace(entry)
				if port, _, is := strings.Cut(strings.TrimPrefix(entry, "\""), "\" : "); is {
					all = append(all, nftChain(port).with(entry))
				}
			}
		case strings.HasSuffix(line, "{"):
			inside = append(inside, strings.TrimSpace(strings.TrimSuffix(line, "{")))
		case line == "}" && len(inside) > 0:
			inside = inside[:len(inside)-1]
		case line != "":
			// nftables 1.1.4 and later say "check" where it is only asked whether there is a route.
			line = strings.Replace(line, " check missing ", " oif missing ", 1)
			all = append(all, nftNumbered(at, count[at], line))
			count[at]++
		}
	}
	if len(inside) > 0 {
		return nil, ErrUnreadable
	}
	return all, nil
}

// nftEdit leads a port's rules from have to want. They are replaced as a whole.
func nftEdit(port string, have, want []statement) []string {
	if len(difference(have, want)) == 0 {
		return nil
	}
	chain := nftChainName(port)
	var commands []string
	forget := fmt.Sprintf("delete element inet ferrodur %s { %q }", nftMap, port)
	if len(want) == 0 {
		if slices.ContainsFunc(have, func(s statement) bool { return nftVerdict(s.line(), port) }) {
			commands = append(commands, forget)
		}
		if slices.ContainsFunc(have, func(s statement) bool { return !nftVerdict(s.line(), port) }) {
			commands = append(commands, "delete chain inet ferrodur "+chain)
		}
		return nftCommands(commands)
	}
	clean := "flush chain inet ferrodur " + chain
	if slices.ContainsFunc(have, func(s statement) bool {
		return nftVerdict(s.line(), port) && !strings.HasPrefix(s.line(), nftJump(port))
	}) {
		clean += "; " + forget // at once with what comes
	}
	commands = append(commands, "add chain inet ferrodur "+chain, clean)
	for _, s := range want {
		// What a port is put back to may have been idle: what leads to it is there again.
		if line := strings.TrimSuffix(s.line(), nftIdle); line == nftJump(port) {
			commands = append(commands, fmt.Sprintf("add element inet ferrodur %s { %s }", nftMap, line))
		} else {
			_, rule, _ := strings.Cut(line, " ")
			commands = append(commands, "add rule inet ferrodur "+chain+" "+rule)
		}
	}
	return nftCommands(commands)
}

// nftCommand begins commands that are for nft and not for vtysh.
const nftCommand = "nft "

func nftCommands(lines []string) []string {
	for i, line := range lines {
		lines[i] = nftCommand + line
	}
	return lines
}

// sendFiltered sends vtysh's commands to vtysh, and nft's to nft: rules that go last, and
// those that come first, so that a port is never open without its filter. Each of the two
// is one transaction of the kernel's.
func sendFiltered(ctx context.Context, cli *terminal, commands []command, send sender) error {
	var routing []command
	var coming, going strings.Builder
	for _, c := range commands {
		line, is := strings.CutPrefix(c.text, nftCommand)
		switch {
		case !is:
			routing = append(routing, c)
		case strings.HasPrefix(line, "delete "):
			going.WriteString(line + "\n")
		default:
			coming.WriteString(line + "\n")
		}
	}
	if coming.Len() > 0 {
		if err := runNFT(ctx, cli, nftFrame+coming.String()); err != nil {
			return err
		}
	}
	if len(routing) > 0 {
		if err := send(ctx, routing); err != nil {
			return err
		}
	}
	if going.Len() > 0 {
		return runNFT(ctx, cli, going.String())
	}
	return nil
}

func runNFT(ctx context.Context, cli *terminal, script string) error {
	_, err := cli.run(ctx, whole("sudo -n nft -f -", script), script)
	var refused *RefusedError
	if errors.As(err, &refused) {
		err = &RefusedError{Line: "nft -f -", Answer: refused.Answer}
	}
	return err
}

// saveNFT keeps the table in a file that the switch loads when it starts, and saves the rest
// meanwhile, as sendFiltered sends: before the rest is saved the file has the coming rules,
// too, and until it is the going ones. A switch that loses its power in between starts with
// no port open without its filter.
func saveNFT(ctx context.Context, cli *terminal, rest func() error) error {
	now, err := nftTable(ctx, cli)
	if err != nil {
		return err
	}
	kept, err := cli.run(ctx, "[ ! -e "+nftFile+" ] || cat "+nftFile, "")
	if err != nil {
		return err
	}
	now, kept = strings.TrimSpace(now), strings.TrimSpace(kept)
	both := now + nftGoing(now, kept)
	if both != kept {
		if err := keepNFT(ctx, cli, both); err != nil {
			return err
		}
	}
	if err := rest(); err != nil || both == now {
		return err
	}
	return keepNFT(ctx, cli, now)
}

// nftGoing is what a file keeps of ports that have no rules any more. Of what the switch
// would not start with, either, nothing is kept.
func nftGoing(now, kept string) string {
	has, err := readNFT(now)
	had, broken := readNFT(kept)
	if err != nil || broken != nil {
		return ""
	}
	var text strings.Builder
	for _, jump := range had {
		chain := jump.header()
		rules, _ := partition(had, chain)
		if still, _ := partition(has, chain); !strings.Contains(jump.line(), ": jump ") || len(still) > 0 {
			continue
		}
		fmt.Fprintf(&text, "\n%s {\n\tmap %s {\n\t\ttype ifname : verdict\n\t\telements = { %s }\n\t}\n\n\t%s {\n", nftTableName, nftMap, jump.line(), chain.line())
		for _, s := range without(rules, []statement{jump}) {
			_, rule, _ := strings.Cut(s.line(), " ")
			text.WriteString("\t\t" + rule + "\n")
		}
		text.WriteString("\t}\n}")
	}
	return text.String()
}

// keepNFT: the file is complete or the old one, and on the disk.
func keepNFT(ctx context.Context, cli *terminal, text string) error {
	const added = nftFile + ".new"
	keep := "sudo -n install -D -m 0644 /dev/stdin " + added + " && sync " + added + " && sudo -n mv " + added + " " + nftFile + " && sync " + path.Dir(nftFile)
	_, err := cli.run(ctx, whole(keep, text), text)
	return err
}
