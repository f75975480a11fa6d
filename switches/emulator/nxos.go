package emulator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// nxos emulates Cisco NX-OS as the "Nexus 9000 Series NX-OS" guides describe it: "System
// Management", chapter "Configuring Rollback", for checkpoints, and the guides of each
// feature for its lines.
type nxos struct {
	*iosStyle
	checkpoints map[string]*tree
}

func newNXOS(d *Device) *nxos {
	s := newIOSStyle(d)
	s.stanzas = map[string]string{
		`:interface \S+`:                              "interface",
		`:router bgp \d+`:                             "bgp",
		`bgp:vrf \S+`:                                 "bgp",
		`bgp:neighbor \S+`:                            "neighbor",
		`bgp:address-family (ipv4|ipv6) unicast`:      "bgp-family",
		`neighbor:address-family (ipv4|ipv6) unicast`: "neighbor-family",
		`:(ip|ipv6) access-list \S+`:                  "acl",
		`:vlan \d+`:                                   "vlan",
		`:vrf context \S+`:                            "vrf",
	}
	s.known = map[string][]string{
		"": {
			`hostname \S+`, `(ip|ipv6) route \S+ \S+( name \S+)?( tag \d+)?`, `ntp server \S+`, `logging server \S+`,
			`(ip|ipv6) prefix-list \S+ seq \d+ (permit|deny) \S+( le \d+)?`, `feature \S+`,
		},
		"interface": {
			`description .+`, `mtu \d+`, `shutdown`, `switchport`, `switchport .*`, `vrf member \S+`, `channel-group \d+ mode active`,
			`lacp suspend-individual`, `vpc \d+`, `ip address \S+`, `ipv6 address \S+`, `ipv6 nd suppress-ra`, `ip dhcp relay address \S+`,
			`ip access-group \S+ in`, `ipv6 traffic-filter \S+ in`, `load-interval \d+`, `speed \S+`,
		},
		"bgp":             {`router-id \S+`, `log-neighbor-changes`},
		"bgp-family":      {`network \S+`},
		"neighbor":        {`remote-as \d+`, `description .+`, `password .+`, `update-source \S+`},
		"neighbor-family": {`prefix-list \S+ (in|out)`, `default-originate`, `maximum-prefix \d+`},
		"acl":             {`\d+ (permit|deny) .+`},
		"vlan":            {`name \S+`},
		"vrf":             {`(ip|ipv6) route \S+ \S+( name \S+)?`, `rd \S+`},
	}
	s.once = []string{
		"description", "mtu", "vrf member", "channel-group", "switchport mode", "switchport access vlan", "switchport trunk native vlan",
		"switchport trunk allowed vlan", "ip address", "remote-as", "password", "maximum-prefix", "hostname", "name", "load-interval",
	}
	s.effects = func(at *tree, line string) {
		switch {
		// Another VRF, and switching, take the addresses away.
		case begins(line, "vrf member"), begins(line, "no vrf member"), line == "switchport":
			at.remove("ip address")
			at.remove("ipv6 address")
		case line == "no lacp suspend-individual": // the default is the opposite, and is not shown
			at.child(line)
		case line == "lacp suspend-individual":
			at.remove(line)
			at.remove("no " + line)
		}
	}
	return &nxos{iosStyle: s, checkpoints: map[string]*tree{}}
}

func (n *nxos) running() string {
	return "\n!Command: show running-config\n!Running configuration last done at: Mon Nov 23 10:00:00 2026\n\nversion 10.3(4a) Bios:version 05.47\n" + n.text(n.now)
}

func (n *nxos) login(line *shell) dialogue { return &nxosDialogue{nxos: n, shell: line} }

type nxosDialogue struct {
	nxos  *nxos
	shell *shell
	place *place // in configuration mode
}

func (d *nxosDialogue) hangUp() {}

