package switches

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// ovs is the driver for Open vSwitch, whose database ovs-vsctl(8) changes in one
// transaction. The user that logs in has a shell and may run ovs-vsctl by sudo without a
// password. It was tried with Open vSwitch 3.1. The database is kept on disk. Ports are
// switched; what routes is not Open vSwitch's. For bonds see ovs_bond.go, for shut ports
// ovs_shut.go.
//
// The columns are those of ovs-vswitchd.conf.db(5), tables Bridge, Port and Interface.
type ovs struct{ linux }

// ovsColumns are what says how a port is configured, and not how it is.
var ovsColumns = map[string][]string{
	"Bridge": {"name", "ports", "fail_mode", "controller", "datapath_type"},
	"Port": {
		"_uuid", "name", "interfaces", "tag", "trunks", "cvlans", "vlan_mode", "protected", "qos", "mac", "bond_mode", "lacp",
		"bond_downdelay", "bond_updelay", "external_ids", "other_config",
	},
	"Interface": {
		"_uuid", "name", "type", "mtu_request", "mac", "ofport_request", "options", "ingress_policing_rate", "ingress_policing_burst",
		"external_ids", "other_config", "bfd", "lldp", "link_state",
	},
}

const (
	ovsDescription = "external_ids:description="
	ovsTag         = "tag="
	ovsTrunks      = "trunks="
	ovsMode        = "vlan_mode="
	ovsMTU         = "mtu_request="
	ovsProtected   = "protected=" // keeps such ports apart from each other
)

// ovsPortSettings are those that an intent decides on, of all records of the table Port.
var ovsPortSettings = []string{ovsBridge, ovsDescription, ovsTag, ovsTrunks, ovsMode, ovsProtected}

func ovsPort(port string) statement      { return statement("Port " + port) }
func ovsInterface(port string) statement { return statement("Interface " + port) }

func (d ovs) ports(ctx context.Context, cli *terminal) (map[string]bool, error) {
	tables, err := d.tables(ctx, cli)
	if err != nil {
		return nil, err
	}
	ours := map[string]bool{}
	for _, port := range tables["Port"] {
		for _, member := range tables.members(port) {
			ours[member] = member == port.text("name") || port.isOurBond()
		}
	}
	ports := map[string]bool{}
	for _, i := range tables["Interface"] {
		// Internal ones, patches and tunnels lead to no server, and those of others' bonds are not
		// themselves.
		if name := i.text("name"); ours[name] && (i.text("type") == "" || i.text("type") == "system") {
			ports[name] = i.text("link_state") == "up"
		}
	}
	return ports, nil
}

func (d ovs) running(ctx context.Context, cli *terminal) (string, error) {
	lists := "--format=json"
	for _, table := range []string{"Bridge", "Port", "Interface"} {
		lists += fmt.Sprintf(" -- --columns=%s list %s", strings.Join(ovsColumns[table], ","), table)
	}
	return d.vsctl(ctx, cli, lists)
}

func (d ovs) tables(ctx context.Context, cli *terminal) (ovsTables, error) {
	text, err := d.running(ctx, cli)
	if err != nil {
		return nil, err
	}
	return readOVS(text)
}

// vsctl runs ovs-vsctl: ErrUnreachable where the database is away, or is not carried out in time.
// A signal ends ovs-vsctl then.
func (ovs) vsctl(ctx context.Context, cli *terminal, commands string) (string, error) {
	output, err := cli.run(ctx, "sudo -n ovs-vsctl --timeout=20 "+commands, "")
	var refused *RefusedError
	if errors.As(err, &refused) && strings.Contains(refused.Answer, "database connection failed") {
		err = fmt.Errorf("%w: %s", ErrUnreachable, refused.Answer)
	}
	return output, err
}

func (ovs) read(text string) ([]statement, error) {
	tables, err := readOVS(text)
	return tables.statements(), err
}

func (t ovsTables) statements() []statement {
	all := t.shut()
	for _, name := range []string{"Port", "Interface"} {
		for _, row := range t[name] {
			at := statement(name + " " + row.text("name"))
			for _, member := range t.members(row) {
				if member != row.text("name") {
					all = append(all, at.with(ovsMember+member))
				}
			}
			for _, column := range ovsColumns[name] {
				for _, setting := range row.settings(column) {
					if !strings.HasPrefix(setting, ovsHome) {
						all = append(all, at.with(setting))
					}
				}
			}
		}
	}
	return all
}

