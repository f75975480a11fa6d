package emulator

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// nxos emulates Cisco NX-OS as the configuration guides of the "Cisco Nexus 9000 Series
// NX-OS" describe it: "System Management", chapters "Configuring Rollback" and "Terminal
// Lock for VSH Sessions"; "Interfaces", chapters "Configuring Layer 3 Interfaces" and
// "Configuring Port Channels"; "Unicast Routing", chapter "Configuring Basic BGP";
// "Security", chapter "Configuring IP ACLs".
type nxos struct {
	*iosStyle
	groups
	checkpoints []nxosCheckpoint
	busy        bool // a checkpoint is made, rolled back to, or the configuration saved
}

type nxosCheckpoint struct {
	name   string
	config *tree
}

const (
	nxosInvalid     = "                          ^\n% Invalid command at '^' marker."
	nxosCheckpoints = 10 // "Configuring Rollback", section "Guidelines and Limitations"
)

// nxosLayer3 are the beginnings of lines that a port loses with its VRF, or as it becomes a
// switched one.
var nxosLayer3 = []string{"ip address", "ipv6 address", "ipv6 nd", "ip dhcp", "ip access-group", "ipv6 traffic-filter"}

func newNXOS(d *Device) *nxos {
	s := newIOSStyle(d)
	n := &nxos{iosStyle: s, groups: groups{s, "port-channel"}}
	s.unknown = nxosInvalid
	s.stanzas = map[string]string{
		`:interface \S+`:  "if",
		`:router bgp \d+`: "router",
		`router:vrf \S+`:  "router-vrf",
		`router:address-family (ipv4|ipv6) unicast`:              "router-af",
		`router-vrf:address-family (ipv4|ipv6) unicast`:          "router-vrf-af",
		`router:neighbor [\da-f.:]+`:                             "router-neighbor",
		`router-vrf:neighbor [\da-f.:]+`:                         "router-vrf-neighbor",
		`router-neighbor:address-family (ipv4|ipv6) unicast`:     "router-neighbor-af",
		`router-vrf-neighbor:address-family (ipv4|ipv6) unicast`: "router-vrf-neighbor-af",
		`:ip access-list \S+`:                                    "acl",
		`:ipv6 access-list \S+`:                                  "ipv6-acl",
		`:vlan \d+`:                                              "vlan",
		`:vrf context \S+`:                                       "vrf",
	}
	neighbour := []string{`remote-as \d+`, `shutdown`, `description .+`, `password \S+`, `password 3 \S+`, `ebgp-multihop \d+`}
	family := []string{`default-originate`, `prefix-list \S+ (in|out)`, `maximum-prefix \d+`, `send-community`}
	routes := []string{`ip route [\d.]+/\d+ \S+( name \S+)?`, `ipv6 route \S+/\d+ \S+( name \S+)?`}
	s.known = map[string][]string{
		"": append([]string{`hostname \S+`, `feature \S+`, `ntp server \S+`, `ip prefix-list [\w.-]+ seq \d+ (permit|deny) [\d.]+/\d+( le \d+)?`, `ipv6 prefix-list [\w.-]+ seq \d+ (permit|deny) \S+/\d+( le \d+)?`}, routes...),
		"if": {
			`description .+`, `mtu \d+`, `shutdown`, `switchport`, `switchport mode (access|trunk)`, `switchport access vlan \d+`,
			`switchport trunk native vlan \d+`, `switchport trunk allowed vlan (add )?[\d,-]+`, `vrf member \S+`,
			`channel-group \d+ (force )?mode active`, `lacp suspend-individual`, `vpc \d+`, `ip address [\d.]+/\d+`, `ipv6 address \S+/\d+`,
			`ipv6 nd suppress-ra`, `ip dhcp relay address \S+`, `ip access-group \S+ in`, `ipv6 traffic-filter \S+ in`,
			`load-interval counter 1 \d+`, `spanning-tree port type edge`,
		},
		"router":                 {`router-id \S+`},
		"router-af":              {`network \S+`},
		"router-vrf-af":          {`network \S+`},
		"router-neighbor":        neighbour,
		"router-vrf-neighbor":    neighbour,
		"router-neighbor-af":     family,
		"router-vrf-neighbor-af": family,
		"acl":                    {`\d+ (permit|deny) (udp|tcp|ip) .+`, `(permit|deny) (udp|tcp|ip) .+`},
		"ipv6-acl":               {`\d+ (permit|deny) (udp|tcp|ipv6) .+`, `(permit|deny) (udp|tcp|ipv6) .+`},
		"vlan":                   {`name \S+`},
		"vrf":                    append([]string{`rd \S+`}, routes...),
	}
	s.once = []string{
		"description", "mtu", "vrf member", "channel-group", "switchport mode", "switchport access vlan", "switchport trunk native vlan",
		"switchport trunk allowed vlan", "vpc", "ip address", "ip access-group", "ipv6 traffic-filter", "hostname", "name", "load-interval counter 1",
		"remote-as", "password", "maximum-prefix", `\d+`,
	}
	s.opposites = []string{"lacp suspend-individual"}
	s.shape = nxosShape
	s.refuses = n.refuses
	s.effects = n.effects
	return n
}

