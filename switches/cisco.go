package switches

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
)

// What NX-OS and IOS-XE have in common beyond iosStyle is here.

// ciscoCanonical writes IPv6 addresses as this package does (RFC 5952), no passwords, and no
// numbers of access lists' entries. An entry has the number that it was given when it came, which
// IOS-XE before 16.12 does not show. As all of them permit, their order says nothing.
func ciscoCanonical(s statement) statement {
	parts := s.parts()
	if len(parts) == 2 && strings.Contains(parts[0], " access-list ") {
		number, entry, _ := strings.Cut(strings.TrimPrefix(parts[1], "sequence "), " ")
		if isNumber(number) {
			parts[1] = entry
		}
	}
	for i, part := range parts {
		parts[i] = plainIPv6(part)
	}
	s = under(parts...)
	who, text, isNeighbour := neighbourOf(s)
	if !isNeighbour || !strings.HasPrefix(text, "password ") {
		return s
	}
	line := "password " + Hidden
	if s.line() != text { // "neighbor ADDRESS password …"
		line = who.line() + " " + line
	}
	return s.header().with(line)
}

// ciscoNeighbour is the BGP neighbour that a line is about, on platforms where lines with "no" are
// left out.
func ciscoNeighbour(s statement) (who statement, is bool) {
	who, _, is = neighbourOf(s)
	return who, is
}

func plainIPv6(line string) string {
	words := strings.Split(line, " ")
	if words[0] == "description" {
		return line
	}
	for i, word := range words {
		if !strings.Contains(word, ":") {
			continue
		}
		if prefix, err := netip.ParsePrefix(word); err == nil {
			words[i] = prefix.String()
		} else if address, err := netip.ParseAddr(word); err == nil {
			words[i] = address.String()
		}
	}
	return strings.Join(words, " ")
}

const (
	ciscoAllowed = "switchport trunk allowed vlan "
	ciscoMore    = ciscoAllowed + "add "
	// ciscoAllowedMax is the length of a list of VLANs, in bytes, that fits in one command.
	ciscoAllowedMax = 180
)

