package emulator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// junos emulates Juniper's Junos as its "CLI User Guide" describes it: "Entering and
// Exiting the Junos OS CLI Configuration Mode" for configure exclusive, "Committing a Junos
// OS Configuration" for commit check, commit confirmed, which both of check and commit
// confirm, and the automatic roll-back,
// "Displaying set Commands from the Junos OS Configuration" for display set.
type junos struct {
	device *Device
	grammar
	now     flat
	idle    flat   // paths that are deactivated
	former  []flat // rollback 1 and further
	timer   *time.Timer
	started time.Time
	history []string       // of commits, the latest first, as "show system commit" has them
	owner   *junosDialogue // of the exclusive configuration
	shared  flat           // the candidate
}

const (
	junosPrefix = `[0-9a-f.:]+/\d+`
	junosWord   = `[\w./:-]+`
	junosText   = `(?:"[^"]*"|\S+)`
)

func newJunos(d *Device) *junos {
	interfaces := `interfaces ` + junosWord
	unit := interfaces + ` unit \d+`
	instance := `(?:routing-instances ` + junosWord + ` )?`
	bgp := instance + `protocols bgp group ` + junosWord
	filter := `firewall family inet6? filter ` + junosWord + ` term ` + junosWord
	policy := `policy-options policy-statement ` + junosWord
	j := &junos{
		device:  d,
		started: time.Now(),
		now:     flat{"version 22.4R3.25", "system host-name " + d.config.Name, "system services ssh"},
		grammar: grammar{presence: matching(unit, unit+` family \S+`, filter, policy+` term `+junosWord), known: matching(
			`system (host-name|ntp server|syslog host) \S+`,
			interfaces+` (description `+junosText+`|mtu \d+|disable|native-vlan-id \d+|ether-options 802\.3ad (ae\d+|lacp force-up)|hold-time up \d+ down \d+|speed \S+)`,
			interfaces+` aggregated-ether-options (lacp (active|passive|force-up|periodic (fast|slow))|minimum-links \d+)`,
			unit+` (family inet|family inet6|description `+junosText+`)`, unit+` family inet6? (address `+junosPrefix+`|filter input `+junosWord+`|sampling input|mtu \d+)`,
			unit+` family ethernet-switching (interface-mode (access|trunk)|vlan members \S+|storm-control \S+)`,
			`vlans `+junosWord+` vlan-id \d+`,
			`routing-instances `+junosWord+` (instance-type \S+|interface \S+|route-distinguisher \S+|vrf-target \S+)`,
			instance+`routing-options static route `+junosPrefix+` (next-hop \S+|discard|tag \d+|preference \d+)`,
			instance+`routing-options rib \S+ static route `+junosPrefix+` (next-hop \S+|discard|tag \d+)`,
			`routing-options (router-id \S+|autonomous-system \d+)`,
			bgp+` (type (external|internal)|description `+junosText+`)`,
			bgp+` neighbor \S+ (peer-as \d+|authentication-key `+junosText+`|import `+junosWord+`|export `+junosWord+`|family inet6? unicast prefix-limit (maximum \d+|teardown))`,
			policy+` term `+junosWord+` (from route-filter `+junosPrefix+` (exact|orlonger)|then (accept|reject))`, policy+` then (accept|reject)`,
			filter+` (from (source-address|destination-address) `+junosPrefix+`|from (source|destination)-port \d+|from protocol \S+|from next-header icmp6|from icmp-type (router-solicit|neighbor-solicit|neighbor-advertisement)|then (accept|discard))`,
			`protocols router-advertisement interface \S+ ((max|min)-advertisement-interval \d+|prefix \S+)`,
			instance+`forwarding-options dhcp-relay (server-group `+junosWord+` \S+|group `+junosWord+` (active-server-group `+junosWord+`|interface \S+))`,
			`protocols lldp interface \S+`, `(groups `+junosWord+` )?chassis aggregated-devices ethernet device-count \d+`,
		), single: matching(
			interfaces+` (description|mtu|native-vlan-id|speed)`, unit+` family ethernet-switching interface-mode`, unit+` family inet6? filter input`,
			`system host-name`, `routing-instances `+junosWord+` instance-type`, bgp+` type`, bgp+` neighbor \S+ (peer-as|authentication-key|import|export)`,
			bgp+` neighbor \S+ family inet6? unicast prefix-limit maximum`, policy+` then`, policy+` term `+junosWord+` then`,
			`protocols router-advertisement interface \S+ (max|min)-advertisement-interval`, instance+`forwarding-options dhcp-relay group `+junosWord+` active-server-group`,
			`(groups `+junosWord+` )?chassis aggregated-devices ethernet device-count`, `routing-options autonomous-system`, `vlans `+junosWord+` vlan-id`,
		)},
	}
	return j
}

