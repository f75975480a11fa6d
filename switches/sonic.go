package switches

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// sonic is the driver for SONiC, release 202305 and later with one ASIC, whose CONFIG_DB is
// changed by JSON patches: the Generic Config Updater checks the whole against the YANG
// models and puts the steps in order. The user that logs in has a shell and may use sudo
// without a password, as members of the group sudo may. It follows the "SONiC Generic
// Configuration Update and Rollback" design, sonic-utilities and sonic-swss of July 2026,
// and the models of sonic-buildimage; it was tried with the emulated device only.
//
// VLANs, VRFs and BGP are the switch's own. A VRF is called "Vrf" and the intent's name.
type sonic struct{ linux }

const (
	sonicName  = mark  // of the checkpoint, and of who holds the lock
	sonicVRF   = "Vrf" // sonic-vrf.yang
	sonicGroup = "PortChannel"
	sonicMTU   = "9100" // DEFAULT_MTU_STR of sonic-swss: removing the field changes nothing

	// The updater has no lock of its own (ConfigLock in generic_updater.py). This one is
	// taken by "config reload", which writes into it who holds it.
	sonicLock = "/etc/sonic/reload.lock"
	// sonicWork is locked while a program changes something, so that one which outlives its
	// session is waited for.
	sonicWork  = "/run/lock/ferrodur.lock"
	sonicAlone = "sudo -n setsid --wait flock " + sonicWork
	sonicPatch = "/run/ferrodur-%d.json"
	// sonicPatience bounds a program: the updater takes a second for each step, and more to
	// put them in order.
	sonicPatience = 5 * time.Minute

	sonicHold = "sudo -n flock --nonblock " + sonicLock + " tee " + sonicLock

	sonicRead    = "sudo -n sonic-cfggen -d --print-data"
	sonicBetween = "\f" // what is configured and what is in effect; JSON has none
	sonicStates  = "ACL_*|FERRODUR_V*"
	// What AclOrch::setAclRuleStatus says of a rule that is in the hardware. Where there is no room
	// for one it is "Pending creation", and tried again; one that the switch does not know to do
	// is "Inactive". Either is drift, though nothing of it is configured.
	sonicActive   = "Active"
	sonicInactive = "Inactive"
	sonicState    = "status="
)

// ports are those of the front panel: what has another role leads to another ASIC.
func (sonic) ports(ctx context.Context, cli *terminal) (map[string]bool, error) {
	rows, err := sonicDump(ctx, cli, "APPL_DB", "PORT_TABLE:*")
	if err != nil {
		return nil, err
	}
	ports := map[string]bool{}
	for key, row := range rows {
		name := strings.TrimPrefix(key, "PORT_TABLE:")
		if strings.HasPrefix(name, "Ethernet") && (row["role"] == "" || row["role"] == "Ext") {
			ports[name] = row["oper_status"] == "up"
		}
	}
	return ports, nil
}

// sonicDump reads the rows of a database whose keys match a pattern.
func sonicDump(ctx context.Context, cli *terminal, database, pattern string) (map[string]map[string]string, error) {
	text, err := cli.run(ctx, sonicDumping(database, pattern), "")
	if err != nil {
		return nil, err
	}
	return readSonicDump(text)
}

func sonicDumping(database, pattern string) string {
	return fmt.Sprintf("sudo -n sonic-db-dump -n %s -y -k %s", database, inShell(pattern))
}

func readSonicDump(text string) (map[string]map[string]string, error) {
	var dumped map[string]struct {
		Value map[string]string `json:"value"`
	}
	if err := readJSON(text, &dumped); err != nil {
		return nil, err
	}
	rows := map[string]map[string]string{}
	for key, row := range dumped {
		rows[key] = row.Value
	}
	return rows, nil
}

// running is CONFIG_DB, and what the hardware has of the filters.
func (sonic) running(ctx context.Context, cli *terminal) (string, error) {
	config, err := cli.run(ctx, sonicRead, "")
	if err != nil {
		return "", err
	}
	states, err := cli.run(ctx, sonicDumping("STATE_DB", sonicStates), "")
	return config + sonicBetween + states, err
}

