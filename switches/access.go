package switches

import (
	"net/netip"
	"slices"
	"strings"
)

// filterList is an access list that bounds what a host may send. What no entry permits is
// dropped.
type filterList struct {
	Family  string // "ip" or "ipv6", as most platforms begin the line
	Name    string
	Entries []filterEntry
}

// JunosFamily is the family in Junos' word.
func (l filterList) JunosFamily() string {
	if l.Family == "ip" {
		return "inet"
	}
	return "inet6"
}

// filterEntry permits packets.
type filterEntry struct {
	Seq      int
	From, To netip.Prefix // of length 0: any
	// DHCP permits the requests of a host that has no address yet (RFC 2131 §4.1).
	DHCP bool
	// Local permits neighbour discovery (RFC 4861 §4): link-local addresses, and the messages
	// that a host sends from others, too, or from none, where the platform does not let those
	// through by itself. They are solicitations and neighbour advertisements (RFC 4890
	// §4.4.1), which a neighbour does not take where they were routed. It is the first entry,
	// and has all numbers until the second.
	Local bool
}

// Protocol is the family's name in an entry.
func (e filterEntry) Protocol() string { return familyWord(e.From.Addr().Is4()) }

// FromText and ToText are as most platforms say them.
func (e filterEntry) FromText() string { return endpoint(e.From) }
func (e filterEntry) ToText() string   { return endpoint(e.To) }

// FromPrefix and ToPrefix are as those say them that know no "host".
func (e filterEntry) FromPrefix() string { return prefixOrAny(e.From) }
func (e filterEntry) ToPrefix() string   { return prefixOrAny(e.To) }

func prefixOrAny(prefix netip.Prefix) string {
	if prefix.Bits() == 0 {
		return "any"
	}
	return prefix.String()
}

func familyWord(ipv4 bool) string {
	if ipv4 {
		return "ip"
	}
	return "ipv6"
}

func everything(ipv4 bool) netip.Prefix {
	if ipv4 {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

func endpoint(prefix netip.Prefix) string {
	switch {
	case prefix.Bits() == 0:
		return "any"
	case prefix.IsSingleIP():
		return "host " + prefix.Addr().String()
	}
	return prefix.String()
}

// filterLists are the access lists of a port, one for each family that it carries.
func filterLists(intent Intent, carrier string) []filterList {
	if !intent.SourceFilter && len(intent.Reach) == 0 {
		return nil
	}
	var lists []filterList
	for _, link := range intent.Links() {
		ipv4 := link.Host.Is4()
		from, to := []netip.Prefix{everything(ipv4)}, []netip.Prefix{everything(ipv4)}
		if intent.SourceFilter {
			from = ofFamily(intent.Sources(), ipv4)
		}
		if len(intent.Reach) > 0 {
			to = ofFamily(sorted(intent.Reach), ipv4) // none of the family: nothing is reached
		}
		list := filterList{
			Family: familyWord(ipv4), Name: listName(carrier, ipv4, "filter"),
			Entries: []filterEntry{{DHCP: ipv4, Local: !ipv4, From: everything(ipv4)}},
		}
		for _, source := range from {
			for _, destination := range to {
				list.Entries = append(list.Entries, filterEntry{From: source, To: destination})
			}
		}
		for n := range list.Entries {
			list.Entries[n].Seq = 10 * (n + 1)
		}
		lists = append(lists, list)
	}
	return lists
}

// readFilter reads an entry of an access list, without its number, into the intent.
func (i *Intent) readFilter(line string) {
	words := strings.Fields(line) // permit ip host 192.0.2.1 any
	if len(words) < 4 || words[0] != "permit" || words[1] != "ip" && words[1] != "ipv6" {
		return
	}
	ipv4 := words[1] == "ip"
	from, rest, ok := readEndpoint(words[2:], ipv4)
	if !ok || !ipv4 && from == netip.MustParsePrefix("fe80::/10") {
		return
	}
	if to, _, ok := readEndpoint(rest, ipv4); ok {
		i.SourceFilter = i.SourceFilter || from.Bits() > 0
		if to.Bits() > 0 && !slices.Contains(i.Reach, to) {
			i.Reach = append(i.Reach, to)
		}
	}
}

func ofFamily(prefixes []netip.Prefix, ipv4 bool) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(prefixes), func(p netip.Prefix) bool { return p.Addr().Is4() != ipv4 })
}

// readEndpoint reads "any", "host ADDRESS" or a prefix from the front of words, and
// returns the rest.
func readEndpoint(words []string, ipv4 bool) (netip.Prefix, []string, bool) {
	switch {
	case len(words) == 0:
	case words[0] == "any":
		return everything(ipv4), words[1:], true
	case words[0] == "host" && len(words) > 1:
		address, err := netip.ParseAddr(words[1])
		return netip.PrefixFrom(address, address.BitLen()), words[2:], err == nil
	default:
		prefix, err := netip.ParsePrefix(words[0])
		return prefix, words[1:], err == nil
	}
	return netip.Prefix{}, nil, false
}

func (i *Intent) readRelay(text string) {
	if server, err := netip.ParseAddr(text); err == nil {
		i.Relay = append(i.Relay, server)
	}
}
