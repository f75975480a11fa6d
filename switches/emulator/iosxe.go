package emulator

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// iosxe emulates Cisco IOS-XE on a Catalyst 9000 switch as these describe it: the "Managing
// Configuration Files Configuration Guide", chapters "Configuration Rollback Confirmed
// Change" and "Exclusive Configuration Change Access"; the "Layer 2 Configuration Guide",
// chapter "Configuring EtherChannels"; the "IP Routing: BGP Configuration Guide"; the
// "Security Configuration Guide", chapters on access control lists and port-based traffic
// control.
type iosxe struct {
	*iosStyle
	groups
	before *tree       // to go back to, while the timer runs
	timer  *time.Timer // nil: none runs
	value  int         // of the timer, in minutes
}

const (
	iosxeInvalid = "                     ^\n% Invalid input detected at '^' marker.\n"
	iosxeUnkept  = "%No Rollback Confirmed Change pending"
)

// iosxeLayer3 are the beginnings of lines that only routed ports have.
var iosxeLayer3 = []string{"ip address", "ipv6 address", "ipv6 nd", "ip helper-address"}

func newIOSXE(d *Device) *iosxe {
	s := newIOSStyle(d)
	x := &iosxe{iosStyle: s, groups: groups{s, "Port-channel"}}
	s.unknown = iosxeInvalid
	s.stanzas = map[string]string{
		`:interface \S+`:                            "if",
		`:router bgp \d+`:                           "router",
		`router:address-family (ipv4|ipv6)`:         "router-af",
		`router:address-family (ipv4|ipv6) vrf \S+`: "router-af-vrf",
		`:ip access-list extended \S+`:              "ext-nacl",
		`:ipv6 access-list \S+`:                     "ipv6-acl",
		`:vlan \d+`:                                 "vlan",
		`:vrf definition \S+`:                       "vrf",
		`vrf:address-family (ipv4|ipv6)`:            "vrf-af",
		`:archive`:                                  "archive",
	}
	const (
		ipv4     = `[\d.]+ [\d.]+` // with a mask, or a wildcard
		endpoint = `(any|host [\d.]+|` + ipv4 + `)( eq \S+)?`
		host     = `[\da-f.:]+`
		distant  = `(any|host \S+|\S+/\d+)( eq \S+)?`
		entry    = `(permit|deny) (ip|udp|tcp) ` + endpoint + ` ` + endpoint
		entry6   = `(permit|deny) (ipv6|udp|tcp) ` + distant + ` ` + distant
	)
	neighbour := `neighbor ` + host + ` (remote-as \d+|shutdown|description .+|password \S+)`
	family := `neighbor ` + host + ` (activate|default-originate|prefix-list \S+ (in|out)|maximum-prefix \d+)`
	s.known = map[string][]string{
		"": {
			`hostname \S+`, `ntp server \S+`, `ip prefix-list [\w.-]+ seq \d+ (permit|deny) [\d.]+/\d+( le \d+)?`,
			`ipv6 prefix-list [\w.-]+ seq \d+ (permit|deny) \S+/\d+( le \d+)?`, `ip route (vrf \S+ )?` + ipv4 + ` \S+( name \S+)?`,
			`ipv6 route (vrf \S+ )?\S+/\d+ \S+( name \S+)?`, `configuration mode exclusive (auto|manual)`,
		},
		"if": {
			`description .+`, `mtu \d+`, `shutdown`, `switchport`, `switchport protected`, `switchport mode (access|trunk)`, `switchport access vlan \d+`,
			`switchport trunk native vlan \d+`, `switchport trunk allowed vlan (add )?[\d,-]+`, `vrf forwarding \S+`, `channel-group \d+ mode active`,
			`port-channel standalone-disable`, `ip address ` + ipv4, `ipv6 address \S+/\d+`, `ipv6 nd ra suppress( all)?`, `ip helper-address \S+`,
			`ip access-group \S+ in`, `ipv6 traffic-filter \S+ in`, `load-interval \d+`, `spanning-tree portfast`,
		},
		"router":        {`bgp router-id \S+`, neighbour},
		"router-af":     {family, `network \S+`},
		"router-af-vrf": {neighbour, family, `network \S+`},
		"ext-nacl":      {`\d+ ` + entry, entry},
		"ipv6-acl":      {`sequence \d+ ` + entry6, entry6},
		"vlan":          {`name \S+`},
		"vrf":           {`rd \S+`},
		"archive":       {`path \S+`},
	}
	s.once = []string{
		"description", "mtu", "vrf forwarding", "channel-group", "switchport mode", "switchport access vlan", "switchport trunk native vlan",
		"switchport trunk allowed vlan", "ip address", "ip access-group", "ipv6 traffic-filter", "ipv6 nd ra suppress", "hostname", "name", "load-interval", "path",
		`neighbor \S+ remote-as`, `neighbor \S+ description`, `neighbor \S+ password`, `neighbor \S+ maximum-prefix`, `\d+`, `sequence \d+`,
	}
	s.opposites = []string{"port-channel standalone-disable"}
	s.shape = iosxeShape
	s.refuses = x.refuses
	s.effects = x.effects
	return x
}