// read leaves out what concerns no port, and with it communities and keys.
func (sonic) read(text string) ([]statement, error) {
	config, dump, _ := strings.Cut(text, sonicBetween)
	db, err := readSonicDB(config)
	if err != nil {
		return nil, err
	}
	states, err := readSonicDump(cmp.Or(dump, "{}"))
	if err != nil {
		return nil, err
	}
	var all []statement
	for key, row := range states {
		if rule, is := strings.CutPrefix(key, "ACL_RULE_TABLE|"); is && row["status"] != sonicActive && db.row("ACL_RULE", rule) != nil {
			all = append(all, under("ACL_RULE|"+sonicLine(rule), sonicState+sonicLine(row["status"])))
		}
	}
	for table, rows := range db {
		for key, row := range rows {
			if !db.concernsPorts(table, key) {
				continue
			}
			at := statement(sonicLine(table + "|" + key))
			if db.bare(table, key) {
				all = append(all, at)
			}
			if hops, are := hops(row); are && table == "STATIC_ROUTE" {
				for _, hop := range hops {
					all = append(all, at.with(sonicLine(sonicVia+"="+hop)))
				}
				continue
			}
			for field, value := range row {
				for _, member := range members(value) {
					all = append(all, at.with(sonicLine(field+"="+sonicShown(field, member))))
				}
			}
		}
	}
	slices.Sort(all)
	return all, nil
}

// sonicLine keeps what has line breaks on one.
func sonicLine(text string) string { return strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(text) }

func sonicShown(field, value string) string {
	for _, secret := range []string{"password", "passkey", "secret", "cak"} {
		if strings.Contains(field, secret) {
			return Hidden
		}
	}
	return value
}

// concernsPorts tells whether a row is a port's, or says something of one.
func (db sonicDB) concernsPorts(table, key string) bool {
	isPort := func(name string) bool { return db.row("PORT", name) != nil || db.row("PORTCHANNEL", name) != nil }
	switch table {
	case "STATIC_ROUTE", "ACL_RULE", "ACL_TABLE", "ACL_TABLE_TYPE":
		return true
	}
	return slices.ContainsFunc(sonicParts(key), isPort)
}

// sonicParts are the parts of a key. Some are lists of ports.
func sonicParts(key string) []string {
	return strings.FieldsFunc(key, func(r rune) bool { return r == '|' || r == ',' })
}

// sonicOwned are the fields that an intent decides on, by table.
var sonicOwned = map[string][]string{
	"PORT":                  {"description", "admin_status", "mtu"},
	"INTERFACE":             {"vrf_name"},
	"PORTCHANNEL_INTERFACE": {"vrf_name"},
	"VLAN_MEMBER":           {"tagging_mode"},
	"PORTCHANNEL":           {"admin_status", "mtu", "lacp_key", "fallback"},
}

// sonicHardware are the fields that say what a port is (port_config.ini), and of an address
// what it says itself.
var sonicHardware = map[string][]string{
	"PORT":                  {"lanes", "alias", "index", "speed", "subport", "role", "core_id", "core_port_id", "num_voq", "asic_port_name"},
	"INTERFACE":             {"family", "scope"},
	"PORTCHANNEL_INTERFACE": {"family", "scope"},
}

func (sonic) section(running []statement, port string) section {
	group := ""
	bound := map[string]bool{} // filters, by name
	for _, s := range running {
		table, key := s.row()
		parts := sonicParts(key)
		if table == "PORTCHANNEL_MEMBER" && len(parts) == 2 && parts[1] == port {
			group = parts[0]
		}
	}
	mine := func(name string) bool { return name == port || name == group && group != "" }
	for _, s := range running {
		table, key := s.row()
		if name, value, _ := s.field(); table == "ACL_TABLE" && name == "ports" && value == port && sonicFilter(key) {
			bound[key] = true
		}
	}
	var found section
	for _, s := range running {
		table, key := s.row()
		parts := sonicParts(key)
		name, value, isField := s.field()
		owned, is := false, slices.ContainsFunc(parts, mine)
		switch table {
		case "PORT", "PORTCHANNEL":
			is = mine(key)
			owned = slices.Contains(sonicOwned[table], name)
		case "INTERFACE", "PORTCHANNEL_INTERFACE", "PORTCHANNEL_MEMBER", "VLAN_MEMBER":
			is = is && (table != "PORTCHANNEL_MEMBER" || parts[len(parts)-1] == port)
			owned = !isField || slices.Contains(sonicOwned[table], name)
		case "STATIC_ROUTE":
			_, hop, _ := strings.Cut(value, " ")
			owned = name == sonicVia && mine(hop)
			is = owned || name == "ifname" && slices.ContainsFunc(sonicParts(value), mine)
		case "ACL_RULE":
			is = len(parts) == 2 && sonicFilter(parts[0]) && isNamed(parts[1], port)
			owned = true
		case "ACL_TABLE", "ACL_TABLE_TYPE":
			is = bound[key] && name != "ports" || name == "ports" && mine(value)
			owned = bound[key]
		}
		switch {
		case !is, slices.Contains(sonicHardware[table], name):
		case owned && !(table == "PORT" && name == "description" && value == ""):
			found.owned = append(found.owned, s)
		case !owned:
			found.foreign = append(found.foreign, s)
		}
	}
	return found
}

