package switches

import (
	"context"
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

// The commands by which ports come into bonds and out of them: a verb, a bond, a port.
const (
	ovsLeave = "leave"
	ovsJoin  = "join"
)

// moveOVS returns the commands that move a port from bond to bond, or to a record of its own, and
// the records that end with that, or are others' from then on.
func moveOVS(port string, have, want []statement) (commands []string, ended map[statement]bool) {
	ended = map[statement]bool{}
	from, to := ovsGroupOf(have, port), ovsGroupOf(want, port)
	if from == to {
		return nil, ended
	}
	if from != "" {
		commands, ended[from] = append(commands, strings.Join([]string{ovsLeave, string(from), port}, " ")), true
	}
	if to != "" {
		commands, ended[ovsPort(port)] = append(commands, strings.Join([]string{ovsJoin, string(to), port}, " ")), true
	}
	return commands, ended
}

// bonds turns the commands that concern bonds into those of ovs-vsctl, and keeps the others.
func (d ovs) bonds(ctx context.Context, cli *terminal, commands []command) (texts []string, err error) {
	var now *ovsBonds
	for _, c := range commands {
		words := strings.Fields(c.text)
		if words[0] != ovsLeave && words[0] != ovsJoin {
			texts = append(texts, c.text)
			continue
		}
		if now == nil {
			if now, err = d.readBonds(ctx, cli); err != nil {
				return nil, err
			}
		}
		bridge, err := d.vsctl(ctx, cli, "iface-to-br "+inShell(c.port))
		if err != nil {
			return nil, err
		}
		move := now.leave
		if words[0] == ovsJoin {
			if err := now.mayJoin(words[2], c.port); err != nil {
				return nil, err
			}
			move = now.join
		}
		texts = append(texts, move(strings.TrimSpace(bridge), words[2], c.port)...)
	}
	return texts, nil
}

// ovsBonds are the bonds of a switch in the course of a transaction.
type ovsBonds struct {
	running []statement
	ours    map[string]bool
	members map[string][]string // by bond
	ids     int                 // that commands have given to rows
}

func (d ovs) readBonds(ctx context.Context, cli *terminal) (*ovsBonds, error) {
	text, err := d.running(ctx, cli)
	if err != nil {
		return nil, err
	}
	tables, err := readOVS(text)
	if err != nil {
		return nil, err
	}
	b := &ovsBonds{ours: map[string]bool{}, members: map[string][]string{}}
	for _, row := range tables["Port"] {
		b.members[row.text("name")], b.ours[row.text("name")] = tables.members(row), row.isOurBond()
	}
	b.running, err = d.read(text)
	return b, err
}

// mayJoin refuses what would take somebody else's configuration away, or change it.
func (b *ovsBonds) mayJoin(bond, port string) error {
	line := strings.Join([]string{ovsJoin, bond, port}, " ")
	if len(b.members[bond]) > 0 && !b.ours[bond] {
		return &RefusedError{Line: line, Answer: "there is a port " + bond + " that is not Ferrodur's", port: port}
	}
	var lost []string
	for _, s := range (ovs{}).section(b.running, port).foreign {
		if s.header() == ovsPort(port) {
			lost = append(lost, s.line())
		}
	}
	if len(lost) > 0 {
		return &RefusedError{Line: line, Answer: "the port's own record would be lost with it: " + strings.Join(lost, ", "), port: port}
	}
	return nil
}

// id names a row for later commands.
func (b *ovsBonds) id() string {
	b.ids++
	return fmt.Sprintf("@r%d", b.ids)
}

func (b *ovsBonds) leave(bridge, bond, port string) []string {
	member, own := b.id(), b.id()
	commands := []string{fmt.Sprintf("--id=%s get Interface %s", member, port)}
	b.members[bond] = slices.DeleteFunc(b.members[bond], func(name string) bool { return name == port })
	if len(b.members[bond]) > 0 {
		commands = append(commands, fmt.Sprintf("remove Port %s interfaces %s", bond, member))
	} else {
		last := b.id()
		commands = append(commands, fmt.Sprintf("--id=%s get Port %s", last, bond), fmt.Sprintf("remove Bridge %s ports %s", bridge, last))
	}
	return append(commands, fmt.Sprintf("--id=%s create Port name=%s interfaces=%s", own, port, member), fmt.Sprintf("add Bridge %s ports %s", bridge, own))
}

func (b *ovsBonds) join(bridge, bond, port string) []string {
	member, own := b.id(), b.id()
	commands := []string{
		fmt.Sprintf("--id=%s get Interface %s", member, port), fmt.Sprintf("--id=%s get Port %s", own, port),
		fmt.Sprintf("remove Bridge %s ports %s", bridge, own),
	}
	if len(b.members[bond]) > 0 {
		commands = append(commands, fmt.Sprintf("add Port %s interfaces %s", bond, member))
	} else {
		first := b.id()
		commands = append(commands, fmt.Sprintf("--id=%s create Port name=%s interfaces=%s", first, bond, member), fmt.Sprintf("add Bridge %s ports %s", bridge, first))
		b.ours[bond] = true
	}
	b.members[bond] = append(b.members[bond], port)
	return commands
}