// iosxeShape: IPv6 addresses have one form.
func iosxeShape(line string) string {
	words := strings.Fields(line)
	for i, word := range words {
		if words[0] == "description" {
			return line
		}
		if prefix, err := netip.ParsePrefix(word); err == nil {
			words[i] = prefix.String()
		} else if address, err := netip.ParseAddr(word); err == nil {
			words[i] = address.String()
		}
	}
	return strings.Join(words, " ")
}

// iosxeShown writes IPv6 addresses in capital letters and hides passwords.
func iosxeShown(line string) string {
	if head, secret, found := strings.Cut(line, " password "); found && !strings.HasPrefix(secret, "7 ") {
		return fmt.Sprintf("%s password 7 %X", head, obscured(secret))
	}
	words := strings.Split(line, " ")
	for i, word := range words {
		if words[0] == "description" {
			return line
		}
		address, _, _ := strings.Cut(word, "/")
		if _, err := netip.ParseAddr(address); err == nil {
			words[i] = strings.ToUpper(word)
		}
	}
	return strings.Join(words, " ")
}

func (x *iosxe) refuses(at *tree, line string) string {
	port, isPort := strings.CutPrefix(at.line, "interface ")
	words := strings.Fields(line)
	routed := at.index("no switchport") >= 0
	switch {
	case begins(line, "interface") && !strings.HasPrefix(words[1], "Port-channel") && !slices.Contains(x.device.config.Ports, words[1]):
		return iosxeInvalid
	case begins(line, "router bgp"):
		for _, c := range at.below {
			if begins(c.line, "router bgp") && c.line != line {
				return "BGP is already running; AS is " + strings.Fields(c.line)[2]
			}
		}
	case begins(line, "neighbor"):
		return x.refusesNeighbour(at, words)
	case begins(line, "ip route") || begins(line, "ip address"):
		return refusesMask(words)
	case isPort && begins(line, "channel-group"):
		if _, possible := x.alike(at, words[1]); !possible {
			return "Command rejected (Port-channel" + words[1] + ", " + port + "): Either port is L2 and port-channel is L3, or vice-versa\n"
		}
	case isPort && strings.HasSuffix(line, "port-channel standalone-disable") && !strings.HasPrefix(port, "Port-channel"):
		return iosxeInvalid
	case isPort && begins(line, "mtu"):
		if size, err := strconv.Atoi(words[1]); err != nil || size < 1500 || size > 9198 {
			return iosxeInvalid
		}
	case isPort && begins(line, "vrf forwarding"):
		if !routed {
			return iosxeInvalid
		}
		if x.now.index("vrf definition "+words[2]) < 0 {
			return "% VRF " + words[2] + " does not exist or is not configured"
		}
	case isPort && !routed && slices.ContainsFunc(iosxeLayer3, func(kind string) bool { return begins(line, kind) }):
		return iosxeInvalid
	}
	return ""
}

// refusesMask: the host part of a route's prefix is empty, and a mask is contiguous.
func refusesMask(words []string) string {
	for i := range words[1:] {
		address, err := netip.ParseAddr(words[i])
		if err != nil || !address.Is4() {
			continue
		}
		mask, err := netip.ParseAddr(words[i+1])
		if err != nil || !mask.Is4() {
			return iosxeInvalid
		}
		var bits uint32
		var host bool
		for n, part := range mask.As4() {
			bits = bits<<8 | uint32(part)
			host = host || address.As4()[n]&^part != 0
		}
		if inverse := ^bits; inverse&(inverse+1) != 0 {
			return "Bad mask"
		}
		if words[1] == "route" && host {
			return "%Inconsistent address and mask"
		}
		return ""
	}
	return iosxeInvalid
}

func (x *iosxe) refusesNeighbour(at *tree, words []string) string {
	in := at
	if strings.HasPrefix(at.line, "address-family ") && !strings.Contains(at.line, " vrf ") {
		for _, c := range x.now.below {
			if begins(c.line, "router bgp") {
				in = c
			}
		}
	}
	known := slices.ContainsFunc(in.below, func(c *tree) bool { return begins(c.line, "neighbor "+words[1]+" remote-as") })
	if words[2] != "remote-as" && !known {
		return "% Specify remote-as or peer-group commands first"
	}
	return ""
}