// edit: what the filters of all ports have in common goes with the last of them.
func (sonic) edit(_ string, have section, want []statement) []string {
	var commands []string
	for _, s := range without(have.owned, want) {
		table, _ := s.row()
		name, _, _ := s.field()
		if table != "ACL_TABLE_TYPE" && !(table == "ACL_TABLE" && name != "ports") {
			commands = append(commands, sonicUnset+string(s))
		}
	}
	for _, s := range without(want, have.owned) {
		if !strings.HasPrefix(s.line(), sonicState) { // as a port was, and is not to be again
			commands = append(commands, sonicSet+string(s))
		}
	}
	return commands
}

// transact holds the lock from before it reads what it changes until it has verified it.
func (d sonic) transact(ctx context.Context, cli *terminal, t transaction) error {
	lock, err := d.lock(ctx, cli)
	if err != nil {
		return err
	}
	defer lock.letGo()
	if err := d.settle(ctx, cli); err != nil {
		return err
	}
	if err := d.config(ctx, cli, "checkpoint "+sonicName); err != nil {
		return err
	}
	send := func(ctx context.Context, commands []command) error { return d.send(ctx, cli, commands) }
	err = send(ctx, t.commands)
	if err == nil {
		err = t.verify(ctx)
	}
	if errors.Is(err, ErrUnreachable) {
		return err
	}
	if undoable(err) {
		// The ports' own rows first: a roll-back takes away what others have changed meanwhile.
		if failed := t.undo(ctx, send); failed != nil {
			if back := d.config(ctx, cli, "rollback "+sonicName); back != nil {
				err = errors.Join(err, failed, back)
			}
		}
	}
	return errors.Join(err, d.config(ctx, cli, "delete-checkpoint "+sonicName))
}