// nxosShape: hosts are shown as prefixes, and addresses in one form; the default route's as
// "0::/0".
func nxosShape(line string) string {
	words := strings.Fields(strings.Replace(line, " force mode ", " mode ", 1))
	if words[0] == "description" {
		return line
	}
	var shown []string
	for i, word := range words {
		if i > 0 && words[i-1] == "host" {
			if address, err := netip.ParseAddr(word); err == nil {
				shown[len(shown)-1] = netip.PrefixFrom(address, address.BitLen()).String()
				continue
			}
		}
		if prefix, err := netip.ParsePrefix(word); err == nil && strings.Contains(word, ":") {
			word = prefix.String()
			if strings.HasPrefix(word, "::/") {
				word = "0" + word
			}
		}
		shown = append(shown, word)
	}
	return strings.Join(shown, " ")
}

func (n *nxos) refuses(at *tree, line string) string {
	port, isPort := strings.CutPrefix(at.line, "interface ")
	words := strings.Fields(line)
	routed := at.index("no switchport") >= 0
	switch {
	case begins(line, "interface") && !strings.HasPrefix(words[1], "port-channel") && !slices.Contains(n.device.config.Ports, words[1]):
		return "                    ^\nInvalid interface format at '^' marker."
	case begins(line, "router bgp"):
		for _, c := range at.below {
			if begins(c.line, "router bgp") && c.line != line {
				return "ERROR: BGP is already running with another AS number"
			}
		}
	case !isPort:
	case isInherited(line) && groupOf(at) != "":
		return "ERROR: " + port + ": cannot be configured on a port-channel member"
	case begins(line, "channel-group"):
		same, possible := n.alike(at, words[1])
		if !possible {
			return "command failed: port not compatible [Ethernet Layer]"
		}
		if !same && !slices.Contains(words, "force") {
			return "command failed: port not compatible [port mode]"
		}
	case strings.HasSuffix(line, "lacp suspend-individual"):
		if !strings.HasPrefix(port, "port-channel") {
			return nxosInvalid
		}
		if at.index("shutdown") < 0 {
			return "ERROR: Cannot set/reset lacp suspend-individual for " + port + " that is admin up"
		}
	case begins(line, "vpc") && (routed || !strings.HasPrefix(port, "port-channel")):
		return "ERROR: Operation failed: [vPC is not supported on this interface]"
	case begins(line, "mtu"):
		return nxosRefusesMTU(words[1], routed)
	case begins(line, "switchport") && line != "switchport" && routed:
		return nxosInvalid
	case !routed && slices.ContainsFunc(append([]string{"vrf member"}, nxosLayer3...), func(kind string) bool { return begins(line, kind) }):
		return "% IP configuration is not allowed on L2 interface"
	}
	return ""
}