func (ovs) section(running []statement, port string) section {
	group := ovsGroupOf(running, port)
	var found section
	for _, s := range running {
		owned, line := false, s.line()
		switch s.header() {
		case ovsPort(port):
			owned = ovsOwned(line, ovsPortSettings...)
		case ovsInterface(port):
			owned = ovsOwned(line, ovsMTU)
		case group:
			if strings.HasPrefix(line, ovsMember) && line != ovsMember+port {
				continue
			}
			owned = line == ovsMember+port || ovsOwned(line, ovsPortSettings...) || ovsOwned(line, ovsBondSettings...)
		default:
			continue
		}
		if owned {
			found.owned = append(found.owned, s)
		} else {
			found.foreign = append(found.foreign, s)
		}
	}
	return found
}

func ovsOwned(line string, kinds ...string) bool {
	return slices.ContainsFunc(kinds, func(kind string) bool { return strings.HasPrefix(line, kind) })
}

func (ovs) render(_ Device, intent Intent) ([]statement, error) {
	if err := unsupported("ovs", map[string]bool{
		"routed ports": len(intent.Addresses) > 0, "a bond that spans two switches": intent.Bond != nil && intent.Bond.MultiChassis,
	}); err != nil {
		return nil, err
	}
	at := ovsPort(intent.Port)
	var want []statement
	if intent.Bond != nil {
		at = ovsBond(intent.Bond.Group)
		want = renderOVSBond(at, intent)
	}
	want = append(want, at.with(ovsDescription+ovsQuoted(intent.label())))
	switch vlans := intent.VLANs; {
	case intent.Profile == Quarantine:
		want = append(want, at.with(ovsBridge+ovsShutBridge))
	case vlans == nil: // of a port that is not as an intent would have it
	case len(vlans.Tagged) == 0:
		want = append(want, at.with(ovsMode+"access"), at.with(ovsTag+strconv.Itoa(vlans.Untagged)))
	case vlans.Untagged == 0:
		want = append(want, at.with(ovsMode+"trunk"), at.with(ovsTrunks+ovsList(vlans.Tagged...)))
	default:
		want = append(want, at.with(ovsMode+"native-untagged"), at.with(ovsTag+strconv.Itoa(vlans.Untagged)), at.with(ovsTrunks+ovsList(vlans.Tagged...)))
	}
	if intent.Profile == Provisioning {
		want = append(want, at.with(ovsProtected+"true"))
	}
	if intent.MTU != 0 {
		want = append(want, ovsInterface(intent.Port).with(ovsMTU+strconv.Itoa(intent.MTU)))
	}
	return want, nil
}

func ovsList(ids ...int) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(id)
	}
	return "[" + strings.Join(texts, ",") + "]"
}

func (ovs) parse(port string, owned []statement) Intent {
	intent := Intent{Port: port}
	for _, s := range owned {
		line := s.line()
		if text, is := strings.CutPrefix(line, ovsDescription); is {
			var label string
			_ = json.Unmarshal([]byte(text), &label) // what is no text is no label
			intent.readLabel(label)
		} else if line == ovsMember+port {
			intent.bond().Group = ovsGroup(s.header())
		} else if line == ovsFallback {
			intent.bond().Fallback = true
		} else if text, is := strings.CutPrefix(line, ovsTag); is {
			intent.vlans().Untagged = number(text)
		} else if text, is := strings.CutPrefix(line, ovsMTU); is {
			intent.MTU = number(text)
		} else if text, is := strings.CutPrefix(line, ovsTrunks); is {
			for id := range strings.SplitSeq(strings.Trim(text, "[]"), ",") {
				intent.vlans().Tagged = append(intent.vlans().Tagged, number(id))
			}
		}
	}
	return intent
}

// edit returns commands of ovs-vsctl, and those of ovs_moves.go. A setting replaces the one of
// the same name.
func (ovs) edit(port string, have section, want []statement) []string {
	commands, ended := moveOVS(port, have.owned, want)
	added := without(want, have.owned)
	added = slices.DeleteFunc(added, func(s statement) bool { return s.line() == ovsMember+port || ovsOwned(s.line(), ovsBridge) })
	replaced := map[statement]bool{} // now, or by another member of the same bond
	for _, s := range want {
		replaced[ovsName(s)] = true
	}
	for _, s := range without(have.owned, want) {
		if name := ovsName(s); !replaced[name] && !ended[s.header()] {
			column, key, inMap := strings.Cut(name.line(), ":")
			switch {
			case inMap:
				commands = append(commands, fmt.Sprintf("remove %s %s %s", s.header(), column, key))
			case column+"=" == ovsBridge: // see moveOVS
			case column+"=" == ovsProtected: // is never empty
				commands = append(commands, fmt.Sprintf("set %s %sfalse", s.header(), ovsProtected))
			default:
				commands = append(commands, fmt.Sprintf("clear %s %s", s.header(), column))
			}
		}
	}
	for _, s := range added {
		commands = append(commands, fmt.Sprintf("set %s %s", s.header(), inShell(s.line())))
	}
	return commands
}

