package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// sonic emulates SONiC as its "Generic Configuration Update and Rollback" design and the
// sources of sonic-utilities say: config apply-patch, checkpoint and rollback
// (generic_config_updater), the lock that config reload takes and the updater does not
// (utilities_common/flock.py), sonic-cfggen and sonic-db-dump. What is taken into CONFIG_DB
// is in effect at once.
type sonic struct {
	device      *Device
	db          map[string]any // CONFIG_DB: tables of rows of fields
	checkpoints map[string]map[string]any
	files       map[string]string
	locked      map[string]bool // files, by flock(1)
}

const (
	sonicReload = "/etc/sonic/reload.lock"
	// sonicRoom is how many rules there is room for in the hardware. The others are
	// configured, and tried again when one has gone (AclOrch::doAclRuleTask).
	sonicRoom = 500
)

func newSonic(d *Device) *sonic {
	ports := map[string]any{}
	for n, port := range d.config.Ports {
		ports[port] = map[string]any{
			"alias": fmt.Sprintf("Eth1/%d", n+1), "index": fmt.Sprint(n + 1), "lanes": fmt.Sprint(n), "speed": "25000", "mtu": "9100", "admin_status": "up",
		}
	}
	return &sonic{
		device: d, checkpoints: map[string]map[string]any{}, files: map[string]string{}, locked: map[string]bool{},
		db: map[string]any{
			"PORT":            ports,
			"DEVICE_METADATA": map[string]any{"localhost": map[string]any{"hostname": d.config.Name, "docker_routing_config_mode": "separated", "bgp_asn": "65000"}},
		},
	}
}

// login: nobody is given a terminal here.
func (s *sonic) login(*shell) dialogue { return nil }

func (s *sonic) running() string {
	text, err := json.MarshalIndent(s.db, "", "    ")
	if err != nil {
		panic(err) // texts, lists and objects are JSON
	}
	return string(text) + "\n"
}

// byHand takes commands to the database, such as "HSET VLAN|Vlan100 vlanid 100". A list's
// field is called with an at sign.
func (s *sonic) byHand(lines []string) error {
	after := copied(s.db)
	for _, line := range lines {
		words := strings.SplitN(line, " ", 4)
		if len(words) < 4 || words[0] != "HSET" {
			return fmt.Errorf("%q: unknown command", line)
		}
		table, key, _ := strings.Cut(words[1], "|")
		if after[table] == nil {
			after[table] = map[string]any{}
		}
		rows := after[table].(map[string]any)
		if rows[key] == nil {
			rows[key] = map[string]any{}
		}
		row := rows[key].(map[string]any)
		if field, isList := strings.CutSuffix(words[2], "@"); isList {
			list := []any{}
			for member := range strings.SplitSeq(words[3], ",") {
				list = append(list, member)
			}
			row[field] = list
		} else if words[2] != "NULL" { // an entry without fields has this one in Redis
			row[words[2]] = words[3]
		}
	}
	if err := checkSonic(after); err != nil {
		return err
	}
	s.db = after
	return nil
}

func copied(document map[string]any) map[string]any {
	text, err := json.Marshal(document)
	var all map[string]any
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		panic(err) // texts, lists and objects are JSON
	}
	return all
}

func (s *sonic) run(p *program) int {
	words := strings.Fields(p.line)
	if len(words) < 3 || words[0] != "sudo" || words[1] != "-n" {
		p.complaint.WriteString("Root privileges are required for this operation\n")
		return 1
	}
	return s.root(p, words[2:])
}

