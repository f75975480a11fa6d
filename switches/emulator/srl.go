package emulator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// srl emulates Nokia SR Linux as its "Configuration Basics Guide" describes it: chapter
// "CLI interface" for modes, named candidates and prompts, chapter "Configuration
// management" for exclusive candidates, commit validate and commit confirmed; and as its
// YANG models of release 25.3 do for the lines. Changes of a session that breaks off stay in
// its candidate; lists of values grow when one is set.
type srl struct {
	device *Device
	grammar
	now        flat
	candidates map[string]*srlCandidate
	commits    []string // their status
	timer      *time.Timer
	before     flat // to go back to, while the timer runs
	sessions   int  // numbers them
}

// srlCandidate is a copy of the configuration that becomes it.
type srlCandidate struct {
	config, baseline flat
	users            map[*srlDialogue]bool
	exclusive        bool
}

func newSRL(d *Device) *srl {
	const (
		prefix = `[0-9a-f.:]+/\d+`
		word   = `[\w./:-]+`
		text   = `(?:"[^"]*"|[^\s"]+)`
		list   = `\[( ` + word + `)+ \]`
	)
	port := `interface ` + word
	unit := port + ` subinterface \d+`
	ra := unit + ` ipv6 router-advertisement router-role`
	entry := `acl acl-filter ` + word + ` type ipv[46] entry \d+`
	policy := `routing-policy policy ` + word
	instance := `network-instance ` + word
	group := instance + ` protocols bgp group ` + word
	neighbor := instance + ` protocols bgp neighbor ` + word
	family := neighbor + ` afi-safi ipv[46]-unicast`
	hops := instance + ` next-hop-groups group ` + word
	route := instance + ` static-routes route ` + prefix
	with := func(value string, leaves ...string) []string {
		var all []string
		for _, leaf := range leaves {
			all = append(all, leaf+value)
		}
		return all
	}
	leaves := []string{
		port + ` (description|admin-state|mtu|vlan-tagging)`, port + ` ethernet (aggregate-id|port-speed|reload-delay|hold-time up)`,
		port + ` lag (lag-type|min-links|lacp-fallback-mode|lacp lacp-mode|lacp interval)`,
		unit + ` (description|type|ip-mtu|l2-mtu|admin-state|vlan encap single-tagged vlan-id|ipv[46] admin-state)`,
		ra + ` (admin-state|max-advertisement-interval|min-advertisement-interval|router-lifetime)`,
		entry + ` (description|match ipv4 protocol|match ipv6 next-header|match ipv6 icmp6 type|match ipv[46] (source|destination)-ip prefix|match transport (source|destination)-port (operator|value))`,
		`acl interface ` + word + ` interface-ref (interface|subinterface)`,
		policy + ` (default-action policy-result|statement ` + word + ` (match prefix prefix-set|action policy-result))`,
		instance + ` (type|description|router-id)`, hops + ` nexthop \d+ ip-address`, route + ` (next-hop-group|preference|metric)`,
		instance + ` protocols bgp (autonomous-system|router-id|afi-safi ipv[46]-unicast admin-state)`,
		group + ` (description|peer-as|authentication password)`,
		neighbor + ` (peer-group|description|send-default-route ipv[46]-unicast)`,
		family + ` (admin-state|ipv[46]-unicast prefix-limit-received max-received-routes)`,
		`system (name host-name|ssh-server ` + word + ` (admin-state|network-instance)|lldp interface ` + word + ` admin-state)`,
	}
	lists := []string{unit + ` ipv4 dhcp-relay server`, neighbor + ` (import|export)-policy`}
	keyed := []string{
		port, unit, unit + ` ipv[46] address ` + prefix, port + ` lag`, port + ` lag lacp`, unit + ` vlan encap (untagged|single-tagged)`,
		unit + ` ipv4 dhcp-relay`, `acl acl-filter ` + word + ` type ipv[46]`, entry, entry + ` action (accept|drop)`,
		`acl interface ` + word, `acl interface ` + word + ` (input|output) acl-filter ` + word + ` type ipv[46]`,
		`routing-policy prefix-set ` + word, `routing-policy prefix-set ` + word + ` prefix ` + prefix + ` mask-length-range (exact|\d+\.\.\d+)`,
		policy, policy + ` statement ` + word, instance, instance + ` interface ` + word, instance + ` next-hop-groups`, hops,
		hops + ` (blackhole|nexthop \d+)`, instance + ` static-routes`, route, group, neighbor, family, `system lldp interface ` + word,
	}
	s := &srl{
		device: d, candidates: map[string]*srlCandidate{},
		grammar: grammar{
			known:    matching(slices.Concat(with(` `+text, leaves...), with(` `+list, lists...), keyed)...),
			single:   matching(slices.Concat(leaves, lists)...),
			presence: matching(keyed...),
		},
		now: flat{
			"interface mgmt0 admin-state enable", "system name host-name " + d.config.Name, "system ssh-server mgmt admin-state enable",
			"system ssh-server mgmt network-instance mgmt",
		},
	}
	return s
}