func (d *nxosDialogue) prompt() string {
	name := d.nxos.device.config.Name
	if d.place == nil {
		return name + "# "
	}
	if kind := d.place.kind(); kind != "" {
		return name + "(config-" + kind + ")# "
	}
	return name + "(config)# "
}

func (d *nxosDialogue) answer(line string) (string, bool) {
	n := d.nxos
	words := strings.Fields(line)
	switch {
	case line == "" || line == "terminal width 511":
	case line == "terminal length 0":
		d.shell.paged = false
	case line == "show running-config":
		return n.running(), false
	case line == "show interface brief":
		return n.brief(), false
	case line == "show lldp neighbors detail | json":
		return n.device.nxosNeighbours(), false
	case begins(line, "show checkpoint summary"):
		return n.summary(), false
	case d.place != nil:
		return d.configure(line), false
	case line == "exit":
		return "", true
	case line == "copy running-config startup-config":
		return "[########################################] 100%\nCopy complete, now saving to disk (please wait)...\nCopy complete.", false
	case line == "configure terminal":
		if by := n.device.faults.LockedBy; by != "" {
			return "% Configuration is locked by " + by + ": another session is in exclusive mode", false
		}
		d.place = &place{config: n.now}
		return "Enter configuration commands, one per line. End with CNTL/Z.", false
	case len(words) == 2 && words[0] == "checkpoint":
		if len(n.checkpoints) >= 10 {
			return "ERROR: max number of checkpoints (10) reached", false
		}
		n.checkpoints[words[1]] = n.now.copy()
		return "...Done", false
	case len(words) == 3 && begins(line, "no checkpoint"):
		if n.checkpoints[words[2]] == nil {
			return "ERROR: Checkpoint does not exist", false
		}
		delete(n.checkpoints, words[2])
	case len(words) == 5 && begins(line, "rollback running-config checkpoint") && words[4] == "atomic":
		saved := n.checkpoints[words[3]]
		if saved == nil {
			return "ERROR: Checkpoint does not exist", false
		}
		n.now.below = saved.copy().below
		return "Collecting Running-Config\n#Generating Rollback patch\n\nRollback completed successfully.", false
	default:
		return "% Invalid command at '^' marker.", false
	}
	return "", false
}

func (d *nxosDialogue) configure(line string) string {
	if line == "end" || line == "exit" && len(d.place.path) == 0 {
		d.place = nil
		return ""
	}
	before := d.nxos.now.copy()
	complaint := d.nxos.iosStyle.configure(d.place, line)
	if complaint == "" && !slices.Equal(lines(before), lines(d.nxos.now)) {
		d.nxos.device.counts.Commits++ // each line takes effect by itself
	}
	return complaint
}

// lines are all lines of a configuration.
func lines(t *tree) []string {
	all := []string{t.line}
	for _, child := range t.below {
		all = append(all, lines(child)...)
	}
	return all
}

func (n *nxos) summary() string {
	var text strings.Builder
	for i, name := range slices.Sorted(maps.Keys(n.checkpoints)) {
		fmt.Fprintf(&text, "%d) %s:\nCreated by operator\nCreated at Mon, 10:00:00 23 Nov 2026\nSize is 12,345 bytes\nDescription: None\n\n", i+1, name)
	}
	return text.String()
}

func (n *nxos) brief() string {
	var text strings.Builder
	text.WriteString("--------------------------------------------------------------------------------\n" +
		"Ethernet        VLAN    Type Mode   Status  Reason                   Speed     Port\n" +
		"Interface                                                                    Ch #\n" +
		"--------------------------------------------------------------------------------\n")
	for _, stanza := range n.now.below {
		name, is := strings.CutPrefix(stanza.line, "interface ")
		if !is {
			continue
		}
		state := "up      none                    "
		if stanza.index("shutdown") >= 0 {
			state = "down    Administratively down   "
		}
		fmt.Fprintf(&text, "%-15s --      eth  routed %s   10G(D) --\n", strings.NewReplacer("Ethernet", "Eth", "port-channel", "Po").Replace(name), state)
	}
	return text.String()
}