// set takes a line into a configuration. The answer is a complaint, or empty.
func (j *junos) set(config *flat, line string) string {
	if i := strings.Index(line, `"`); i > 0 { // a text of one word is shown without quotation marks
		if text := strings.Trim(line[i:], `"`); !strings.ContainsAny(text, " <>") {
			line = line[:i] + text
		}
	}
	if member, group, is := strings.Cut(line, " ether-options 802.3ad ae"); is { // one, and what LACP does on the member besides
		*config = slices.DeleteFunc(*config, func(l string) bool {
			return strings.HasPrefix(l, member+" ether-options 802.3ad ae") && !strings.HasSuffix(l, " ae"+group)
		})
	}
	if !j.grammar.set(config, line) {
		return "                  ^\nsyntax error."
	}
	return ""
}

func (j *junos) remove(config *flat, path string) string {
	if !j.grammar.remove(config, path) {
		return "warning: statement not found"
	}
	return ""
}

// check is what commit check finds.
func (j *junos) check(config flat) string {
	for _, line := range config {
		words := strings.Fields(line)
		last := words[len(words)-1]
		switch {
		case strings.Contains(line, " filter input ") && !config.has("firewall family "+words[5]+" filter "+last):
			return fmt.Sprintf("[edit interfaces %s unit 0 family %s]\n  'filter'\n    Referenced filter '%s' is not defined\nerror: configuration check-out failed", words[1], words[5], last)
		case strings.Contains(line, " import ferro") && !config.has("policy-options policy-statement "+last):
			return "error: Policy error: Policy " + last + " referenced but not defined\nerror: configuration check-out failed"
		case strings.Contains(line, " vlan members ") && !slices.ContainsFunc(config, func(l string) bool { return strings.HasPrefix(l, "vlans ") && strings.HasSuffix(l, " vlan-id "+last) }):
			return fmt.Sprintf("error: vlan with vlan-id %s not defined\nerror: configuration check-out failed", last)
		case strings.Contains(line, " ether-options 802.3ad ") && len(words) > 4 && config.has("interfaces "+words[1]+" unit 0"):
			return fmt.Sprintf("[edit interfaces %s]\n  'unit 0'\n    logical unit is not allowed on aggregated ethernet interface link\nerror: configuration check-out failed", words[1])
		case strings.Contains(line, " neighbor ") && strings.Contains(line, " import ") && !config.has(line[:strings.Index(line, " import ")]+" peer-as"):
			return "error: Error in neighbor " + words[len(words)-3] + " of group: peer AS number must be configured for an external peer\nerror: configuration check-out failed"
		}
	}
	return ""
}

// running shows a deactivated path as the rest, and says so besides: "CLI User Guide",
// "Deactivating and Reactivating Statements and Identifiers". What is set below it stays
// deactivated; a path that is taken away is so no longer.
func (j *junos) running() string {
	text := j.text(j.now)
	for _, path := range j.idle {
		if j.now.has(path) {
			text += "deactivate " + path + "\n"
		}
	}
	return text
}

// text is a configuration as display set shows it: secrets are not readable.
func (j *junos) text(config flat) string {
	var text strings.Builder
	for _, line := range config {
		if head, secret, found := strings.Cut(line, " authentication-key "); found {
			line = fmt.Sprintf(`%s authentication-key "$9$%X" ## SECRET-DATA`, head, obscured(strings.Trim(secret, `"`)))
		}
		text.WriteString("set " + line + "\n")
	}
	return text.String()
}