func (s *sonic) root(p *program, words []string) int {
	switch name := words[0]; {
	case name == "true":
	case name == "flock":
		return s.flock(p, words[1:])
	case name == "setsid" && len(words) > 2 && words[1] == "--wait":
		return s.root(p, words[2:])
	case name == "sh":
		return s.script(p, strings.Join(words[1:], " "))
	case name == "dd" && len(words) == 3 && words[1] == "status=none":
		s.files[strings.TrimPrefix(words[2], "of=")] = string(p.input())
	case name == "tee" && len(words) == 2:
		p.repeat(func(line string) { s.files[words[1]] = line })
	case name == "cat" && len(words) == 2:
		p.output.WriteString(s.files[words[1]])
		if by := s.device.faults.LockedBy; by != "" && words[1] == sonicReload {
			p.output.WriteString(by + ", pid 4711\n")
		}
	case name == "config":
		return s.config(p, words[1:])
	case strings.Join(words, " ") == "sonic-cfggen -d --print-data":
		p.output.WriteString(s.running())
	case strings.Join(words, " ") == "lldpcli -f json0 show neighbors":
		p.output.WriteString(s.device.lldpdNeighbours())
	case name == "sonic-db-dump" && len(words) == 6:
		s.dump(p, words[2], strings.Trim(words[5], "'"))
	default:
		p.complaint.WriteString("sudo: " + name + ": command not found\n")
		return 1
	}
	return 0
}

// flock runs a program while it has a lock: flock(1).
func (s *sonic) flock(p *program, words []string) int {
	atOnce := words[0] == "--nonblock"
	if atOnce {
		words = words[1:]
	}
	file := words[0]
	for s.locked[file] || file == sonicReload && s.device.faults.LockedBy != "" {
		if atOnce {
			return 1
		}
		p.apart(func() { time.Sleep(time.Millisecond) })
	}
	s.locked[file] = true
	defer func() { s.locked[file] = false }()
	return s.root(p, words[1:])
}

// sonicHeldBack is the script of a shell that passes on a complaint when all has ended.
var sonicHeldBack = regexp.MustCompile(`^-c 'complaint=\$\(\{ (.+); \} 2>&1 >/dev/null\); status=\$\?; printf "%s\\n" "\$complaint" >&2; exit \$status'$`)

func (s *sonic) script(p *program, text string) int {
	held := sonicHeldBack.FindStringSubmatch(text)
	if held == nil {
		p.complaint.WriteString("sh: 1: Syntax error\n")
		return 2
	}
	p.unheard = true
	for line := range strings.SplitSeq(held[1], " && ") {
		if status := s.root(p, strings.Fields(line)); status != 0 {
			return status
		}
	}
	p.output.Reset()
	return 0
}

// config is the program of this name. It complains with the usage, and last the reason.
func (s *sonic) config(p *program, words []string) int {
	var err error
	argument := words[len(words)-1]
	switch words[0] {
	case "checkpoint":
		s.checkpoints[argument] = copied(s.db)
		p.output.WriteString("Checkpoint created successfully.\n")
	case "delete-checkpoint":
		if s.checkpoints[argument] == nil {
			err = fmt.Errorf("[Errno 2] No such file or directory: '/etc/sonic/checkpoints/%s.cp.json'", argument)
		}
		delete(s.checkpoints, argument)
	case "rollback":
		if s.checkpoints[argument] == nil {
			err = fmt.Errorf("checkpoint '%s' does not exist", argument)
			break
		}
		s.db = copied(s.checkpoints[argument])
		p.output.WriteString("Config rolled back successfully.\n")
	case "apply-patch":
		err = s.patch(p, []byte(s.files[argument]))
	case "save":
		s.files["/etc/sonic/config_db.json"] = s.running()
	default:
		err = fmt.Errorf("no such command '%s'", words[0])
	}
	if err != nil {
		fmt.Fprintf(&p.complaint, "Usage: config %s [OPTIONS]\nTry 'config %s -h' for help.\n\nError: %v\n", words[0], words[0], err)
		return 2
	}
	return 0
}

