package switches

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// iosxe is the driver for Cisco IOS-XE: lines take effect one by one, under a timer that
// takes them back unless they are confirmed after they were verified. It follows the
// "Configuration Management Configuration Guide", chapters "Configuration Rollback Confirmed
// Change" and "Exclusive Configuration Change Access", and the guides of each feature; it
// was tried with the emulated device only. The switch needs an archive
// ("archive", "path flash:…").
//
// Statements have prefixes where IOS says masks and wildcards: edit turns them into those.
type iosxe struct{}

//go:embed iosxe.yaml
var iosxeDefinition []byte

//go:embed iosxe.tmpl
var iosxeTemplate string

// iosxeConfirm is how many minutes unconfirmed lines stay.
const iosxeConfirm = 2

func (iosxe) style() iosStyle {
	return iosStyle{
		platform: "cisco_iosxe",
		group:    "Port-channel",
		kinds: []string{
			"description", "mtu", "shutdown", "switchport", "vrf forwarding", "channel-group", "port-channel standalone-disable",
			"ip address", "ipv6 address", "ipv6 nd ra suppress all", "ip helper-address", "ip access-group", "ipv6 traffic-filter",
		},
		once: []string{"description", "mtu", "switchport access vlan", "switchport trunk native vlan", "switchport trunk allowed vlan", "switchport mode"},
		skip: func(words string) bool {
			return strings.HasPrefix(words, "!") || words == "end" || strings.HasPrefix(words, "exit-")
		},
		canonical: iosxeCanonical,
		negate: func(line string) (string, bool) {
			if strings.HasPrefix(line, "switchport mode ") {
				return "no switchport mode", true
			}
			return "", false
		},
	}
}

// iosxeCanonical writes addresses, masks and wildcards as this package does, and says
// nothing of defaults.
func iosxeCanonical(s statement) statement {
	line := s.line()
	if line == "no ip address" || strings.HasPrefix(line, "no neighbor ") && strings.HasSuffix(line, " activate") {
		return ""
	}
	if address, text, is := neighbourLine(line); is && strings.HasPrefix(text, "password ") {
		line = "neighbor " + address + " password " + Hidden
	}
	words := strings.Fields(strings.TrimPrefix(line, "sequence "))
	inList := strings.HasPrefix(string(s), "ip access-list extended ")
	for i := 0; i < len(words); i++ {
		address, err := netip.ParseAddr(words[i])
		if err != nil {
			if prefix, err := netip.ParsePrefix(words[i]); err == nil {
				words[i] = prefix.String()
			}
			continue
		}
		words[i] = address.String()
		if !address.Is4() || i+1 == len(words) || words[max(0, i-1)] == "host" {
			continue
		}
		if bits, ok := maskBits(words[i+1], inList); ok {
			words[i] = netip.PrefixFrom(address, bits).String()
			words = slices.Delete(words, i+1, i+2)
		}
	}
	if strings.HasPrefix(line, "description ") {
		return s // a text, as it is
	}
	return s.header().with(strings.Join(words, " "))
}

// maskBits is the length that a mask, or wildcard, stands for.
func maskBits(text string, wildcard bool) (int, bool) {
	address, err := netip.ParseAddr(text)
	if err != nil || !address.Is4() {
		return 0, false
	}
	bytes := address.As4()
	mask := binary.BigEndian.Uint32(bytes[:])
	if wildcard {
		mask = ^mask
	}
	for bits := range 33 {
		if mask == uint32(0xffffffff<<(32-bits)) {
			return bits, true
		}
	}
	return 0, false
}

func maskText(bits int, wildcard bool) string {
	mask := uint32(0xffffffff << (32 - bits))
	if wildcard {
		mask = ^mask
	}
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, mask))).String()
}

// iosxeLine says a line in a stanza as IOS does.
func iosxeLine(stanza, line string) string {
	words := strings.Fields(line)
	inList := strings.HasPrefix(stanza, "ip access-list extended ")
	if !inList && !strings.HasPrefix(strings.TrimPrefix(line, "no "), "ip address ") && !strings.HasPrefix(strings.TrimPrefix(line, "no "), "ip route ") {
		if strings.HasPrefix(stanza, "ipv6 access-list ") {
			if rest, is := strings.CutPrefix(line, "no "); is {
				return "no sequence " + rest
			}
			if isNumber(words[0]) {
				return "sequence " + line
			}
		}
		return line
	}
	for i, word := range words {
		if prefix, err := netip.ParsePrefix(word); err == nil && prefix.Addr().Is4() {
			words[i] = prefix.Addr().String() + " " + maskText(prefix.Bits(), inList)
		}
	}
	return strings.Join(words, " ")
}