// ovsName is a setting without its value.
func ovsName(s statement) statement {
	name, _, _ := strings.Cut(s.line(), "=")
	return s.header().with(name)
}

// inShell quotes a word for a POSIX shell (IEEE 1003.1, XCU §2.2.2).
func inShell(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

func (d ovs) transact(ctx context.Context, cli *terminal, t transaction) error {
	return lineByLine(ctx, t, func(ctx context.Context, commands []command) error {
		texts, err := d.translate(ctx, cli, commands)
		if err != nil || len(texts) == 0 {
			return err
		}
		_, err = d.vsctl(ctx, cli, "-- "+strings.Join(texts, " -- "))
		return err
	})
}

// settle: a transaction that broke off is in effect as a whole, or not at all.
func (ovs) settle(context.Context, *terminal) error { return nil }

// save waits until ovs-vswitchd has carried out what the database says, which a session that broke
// off may have left to be done.
func (d ovs) save(ctx context.Context, cli *terminal) error {
	asked, err := d.vsctl(ctx, cli, "get Open_vSwitch . next_cfg")
	if err == nil {
		_, err = d.vsctl(ctx, cli, "wait-until Open_vSwitch . "+inShell("cur_cfg>="+strings.TrimSpace(asked)))
	}
	return err
}

// ovsRow is a row of the database: values by column, in the notation of RFC 7047 §5.1.
type ovsRow map[string]any

// ovsTables are the rows of the tables Bridge, Port and Interface.
type ovsTables map[string][]ovsRow

// readOVS reads what ovs-vsctl lists: a JSON document for each table.
func readOVS(text string) (ovsTables, error) {
	tables := ovsTables{}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	for {
		var listed struct {
			Headings []string `json:"headings"`
			Data     [][]any  `json:"data"`
		}
		err := decoder.Decode(&listed)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		name := "Interface"
		if slices.Contains(listed.Headings, "ports") {
			name = "Bridge"
		} else if slices.Contains(listed.Headings, "interfaces") {
			name = "Port"
		}
		for _, values := range listed.Data {
			if len(values) != len(listed.Headings) {
				return nil, ErrUnreadable
			}
			row := ovsRow{}
			for i, column := range listed.Headings {
				row[column] = values[i]
			}
			tables[name] = append(tables[name], row)
		}
	}
	if len(tables) != 3 {
		return nil, ErrUnreadable
	}
	return tables, nil
}

// text is a value that is one word.
func (r ovsRow) text(column string) string {
	if words := r.texts(column); len(words) == 1 {
		return words[0]
	}
	return ""
}

// texts are the members of a set, of which one alone is written without the set.
func (r ovsRow) texts(column string) (words []string) {
	members := []any{r[column]}
	if pair, is := r[column].([]any); is && len(pair) == 2 && pair[0] == "set" {
		members, _ = pair[1].([]any)
	}
	for _, member := range members {
		switch value := member.(type) {
		case string:
			words = append(words, value)
		case json.Number:
			words = append(words, value.String())
		case bool:
			words = append(words, strconv.FormatBool(value))
		case []any: // ["uuid", …]
			words = append(words, fmt.Sprint(value...))
		}
	}
	slices.Sort(words)
	return words
}

// settings are what a column says that differs from its default, in ovs-vsctl's notation:
// "tag=100", "trunks=[100,200]", `external_ids:owner="ops"`.
func (r ovsRow) settings(column string) (settings []string) {
	if pair, is := r[column].([]any); is && len(pair) == 2 && pair[0] == "map" {
		entries, _ := pair[1].([]any)
		for _, entry := range entries {
			if pair, is := entry.([]any); is && len(pair) == 2 {
				settings = append(settings, fmt.Sprintf("%s:%v=%s", column, pair[0], ovsQuoted(fmt.Sprint(pair[1]))))
			}
		}
		slices.Sort(settings)
		return settings
	}
	words := r.texts(column)
	switch column {
	case "_uuid", "name", "interfaces", "link_state": // what a row is, and not how it is set
		return nil
	case "trunks", "cvlans":
		if len(words) > 0 {
			slices.SortFunc(words, func(a, b string) int { return number(a) - number(b) })
			settings = append(settings, column+"=["+strings.Join(words, ",")+"]")
		}
	default:
		for _, word := range words {
			if word != "" && word != "false" && !(word == "0" && column != "tag") {
				settings = append(settings, column+"="+word)
			}
		}
	}
	return settings
}

// ovsQuoted is a text in the notation of the database: JSON's.
func ovsQuoted(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		return `""` // does not happen: every text is JSON
	}
	return string(quoted)
}