// patch carries out a patch, all of which is checked before the first step. It tells of each
// step, and breaks off where nobody hears it: "Patch Applier" prints to the console, and of
// writing to a pipe that is closed a Python program dies (BrokenPipeError).
func (s *sonic) patch(p *program, text []byte) error {
	var patch []operation
	if err := json.Unmarshal(text, &patch); err != nil {
		return err
	}
	if !p.tell("Patch Applier: localhost: Patch application starting.\n") {
		return errSonicUnheard
	}
	after := copied(s.db)
	var done []operation
	for _, o := range patch {
		if refuse := s.device.faults.Refuse; refuse != nil {
			if complaint := refuse(o.words()); complaint != "" {
				return fmt.Errorf("failed to apply patch on the following scopes:\n- localhost: %s", complaint)
			}
		}
		if ignore := s.device.faults.Ignore; ignore != nil && ignore(o.words()) {
			continue
		}
		done = append(done, o.copy())
		if err := o.apply(after); err != nil {
			return err
		}
	}
	for table, rows := range after {
		if rows, is := rows.(map[string]any); !is || len(rows) == 0 {
			return fmt.Errorf("given patch is not valid because it will result in empty tables which is not allowed in ConfigDb. Table: %s", table)
		}
	}
	if err := checkSonic(after); err != nil {
		return fmt.Errorf("given patch will produce invalid config. Error: %w", err)
	}
	p.apart(func() { time.Sleep(s.device.commitTime()) })
	if complaint := s.device.faults.FailCommit; complaint != "" {
		return errors.New(complaint)
	}
	for n, o := range inOrder(done) {
		if err := o.apply(s.db); err != nil {
			return err
		}
		s.device.changed()
		if n == 0 && !p.tell("Patch Applier: localhost: applying changes in order.\n") {
			return errSonicUnheard
		}
	}
	s.device.counts.Commits++
	p.output.WriteString("Patch applied successfully.\n")
	return nil
}

// inOrder is one of the orders that the updater may choose, for no model ties a port's status
// to what else is said of it: the worst.
func inOrder(patch []operation) []operation {
	turn := func(o operation) int {
		status := strings.HasSuffix(o.Path, "/admin_status")
		switch {
		case status && o.Value == "up":
			return -1
		case status:
			return 1
		}
		return 0
	}
	return slices.SortedStableFunc(slices.Values(patch), func(a, b operation) int { return turn(a) - turn(b) })
}

var errSonicUnheard = errors.New("[Errno 32] Broken pipe")

func (d *Device) commitTime() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.faults.CommitTime
}

// dump prints the rows of a database whose keys match a pattern.
func (s *sonic) dump(p *program, database, pattern string) {
	all := map[string]map[string]string{}
	switch database {
	case "APPL_DB":
		all["PORT_TABLE:PortInitDone"] = map[string]string{"lanes": "0"}
		for port, row := range s.rows("PORT") {
			status := row.(map[string]any)["admin_status"]
			all["PORT_TABLE:"+port] = map[string]string{"admin_status": fmt.Sprint(status), "oper_status": fmt.Sprint(status)}
		}
	case "STATE_DB":
		for table := range s.rows("ACL_TABLE") {
			all["ACL_TABLE_TABLE|"+table] = map[string]string{"status": "Active"}
		}
		var rules []string
		for rule := range s.rows("ACL_RULE") {
			rules = append(rules, rule)
		}
		slices.Sort(rules)
		for n, rule := range rules {
			status := "Active"
			if n >= sonicRoom {
				status = "Pending creation"
			}
			all["ACL_RULE_TABLE|"+rule] = map[string]string{"status": status}
		}
	}
	dumped := map[string]any{}
	for key, row := range all {
		if is, err := path.Match(pattern, strings.ReplaceAll(key, "/", "")); err == nil && is {
			dumped[key] = map[string]any{"type": "hash", "ttl": -0.001, "value": row}
		}
	}
	text, err := json.MarshalIndent(dumped, "", "  ")
	if err != nil {
		panic(err) // texts and numbers are JSON
	}
	p.output.Write(append(text, '\n'))
}

func (s *sonic) rows(table string) map[string]any {
	rows, _ := s.db[table].(map[string]any)
	return rows
}