func (x *iosxe) effects(at *tree, line string) string {
	port, isPort := strings.CutPrefix(at.line, "interface ")
	words := strings.Fields(line)
	remove := func(kinds ...string) {
		for _, kind := range kinds {
			at.remove(kind)
		}
	}
	switch {
	case begins(line, "no interface Port-channel"):
		x.sync()
	case strings.HasPrefix(port, "Port-channel") && isInherited(line):
		x.sync()
	case begins(line, "channel-group"):
		x.joined(at, words[1])
	case line == "mtu 1500": // the default is not shown
		at.remove("mtu")
	case isPort && line == "switchport":
		remove(iosxeLayer3...)
		remove("vrf forwarding")
	case isPort && (begins(line, "vrf forwarding") || begins(line, "no vrf")):
		remove("ip address", "ipv6 address")
		return "% Interface " + port + " IPv4 disabled and address(es) removed due to enabling VRF " + words[len(words)-1]
	case begins(line, "ip address") && strings.HasSuffix(line, " 255.255.255.254"):
		return "% Warning: use /31 mask on non point-to-point interface cautiously"
	case begins(at.line, "router bgp") && begins(line, "neighbor") && words[2] == "remote-as":
		// "bgp default ipv4-unicast"
		if family := at.child("address-family ipv4"); family.index("no "+strings.Join(words[:2], " ")+" activate") < 0 {
			family.child(strings.Join(words[:2], " ") + " activate")
		}
	case begins(at.line, "router bgp") && begins(line, "no neighbor") && (len(words) == 3 || words[3] == "remote-as"):
		at.child("address-family ipv4").remove("no neighbor " + words[2])
	case begins(at.line, "address-family") && begins(line, "no neighbor") && words[len(words)-1] == "activate":
		if at.line == "address-family ipv4" {
			at.child(line) // its default is the opposite
		}
	case at.line == "address-family ipv4" && begins(line, "neighbor") && words[2] == "activate":
		at.remove("no " + line)
	}
	return ""
}

// running: a routed port without an address says so.
func (x *iosxe) running() string {
	shown := x.now.copy()
	for _, stanza := range shown.below {
		wrapAllowed(stanza)
		if strings.HasPrefix(stanza.line, "interface ") && stanza.index("no switchport") >= 0 && !slices.ContainsFunc(stanza.below, func(c *tree) bool { return begins(c.line, "ip address") }) {
			stanza.child("no ip address")
		}
		if begins(stanza.line, "router bgp") {
			for i := len(stanza.below) - 1; i >= 0; i-- {
				if begins(stanza.below[i].line, "address-family") {
					stanza.below = slices.Insert(stanza.below, i+1, &tree{line: "exit-address-family"}, &tree{line: "!"})
				}
			}
		}
	}
	var text strings.Builder
	shown.write(&text, "", layout{step: " ", after: "!\n"}, iosxeShown)
	config := "!\n! Last configuration change at 10:00:00 UTC Mon Nov 23 2026 by operator\n!\nversion 17.9\nhostname " + x.device.config.Name + "\n!\n" + text.String() + "end\n"
	return fmt.Sprintf("Building configuration...\n\nCurrent configuration : %d bytes\n%s\n", len(config), config)
}

func (x *iosxe) login(line *shell) dialogue { return &iosxeDialogue{iosxe: x, shell: line} }

// iosxeDialogue is one command line.
type iosxeDialogue struct {
	iosxe *iosxe
	shell *shell
	place *place // in configuration mode
	asks  bool   // whether to save
}

func (d *iosxeDialogue) hangUp() {}

func (d *iosxeDialogue) prompt() string {
	name := d.iosxe.device.config.Name
	switch {
	case d.asks:
		return "Overwrite the previous NVRAM configuration?[confirm]"
	case d.place == nil:
		return name + "#"
	case d.place.kind() == "":
		return name + "(config)#"
	}
	return name + "(config-" + strings.TrimSuffix(d.place.kind(), "-vrf") + ")#"
}

var iosxeRevert = regexp.MustCompile(`^configure terminal revert timer (\d+)$`)