// set takes a line into a configuration. The answer is a complaint, or empty.
func (s *srl) set(config *flat, line string) string {
	if i := strings.Index(line, ` "`); i > 0 { // a text of one word is shown without quotation marks
		if text := strings.Trim(line[i+1:], `"`); !strings.Contains(text, " ") {
			line = line[:i+1] + text
		}
	}
	if path, values, is := strings.Cut(line, " ["); is {
		all := strings.Fields(strings.TrimSuffix(values, "]"))
		for _, other := range *config {
			if more, is := strings.CutPrefix(other, path+" ["); is {
				all = append(all, strings.Fields(strings.TrimSuffix(more, "]"))...)
			}
		}
		slices.Sort(all)
		line = path + " [ " + strings.Join(slices.Compact(all), " ") + " ]"
	}
	if !s.grammar.set(config, line) {
		return "Parsing error: Unknown token in '" + line + "'."
	}
	return ""
}

// remove takes a path away, which has no leaf's value.
func (s *srl) remove(config *flat, path string) string {
	for _, leaf := range above(path) {
		if matchesAny(s.single, leaf) {
			return "Parsing error: Unknown token '" + strings.TrimPrefix(path, leaf+" ") + "'."
		}
	}
	if !s.grammar.remove(config, path) {
		return "Error: Path '" + path + "' does not specify any existing objects"
	}
	return ""
}

// edit carries out a line that changes a configuration; false: it is another.
func (s *srl) edit(config *flat, line string) (string, bool) {
	for verb, change := range map[string]func(*flat, string) string{"set / ": s.set, "delete / ": s.remove} {
		if path, is := strings.CutPrefix(line, verb); is {
			return change(config, path), true
		}
	}
	return "", false
}

// check is what commit validate finds: leaves that refer to what is not there, and what the
// models demand of each other.
func (s *srl) check(config flat) string {
	for _, line := range config {
		words := strings.Fields(line)
		last := words[len(words)-1]
		missing := ""
		inside := func(head string) bool { return strings.HasPrefix(line, head) }
		switch {
		case strings.Contains(line, " input acl-filter ") && !config.has("acl acl-filter "+words[5]+" type "+last):
			missing = "acl acl-filter " + words[5]
		case strings.Contains(line, " icmp6 type ") && !config.has(line[:strings.Index(line, " icmp6 ")]+" next-header icmp6"):
			return "Validation error: The next-header should be 58 or icmp6 to use icmp6 type"
		case strings.Contains(line, " match prefix prefix-set ") && !config.has("routing-policy prefix-set "+last):
			missing = "routing-policy prefix-set " + last
		case strings.Contains(line, "port-policy [ ") && !config.has("routing-policy policy "+words[len(words)-2]):
			missing = "routing-policy policy " + words[len(words)-2]
		case strings.Contains(line, " peer-group ") && !config.has("network-instance "+words[1]+" protocols bgp group "+last):
			missing = "group " + last
		case strings.Contains(line, " bgp neighbor ") && !config.has(strings.Join(words[:6], " ")+" peer-group"):
			missing = "mandatory peer-group"
		case strings.Contains(line, " protocols bgp ") && !config.has("network-instance "+words[1]+" protocols bgp autonomous-system"):
			missing = "mandatory autonomous-system"
		case strings.Contains(line, " next-hop-group ") && !config.has("network-instance "+words[1]+" next-hop-groups group "+last):
			missing = "next-hop-group " + last
		case strings.Contains(line, " interface-ref subinterface ") && !config.has("interface "+strings.TrimSuffix(words[2], "."+last)+" subinterface "+last):
			missing = "subinterface " + last
		case strings.Contains(line, " ethernet aggregate-id ") && !config.has("interface "+last+" lag"):
			missing = "interface " + last
		case inside("network-instance ") && words[2] == "interface" && !config.has("network-instance "+words[1]+" type"):
			missing = "network-instance " + words[1]
		case inside("network-instance ") && words[2] == "interface" && !config.has("interface "+strings.Replace(words[3], ".", " subinterface ", 1)):
			missing = "subinterface " + words[3]
		case strings.Contains(line, " ethernet aggregate-id ") && (config.has("interface "+words[1]+" vlan-tagging") || config.has("interface "+words[1]+" subinterface")):
			return "Validation error: vlan-tagging and aggregate-id can not be configured together"
		case strings.Contains(line, " vlan encap ") && !config.has("interface "+words[1]+" vlan-tagging true"):
			return "Validation error: vlan-tagging must be enabled"
		case strings.Contains(line, " l2-mtu ") && !config.has(strings.Join(words[:4], " ")+" type bridged"):
			return "Validation error: l2-mtu only allowed with type bridged"
		case strings.Contains(line, " ip-mtu ") && config.has(strings.Join(words[:4], " ")+" type bridged"):
			return "Validation error: ip-mtu not allowed with type bridged or type local-mirror-dest"
		}
		if missing != "" {
			return "Validation error: '" + line + "': " + missing + " does not exist"
		}
	}
	return ""
}

