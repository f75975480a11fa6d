package emulator

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// iosxe emulates Cisco IOS-XE as its guides describe it: "Configuration Management",
// chapters "Configuration Rollback Confirmed Change" and "Exclusive Configuration Change
// Access", and the guides of each feature for its lines.
type iosxe struct {
	*iosStyle
	before *tree // to go back to, while the timer runs
	timer  *time.Timer
}

func newIOSXE(d *Device) *iosxe {
	s := newIOSStyle(d)
	const mask = `\d+\.\d+\.\d+\.\d+ \d+\.\d+\.\d+\.\d+`
	s.stanzas = map[string]string{
		`:interface \S+`:  "interface",
		`:router bgp \d+`: "bgp",
		`bgp:address-family (ipv4|ipv6)( vrf \S+)?`: "bgp-family",
		`:ip access-list extended \S+`:              "acl",
		`:ipv6 access-list \S+`:                     "acl6",
		`:vlan \d+`:                                 "vlan",
		`:vrf definition \S+`:                       "vrf",
	}
	neighbour := `neighbor \S+ (remote-as|description|password) .+`
	s.known = map[string][]string{
		"": {
			`hostname \S+`, `ip route (vrf \S+ )?` + mask + ` \S+( name \S+)?`, `ipv6 route (vrf \S+ )?\S+ \S+( name \S+)?`, `ntp server \S+`,
			`(ip|ipv6) prefix-list \S+ seq \d+ (permit|deny) \S+( le \d+)?`,
		},
		"interface": {
			`description .+`, `mtu \d+`, `shutdown`, `switchport`, `switchport .*`, `vrf forwarding \S+`, `channel-group \d+ mode active`,
			`port-channel standalone-disable`, `ip address ` + mask, `ipv6 address \S+`, `ipv6 nd ra suppress all`, `ip helper-address \S+`,
			`ip access-group \S+ in`, `ipv6 traffic-filter \S+ in`, `load-interval \d+`, `speed \S+`,
		},
		"bgp":        {`bgp router-id \S+`, neighbour},
		"bgp-family": {neighbour, `neighbor \S+ (activate|default-originate|prefix-list \S+ (in|out)|maximum-prefix \d+)`},
		"acl":        {`\d+ (permit|deny) (ip|udp|tcp) (any|host \S+|` + mask + `)( eq \S+)? (any|host \S+|` + mask + `)( eq \S+)?`},
		"acl6":       {`sequence \d+ (permit|deny) ipv6 (any|host \S+|\S+/\d+) (any|host \S+|\S+/\d+)`},
		"vlan":       {`name \S+`},
		"vrf":        {`rd \S+`, `address-family (ipv4|ipv6)`},
	}
	s.once = []string{
		"description", "mtu", "vrf forwarding", "channel-group", "switchport mode", "switchport access vlan", "switchport trunk native vlan",
		"switchport trunk allowed vlan", "ip address", `neighbor \S+ remote-as`, `neighbor \S+ description`, `neighbor \S+ password`,
		`neighbor \S+ maximum-prefix`, "hostname", "name", "load-interval",
	}
	s.effects = func(at *tree, line string) {
		switch {
		// Another VRF, and switching, take the addresses away.
		case begins(line, "vrf forwarding"), begins(line, "no vrf forwarding"), line == "switchport":
			at.remove("ip address")
			at.remove("ipv6 address")
		case line == "no port-channel standalone-disable": // the default is the opposite, and is not shown
			at.child(line)
		case line == "port-channel standalone-disable":
			at.remove(line)
			at.remove("no " + line)
		}
	}
	return &iosxe{iosStyle: s}
}

// running: IPv6 addresses are shown in capital letters.
func (x *iosxe) running() string {
	var shown []string
	for _, line := range strings.Split(x.text(x.now), "\n") {
		words := strings.Split(line, " ")
		for i, word := range words {
			address, _, _ := strings.Cut(word, "/")
			if parsed, err := netip.ParseAddr(address); err == nil && parsed.Is6() {
				words[i] = strings.ToUpper(word)
			}
		}
		shown = append(shown, strings.Join(words, " "))
	}
	return "Building configuration...\n\nCurrent configuration : 4242 bytes\n!\nversion 17.9\n" + strings.Join(shown, "\n") + "end\n"
}

