package switches

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// nxos is the driver for Cisco NX-OS on Nexus 9000 switches whose ports are switched by
// default. Lines take effect one by one; before them a checkpoint is made, to which the
// switch is rolled back when one is refused or does not do what it should. The features bgp,
// dhcp, interface-vlan, lacp and vpc are enabled where intents need them. It follows the
// "Cisco Nexus 9000 Series NX-OS" configuration guides: "System Management", chapters
// "Configuring Rollback" and "Terminal Lock for VSH Sessions"; "Interfaces", chapters
// "Configuring Basic Interface Parameters", "Configuring Layer 2 Interfaces", "Configuring
// Layer 3 Interfaces" and "Configuring Port Channels"; "Security", chapter "Configuring IP
// ACLs"; "Unicast Routing", chapter "Configuring Basic BGP". It was tried with the emulated
// device only.
type nxos struct{}

//go:embed nxos.yaml
var nxosDefinition []byte

//go:embed nxos.tmpl
var nxosTemplate string

// nxosCheckpoint begins the names of this driver's checkpoints.
const nxosCheckpoint = mark + "-"

func (nxos) style() iosStyle {
	return iosStyle{
		platform: "cisco_nxos",
		group:    "port-channel",
		kinds: []string{
			"description", "mtu", "shutdown", "switchport", "vrf member", "channel-group", "lacp suspend-individual", "vpc",
			"ip address", "ipv6 address", "ipv6 nd suppress-ra", "ip dhcp relay address", "ip access-group", "ipv6 traffic-filter",
		},
		once: []string{
			"description", "mtu", "switchport access vlan", "switchport trunk native vlan", "switchport trunk allowed vlan", "remote-as", "maximum-prefix",
		},
		skip: func(words string) bool { return strings.HasPrefix(words, "!") },
		canonical: func(s statement) statement {
			if strings.HasPrefix(s.line(), "channel-group ") { // "force" is not shown by all
				return s.header().with(strings.TrimSuffix(strings.Replace(s.line(), " force mode", " mode", 1), " force"))
			}
			return ciscoCanonical(s)
		},
		negate:    func(line string) (string, bool) { return "no password", line == "password "+Hidden },
		neighbour: ciscoNeighbour, neighbourStanza: true,
	}
}

func (nxos) definition() definition { return definition{prompts: nxosDefinition} }

// refused: warnings, such as that of addresses that a VRF takes away, are no refusals.
func (nxos) refused(answer string) bool {
	for line := range strings.Lines(answer) {
		line = strings.ToLower(strings.TrimSpace(line))
		for _, beginning := range []string{"%", "error", "invalid", "command failed", "cannot "} {
			if strings.HasPrefix(line, beginning) {
				return true
			}
		}
	}
	return false
}

// ports: the first of the words "up" and "down" is the state, and no free text is before it.
func (nxos) ports(ctx context.Context, cli *terminal) (map[string]bool, error) {
	answer, err := cli.say(ctx, "show interface brief")
	if err != nil {
		return nil, err
	}
	ports := map[string]bool{}
	for line := range strings.Lines(answer) {
		fields := strings.Fields(line) // Eth1/1 1 eth access up none 10G(D) --; mgmt0 -- up 192.0.2.2 1000 1500
		state := slices.IndexFunc(fields, func(word string) bool { return word == "up" || word == "down" })
		if state > 0 {
			ports[longName(fields[0], nxosNames)] = fields[state] == "up"
		}
	}
	return ports, nil
}

// nxosNames are the kinds of interfaces as NX-OS shortens them.
var nxosNames = map[string]string{"Eth": "Ethernet", "Po": "port-channel", "Lo": "loopback"}

func (nxos) running(ctx context.Context, cli *terminal) (string, error) {
	return cli.say(ctx, "show running-config")
}

// read: the end of a running configuration is not marked; its beginning is.
func (d nxos) read(text string) ([]statement, error) {
	if !strings.HasPrefix(strings.TrimSpace(text), "!Command: show running-config") || !strings.Contains(text, "\nversion ") {
		return nil, ErrUnreadable
	}
	style := d.style()
	return style.dropInherited(nxosShut(joinAllowed(style.parse(text)))), nil
}

// nxosShut says of all ports alike whether they are shut, for what is the default is not shown: a
// switched one is open unless "shutdown" is shown, or the switch has them shut by default; a
// routed one is shut unless "no shutdown" is shown.
func nxosShut(all []statement) []statement {
	said := map[statement]bool{}
	for _, s := range all {
		said[s] = true
	}
	shutByDefault := said["system default switchport shutdown"]
	var plain []statement
	for _, s := range all {
		switch port := s.header(); {
		case shutByDefault && port == "" && strings.HasPrefix(string(s), "interface Ethernet") &&
			!said[s.with("no switchport")] && !said[s.with("no shutdown")] && !said[s.with("shutdown")]:
			plain = append(plain, s, s.with("shutdown"))
		case strings.HasPrefix(string(s), "interface ") && s.line() == "no shutdown":
			continue
		case strings.HasPrefix(string(s), "interface Ethernet") && s.line() == "no switchport" && !said[port.with("no shutdown")] && !said[port.with("shutdown")]:
			plain = append(plain, s, port.with("shutdown"))
		default:
			plain = append(plain, s)
		}
	}
	return plain
}

func (d nxos) section(running []statement, port string) section {
	return d.style().section(running, port)
}

