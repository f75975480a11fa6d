package switches

import (
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
		if seq == 0 { // a list that is not there lets everything through on some platforms
			all := everything(link.Host.Is4())
			entries = append(entries, listEntry{Family: family, Name: listName(carrier, link.Host.Is4(), "in"), Seq: 5, Prefix: all, Longer: all.Addr().BitLen(), Deny: true})
		}
		entries = append(entries, listEntry{Family: family, Name: listName(carrier, link.Host.Is4(), "out"), Seq: 5, Prefix: everything(link.Host.Is4())})
	}
	return entries
}

// neighbours finds the BGP neighbours that are described as a port's, in lines such as
// "neighbor 192.0.2.1 description ferrodur swp1".
func neighbours(running []statement, carrier string) map[string]bool {
	found := map[string]bool{}
	for _, s := range running {
		address, text, is := neighbourLine(s.line())
		if is && text == "description "+peer(carrier) && strings.HasPrefix(string(s), "router bgp ") {
			found[address] = true
		}
	}
	return found
}

// peerStanzas are the stanzas of BGP neighbours that are described as a port's, where a
// neighbour is a stanza of its own.
func peerStanzas(running []statement, carrier string) []statement {
	var found []statement
	for _, s := range running {
		if s.line() == "description "+peer(carrier) && strings.HasPrefix(s.header().line(), "neighbor ") {
			found = append(found, s.header())
		}
	}
	return found
}

// neighbourLine takes "neighbor ADDRESS TEXT" apart.
func neighbourLine(line string) (address, text string, is bool) {
	rest, is := strings.CutPrefix(line, "neighbor ")
	address, text, _ = strings.Cut(rest, " ")
	return address, text, is
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
	_, text, isNeighbour := neighbourLine(s.line())
	if inside := strings.Contains(string(s.header()), level+"neighbor "); inside {
		text, isNeighbour = s.line(), true
	}
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