func (x *iosxe) login(line *shell) dialogue { return &iosxeDialogue{iosxe: x, shell: line} }

type iosxeDialogue struct {
	iosxe *iosxe
	shell *shell
	place *place // in configuration mode
}

func (d *iosxeDialogue) hangUp() {}

func (d *iosxeDialogue) prompt() string {
	name := d.iosxe.device.config.Name
	if d.place == nil {
		return name + "#"
	}
	if kind := d.place.kind(); kind != "" {
		return name + "(config-" + kind + ")#"
	}
	return name + "(config)#"
}

func (d *iosxeDialogue) answer(line string) (string, bool) {
	x := d.iosxe
	if d.place != nil {
		if line == "end" || line == "exit" && len(d.place.path) == 0 {
			d.place = nil
			return "", false
		}
		return x.iosStyle.configure(d.place, line), false
	}
	words := strings.Fields(line)
	switch {
	case line == "" || line == "terminal width 0":
	case line == "terminal length 0":
		d.shell.paged = false
	case line == "exit":
		return "", true
	case line == "show running-config":
		return x.running(), false
	case line == "show lldp neighbors detail":
		return d.iosxe.device.iosNeighbours(), false
	case line == "show ip interface brief":
		return x.brief(), false
	case line == "show archive config rollback timer":
		if x.timer == nil {
			return "No Timed Rollback in progress", false
		}
		return "Time configured(or reconfigured): 10:00:00 UTC Mon Nov 23 2026\nTimer type: absolute timer\nTimer value: 2 min", false
	case line == "write memory":
		return "Building configuration...\n[OK]", false
	case len(words) == 5 && begins(line, "configure terminal revert timer"):
		return d.enter(true), false
	case line == "configure terminal":
		return d.enter(false), false
	case line == "configure confirm":
		if x.timer == nil {
			return "%No Rollback Confirmed Change pending", false
		}
		x.timer.Stop()
		x.timer, x.before = nil, nil
	case line == "configure revert now":
		if x.timer == nil {
			return "%No Rollback Confirmed Change pending", false
		}
		x.takeBack()
	default:
		return "% Invalid input detected at '^' marker.", false
	}
	return "", false
}

func (d *iosxeDialogue) enter(timed bool) string {
	x := d.iosxe
	if by := x.device.faults.LockedBy; by != "" {
		return fmt.Sprintf("Configuration mode is locked by process '3' user '%s' from terminal '1'. Please try later.", by)
	}
	if !timed {
		d.place = &place{config: x.now}
		return "Enter configuration commands, one per line.  End with CNTL/Z."
	}
	if x.timer != nil {
		return "% Rollback Confirmed Change: a timed rollback is in progress already"
	}
	x.before = x.now.copy()
	x.timer = x.device.after(2*time.Minute, x.takeBack)
	d.place = &place{config: x.now}
	return "Rollback Confirmed Change: Backing up current running config to flash:archive-1\nEnter configuration commands, one per line.  End with CNTL/Z."
}

func (x *iosxe) takeBack() {
	if x.timer == nil {
		return
	}
	x.timer.Stop()
	x.now.below = x.before.below
	x.timer, x.before = nil, nil
}

func (x *iosxe) brief() string {
	var text strings.Builder
	text.WriteString("Interface              IP-Address      OK? Method Status                Protocol\n")
	for _, stanza := range x.now.below {
		name, is := strings.CutPrefix(stanza.line, "interface ")
		if !is {
			continue
		}
		state := "up                    up"
		if stanza.index("shutdown") >= 0 {
			state = "administratively down down"
		}
		fmt.Fprintf(&text, "%-22s unassigned      YES unset  %s\n", name, state)
	}
	return text.String()
}