// lock keeps out "config reload" and other programs like this one, for which it waits.
// ErrLocked with the name of any other.
func (d sonic) lock(ctx context.Context, cli *terminal) (*held, error) {
	for {
		lock, err := cli.hold(ctx, sonicHold, sonicName)
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Answer != "" { // flock(1) says nothing when it is late
			return lock, err
		}
		holder, err := cli.run(ctx, "sudo -n cat "+sonicLock, "")
		if err != nil {
			return nil, err
		}
		if holder = strings.TrimSpace(holder); holder != sonicName && holder != "" { // it may not have written yet
			return nil, fmt.Errorf("%w: locked by %s", ErrLocked, holder)
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
}

// config runs SONiC's program of that name, with some arguments after the other, which may take
// its time. When the connection breaks off meanwhile it goes on to the end, for which settle
// waits: it is out of reach of the session's signals, and what it says is held back until then.
// The updater tells each of its steps (print_all_to_console in generic_updater.py), and where
// nobody listens any more it dies of that, half-way.
func (d sonic) config(ctx context.Context, cli *terminal, arguments ...string) error {
	programs := "config " + strings.Join(arguments, " && config ")
	script := "complaint=$({ " + programs + `; } 2>&1 >/dev/null); status=$?; printf "%s\n" "$complaint" >&2; exit $status`
	_, err := cli.patiently(sonicPatience).run(ctx, sonicAlone+" sh -c "+inShell(script), "")
	var refused *RefusedError
	if errors.As(err, &refused) {
		err = &RefusedError{Line: programs, Answer: sonicComplaint(refused.Answer)}
	}
	return err
}

// sonicComplaint is what the program says last, after the usage of its command.
func sonicComplaint(text string) string {
	if i := strings.LastIndex(text, "\nError: "); i >= 0 {
		text = text[i+len("\nError: "):]
	}
	return strings.Join(strings.Fields(text), " ")
}

// send makes patches of what is there now, and of the commands. A port that has a filter is
// opened when that is in the hardware; all else is one program, which a session that breaks off
// leaves done as a whole.
func (d sonic) send(ctx context.Context, cli *terminal, commands []command) error {
	text, err := cli.run(ctx, sonicRead, "")
	if err != nil {
		return err
	}
	before, err := readSonicDB(text)
	if err != nil {
		return err
	}
	after := before.edited(commands)
	if err := before.unchangeable(after, commands); err != nil {
		return err
	}
	shut, done := before.stages(after)
	closed, opened := [][]sonicOperation{before.patch(shut), shut.patch(done)}, done.patch(after)
	filters := after.filters(portsOf(commands))
	if len(filters) == 0 {
		return d.apply(ctx, cli, commands, append(closed, opened)...)
	}
	err = d.apply(ctx, cli, commands, closed...)
	if err == nil {
		err = d.inHardware(ctx, cli, filters)
	}
	if err == nil {
		err = d.apply(ctx, cli, commands, opened)
	}
	return err
}

// unchangeable refuses what SONiC takes and does not do, for teammgrd reads how a group falls
// back when the group is made, and what would change someone else's route.
func (db sonicDB) unchangeable(after sonicDB, commands []command) error {
	for _, c := range commands {
		s := statement(strings.TrimPrefix(strings.TrimPrefix(c.text, sonicSet), sonicUnset))
		table, key := s.row()
		had, has := db.row(table, key), after.row(table, key)
		if name, _, _ := s.field(); name == sonicVia && had != nil {
			if _, are := hops(had); !are {
				return &RefusedError{Line: s.String(), Answer: "there is a static route for this prefix that says more: it is someone else's", port: c.port}
			}
		}
		if table == "PORTCHANNEL" && had != nil && has != nil && (had["fallback"] == "true") != (has["fallback"] == "true") {
			return &RefusedError{
				Line: s.String(), port: c.port,
				Answer: "the fallback of a group cannot be changed while it has members: put them in quarantine first",
			}
		}
	}
	return nil
}

// apply applies patches, one after the other. They are files, being too long for arguments, and
// are whole before the first is applied.
func (d sonic) apply(ctx context.Context, cli *terminal, commands []command, patches ...[]sonicOperation) error {
	var programs, texts []string
	for _, patch := range patches {
		if len(patch) == 0 {
			continue
		}
		text, err := json.Marshal(patch)
		if err != nil {
			return err
		}
		file := fmt.Sprintf(sonicPatch, len(texts)+1)
		if _, err := cli.run(ctx, sonicAlone+" dd status=none of="+file, string(text)); err != nil {
			return err
		}
		programs, texts = append(programs, "apply-patch "+file), append(texts, string(text))
	}
	if len(programs) == 0 {
		return nil
	}
	err := d.config(ctx, cli, programs...)
	var refused *RefusedError
	if errors.As(err, &refused) {
		refused = &RefusedError{Line: refused.Line + " " + strings.Join(texts, " "), Answer: refused.Answer}
		if ports := portsOf(commands); len(ports) == 1 {
			refused.port = ports[0]
		}
		return refused
	}
	return err
}

// portsOf are those on whose behalf commands are sent.
func portsOf(commands []command) []string {
	ports := map[string]bool{}
	for _, c := range commands {
		ports[c.port] = true
	}
	return slices.Sorted(maps.Keys(ports))
}

// settle waits until nothing that a session which broke off has begun is under way.
func (d sonic) settle(ctx context.Context, cli *terminal) error {
	_, err := cli.patiently(sonicPatience).run(ctx, sonicAlone+" true", "")
	return err
}

func (d sonic) save(ctx context.Context, cli *terminal) error {
	return d.config(ctx, cli, "save -y")
}
