package emulator

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// eos emulates Arista EOS as the "EOS User Manual" describes it: section "Configuration
// Sessions" for sessions, "commit timer" and "abort"; the chapters of each feature for its
// lines.
type eos struct {
	*iosStyle
	sessions []*eosSession
}

// eosSession is a configuration session: a copy of the configuration that becomes it.
type eosSession struct {
	name   string
	state  string // "pending", "pendingCommitTimer", "completed"
	config *tree
	before *tree // to go back to, while the timer runs
	timer  *time.Timer
	inside *shell // nil: nobody
}

func newEOS(d *Device) *eos {
	s := newIOSStyle(d)
	s.stanzas = map[string]string{
		`:interface \S+`:                 "interface",
		`:router bgp \d+`:                "bgp",
		`bgp:vrf \S+`:                    "bgp",
		`bgp:address-family (ipv4|ipv6)`: "bgp-family",
		`:ip access-list \S+`:            "acl",
		`:ipv6 access-list \S+`:          "acl",
		`:(ip|ipv6) prefix-list [\w.-]+`: "list",
		`:vlan \d+`:                      "vlan",
		`:vrf instance \S+`:              "vrf",
	}
	s.known = map[string][]string{
		"": {`hostname \S+`, `ip route .*`, `ipv6 route .*`, `ntp server \S+`, `logging host \S+`},
		"interface": {
			`description .+`, `mtu \d+`, `shutdown`, `switchport`, `switchport .*`, `vrf \S+`, `channel-group \d+ mode active`,
			`port-channel lacp fallback (individual|static|timeout \d+)`, `mlag \d+`, `ip address \S+`, `ipv6 address \S+`,
			`ipv6 nd ra disabled( all)?`, `ip helper-address \S+`, `ip access-group \S+ in`, `ipv6 access-group \S+ in`,
			`load-interval \d+`, `speed \S+`, `storm-control .*`,
		},
		"bgp":        {`router-id \S+`, `neighbor \S+ (remote-as|description|password|maximum-routes) .+`},
		"bgp-family": {`neighbor \S+ (activate|default-originate|prefix-list \S+ (in|out))`, `network \S+`},
		"acl":        {`\d+ (permit|deny) .+`},
		"list":       {`seq \d+ (permit|deny) \S+( le \d+)?`},
		"vlan":       {`name \S+`},
		"vrf":        {`rd \S+`},
	}
	s.once = []string{
		"description", "mtu", "vrf", "channel-group", "switchport mode", "switchport access vlan", "switchport trunk native vlan",
		"switchport trunk allowed vlan", "port-channel lacp fallback timeout", "ip address", "ipv6 nd ra disabled", `neighbor \S+ remote-as`, `neighbor \S+ description`, `neighbor \S+ password`, `neighbor \S+ maximum-routes`,
		"hostname", "name", "load-interval",
	}
	s.effects = func(at *tree, line string) string {
		// Another VRF, and switching, take the addresses away.
		if begins(line, "vrf") || begins(line, "no vrf") || line == "switchport" {
			at.remove("ip address")
			at.remove("ipv6 address")
		}
		// Whether a neighbour exchanges a family's routes is shown as it was said.
		if positive := strings.TrimPrefix(line, "no "); begins(positive, "neighbor") && strings.HasSuffix(positive, " activate") {
			at.remove("no " + positive)
			if positive != line {
				at.child(line)
			}
		}
		if line == "mtu 1500" { // the default is not shown
			at.remove("mtu")
		}
		return ""
	}
	return &eos{iosStyle: s}
}

func (e *eos) running() string {
	return "! Command: show running-config\n! device: " + e.device.config.Name + " (DCS-7050TX, EOS-4.30.1F)\n!\n" + e.text(e.now) + "end\n"
}

func (e *eos) login(line *shell) dialogue { return &eosDialogue{eos: e, shell: line} }

// eosDialogue is one command line.
type eosDialogue struct {
	eos     *eos
	shell   *shell
	place   *place      // in configuration mode
	session *eosSession // that it configures; nil: the running configuration
}

func (d *eosDialogue) hangUp() { d.leave() }

func (d *eosDialogue) prompt() string {
	name := d.eos.device.config.Name
	if d.place == nil {
		return name + "#"
	}
	mode := "config"
	if d.session != nil {
		mode += "-s-" + d.session.name[:min(6, len(d.session.name))]
	}
	if kind := d.place.kind(); kind != "" {
		mode += "-" + kind[:min(4, len(kind))]
	}
	return name + "(" + mode + ")#"
}

func (d *eosDialogue) answer(line string) (string, bool) {
	if d.place != nil {
		return d.configure(line), false
	}
	e := d.eos
	words := strings.Fields(line)
	switch {
	case line == "":
	case line == "terminal width 32767" || line == "enable":
	case line == "terminal length 0":
		d.shell.paged = false
		return "Pagination disabled.", false
	case line == "exit" || line == "logout":
		return "", true
	case words[0] == "show":
		return d.show(line), false
	case line == "write memory" || line == "copy running-config startup-config":
		return "Copy completed successfully.", false
	case line == "configure terminal" || line == "configure":
		if by := e.device.faults.LockedBy; by != "" {
			return locked(by), false
		}
		d.place = &place{config: e.now}
	case len(words) == 3 && begins(line, "configure session"):
		return d.enter(words[2]), false
	case len(words) == 4 && begins(line, "configure session"):
		return d.finish(words[2], words[3]), false
	default:
		return invalidInput, false
	}
	return "", false
}