func (s *srl) running() string {
	var text strings.Builder
	for _, line := range slices.Sorted(slices.Values(s.now)) {
		if head, secret, found := strings.Cut(line, " authentication password "); found {
			line = fmt.Sprintf("%s authentication password $aes1$%X==", head, obscured(secret))
		}
		text.WriteString("set / " + line + "\n")
	}
	return text.String()
}

func (s *srl) byHand(lines []string) error {
	for _, line := range lines {
		complaint, is := s.edit(&s.now, line)
		if !is {
			complaint = "Parsing error: Unknown token"
		}
		if complaint != "" {
			return fmt.Errorf("%q: %s", line, complaint)
		}
	}
	return nil
}

// login begins a command line, which does not stop after pages.
func (s *srl) login(line *shell) dialogue {
	line.paged = false
	s.sessions++
	return &srlDialogue{srl: s, shell: line, number: s.sessions}
}

type srlDialogue struct {
	srl    *srl
	shell  *shell
	number int
	name   string // of the candidate that it is in; empty: in running mode
}

func (d *srlDialogue) candidate() *srlCandidate { return d.srl.candidates[d.name] }

func (d *srlDialogue) prompt() string {
	mode := "running"
	if c := d.candidate(); c != nil {
		mode = "candidate shared "
		if c.exclusive {
			mode = "candidate shared-exclusive "
		}
		mode += d.name
		if !slices.Equal(c.config, c.baseline) {
			mode = "* " + mode
		}
	}
	return fmt.Sprintf("\n--{ + %s }--[  ]--\nA:%s@%s# ", mode, d.srl.device.config.User, d.srl.device.config.Name)
}

// hangUp: what was changed stays in the candidate.
func (d *srlDialogue) hangUp() {
	c := d.candidate()
	if c == nil {
		return
	}
	delete(c.users, d)
	c.exclusive = false
	if len(c.users) == 0 && slices.Equal(c.config, c.baseline) {
		delete(d.srl.candidates, d.name)
	}
	d.name = ""
}

func (d *srlDialogue) answer(line string) (string, bool) {
	s := d.srl
	words := strings.Fields(line)
	switch {
	case line == "":
	case strings.HasPrefix(line, "environment "):
	case line == "quit":
		return "", true
	case line == "info flat from running /":
		return s.running(), false
	case line == "info flat from state interface * oper-state":
		return s.ports(), false
	case line == "info flat from state system lldp interface * neighbor *":
		return s.device.srlNeighbours(), false
	case line == "info flat from state system configuration commit * status":
		return s.history(), false
	case line == "info flat from state system configuration session *":
		return s.list(), false
	case line == "tools system configuration confirmed-accept", line == "tools system configuration confirmed-reject":
		return s.finish(words[3]), false
	case line == "save startup":
		return "/system:\n    Saved current running configuration as initial (startup) configuration '/etc/opt/srlinux/config.json'", false
	case strings.HasPrefix(line, "enter candidate ") && d.name == "":
		return d.enter(strings.TrimPrefix(line, "enter candidate ")), false
	case d.name != "":
		return d.configure(line), false
	default:
		return "Parsing error: Unknown token '" + words[0] + "'.", false
	}
	return "", false
}

