package switches

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// iosStyle is what the platforms have in common whose command line follows that of Cisco's
// IOS: stanzas of indented lines, "no" to take one away, "interface NAME" for a port.
type iosStyle struct {
	platform string
	group    string // the interface of a group, before its number: "Port-Channel"
	// kinds are the beginnings, without "no", of the lines of an interface that an intent
	// decides on. Of those that once names, too, an interface has at most one.
	kinds, once []string
	skip        func(words string) bool          // lines of the running configuration that say nothing
	canonical   func(s statement) statement      // "": it says nothing
	negate      func(line string) (string, bool) // false: by "no"
	// neighbour tells which BGP neighbour a line is about, where those are in effect line by line;
	// nil: they are not. Where neighbourStanza is set, the line stands below it.
	neighbour       func(s statement) (who statement, is bool)
	neighbourStanza bool
}

func (c iosStyle) carrier(intent Intent) string {
	if intent.Bond != nil {
		return c.group + strconv.Itoa(intent.Bond.Group)
	}
	return intent.Port
}

func (c iosStyle) render(text string, device Device, intent Intent) ([]statement, error) {
	text, err := execute(text, newView(device, intent, c.carrier(intent)))
	if err != nil {
		return nil, err
	}
	return c.ownedHeaders(parseIndented(text, nil), intent.Port), nil
}

