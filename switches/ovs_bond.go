package switches

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A bond of Open vSwitch is a record of the table Port with several interfaces; a member has
// none of its own meanwhile. So what others keep in that would be lost: such a port is refused,
// and a bond that is someone else's is left alone.

const (
	ovsMember   = "member=" // stands for the column "interfaces"
	ovsFallback = `other_config:lacp-fallback-ab="true"`
)

// ovsBondSettings are those of bonds, beside what all ports have.
var ovsBondSettings = []string{"lacp=", "bond_mode=", "other_config:lacp-fallback-ab=", "other_config:lacp-time="}

var ovsBondName = regexp.MustCompile(`^Port bond(\d+)$`)

func ovsBond(group int) statement { return ovsPort("bond" + strconv.Itoa(group)) }

// ovsGroup is the number of a bond; 0: it has none that Ferrodur would give it.
func ovsGroup(bond statement) int {
	name := ovsBondName.FindStringSubmatch(string(bond))
	if name == nil {
		return 0
	}
	return number(name[1])
}

// ovsGroupOf is the bond that a port is in; empty: in none.
func ovsGroupOf(statements []statement, port string) statement {
	for _, s := range statements {
		if s.line() == ovsMember+port && ovsGroup(s.header()) > 0 {
			return s.header()
		}
	}
	return ""
}

// renderOVSBond: traffic is spread by flows, which takes a partner that speaks LACP; without one,
// a member at a time carries it.
func renderOVSBond(bond statement, intent Intent) []statement {
	want := []statement{
		bond.with(ovsMember + intent.Port), bond.with("lacp=active"), bond.with("bond_mode=balance-tcp"), bond.with(`other_config:lacp-time="fast"`),
	}
	if intent.Bond.Fallback {
		want = append(want, bond.with(ovsFallback))
	}
	return want
}

// members are the names of a port's interfaces.
func (t ovsTables) members(port ovsRow) (names []string) {
	for _, id := range port.texts("interfaces") {
		for _, i := range t["Interface"] {
			if i.text("_uuid") == id {
				names = append(names, i.text("name"))
			}
		}
	}
	slices.Sort(names)
	return names
}

// isOurBond tells whether a port has the name and the description that Ferrodur gives a bond.
func (r ovsRow) isOurBond() bool {
	isOurs := func(setting string) bool { return strings.HasPrefix(setting, ovsDescription+`"`+mark+" ") }
	return ovsGroup(ovsPort(r.text("name"))) > 0 && slices.ContainsFunc(r.settings("external_ids"), isOurs)
}

func (l *ovsLayout) leave(bond, port string) []string {
	bridge, member, own := l.bridges[bond], l.id(), l.id()
	commands := []string{fmt.Sprintf("--id=%s get Interface %s", member, port)}
	l.members[bond] = slices.DeleteFunc(l.members[bond], func(name string) bool { return name == port })
	if len(l.members[bond]) > 0 {
		commands = append(commands, fmt.Sprintf("remove Port %s interfaces %s", bond, member))
	} else {
		last := l.id()
		commands = append(commands, fmt.Sprintf("--id=%s get Port %s", last, bond), fmt.Sprintf("remove Bridge %s ports %s", bridge, last))
	}
	l.bridges[port] = bridge
	return append(commands, fmt.Sprintf("--id=%s create Port name=%s interfaces=%s", own, port, member), fmt.Sprintf("add Bridge %s ports %s", bridge, own))
}

func (l *ovsLayout) join(bond, port string) ([]string, error) {
	if err := l.mayJoin(bond, port); err != nil {
		return nil, err
	}
	bridge, member, own := l.bridges[port], l.id(), l.id()
	commands := []string{
		fmt.Sprintf("--id=%s get Interface %s", member, port), fmt.Sprintf("--id=%s get Port %s", own, port),
		fmt.Sprintf("remove Bridge %s ports %s", bridge, own),
	}
	if len(l.members[bond]) > 0 {
		commands = append(commands, fmt.Sprintf("add Port %s interfaces %s", bond, member))
	} else {
		first := l.id()
		commands = append(commands, fmt.Sprintf("--id=%s create Port name=%s interfaces=%s", first, bond, member), fmt.Sprintf("add Bridge %s ports %s", bridge, first))
		l.ours[bond], l.bridges[bond] = true, bridge
	}
	l.members[bond] = append(l.members[bond], port)
	return commands, nil
}

// mayJoin refuses what would take somebody else's configuration away, or change it.
func (l *ovsLayout) mayJoin(bond, port string) error {
	if len(l.members[bond]) > 0 && !l.ours[bond] {
		return errors.New("there is a port " + bond + " that is not Ferrodur's")
	}
	var lost []string
	for _, s := range (ovs{}).section(l.running, port).foreign {
		if s.header() == ovsPort(port) {
			lost = append(lost, s.line())
		}
	}
	if len(lost) > 0 {
		return errors.New("the port's own record would be lost with it: " + strings.Join(lost, ", "))
	}
	return nil
}