// nxosRefusesMTU: "Interfaces", chapter "Configuring Basic Interface Parameters", section
// "Configuring the MTU Size".
func nxosRefusesMTU(text string, routed bool) string {
	size, err := strconv.Atoi(text)
	switch {
	case err != nil || size < 576 || size > 9216 || size%2 != 0:
		return "% Invalid number, range is (576:9216), even values only"
	case !routed && size != 1500 && size != 9216:
		return "ERROR: MTU on L2 interfaces can only be set to default or system-jumboMTU"
	}
	return ""
}

func (n *nxos) effects(at *tree, line string) string {
	defer n.sync()
	clear := func() {
		for _, kind := range nxosLayer3 {
			at.remove(kind)
		}
	}
	words := strings.Fields(line)
	switch {
	case line == "switchport":
		clear()
		at.remove("vrf member")
	case line == "no switchport" && !strings.HasPrefix(at.line, "interface port-channel"):
		at.child("shutdown") // as routed ports are until they are told otherwise
	case begins(line, "vrf member"), begins(line, "no vrf"):
		clear()
		return "Warning: Deleted all L3 config on interface " + strings.TrimPrefix(at.line, "interface ")
	case begins(line, "channel-group"):
		n.joined(at, words[1])
	case line == "mtu 1500": // the default is not shown
		at.remove("mtu")
	}
	return ""
}

// running shows no defaults: "shutdown" where a port is switched, "no shutdown" where it is
// routed.
func (n *nxos) running() string {
	shown := n.now.copy()
	for _, stanza := range shown.below {
		wrapAllowed(stanza)
		port, is := strings.CutPrefix(stanza.line, "interface ")
		if is && stanza.index("no switchport") >= 0 && !strings.HasPrefix(port, "port-channel") && !stanza.remove("shutdown") {
			stanza.child("no shutdown")
		}
	}
	var text strings.Builder
	shown.write(&text, "", layout{step: "  ", after: "\n"}, func(line string) string {
		if secret, is := strings.CutPrefix(line, "password "); is && !strings.HasPrefix(secret, "3 ") {
			return fmt.Sprintf("password 3 %x", obscured(secret))
		}
		return line
	})
	return "\n!Command: show running-config\n!Running configuration last done at: Mon Nov 23 10:00:00 2026\n!Time: Mon Nov 23 10:01:00 2026\n\n" +
		"version 9.3(10) Bios:version 05.45 \nswitchname " + n.device.config.Name + "\n\n" + text.String()
}

func (n *nxos) login(line *shell) dialogue { return &nxosDialogue{nxos: n, shell: line} }

// nxosDialogue is one command line.
type nxosDialogue struct {
	nxos  *nxos
	shell *shell
	place *place // in configuration mode
}

func (d *nxosDialogue) hangUp() {}

func (d *nxosDialogue) prompt() string {
	name := d.nxos.device.config.Name
	switch {
	case d.place == nil:
		return name + "# "
	case d.place.kind() == "":
		return name + "(config)# "
	}
	return name + "(config-" + d.place.kind() + ")# "
}

func (d *nxosDialogue) answer(line string) (string, bool) {
	n := d.nxos
	words := strings.Fields(line)
	switch {
	case line == "":
	case words[0] == "show": // in all modes
		return n.show(line), false
	case d.place != nil && (line == "end" || line == "exit" && len(d.place.path) == 0):
		d.place = nil
		n.letIn.comeUp(n.now)
	case d.place != nil:
		d.place.resume(n.now)
		return n.configure(d.place, line), false
	case line == "terminal length 0":
		d.shell.paged = false
	case line == "terminal width 511" || line == "end":
	case line == "exit":
		return "", true
	case line == "configure terminal":
		if n.device.faults.LockedBy != "" {
			return "ERROR: Configuration is locked by another session, see 'show terminal lock'", false
		}
		d.place = &place{config: n.now}
		return "Enter configuration commands, one per line. End with CNTL/Z.", false
	case bgpClear.MatchString(line):
		return n.letIn.clear(n.now, line), false
	case n.busy:
		return "ERROR: Another checkpoint, rollback or copy is in progress", false
	case len(words) == 2 && words[0] == "checkpoint":
		return n.checkpoint(words[1]), false
	case len(words) == 3 && begins(line, "no checkpoint"):
		return n.forget(words[2]), false
	case len(words) == 5 && begins(line, "rollback running-config checkpoint") && words[4] == "atomic":
		return n.rollback(words[3]), false
	case line == "copy running-config startup-config":
		n.busy = true
		d.shell.sleep(n.device.faults.CommitTime)
		n.busy = false
		return "[#                                       ]   1%\r[########################################] 100%\nCopy complete, now saving to disk (please wait)...\nCopy complete.", false
	default:
		return nxosInvalid, false
	}
	return "", false
}

