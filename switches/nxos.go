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

// nxos is the driver for Cisco NX-OS: a checkpoint is made, lines take effect one by one,
// and what could not be verified is undone, by a roll-back to the checkpoint if need be. It follows the "Nexus
// 9000 Series NX-OS System Management Configuration Guide", chapter "Configuring Rollback",
// and the guides of each feature; it was tried with the emulated device only.
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
		once: []string{"description", "mtu", "switchport access vlan", "switchport trunk native vlan", "switchport trunk allowed vlan"},
		skip: func(words string) bool { return strings.HasPrefix(words, "!") },
		canonical: func(s statement) statement {
			switch line := s.line(); {
			case line == "no shutdown": // where ports are shut by default, those that are not say so
				return ""
			case strings.HasPrefix(line, "password ") && strings.Contains(string(s), level+"neighbor "):
				return s.header().with("password " + Hidden)
			case strings.HasPrefix(line, "channel-group "): // "force" is not shown by all
				return s.header().with(strings.TrimSuffix(strings.Replace(line, " force mode", " mode", 1), " force"))
			}
			return s
		},
		negate: func(line string) (string, bool) {
			if line == "password "+Hidden {
				return "no password", true
			}
			return "", false
		},
	}
}

func (nxos) definition() definition { return definition{prompts: nxosDefinition} }

// refused: complaints begin with a percent sign, or with ERROR.
func (nxos) refused(answer string) bool {
	for line := range strings.Lines(answer) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "%") || strings.HasPrefix(line, "ERROR") || strings.HasPrefix(line, "Error") {
			return true
		}
	}
	return false
}

// ports: each line of the answer is one interface; the name is the first word, and the
// state the word after its VLAN, or the address.
func (nxos) ports(ctx context.Context, cli *terminal) (map[string]bool, error) {
	answer, err := cli.say(ctx, "show interface brief")
	if err != nil {
		return nil, err
	}
	ports := map[string]bool{}
	for line := range strings.Lines(answer) {
		fields := strings.Fields(line) // Eth1/1 100 eth access up none 10G(D) --
		if len(fields) < 3 {
			continue
		}
		for short, long := range map[string]string{"Eth": "Ethernet", "Po": "port-channel", "mgmt": "mgmt"} {
			rest, is := strings.CutPrefix(fields[0], short)
			if is && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
				ports[long+rest] = slices.Contains(fields[1:], "up")
			}
		}
	}
	return ports, nil
}

func (nxos) running(ctx context.Context, cli *terminal) (string, error) {
	return cli.say(ctx, "show running-config")
}

func (d nxos) read(text string) ([]statement, error) {
	// There is no last line to tell the end by; the first one tells that it is what it is.
	if !strings.Contains(text, "!Command: show running-config") {
		return nil, ErrUnreadable
	}
	return d.style().parse(text), nil
}

func (d nxos) section(running []statement, port string) section {
	return d.style().section(running, port)
}

func (d nxos) render(device Device, intent Intent) ([]statement, error) {
	return d.style().render(nxosTemplate, device, intent)
}

func (d nxos) parse(port string, owned []statement) Intent {
	intent := d.style().read(port, owned, func(intent *Intent, words []string) {
		last := words[len(words)-1]
		switch line := strings.Join(words[:len(words)-1], " "); line {
		case "switchport access vlan", "switchport trunk native vlan":
			intent.vlans().Untagged = number(last)
		case "switchport trunk allowed vlan":
			intent.vlans().Tagged = readVLANRanges(last)
		case "ip dhcp relay address":
			intent.readRelay(last)
		case "vpc":
			intent.bond().MultiChassis = true
		case "no lacp":
			intent.bond().Fallback = true
		}
	})
	intent.splitVLANs()
	_, ipv6 := intent.host(false)
	quiet := slices.ContainsFunc(owned, func(s statement) bool { return s.line() == "ipv6 nd suppress-ra" })
	intent.Advertise = ipv6 && !quiet
	return intent
}

func (d nxos) edit(port string, have section, want []statement) []string {
	return d.style().edit(port, have.owned, want)
}

func (d nxos) transact(ctx context.Context, cli *terminal, t transaction) error {
	checkpoint := nxosCheckpoint + strings.ToLower(rand.Text()[:8])
	if err := cli.insist(ctx, "checkpoint "+checkpoint, d.refused); err != nil {
		return err
	}
	send := cli.sender(d.refused)
	err := enterBy(ctx, cli, "configure terminal", d.refused)
	if err == nil {
		err = send(ctx, t.commands)
	}
	if err == nil {
		err = t.verify(ctx)
	}
	if errors.Is(err, ErrUnreachable) {
		return err
	}
	if undoable(err) {
		// The ports' own lines first: a roll-back takes away what others have changed meanwhile.
		if failed := t.undo(ctx, send); failed != nil {
			err = errors.Join(err, failed, cli.insist(ctx, "rollback running-config checkpoint "+checkpoint+" atomic", d.refused))
		}
	}
	return errors.Join(err, cli.insist(ctx, "no checkpoint "+checkpoint, d.refused))
}

// settle removes the checkpoints of sessions that broke off: what those did is in effect,
// and is read. Another program's that is at work is removed, too: it cannot roll back, says
// so, and tries again.
func (d nxos) settle(ctx context.Context, cli *terminal) error {
	answer, err := cli.say(ctx, "show checkpoint summary | include "+nxosCheckpoint)
	if err != nil {
		return err
	}
	for line := range strings.Lines(answer) {
		for word := range strings.FieldsSeq(line) {
			name := strings.Trim(word, ":)")
			if !strings.HasPrefix(name, nxosCheckpoint) {
				continue
			}
			if _, err := cli.say(ctx, "no checkpoint "+name); err != nil { // it may be gone meanwhile
				return err
			}
		}
	}
	return nil
}

func (d nxos) save(ctx context.Context, cli *terminal) error {
	const command = "copy running-config startup-config"
	answer, err := cli.say(ctx, command)
	if err == nil && (d.refused(answer) || !strings.Contains(answer, "Copy complete")) {
		err = &RefusedError{Line: command, Answer: fmt.Sprintf("%q", answer)}
	}
	return err
}