func (d nxos) render(device Device, intent Intent) ([]statement, error) {
	asked := ciscoLacks(intent)
	asked["a multi-chassis bond that is routed"] = intent.Bond != nil && intent.Bond.MultiChassis && intent.VLANs == nil
	// "Interfaces", section "Configuring the MTU Size": a switched port has the system's
	// default or its jumbo size, and a routed one an even number of bytes.
	asked["an MTU of a switched port other than 1500"] = intent.VLANs != nil && intent.MTU != 0 && intent.MTU != iosMTU
	asked["an odd MTU"] = intent.MTU%2 != 0
	if err := unsupported("cisco_nxos", asked); err != nil {
		return nil, err
	}
	return d.style().render(nxosTemplate, device, intent)
}

func (d nxos) parse(port string, owned []statement) Intent {
	quiet := false
	intent := d.style().read(port, owned, func(intent *Intent, words []string) {
		intent.readSwitchport(words)
		switch line := strings.Join(words, " "); {
		case strings.HasPrefix(line, "ip dhcp relay address "):
			intent.readRelay(words[len(words)-1])
		case line == "no lacp suspend-individual":
			intent.bond().Fallback = true
		case words[0] == "vpc":
			intent.bond().MultiChassis = true
		case line == "ipv6 nd suppress-ra":
			quiet = true
		}
	})
	intent.readDefaultVLAN()
	_, ipv6 := intent.host(false)
	intent.Advertise = ipv6 && !quiet
	return intent
}

func (d nxos) edit(port string, have section, want []statement) []string {
	style := d.style()
	var commands []string
	for _, command := range style.membership(style.edit(port, have.owned, want), want) {
		switch {
		case strings.HasPrefix(command, "channel-group "):
			// In spite of what of the two is not the same.
			commands = append(commands, strings.Replace(command, " mode ", " force mode ", 1))
		case strings.HasSuffix(command, "lacp suspend-individual"): // of a group that is shut
			commands = append(commands, "shutdown", command, "no shutdown")
		default:
			commands = append(commands, command)
		}
	}
	return commands
}

func (d nxos) transact(ctx context.Context, cli *terminal, t transaction) error {
	checkpoint := nxosCheckpoint + strings.ToLower(rand.Text()[:8])
	err := d.insist(ctx, cli, "checkpoint "+checkpoint, "")
	if err == nil {
		err = d.insist(ctx, cli, "configure terminal", "")
	}
	if err == nil {
		err = d.change(ctx, cli, t, checkpoint)
	}
	if errors.Is(err, ErrUnreachable) {
		return err
	}
	// Another program may have taken it for a left-over.
	_, failed := cli.say(ctx, "no checkpoint "+checkpoint)
	return errors.Join(err, failed)
}

// change sends the commands of a transaction, in configuration mode.
func (d nxos) change(ctx context.Context, cli *terminal, t transaction, checkpoint string) error {
	send := cli.sender(d.refused)
	err := send(ctx, t.commands)
	if err == nil {
		err = t.verify(ctx)
	}
	if err == nil {
		err = t.refresh(ctx, cli, d.refused)
	}
	if !undoable(err) {
		return err
	}
	return errors.Join(err, t.goBack(ctx,
		func() error {
			return d.insist(ctx, cli, "rollback running-config checkpoint "+checkpoint+" atomic", "completed successfully")
		},
		func() error { return t.undo(ctx, send) }), t.refresh(ctx, cli, d.refused))
}

// insist says a line whose answer has to have some words: ErrLocked, with who it is, where
// someone keeps the configuration: for all his session, or while the switch makes a
// checkpoint, rolls back or saves for him.
func (d nxos) insist(ctx context.Context, cli *terminal, line, words string) error {
	answer, err := cli.patiently(commitPatience).say(ctx, line)
	answer = strings.TrimSpace(answer)
	switch {
	case err != nil:
		return err
	case !d.refused(answer) && strings.Contains(answer, words):
		return nil
	case !strings.Contains(answer, "locked") && !strings.Contains(answer, "in progress"):
		return &RefusedError{Line: line, Answer: answer}
	}
	holder, err := cli.say(ctx, "show terminal lock")
	return errors.Join(fmt.Errorf("%w: %s; %s", ErrLocked, answer, strings.Join(strings.Fields(holder), " ")), err)
}

// settle: what a session that broke off has done is in effect, and is read, but for lists of
// neighbours that it may not have refreshed any more. Its checkpoint takes one of ten places.
// Another program's that is at work is removed, too: what that one has to take back it takes back
// line by line.
func (d nxos) settle(ctx context.Context, cli *terminal) error {
	answer, err := cli.say(ctx, "show checkpoint summary")
	if err != nil {
		return err
	}
	refreshed := false
	for line := range strings.Lines(answer) {
		fields := strings.Fields(line) // 1) NAME:
		if len(fields) != 2 || !strings.HasPrefix(fields[1], nxosCheckpoint) {
			continue
		}
		if !refreshed {
			if err := d.refreshAll(ctx, cli); err != nil {
				return err
			}
			refreshed = true
		}
		if _, err := cli.say(ctx, "no checkpoint "+strings.TrimSuffix(fields[1], ":")); err != nil { // it may be gone meanwhile
			return err
		}
	}
	return nil
}

// refreshAll has the lists of all hosts count for the routes that are there. Whose changed is not
// known: no session is reset for that, and a refusal is of no interest.
func (d nxos) refreshAll(ctx context.Context, cli *terminal) error {
	text, err := d.running(ctx, cli)
	if err != nil {
		return err
	}
	running, err := d.read(text)
	if err != nil {
		return err
	}
	for _, s := range running {
		who, text, is := neighbourOf(s)
		if !is || !strings.HasPrefix(text, "description "+peer("")) {
			continue
		}
		if _, err := cli.say(ctx, clearing(who, softly+"in")); err != nil {
			return err
		}
	}
	return nil
}

func (d nxos) save(ctx context.Context, cli *terminal) error {
	return d.insist(ctx, cli, "copy running-config startup-config", "Copy complete")
}
