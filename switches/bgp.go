package switches

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// listEntry is an entry of the prefix lists that bound what a host may announce, and what
// it is told: a default route and no more.
type listEntry struct {
	Family string // "ip" or "ipv6", as most platforms begin the line
	Name   string
	Seq    int
	Prefix netip.Prefix
	Longer int // parts of Prefix down to this length are meant, too; 0: only itself
	Deny   bool
}

// Action is what becomes of such an announcement.
func (e listEntry) Action() string {
	if e.Deny {
		return "deny"
	}
	return "permit"
}

// lastSeq is behind all that a host may announce.
const lastSeq = 10 * acceptedMax

// listName names a list after the port that the routes are on.
func listName(carrier string, ipv4 bool, direction string) string {
	if ipv4 {
		return listPrefix(carrier) + direction + "4"
	}
	return listPrefix(carrier) + direction + "6"
}

// listPrefix begins the names of all lists of a port.
func listPrefix(carrier string) string { return mark + "-" + tag(carrier) + "-" }

// isNamed tells whether something is named after a port, and not after one that this is
// broken out into: Ethernet1/1/2 of Ethernet1/1.
func isNamed(name, carrier string) bool {
	rest, is := strings.CutPrefix(name, listPrefix(carrier))
	return is && !strings.Contains(rest, "-")
}

// peer is the description of a port's BGP neighbours.
func peer(carrier string) string { return mark + " " + carrier }

func listEntries(intent Intent, carrier string) []listEntry {
	if intent.BGP == nil {
		return nil
	}
	var entries []listEntry
	for _, link := range intent.Links() {
		family := familyWord(link.Host.Is4())
		seq := 0
		for _, prefix := range intent.BGP.Accept {
			if prefix.Addr().Is4() != link.Host.Is4() {
				continue
			}
			seq += 5
			entry := listEntry{Family: family, Name: listName(carrier, link.Host.Is4(), "in"), Seq: seq, Prefix: prefix}
			if full := prefix.Addr().BitLen(); prefix.Bits() < full {
				entry.Longer = full
			}
			entries = append(entries, entry)
		}
		// A list that is not there lets everything through on some platforms, and while its entries
		// change none of the others may be there.
		all := everything(link.Host.Is4())
		entries = append(entries, listEntry{
			Family: family, Name: listName(carrier, link.Host.Is4(), "in"), Seq: lastSeq, Prefix: all, Longer: all.Addr().BitLen(), Deny: true,
		})
		entries = append(entries, listEntry{Family: family, Name: listName(carrier, link.Host.Is4(), "out"), Seq: 5, Prefix: everything(link.Host.Is4())})
	}
	return entries
}

// neighbours finds the BGP neighbours that are described as a port's.
func neighbours(running []statement, carrier string) map[statement]bool {
	found := map[statement]bool{}
	for _, s := range running {
		if who, text, is := neighbourOf(s); is && text == "description "+peer(carrier) {
			found[who] = true
		}
	}
	return found
}

// neighbourOf takes a statement about a BGP neighbour apart. Platforms say it in a line,
// "neighbor ADDRESS TEXT", or as TEXT in a stanza "neighbor ADDRESS", whose header has no
// text. One address may be that of neighbours in several VRFs; who tells them apart.
func neighbourOf(s statement) (who statement, text string, is bool) {
	parts := s.parts()
	if !strings.HasPrefix(parts[0], "router bgp ") {
		return "", "", false
	}
	for n, part := range parts {
		address, text, found := neighbourLine(part)
		switch {
		case found && n < len(parts)-1:
			return who.with("neighbor " + address), s.line(), true
		case found:
			return who.with("neighbor " + address), text, true
		case !strings.HasPrefix(part, "address-family ") || strings.Contains(part, " vrf "):
			who = who.with(part)
		}
	}
	return "", "", false
}

// neighbourLine takes "neighbor ADDRESS TEXT" apart.
func neighbourLine(line string) (address, text string, is bool) {
	rest, is := strings.CutPrefix(line, "neighbor ")
	address, text, _ = strings.Cut(rest, " ")
	return address, text, is
}

// neighbourKind names what a neighbour has one of, and is changed in place: without its AS number
// it is gone, and without its maximum it announces what it likes. Empty: a line is of no such kind.
func neighbourKind(line string) string {
	address, text, _ := neighbourLine(strings.TrimPrefix(line, "no "))
	switch word, _, _ := strings.Cut(text, " "); word {
	case "remote-as", "description", "maximum-prefix", "maximum-routes", "activate":
		return "neighbor " + address + " " + word
	}
	return ""
}

func (i *Intent) bgp() *BGP {
	if i.BGP == nil {
		i.BGP = new(BGP)
	}
	return i.BGP
}

// readBGP reads a line of a neighbour, or of the list of what it may announce, into the
// intent.
func (i *Intent) readBGP(s statement) {
	fields := strings.Fields(string(s)) // with the headers
	if len(fields) < 3 {
		return
	}
	isList := fields[1] == "prefix-list"
	_, text, isNeighbour := neighbourOf(s)
	if !isList && !isNeighbour {
		return
	}
	i.bgp()
	if isList {
		permit := slices.Index(fields, "permit")
		incoming := strings.HasSuffix(fields[2], "-in4") || strings.HasSuffix(fields[2], "-in6")
		if !incoming || permit < 0 || permit+1 == len(fields) {
			return
		}
		if prefix, err := netip.ParsePrefix(fields[permit+1]); err == nil {
			i.BGP.Accept = append(i.BGP.Accept, prefix)
		}
		return
	}
	switch word, value, _ := strings.Cut(text, " "); word {
	case "remote-as":
		asn, _ := strconv.ParseUint(value, 10, 32) // 0 is no valid one
		i.BGP.ASN = uint32(asn)
	case "password":
		i.BGP.Password = Hidden
	case "maximum-prefix", "maximum-routes":
		maximum, _, _ := strings.Cut(value, " ")
		i.BGP.MaxPrefixes = number(maximum)
	}
}

const softly = " soft "

// refresh has the lists of a neighbour count for the routes that are there. A session that the
// switch does not refresh, as of a host without RFC 2918, is reset. *RefusedError.
func refresh(ctx context.Context, cli *terminal, c command, refused func(answer string) bool) error {
	err := cli.insist(ctx, c.text, refused)
	var no *RefusedError
	if errors.As(err, &no) {
		reset, _, _ := strings.Cut(c.text, softly)
		err = cli.insist(ctx, reset, refused)
	}
	if errors.As(err, &no) {
		no.port = c.port
	}
	return err
}

// policy is what bounds the routes of a neighbour in a direction.
func policy(owned []statement, who statement, direction string) []statement {
	list := ""
	var all []statement
	for _, s := range owned {
		if of, text, is := neighbourOf(s); is && of == who && strings.HasPrefix(text, "prefix-list ") && strings.HasSuffix(text, " "+direction) {
			list, all = strings.Fields(text)[1], append(all, s)
		}
	}
	for _, s := range owned {
		if list != "" && listOf(s) == list {
			all = append(all, s)
		}
	}
	return all
}

// clearing is the command that clears the session with a neighbour, in some way.
func clearing(who statement, way string) string {
	vrf, family := "", "ipv4"
	for _, part := range who.parts() {
		if words := strings.Fields(part); slices.Contains(words, "vrf") {
			vrf = "vrf " + words[len(words)-1] + " "
		}
	}
	address := strings.TrimPrefix(who.line(), "neighbor ")
	if strings.Contains(address, ":") {
		family = "ipv6"
	}
	return "clear bgp " + vrf + family + " unicast " + address + way
}