// show works in all modes.
func (d *eosDialogue) show(line string) string {
	switch line {
	case "show running-config":
		return d.eos.running()
	case "show interfaces description":
		return d.eos.descriptions()
	case "show lldp neighbors detail | json":
		return d.eos.device.eosNeighbours()
	case "show configuration sessions":
		return d.eos.list(d.session)
	}
	return invalidInput
}

func locked(by string) string {
	return fmt.Sprintf("%% Unable to enter configuration mode: configuration is locked by %s", by)
}

func (d *eosDialogue) enter(name string) string {
	e := d.eos
	if by := e.device.faults.LockedBy; by != "" {
		return locked(by)
	}
	session := e.session(name)
	if session == nil {
		pending := 0
		for _, s := range e.sessions {
			if strings.HasPrefix(s.state, "pending") {
				pending++
			}
		}
		if pending >= 5 {
			return "% Maximum number of pending sessions has been reached. Please commit or abort previous sessions before creating a new one."
		}
		session = &eosSession{name: name, state: "pending", config: e.now.copy()}
		e.sessions = append(e.sessions, session)
	}
	if session.state != "pending" {
		return "% Cannot enter session " + name + " (already " + session.state + ")"
	}
	d.session, d.place = session, &place{config: session.config}
	session.inside = d.shell
	return ""
}

// leave leaves the configuration mode; a session stays pending.
func (d *eosDialogue) leave() {
	if d.session != nil {
		d.session.inside = nil
	}
	d.place, d.session = nil, nil
}

func (e *eos) session(name string) *eosSession {
	for _, s := range e.sessions {
		if s.name == name {
			return s
		}
	}
	return nil
}

func (d *eosDialogue) configure(line string) string {
	words := strings.Fields(line)
	switch {
	case line == "":
		return ""
	case words[0] == "show":
		return d.show(line)
	case line == "end", line == "exit" && len(d.place.path) == 0:
		d.leave()
		return ""
	case d.session != nil && (line == "abort" || line == "commit"):
		session := d.session
		d.leave()
		return d.finish(session.name, line)
	case d.session != nil && len(words) == 3 && begins(line, "commit timer"):
		return d.commitTimer(words[2])
	}
	return d.eos.iosStyle.configure(d.place, line)
}

func (d *eosDialogue) commitTimer(patience string) string {
	var hours, minutes, seconds int
	if n, err := fmt.Sscanf(patience, "%d:%d:%d", &hours, &minutes, &seconds); n != 3 || err != nil {
		return invalidInput
	}
	e, session := d.eos, d.session
	d.shell.sleep(e.device.faults.CommitTime)
	if complaint := e.device.faults.FailCommit; complaint != "" {
		return complaint
	}
	e.device.counts.Commits++
	session.before, e.now, session.state = e.now, session.config, "pendingCommitTimer"
	session.timer = e.device.after(time.Duration(hours)*time.Hour+time.Duration(minutes)*time.Minute+time.Duration(seconds)*time.Second, func() { e.takeBack(session) })
	d.leave()
	return ""
}

// takeBack ends a session whose commit was not confirmed.
func (e *eos) takeBack(session *eosSession) {
	if session.state == "pendingCommitTimer" {
		session.timer.Stop()
		e.now = session.before
	}
	e.sessions = slices.DeleteFunc(e.sessions, func(s *eosSession) bool { return s == session })
}

func (d *eosDialogue) finish(name, how string) string {
	e := d.eos
	session := e.session(name)
	if session == nil || session.state == "completed" {
		return "% Session " + name + " does not exist or has ended"
	}
	switch how {
	case "abort":
		e.takeBack(session)
	case "commit":
		if session.state == "pendingCommitTimer" {
			session.timer.Stop()
		} else {
			d.shell.sleep(e.device.faults.CommitTime)
			if complaint := e.device.faults.FailCommit; complaint != "" {
				return complaint
			}
			e.now = session.config
			e.device.counts.Commits++
		}
		session.state = "completed"
	default:
		return invalidInput
	}
	return ""
}

// list shows the sessions; the asker's own has a star.
func (e *eos) list(own *eosSession) string {
	var text strings.Builder
	text.WriteString("Maximum number of completed sessions: 1\nMaximum number of pending sessions: 5\n\n")
	text.WriteString("  Name             State                User    Terminal\n  ---------------- -------------------- ------- --------\n")
	for _, s := range e.sessions {
		user, star := "", " "
		if s == own {
			star = "*"
		}
		if s.inside != nil {
			user = e.device.config.User + "  vty7"
		}
		fmt.Fprintf(&text, "%s %-16s %-20s %s\n", star, s.name, s.state, user)
	}
	return text.String()
}

func (e *eos) descriptions() string {
	var text strings.Builder
	text.WriteString("Interface                      Status         Protocol           Description\n")
	for _, stanza := range e.now.below {
		name, is := strings.CutPrefix(stanza.line, "interface ")
		if !is {
			continue
		}
		status, protocol := "up", "up"
		if stanza.index("shutdown") >= 0 {
			status, protocol = "admin down", "down"
		}
		short := strings.NewReplacer("Ethernet", "Et", "Port-Channel", "Po").Replace(name)
		fmt.Fprintf(&text, "%-30s %-14s %-18s\n", short, status, protocol)
	}
	return text.String()
}