func (d *srlDialogue) enter(how string) string {
	s := d.srl
	rest, exclusive := strings.CutPrefix(how, "exclusive ")
	name, named := strings.CutPrefix(rest, "name ")
	if !named {
		return "Parsing error: Unknown token '" + rest + "'."
	}
	c := s.candidates[name]
	if c == nil {
		c = &srlCandidate{config: slices.Clone(s.now), baseline: slices.Clone(s.now), users: map[*srlDialogue]bool{}}
	}
	switch {
	case s.device.faults.LockedBy != "":
		return "Error: Cannot enter candidate mode: a candidate is in exclusive use by " + s.device.faults.LockedBy
	case c.exclusive, exclusive && len(c.users) > 0:
		return "Error: Cannot enter candidate mode: candidate '" + name + "' is in use"
	case exclusive && !slices.Equal(c.config, c.baseline):
		return "Error: Cannot enter exclusive mode: candidate '" + name + "' has been modified"
	}
	s.candidates[name], d.name = c, name
	c.users[d], c.exclusive = true, exclusive
	return ""
}

func (d *srlDialogue) configure(line string) string {
	s, c := d.srl, d.candidate()
	if complaint, is := s.edit(&c.config, line); is {
		return complaint
	}
	patience, confirmed := strings.CutPrefix(line, "commit confirmed timeout ")
	seconds, err := strconv.Atoi(patience)
	switch {
	case line == "discard now":
		c.config = slices.Clone(c.baseline)
		d.hangUp()
		return "All changes have been discarded. Leaving candidate mode."
	case line == "commit validate":
		return s.check(c.config)
	case confirmed && err == nil:
		return d.commit(time.Duration(seconds) * time.Second)
	}
	return "Parsing error: Unknown token '" + line + "'."
}

func (d *srlDialogue) commit(patience time.Duration) string {
	s, c := d.srl, d.candidate()
	if s.timer != nil {
		return "Error: Cannot commit transaction (commit confirmed in progress)"
	}
	if complaint := s.check(c.config); complaint != "" {
		return complaint
	}
	d.shell.sleep(s.device.faults.CommitTime)
	if complaint := s.device.faults.FailCommit; complaint != "" {
		return complaint
	}
	s.before, s.now = s.now, slices.Clone(c.config)
	s.device.counts.Commits++
	s.commits = append(s.commits, "unconfirmed")
	s.timer = s.device.after(patience, func() { s.end("failed") })
	c.config, c.baseline = nil, nil
	d.hangUp()
	return fmt.Sprintf("Commit confirmed (automatic rollback in %d minutes)\nAll changes have been committed. Leaving candidate mode.", int(patience.Minutes()))
}

// end ends the commit that waits to be confirmed.
func (s *srl) end(status string) {
	s.timer.Stop()
	if s.timer = nil; status == "failed" {
		s.now = s.before
	}
	s.commits[len(s.commits)-1] = status
}

func (s *srl) finish(how string) string {
	if s.timer == nil {
		return "Error: No commit confirmed in progress"
	}
	status := "complete"
	if how == "confirmed-reject" {
		status = "failed"
	}
	s.end(status)
	return "/system/configuration:\n    " + how
}

func (s *srl) ports() string {
	var text strings.Builder
	for _, port := range append(slices.Clone(s.device.config.Ports), "mgmt0") {
		state := "up"
		if slices.Contains(s.now, "interface "+port+" admin-state disable") {
			state = "down"
		}
		fmt.Fprintf(&text, "/ interface %s oper-state %s\n", port, state)
	}
	return text.String()
}

func (s *srl) history() string {
	var text strings.Builder
	for n, status := range s.commits {
		fmt.Fprintf(&text, "/ system configuration commit %d status %s\n", n+1, status)
	}
	return text.String()
}

// list shows the sessions that are in a candidate.
func (s *srl) list() string {
	var text strings.Builder
	show := func(number int, name, user string, exclusive bool) {
		head := fmt.Sprintf("/ system configuration session %d ", number)
		fmt.Fprintf(&text, "%stype shared\n%sname %s\n%sexclusive %t\n%susername %s\n%sstarted \"2026-11-23T10:00:00.000Z (a minute ago)\"\n", head, head, name, head, exclusive, head, user, head)
	}
	if by := s.device.faults.LockedBy; by != "" {
		show(4242, "default", by, true)
	}
	for name, c := range s.candidates {
		for d := range c.users {
			show(d.number, name, s.device.config.User, c.exclusive)
		}
	}
	return text.String()
}