// ownedHeaders leaves out the headers of stanzas that are there whatever Ferrodur says.
func (c iosStyle) ownedHeaders(all []statement, port string) []statement {
	var kept []statement
	for i, s := range all {
		isHeader := i+1 < len(all) && all[i+1].in(s)
		_, _, isNeighbour := neighbourOf(s)
		its := isNeighbour || strings.HasPrefix(listOf(s), mark+"-") || strings.HasPrefix(string(s), "interface "+c.group)
		if (!isHeader || its) && !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}

func (c iosStyle) parse(text string) []statement {
	var all []statement
	for _, s := range parseIndented(text, c.skip) {
		if s = c.canonical(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// section: a port's interface and that of its group; access lists, prefix lists, routes
// and BGP neighbours that have its name.
func (c iosStyle) section(running []statement, port string) section {
	own := under("interface " + port)
	carrier := port
	for _, s := range running {
		if group := c.groupOf(s.line()); group != "" && s.header() == own {
			carrier = strings.TrimPrefix(string(group), "interface ")
		}
	}
	var found section
	peers := neighbours(running, carrier)
	on := under("interface " + carrier)
	for _, s := range running {
		who, _, isNeighbour := neighbourOf(s.header().with(strings.TrimPrefix(s.line(), "no ")))
		switch {
		case s == own:
		case s == on: // a group's, which exists because Ferrodur says so
			found.owned = append(found.owned, s)
		case s.header() == own || s.header() == on:
			if c.owns(s.line()) {
				found.owned = append(found.owned, s)
			} else {
				found.foreign = append(found.foreign, s)
			}
		case s.in(own) || s.in(on):
			found.foreign = append(found.foreign, s)
		case isNamed(listOf(s), carrier),
			isRoute(s) && strings.HasSuffix(s.line(), " name "+routeName(carrier)),
			isNeighbour && peers[who]:
			found.owned = append(found.owned, s)
		}
	}
	return found
}

// listOf is the name of the access list or prefix list that a statement is about; empty: of
// none.
func listOf(s statement) string {
	words := strings.Fields(s.parts()[0]) // ip access-list [extended] NAME; ip prefix-list NAME seq …
	switch {
	case len(words) < 3 || !strings.HasSuffix(words[1], "-list"):
		return ""
	case len(words) > 3 && words[2] == "extended":
		return words[3]
	}
	return words[2]
}

func (c iosStyle) owns(line string) bool {
	positive := strings.TrimPrefix(line, "no ")
	return slices.ContainsFunc(c.kinds, func(kind string) bool {
		return positive == kind || strings.HasPrefix(positive, kind+" ")
	})
}

// isRoute tells whether a statement is a static route.
func isRoute(s statement) bool {
	return strings.HasPrefix(s.line(), "ip route ") || strings.HasPrefix(s.line(), "ipv6 route ")
}

// routeName is what routes to a port's host are called.
func routeName(carrier string) string { return mark + "-" + tag(carrier) }

// read makes an intent of what a port has, in the words that the platforms share. more
// reads a line that one of them says in its own.
func (c iosStyle) read(port string, owned []statement, more func(*Intent, []string)) Intent {
	intent := Intent{Port: port}
	for _, s := range owned {
		words := strings.Fields(s.line())
		if len(words) < 2 {
			continue
		}
		last := words[len(words)-1]
		switch head := s.parts()[0]; {
		case strings.Contains(head, " access-list ") && s != s.header():
			entry := s.line()
			if number, numbered, _ := strings.Cut(entry, " "); isNumber(number) {
				entry = numbered
			}
			intent.readFilter(entry)
		case isRoute(s):
			for _, word := range words {
				if prefix, err := netip.ParsePrefix(word); err == nil {
					intent.Behind = append(intent.Behind, prefix)
				}
			}
		case !strings.HasPrefix(head, "interface "):
			intent.readBGP(s)
		case words[0] == "description" && s.header() == under("interface "+port):
			intent.readLabel(strings.TrimPrefix(s.line(), "description "))
		case words[0] == "mtu":
			intent.MTU = number(last)
		case words[0] == "channel-group":
			intent.bond().Group = number(words[1])
		case words[1] == "address" && (words[0] == "ip" || words[0] == "ipv6"):
			if address, err := netip.ParsePrefix(last); err == nil {
				intent.Addresses = append(intent.Addresses, address)
			}
		case words[0] == "vrf":
			intent.VRF = last
		default:
			more(&intent, words)
		}
	}
	return intent
}

// iosMTU is the default, which is not shown.
const iosMTU = 1500

// OtherMTU is the MTU where it is not the default.
func (v view) OtherMTU() int {
	if v.MTU == iosMTU {
		return 0
	}
	return v.MTU
}

func isNumber(text string) bool { _, err := strconv.Atoi(text); return err == nil }

// number is 0 for what is none; no field of an intent that is set has that value.
func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func (i *Intent) bond() *Bond {
	if i.Bond == nil {
		i.Bond = new(Bond)
	}
	return i.Bond
}

// splitVLANs takes the untagged VLAN from among those that a trunk allows.
func (i *Intent) splitVLANs() {
	if i.VLANs == nil {
		return
	}
	i.VLANs.Tagged = slices.DeleteFunc(i.VLANs.Tagged, func(id int) bool { return id == i.VLANs.Untagged })
	if len(i.VLANs.Tagged) == 0 {
		i.VLANs.Tagged = nil
	}
}

func (i *Intent) vlans() *VLANs {
	if i.VLANs == nil {
		i.VLANs = new(VLANs)
	}
	return i.VLANs
}

// resets tells whether a line, coming or going, takes other lines of its interface away, or
// makes a trunk, which carries all VLANs until it is told which.
func resets(s statement) bool {
	line := strings.TrimPrefix(s.line(), "no ")
	return strings.HasPrefix(string(s), "interface ") && (line == "switchport" || strings.HasPrefix(line, "switchport mode ") ||
		strings.HasPrefix(line, "vrf ") || strings.HasPrefix(line, "channel-group "))
}

func (c iosStyle) edit(port string, have, want []statement) []string {
	own := under("interface " + port)
	shut := own.with("shutdown")
	reset := map[statement]bool{}
	for _, s := range slices.Concat(without(have, want), without(want, have)) {
		if resets(s) {
			reset[own], reset[s.header()] = true, true
		}
	}
	if len(reset) == 0 {
		return c.commands(have, want, shut)
	}
	// By way of a port that is shut and bare: each line is said when nothing takes it away. A
	// group stays, with what other members it has.
	goes := func(s statement) bool { return strings.HasPrefix(string(s), "interface ") && !slices.Contains(want, s) }
	bare := append(slices.DeleteFunc(slices.Clone(have), func(s statement) bool {
		return s.header() == "" && goes(s) || s.header() != "" && (reset[s.header()] || goes(s.header()) && s.header() != own)
	}), shut)
	return append(c.commands(have, bare, shut), c.commands(bare, want, shut)...)
}

func (c iosStyle) commands(have, want []statement, shut statement) []string {
	return indentedEdit{
		negate: func(line string) string {
			if negated, special := c.negate(line); special {
				return negated
			}
			return negate(line)
		},
		neighbour: c.neighbour, neighbourStanza: c.neighbourStanza,
		// An entry without a number is added to its list, and taken away by what it says: what is
		// permitted before and after is permitted meanwhile, and the list is never empty, which on
		// IOS permits everything.
		early: func(s statement) bool {
			return strings.Contains(string(s.header()), " access-list ") && !isNumber(strings.Fields(s.line())[0])
		},
		once: func(s statement) string {
			for _, kind := range c.once {
				if s.line() == kind || strings.HasPrefix(s.line(), kind+" ") {
					return kind
				}
			}
			return neighbourKind(s.line())
		},
	}.commands(have, want, shut)
}

// negate takes a line away. What follows the word that tells what it is about is left out
// where there is at most one such line.
func negate(line string) string {
	if positive, ok := strings.CutPrefix(line, "no "); ok {
		return positive
	}
	words := strings.Fields(line)
	switch {
	case isNumber(words[0]): // of an access list
		return "no " + words[0]
	case words[0] == "seq" && len(words) > 1: // of a prefix list
		return "no seq " + words[1]
	case words[0] == "description" || words[0] == "mtu" || words[0] == "channel-group":
		return "no " + words[0]
	case words[0] == "neighbor" && len(words) > 2 && (words[2] == "password" || words[2] == "description"):
		return "no neighbor " + words[1] + " " + words[2]
	case words[0] == "switchport" && len(words) > 2 && (len(words) > 3 || words[1] == "mode"):
		return "no " + strings.Join(words[:len(words)-1], " ")
	}
	return "no " + line
}

// vlanRanges writes VLANs in the form "10-12,20".
func vlanRanges(ids []int) string {
	var parts []string
	for i := 0; i < len(ids); {
		j := i
		for j+1 < len(ids) && ids[j+1] == ids[j]+1 {
			j++
		}
		if part := strconv.Itoa(ids[i]); j == i {
			parts = append(parts, part)
		} else {
			parts = append(parts, part+"-"+strconv.Itoa(ids[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// readVLANRanges is the inverse of vlanRanges; nil for what is none.
func readVLANRanges(text string) []int {
	var ids []int
	for part := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		first, last := number(low), number(high)
		if first < 1 || last > 4094 {
			return nil
		}
		for id := first; id <= last; id++ {
			ids = append(ids, id)
		}
	}
	return ids
}
