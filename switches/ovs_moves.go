package switches

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// The commands by which ports come into bonds and out of them, and are shut and opened. A
// transaction turns them into those of ovs-vsctl: what they are depends on where its ports are by
// then.
const (
	ovsLeave = "leave" // a bond, a port
	ovsJoin  = "join"  // a bond, a port
	ovsShut  = "shut"  // a port
	ovsOpen  = "open"  // a port, or a bond
)

// moveOVS returns the commands that move a port, and the records that end with that, or are
// others' from then on.
func moveOVS(port string, have, want []statement) (commands []string, ended map[statement]bool) {
	ended = map[statement]bool{}
	onBridge := func(s statement) bool { return ovsOwned(s.line(), ovsBridge) }
	for _, s := range have {
		stays := func(w statement) bool { return onBridge(w) && w.header() == s.header() }
		if onBridge(s) && !slices.ContainsFunc(want, stays) {
			commands = append(commands, ovsOpen+" "+ovsRecord(s.header()))
		}
	}
	if from, to := ovsGroupOf(have, port), ovsGroupOf(want, port); from != to {
		if from != "" {
			commands, ended[from] = append(commands, ovsLeave+" "+ovsRecord(from)+" "+port), true
		}
		if to != "" {
			commands, ended[ovsPort(port)] = append(commands, ovsJoin+" "+ovsRecord(to)+" "+port), true
		}
	}
	for _, s := range without(want, have) {
		if onBridge(s) {
			commands = append(commands, ovsShut+" "+ovsRecord(s.header()))
		}
	}
	return commands, ended
}

// ovsRecord is the name of a record of the table Port.
func ovsRecord(header statement) string { return strings.TrimPrefix(string(header), "Port ") }

// translate turns the commands above into those of ovs-vsctl, and keeps the others.
func (d ovs) translate(ctx context.Context, cli *terminal, commands []command) (texts []string, err error) {
	var layout *ovsLayout
	for _, c := range commands {
		words := strings.Fields(c.text)
		if !slices.Contains([]string{ovsLeave, ovsJoin, ovsShut, ovsOpen}, words[0]) {
			texts = append(texts, c.text)
			continue
		}
		if layout == nil {
			if layout, err = d.readLayout(ctx, cli); err != nil {
				return nil, err
			}
		}
		moves, err := layout.translate(words[0], words[1], c.port)
		if err != nil {
			return nil, &RefusedError{Line: c.text, Answer: err.Error(), port: c.port}
		}
		texts = append(texts, moves...)
	}
	return texts, nil
}

// ovsLayout is where a switch's ports are in the course of a transaction.
type ovsLayout struct {
	running   []statement
	ours      map[string]bool     // bonds
	members   map[string][]string // by bond
	bridges   map[string]string   // by port or bond
	homes     map[string]string   // the bridges of ports that are shut
	datapaths map[string]string   // their types by bridge
	ids       int                 // that commands have given to rows
}

func (d ovs) readLayout(ctx context.Context, cli *terminal) (*ovsLayout, error) {
	tables, err := d.tables(ctx, cli)
	if err != nil {
		return nil, err
	}
	l := &ovsLayout{
		running: tables.statements(), ours: map[string]bool{}, members: map[string][]string{},
		bridges: map[string]string{}, homes: map[string]string{}, datapaths: map[string]string{},
	}
	names := map[string]string{} // of ports
	for _, row := range tables["Port"] {
		name := row.text("name")
		names[row.text("_uuid")] = name
		l.members[name], l.ours[name] = tables.members(row), row.isOurBond()
		for _, setting := range row.settings("external_ids") {
			if home, is := strings.CutPrefix(setting, ovsHome); is {
				l.homes[name] = strings.Trim(home, `"`)
			}
		}
	}
	for _, row := range tables["Bridge"] {
		l.datapaths[row.text("name")] = cmp.Or(row.text("datapath_type"), "system")
		for _, id := range row.texts("ports") {
			l.bridges[names[id]] = row.text("name")
		}
	}
	return l, nil
}

// translate returns what a move is to ovs-vsctl. The error says why it is refused.
func (l *ovsLayout) translate(verb, record, port string) ([]string, error) {
	switch verb {
	case ovsLeave:
		return l.leave(record, port), nil
	case ovsJoin:
		return l.join(record, port)
	case ovsShut:
		return l.shut(record)
	default:
		return l.open(record)
	}
}

// id names a row for later commands.
func (l *ovsLayout) id() string {
	l.ids++
	return fmt.Sprintf("@r%d", l.ids)
}

// move moves a record to another bridge.
func (l *ovsLayout) move(record, to string) []string {
	id, from := l.id(), l.bridges[record]
	l.bridges[record] = to
	return []string{fmt.Sprintf("--id=%s get Port %s", id, record), fmt.Sprintf("remove Bridge %s ports %s", from, id), fmt.Sprintf("add Bridge %s ports %s", to, id)}
}