func (n *nxos) show(line string) string {
	switch line {
	case "show running-config":
		return n.running()
	case "show interface brief":
		return n.brief()
	case "show lldp neighbors detail | json":
		return n.device.nxosNeighbours()
	case "show checkpoint summary":
		var text strings.Builder
		text.WriteString("User Checkpoint Summary\n" + strings.Repeat("-", 80) + "\n")
		for i, c := range n.checkpoints {
			fmt.Fprintf(&text, "%d) %s:\nCreated by admin\nCreated at Mon, 10:00:00 23 Nov 2026\nSize is 18,345 bytes\nDescription: None\n\n", i+1, c.name)
		}
		return text.String()
	case "show terminal lock":
		if by := n.device.faults.LockedBy; by != "" {
			return "Terminal lock is held by user " + by + "\nTime left: 1740 seconds"
		}
		return "Terminal lock is not held"
	}
	return nxosInvalid
}

func (n *nxos) indexOf(name string) int {
	return slices.IndexFunc(n.checkpoints, func(c nxosCheckpoint) bool { return c.name == name })
}

func (n *nxos) checkpoint(name string) string {
	switch {
	case n.indexOf(name) >= 0:
		return "ERROR: checkpoint " + name + " already exists"
	case len(n.checkpoints) == nxosCheckpoints:
		return "ERROR: Maximum number of checkpoints is reached"
	}
	n.checkpoints = append(n.checkpoints, nxosCheckpoint{name, n.now.copy()})
	return ".....Done"
}

func (n *nxos) forget(name string) string {
	i := n.indexOf(name)
	if i < 0 {
		return "ERROR: checkpoint " + name + " does not exist"
	}
	n.checkpoints = slices.Delete(n.checkpoints, i, i+1)
	return ""
}

func (n *nxos) rollback(name string) string {
	i := n.indexOf(name)
	if i < 0 {
		return "ERROR: checkpoint " + name + " does not exist"
	}
	n.now = n.checkpoints[i].config.copy()
	return "Note: Applying config parallelly may fail Rollback verification\nCollecting Running-Config\n#Generating Rollback Patch\nExecuting Rollback Patch\n" +
		"Generating Running-config for verification\nGenerating Patch for verification\nVerification is Successful.\n\nRollback completed successfully."
}

// brief: "Interfaces", section "Verifying the Interface Configuration".
func (n *nxos) brief() string {
	var text strings.Builder
	rule := strings.Repeat("-", 80) + "\n"
	text.WriteString("\n" + rule + "Port   VRF          Status IP Address                              Speed    MTU\n" + rule)
	text.WriteString("mgmt0  --           up     192.0.2.2                               1000     1500\n\n")
	text.WriteString(rule + "Ethernet        VLAN    Type Mode   Status  Reason                 Speed     Port\nInterface                                                                    Ch #\n" + rule)
	for _, stanza := range n.now.below {
		name, is := strings.CutPrefix(stanza.line, "interface ")
		if !is {
			continue
		}
		state, reason := "up", "none"
		if stanza.index("shutdown") >= 0 {
			state, reason = "down", "Administratively down"
		}
		mode := "access"
		if stanza.index("no switchport") >= 0 {
			mode = "routed"
		}
		short := strings.NewReplacer("Ethernet", "Eth", "port-channel", "Po").Replace(name)
		fmt.Fprintf(&text, "%-15s %-7s eth  %-6s %-7s %-22s 10G(D)    --\n", short, "1", mode, state, reason)
	}
	return text.String()
}