func (d *iosxeDialogue) answer(line string) (string, bool) {
	x := d.iosxe
	switch timed := iosxeRevert.FindStringSubmatch(line); {
	case line == "" && !d.asks:
	case d.place != nil && (line == "end" || line == "exit" && len(d.place.path) == 0):
		d.place = nil
		x.letIn.comeUp(x.now)
	case d.place != nil && line == "exit-address-family" && strings.Contains(d.place.kind(), "-af"):
		d.place.exit()
	case d.place != nil:
		d.place.resume(x.now)
		return x.configure(d.place, line), false
	case line == "terminal length 0":
		d.shell.paged = false
	case line == "terminal width 0" || line == "enable" || line == "end":
	case line == "exit" || line == "logout":
		return "", true
	case strings.HasPrefix(line, "show "):
		return x.show(line), false
	case line == "write memory" && x.device.faults.Upgraded && !d.asks:
		d.asks = true
		return "Warning: Attempting to overwrite an NVRAM configuration previously written\nby a different version of the system image.", false
	case line == "write memory" || line == "" && d.asks:
		d.asks = false
		return "Building configuration...\n[OK]", false
	case line == "configure terminal" || timed != nil:
		if by := x.device.faults.LockedBy; by != "" {
			return "Configuration mode locked exclusively by user '" + by + "' process '187' from terminal '7'. Please try later.\n", false
		}
		if timed != nil {
			if complaint := x.start(timed[1]); complaint != "" {
				return complaint, false
			}
		}
		d.place = &place{config: x.now}
		answer := "Enter configuration commands, one per line.  End with CNTL/Z."
		if timed != nil {
			answer = "Rollback Confirmed Change: Backing up current running config to flash:archive-Nov-23-10-00-00.000-0\n\n" + answer
		}
		if x.now.index("configuration mode exclusive auto") >= 0 {
			answer = "Configuration mode locked exclusively. The lock will be cleared once you exit out of configuration mode using end/exit\n\n" + answer
		}
		return answer, false
	case bgpClear.MatchString(line):
		return x.letIn.clear(x.now, line), false
	case line == "configure confirm":
		return d.confirm(), false
	case line == "configure revert now":
		return x.revert(), false
	default:
		return iosxeInvalid, false
	}
	return "", false
}

// start: "Configuration Rollback Confirmed Change", section "Performing a Configuration
// Replace or Configuration Rollback Operation with Confirmation".
func (x *iosxe) start(minutes string) string {
	archive := x.now.index("archive")
	if archive < 0 || len(x.now.below[archive].below) == 0 {
		return "%Turn config archive on before using Rollback Confirmed Change"
	}
	if x.timer != nil {
		return "%Rollback Confirmed Change is already pending"
	}
	value, err := strconv.Atoi(minutes)
	if err != nil || value < 1 || value > 120 {
		return iosxeInvalid
	}
	x.before, x.value = x.now.copy(), value
	x.timer = x.device.after(time.Duration(value)*time.Minute, func() { x.revert() })
	return ""
}

func (x *iosxe) revert() string {
	if x.timer == nil {
		return iosxeUnkept
	}
	x.timer.Stop()
	x.now, x.timer = x.before, nil
	return "Rollback Confirmed Change: Rolling to:flash:archive-Nov-23-10-00-00.000-0\n\nTotal number of passes: 1\nRollback Done\n"
}

func (d *iosxeDialogue) confirm() string {
	x := d.iosxe
	switch complaint := x.device.faults.FailCommit; {
	case complaint != "":
		return complaint
	case x.timer == nil:
		return iosxeUnkept
	}
	x.timer.Stop()
	x.timer = nil
	x.device.counts.Commits++
	d.shell.sleep(x.device.faults.CommitTime)
	return ""
}

func (x *iosxe) show(line string) string {
	switch line {
	case "show running-config":
		return x.running()
	case "show interfaces | include line protocol":
		return x.lines()
	case "show lldp neighbors detail":
		return x.device.iosNeighbours()
	case "show archive config rollback timer":
		if x.timer == nil {
			return iosxeUnkept
		}
		return fmt.Sprintf("Time configured(or reconfigured): 10:00:00 UTC Mon Nov 23 2026\nTimer type: absolute timer\nTimer value: %d min\nUser: %s", x.value, x.device.config.User)
	}
	return iosxeInvalid
}

func (x *iosxe) lines() string {
	var text strings.Builder
	text.WriteString("Vlan1 is up, line protocol is down , Autostate Enabled\n")
	for _, stanza := range x.now.below {
		name, is := strings.CutPrefix(stanza.line, "interface ")
		switch {
		case !is:
		case stanza.index("shutdown") >= 0:
			text.WriteString(name + " is administratively down, line protocol is down (disabled) \n")
		default:
			text.WriteString(name + " is up, line protocol is up (connected) \n")
		}
	}
	return text.String()
}