// byHand: lines are committed as they are, unless "commit confirmed N" comes after them.
func (j *junos) byHand(lines []string) error {
	before := slices.Clone(j.now)
	for _, line := range lines {
		verb, rest, _ := strings.Cut(line, " ")
		complaint := "unknown command."
		switch verb {
		case "set":
			complaint = j.set(&j.now, rest)
		case "delete":
			complaint = j.remove(&j.now, rest)
		case "deactivate", "activate":
			complaint = ""
			j.idle = slices.DeleteFunc(j.idle, func(path string) bool { return path == rest })
			if verb == "deactivate" {
				j.idle = append(j.idle, rest)
			}
		case "commit":
			complaint = ""
			j.confirm()
			if minutes, err := strconv.Atoi(strings.TrimPrefix(rest, "confirmed ")); err == nil {
				j.commit(before, minutes)
			}
		}
		if complaint != "" {
			return fmt.Errorf("%q: %s", line, complaint)
		}
	}
	return nil
}

func (j *junos) login(line *shell) dialogue { return &junosDialogue{junos: j, shell: line} }

type junosDialogue struct {
	junos     *junos
	shell     *shell
	exclusive bool // in configuration mode
}

func (d *junosDialogue) prompt() string {
	who := d.junos.device.config.User + "@" + d.junos.device.config.Name
	if d.exclusive {
		return "\n{master:0}[edit]\n" + who + "# "
	}
	return "\n{master:0}\n" + who + "> "
}

// hangUp: uncommitted changes of an exclusive configuration are discarded.
func (d *junosDialogue) hangUp() {
	if d.exclusive {
		d.junos.owner, d.exclusive = nil, false
	}
}

func (d *junosDialogue) answer(line string) (string, bool) {
	j := d.junos
	line, _, _ = strings.Cut(line, " | no-more")
	if d.exclusive {
		rest, is := strings.CutPrefix(line, "run ")
		if !is {
			return d.configure(line), false
		}
		line = rest
	}
	switch {
	case line == "":
	case line == "set cli screen-length 0":
		d.shell.paged = false
		return "Screen length set to 0", false
	case strings.HasPrefix(line, "set cli "):
		return "", false
	case line == "exit" && !d.exclusive:
		return "", true
	case line == "show configuration | display set":
		return j.running(), false
	case line == "show interfaces terse":
		return j.terse(), false
	case line == "show lldp neighbors | display json":
		return j.device.junosNeighbours(), false
	case line == "show system commit":
		return j.commits(), false
	case line == "show system uptime":
		return "Current time: " + j.clock() + "\nTime Source:  NTP CLOCK\nSystem booted: 2026-11-01 10:00:00 UTC (3w1d 00:00 ago)\n", false
	case line == "configure exclusive" && !d.exclusive:
		return d.enter(), false
	default:
		return "          ^\nunknown command.", false
	}
	return "", false
}

func (d *junosDialogue) enter() string {
	j := d.junos
	by := j.device.faults.LockedBy
	if by == "" && j.owner != nil {
		by = j.device.config.User
	}
	if by != "" {
		return fmt.Sprintf("error: configuration database locked by:\n  %s terminal p0 (pid 4242) on since 2026-11-23 10:00:00 UTC\n      exclusive [edit]", by)
	}
	if by := j.device.faults.EditedBy; by != "" {
		return fmt.Sprintf("error: configuration database modified:\n  %s terminal p1 (pid 4243) on since 2026-11-23 10:00:00 UTC\n      [edit]", by)
	}
	j.owner, d.exclusive = d, true
	j.shared = slices.Clone(j.now)
	return "warning: uncommitted changes will be discarded on exit\nEntering configuration mode"
}

func (d *junosDialogue) configure(line string) string {
	j := d.junos
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "":
	case "set":
		return j.set(&j.shared, rest)
	case "delete":
		return j.remove(&j.shared, rest)
	case "rollback":
		n, err := strconv.Atoi(rest)
		switch {
		case err != nil || n > len(j.former):
			return "error: could not find rollback configuration"
		case n == 0:
			j.shared = slices.Clone(j.now)
		default:
			j.shared = slices.Clone(j.former[n-1])
		}
		return "load complete"
	case "commit":
		return d.commit(rest)
	case "exit":
		d.hangUp()
		return "Exiting configuration mode"
	default:
		return "          ^\nunknown command."
	}
	return ""
}

