package emulator

import (
	"slices"
	"strings"
)

// groups are port channels whose members take their lines over. The "Cisco Nexus 9000
// Series NX-OS Interfaces Configuration Guide", section "Compatibility Requirements",
// names the lines; a port that leaves keeps them.
type groups struct {
	style *iosStyle
	name  string // of a group's interface, before its number: "port-channel"
}

func isInherited(line string) bool {
	line = strings.TrimPrefix(line, "no ")
	return begins(line, "switchport") || begins(line, "mtu")
}

func inheritedOf(stanza *tree) []string {
	var lines []string
	for _, c := range stanza.below {
		if isInherited(c.line) {
			lines = append(lines, c.line)
		}
	}
	return lines
}

// groupOf is the number in "channel-group 7 mode active"; empty: none.
func groupOf(stanza *tree) string {
	for _, c := range stanza.below {
		if words := strings.Fields(c.line); words[0] == "channel-group" {
			return words[1]
		}
	}
	return ""
}

// find is the interface of a group, or nil.
func (g groups) find(number string) *tree {
	if i := g.style.now.index("interface " + g.name + number); i >= 0 {
		return g.style.now.below[i]
	}
	return nil
}

// sync makes the members of all groups like their group, and parts them from groups that
// are not there.
func (g groups) sync() {
	for _, stanza := range g.style.now.below {
		number := groupOf(stanza)
		if number == "" {
			continue
		}
		group := g.find(number)
		if group == nil { // it was removed
			stanza.remove("channel-group")
			continue
		}
		stanza.below = slices.DeleteFunc(stanza.below, func(c *tree) bool { return isInherited(c.line) })
		for _, line := range inheritedOf(group) {
			stanza.child(line)
		}
	}
}

// joined: a group that was not there is made like its first member.
func (g groups) joined(member *tree, number string) {
	if g.find(number) == nil {
		group := g.style.now.child("interface " + g.name + number)
		for _, line := range inheritedOf(member) {
			group.child(line)
		}
	}
}

// alike tells whether a port may join a group without being changed, and whether it could
// be changed: a switched one does not become routed.
func (g groups) alike(member *tree, number string) (same, possible bool) {
	group := g.find(number)
	if group == nil {
		return true, true
	}
	mine, its := inheritedOf(member), inheritedOf(group)
	slices.Sort(mine)
	slices.Sort(its)
	return slices.Equal(mine, its), slices.Contains(mine, "no switchport") == slices.Contains(its, "no switchport")
}

// wrapAllowed shows long lists of VLANs in several lines, as the devices do.
func wrapAllowed(stanza *tree) {
	const head, width = "switchport trunk allowed vlan ", 60
	for i := 0; i < len(stanza.below); i++ {
		list, is := strings.CutPrefix(stanza.below[i].line, head)
		if !is || len(list) <= width {
			continue
		}
		if cut := strings.LastIndex(list[:width], ","); cut > 0 {
			stanza.below[i] = &tree{line: head + list[:cut]}
			stanza.below = slices.Insert(stanza.below, i+1, &tree{line: head + "add " + list[cut+1:]})
		}
	}
}