func (iosxe) definition() definition { return definition{prompts: iosxeDefinition} }

// refused: complaints begin with a percent sign.
func (iosxe) refused(answer string) bool {
	for line := range strings.Lines(answer) {
		if strings.HasPrefix(strings.TrimSpace(line), "%") {
			return true
		}
	}
	return false
}

func (iosxe) ports(ctx context.Context, cli *terminal) (map[string]bool, error) {
	answer, err := cli.say(ctx, "show ip interface brief")
	if err != nil {
		return nil, err
	}
	ports := map[string]bool{}
	for line := range strings.Lines(answer) {
		fields := strings.Fields(line) // GigabitEthernet1/0/1 unassigned YES unset administratively down down
		if n := len(fields); n >= 6 && (fields[2] == "YES" || fields[2] == "NO") {
			ports[fields[0]] = fields[n-1] == "up" && fields[n-2] == "up"
		}
	}
	return ports, nil
}

func (iosxe) running(ctx context.Context, cli *terminal) (string, error) {
	return cli.say(ctx, "show running-config")
}

func (d iosxe) read(text string) ([]statement, error) {
	if !strings.HasSuffix(strings.TrimRight(text, "\r\n "), "\nend") {
		return nil, ErrUnreadable
	}
	return d.style().parse(text), nil
}

func (d iosxe) section(running []statement, port string) section {
	return d.style().section(running, port)
}

func (d iosxe) render(device Device, intent Intent) ([]statement, error) {
	if err := unsupported("cisco_iosxe", map[string]bool{
		"a group that spans switches": intent.Bond != nil && intent.Bond.MultiChassis,
	}); err != nil {
		return nil, err
	}
	return d.style().render(iosxeTemplate, device, intent)
}

func (d iosxe) parse(port string, owned []statement) Intent {
	intent := d.style().read(port, owned, func(intent *Intent, words []string) {
		last := words[len(words)-1]
		switch line := strings.Join(words[:len(words)-1], " "); line {
		case "switchport access vlan", "switchport trunk native vlan":
			intent.vlans().Untagged = number(last)
		case "switchport trunk allowed vlan":
			intent.vlans().Tagged = readVLANRanges(last)
		case "ip helper-address":
			intent.readRelay(last)
		case "no port-channel":
			intent.bond().Fallback = true
		}
	})
	intent.splitVLANs()
	_, ipv6 := intent.host(false)
	quiet := slices.ContainsFunc(owned, func(s statement) bool { return s.line() == "ipv6 nd ra suppress all" })
	intent.Advertise = ipv6 && !quiet
	return intent
}

func (d iosxe) edit(port string, have section, want []statement) []string {
	commands := d.style().edit(port, have.owned, want)
	stanza := ""
	for i, command := range commands {
		commands[i] = iosxeLine(stanza, command)
		switch {
		case strings.HasPrefix(command, "ip access-list ") || strings.HasPrefix(command, "ipv6 access-list "):
			stanza = command
		case command == "exit":
			stanza = ""
		}
	}
	return commands
}

func (d iosxe) transact(ctx context.Context, cli *terminal, t transaction) error {
	if err := enterBy(ctx, cli, fmt.Sprintf("configure terminal revert timer %d", iosxeConfirm), d.refused); err != nil {
		var refused *RefusedError
		if errors.As(err, &refused) {
			return fmt.Errorf("%w; without an archive (archive, path flash:NAME) it takes no changes back", err)
		}
		return err
	}
	send := cli.sender(d.refused)
	err := send(ctx, t.commands)
	if err == nil {
		err = t.verify(ctx)
	}
	switch {
	case err == nil:
		return cli.insist(ctx, "configure confirm", d.refused)
	case errors.Is(err, ErrUnreachable):
		return err
	}
	// The ports' own lines first: a revert takes away what others have changed meanwhile.
	if failed := t.undo(ctx, send); failed != nil {
		return errors.Join(err, failed, cli.insist(ctx, "configure revert now", d.refused))
	}
	return errors.Join(err, cli.insist(ctx, "configure confirm", d.refused))
}

// settle waits for the end of a timer: another program may be verifying what it has
// changed.
func (d iosxe) settle(ctx context.Context, cli *terminal) error {
	return awaitQuiet(ctx, func() (bool, error) {
		answer, err := cli.say(ctx, "show archive config rollback timer")
		return strings.Contains(answer, "Time configured"), err
	})
}

func (d iosxe) save(ctx context.Context, cli *terminal) error {
	const command = "write memory"
	answer, err := cli.say(ctx, command)
	if err == nil && (d.refused(answer) || !strings.Contains(answer, "[OK]")) {
		err = &RefusedError{Line: command, Answer: fmt.Sprintf("%q", answer)}
	}
	return err
}