// joinAllowed makes one line of the lists of VLANs that the platform shows in several.
func joinAllowed(all []statement) []statement {
	var joined []statement
	for _, s := range all {
		more, is := strings.CutPrefix(s.line(), ciscoMore)
		last := len(joined) - 1
		if is && last >= 0 && joined[last].header() == s.header() && strings.HasPrefix(joined[last].line(), ciscoAllowed) {
			joined[last] += statement("," + more)
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

// splitAllowed is the inverse of joinAllowed.
func splitAllowed(line string) []string {
	list, is := strings.CutPrefix(line, ciscoAllowed)
	if !is {
		return []string{line}
	}
	var lines []string
	head := ciscoAllowed
	for len(list) > ciscoAllowedMax {
		cut := strings.LastIndex(list[:ciscoAllowedMax], ",")
		if cut < 0 {
			break
		}
		lines = append(lines, head+list[:cut])
		list, head = list[cut+1:], ciscoMore
	}
	return append(lines, head+list)
}

// inherited are the beginnings of lines that members of a group have from it: NX-OS
// "Interfaces Configuration Guide", section "Compatibility Requirements"; IOS-XE "Layer 2
// Configuration Guide", chapter "Configuring EtherChannels".
func inherited(line string) bool {
	line = strings.TrimPrefix(line, "no ")
	return line == "switchport" || strings.HasPrefix(line, "switchport ") || strings.HasPrefix(line, "mtu ")
}

// groupOf is the interface of the group that a line puts its port into; empty: it is none
// that does.
func (c iosStyle) groupOf(line string) statement {
	number, is := strings.CutPrefix(line, "channel-group ")
	if !is {
		return ""
	}
	return under("interface " + c.group + strings.Fields(number + " ?")[0])
}

// dropInherited leaves out what members of a group show because the group says it.
func (c iosStyle) dropInherited(all []statement) []statement {
	groups := map[statement]statement{}
	said := map[statement]bool{}
	for _, s := range all {
		said[s] = true
		if group := c.groupOf(s.line()); group != "" {
			groups[s.header()] = group
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(s statement) bool {
		group, isMember := groups[s.header()]
		return isMember && inherited(s.line()) && said[group.with(s.line())]
	})
}

// parted are the lines that clear a former member of what it inherited, which it keeps.
var parted = []string{
	"switchport", "no switchport mode", "no switchport access vlan", "no switchport trunk native vlan", "no switchport trunk allowed vlan", "no mtu",
}

// membership completes commands: a port is made like its group before it joins, since the
// platform takes no other, and like none after it left.
func (c iosStyle) membership(commands []string, want []statement) []string {
	var complete []string
	for _, command := range commands {
		if group := c.groupOf(command); group != "" {
			for _, s := range want {
				if s.header() == group && inherited(s.line()) {
					complete = append(complete, splitAllowed(s.line())...)
				}
			}
		}
		complete = append(complete, splitAllowed(command)...)
		if command == "no channel-group" {
			complete = append(complete, parted...)
		}
	}
	return complete
}

// readSwitchport reads a line of a switched port into the intent.
func (i *Intent) readSwitchport(words []string) {
	last := words[len(words)-1]
	switch strings.Join(words[:len(words)-1], " ") {
	case "switchport access vlan", "switchport trunk native vlan":
		i.vlans().Untagged = number(last)
	case "switchport trunk allowed vlan":
		i.vlans().Tagged = readVLANRanges(last)
	}
}

// readDefaultVLAN completes what readSwitchport read: VLAN 1 is untagged where nothing else
// is said, and the platform does not show that.
func (i *Intent) readDefaultVLAN() {
	switch {
	case i.VLANs == nil && (i.Profile == "" || i.Profile == Quarantine || len(i.Addresses) > 0):
		return
	case i.VLANs == nil:
		i.VLANs = &VLANs{Untagged: 1}
	case i.VLANs.Untagged == 0 && slices.Contains(i.VLANs.Tagged, 1):
		i.VLANs.Untagged = 1
	}
	i.splitVLANs()
}

// ciscoLacks is what neither platform has.
func ciscoLacks(intent Intent) map[string]bool {
	return map[string]bool{
		// What comes untagged belongs to the native VLAN. It is kept out by a native VLAN that
		// is not allowed on the port: VLAN 1, unless that is tagged.
		"VLAN 1, tagged, without an untagged VLAN,": intent.VLANs != nil && intent.VLANs.Untagged == 0 && slices.Contains(intent.VLANs.Tagged, 1),
	}
}

// goBack takes a transaction back by the platform's own roll-back, which leaves nothing
// behind; line by line, where that would undo what others have done meanwhile. When the one
// fails the other is tried: a port that is half configured is worse.
func (t transaction) goBack(ctx context.Context, rollBack, undo func() error) error {
	changed, err := t.others(ctx)
	if err != nil {
		return err
	}
	first, second := rollBack, undo
	if changed {
		first, second = undo, rollBack
	}
	if err = first(); err == nil || errors.Is(err, ErrUnreachable) {
		return err
	}
	if failed := second(); failed != nil {
		return errors.Join(err, failed)
	}
	return nil
}

// refresh has the lists of BGP neighbours count for the routes that are there, too, where they
// changed while a session lasts: IOS-XE "IP Routing: BGP Configuration Guide", section "Managing
// Routing Policy Changes"; NX-OS "Unicast Routing", section "Route Policies and Resetting BGP
// Sessions". It comes before a change is kept, so that none is kept without. *RefusedError.
func (t transaction) refresh(ctx context.Context, cli *terminal, refused func(answer string) bool) error {
	said := map[string]bool{}
	for _, p := range t.plans {
		for _, line := range refreshes(p.have.owned, p.want) {
			if said[line] { // for another member of the same group
				continue
			}
			said[line] = true
			if err := refresh(ctx, cli, command{port: p.intent.Port, text: line}, refused); err != nil {
				return err
			}
		}
	}
	return nil
}

// refreshes are the commands for the neighbours that are there before and after, and whose lists
// differ.
func refreshes(have, want []statement) []string {
	var commands []string
	for _, s := range want {
		who, text, is := neighbourOf(s)
		if !is || !strings.HasPrefix(text, "remote-as ") || !slices.Contains(have, s) {
			continue
		}
		for _, direction := range []string{"in", "out"} {
			if len(difference(policy(have, who, direction), policy(want, who, direction))) > 0 {
				commands = append(commands, clearing(who, softly+direction))
			}
		}
	}
	return commands
}