func (d *junosDialogue) commit(how string) string {
	j := d.junos
	if complaint := j.check(j.shared); complaint != "" {
		return complaint
	}
	if how == "check" {
		j.confirm()
		return "configuration check succeeds"
	}
	minutes := 0
	if text, is := strings.CutPrefix(how, "confirmed "); is {
		var err error
		if minutes, err = strconv.Atoi(text); err != nil || minutes < 1 {
			return "error: invalid value for rollback timeout"
		}
	} else if how != "" {
		return "syntax error."
	}
	d.shell.sleep(j.device.faults.CommitTime)
	if complaint := j.device.faults.FailCommit; complaint != "" {
		return complaint
	}
	if pending := j.confirm(); pending && slices.Equal(j.shared, j.now) {
		j.record("by operator via cli")
		return "commit complete"
	}
	before := j.now
	j.now = slices.Clone(j.shared)
	j.device.counts.Commits++
	j.commit(before, minutes)
	if minutes == 0 {
		return "commit complete"
	}
	return fmt.Sprintf("commit confirmed will be automatically rolled back in %d minutes unless confirmed\ncommit complete\n\n# commit confirmed will be rolled back in %d minutes", minutes, minutes)
}

// commit ends a commit that took the place of a configuration; for so many minutes, or, if
// none, for good.
func (j *junos) commit(before flat, minutes int) {
	j.former = append([]flat{before}, j.former[:min(len(j.former), 49)]...)
	if minutes == 0 {
		j.record("by operator via cli")
		return
	}
	j.record(fmt.Sprintf("by operator via cli commit confirmed, rollback in %dmins", minutes))
	j.timer = j.device.after(time.Duration(minutes)*time.Minute, func() {
		j.former = append([]flat{j.now}, j.former...)
		j.now, j.timer = before, nil
		j.record("by root via other")
	})
}

// confirm ends the timer of a commit: true if one ran. Each commit does, and each check of one.
func (j *junos) confirm() bool {
	if j.timer == nil {
		return false
	}
	j.timer.Stop()
	j.timer = nil
	return true
}

func (j *junos) record(commit string) {
	j.history = append([]string{j.clock() + " " + commit}, j.history[:min(len(j.history), 49)]...)
}

// clock runs as fast as the device does.
func (j *junos) clock() string {
	passed := time.Duration(float64(time.Since(j.started)) * j.device.config.Hurry)
	return time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC).Add(passed).Format("2006-01-02 15:04:05 MST")
}

// commits: an entry says for good that it was to be confirmed.
func (j *junos) commits() string {
	var text strings.Builder
	for n, commit := range append(slices.Clone(j.history), "2026-11-22 09:00:00 UTC by operator via cli") {
		fmt.Fprintf(&text, "%-3d %s\n", n, commit)
	}
	return text.String()
}

func (j *junos) terse() string {
	var text strings.Builder
	text.WriteString("Interface               Admin Link Proto    Local                 Remote\n")
	for _, port := range slices.Concat(j.device.config.Ports, j.groups()) {
		admin, link := "up", "up"
		if slices.Contains(j.now, "interfaces "+port+" disable") {
			admin, link = "down", "down"
		}
		fmt.Fprintf(&text, "%-23s %-5s %s\n", port, admin, link)
		if j.now.has("interfaces " + port + " unit 0") {
			fmt.Fprintf(&text, "%-23s %-5s %s   inet\n", port+".0", admin, link)
		}
	}
	return text.String()
}

// groups are the aggregated interfaces that the switch has: "Interfaces User Guide for
// Switches", "Configuring the Number of Aggregated Ethernet Interfaces on the Device". What it
// has not, it lets be configured.
func (j *junos) groups() []string {
	var all []string
	for _, line := range j.now {
		words := strings.Fields(line)
		if count, err := strconv.Atoi(words[len(words)-1]); err == nil && words[len(words)-2] == "device-count" {
			for n := range count {
				all = append(all, fmt.Sprintf("ae%d", n))
			}
		}
	}
	return all
}
