package switches

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// iosxe is the driver for Cisco IOS-XE on Catalyst 9000 switches. Lines take effect one by
// one, under a timer that takes all of them back unless they are confirmed after they were
// verified; the switch's configuration has an "archive" with a path for that. It follows
// the "Managing Configuration Files Configuration Guide", chapters "Configuration Rollback
// Confirmed Change" and "Exclusive Configuration Change Access"; the "Layer 2
// Configuration Guide", chapter "Configuring EtherChannels"; the "Security Configuration
// Guide", chapter "Port-Based Traffic Control"; the command references "IP Routing: BGP",
// "IP Routing: Protocol-Independent", "IPv6" and "Security". It was tried with the emulated
// device only.
//
// Statements have prefixes where IOS says masks and wildcards: edit turns them into those.
type iosxe struct{}

//go:embed iosxe.yaml
var iosxeDefinition []byte

//go:embed iosxe.tmpl
var iosxeTemplate string

// iosxeMinutes is how long an unconfirmed change stays.
const iosxeMinutes = "2"

func (iosxe) style() iosStyle {
	return iosStyle{
		platform: "cisco_iosxe",
		group:    "Port-channel",
		kinds: []string{
			"description", "mtu", "shutdown", "switchport", "vrf forwarding", "channel-group", "port-channel standalone-disable",
			"ip address", "ipv6 address", "ipv6 nd ra suppress", "ip helper-address", "ip access-group", "ipv6 traffic-filter",
		},
		once: []string{"description", "mtu", "switchport access vlan", "switchport trunk native vlan", "switchport trunk allowed vlan"},
		skip: func(words string) bool {
			return strings.HasPrefix(words, "!") || words == "end" || words == "exit-address-family" ||
				strings.HasPrefix(words, "Building configuration") || strings.HasPrefix(words, "Current configuration")
		},
		canonical: iosxeCanonical,
		negate: func(line string) (string, bool) {
			address, text, is := neighbourLine(line)
			return "no neighbor " + address, is && strings.HasPrefix(text, "remote-as ")
		},
		neighbour: ciscoNeighbour,
	}
}

// iosxeCanonical writes addresses, masks and wildcards as this package does, and says
// nothing of defaults.
func iosxeCanonical(s statement) statement {
	s = ciscoCanonical(s)
	line := s.line()
	switch {
	case line == "no ip address", strings.HasPrefix(line, "no neighbor ") && strings.HasSuffix(line, " activate"):
		return ""
	case strings.HasPrefix(line, "description "):
		return s // a text, as it is
	}
	words := strings.Fields(line)
	inList := strings.HasPrefix(string(s), "ip access-list extended ")
	for i := 0; i < len(words)-1; i++ {
		address, err := netip.ParseAddr(words[i])
		if err != nil || !address.Is4() || words[max(0, i-1)] == "host" {
			continue
		}
		if bits, ok := maskBits(words[i+1], inList); ok {
			words[i] = netip.PrefixFrom(address, bits).String()
			words = slices.Delete(words, i+1, i+2)
		}
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

// refused: a percent sign begins complaints and remarks; the remarks that these commands
// may earn are known. Some complaints have none.
func (iosxe) refused(answer string) bool {
	for line := range strings.Lines(answer) {
		line = strings.TrimSpace(line)
		isRemark := strings.HasPrefix(line, "% Warning") || strings.Contains(line, "removed due to")
		if strings.HasPrefix(line, "%") && !isRemark {
			return true
		}
		for _, beginning := range []string{"Command rejected", "Bad mask", "BGP is already running"} {
			if strings.HasPrefix(line, beginning) {
				return true
			}
		}
	}
	return false
}

// ports asks for full names: the brief forms of this command have abbreviated ones.
func (iosxe) ports(ctx context.Context, cli *terminal) (map[string]bool, error) {
	answer, err := cli.say(ctx, "show interfaces | include line protocol")
	if err != nil {
		return nil, err
	}
	ports := map[string]bool{}
	for line := range strings.Lines(answer) {
		name, state, found := strings.Cut(line, " is ") // GigabitEthernet1/0/1 is up, line protocol is up (connected)
		if found && !strings.Contains(name, " ") {
			ports[name] = strings.HasPrefix(state, "up, line protocol is up")
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
	style := d.style()
	return style.dropInherited(joinAllowed(style.parse(text))), nil
}

func (d iosxe) section(running []statement, port string) section {
	return d.style().section(running, port)
}

func (d iosxe) render(device Device, intent Intent) ([]statement, error) {
	asked := ciscoLacks(intent)
	asked["a multi-chassis bond"] = intent.Bond != nil && intent.Bond.MultiChassis // StackWise Virtual makes two switches one
	asked["an MTU of less than 1500"] = intent.MTU != 0 && intent.MTU < iosMTU     // "Interface and Hardware Components", chapter "Configuring System MTU"
	if err := unsupported("cisco_iosxe", asked); err != nil {
		return nil, err
	}
	return d.style().render(iosxeTemplate, device, intent)
}

func (d iosxe) parse(port string, owned []statement) Intent {
	quiet := false
	intent := d.style().read(port, owned, func(intent *Intent, words []string) {
		intent.readSwitchport(words)
		switch line := strings.Join(words, " "); {
		case strings.HasPrefix(line, "ip helper-address "):
			intent.readRelay(words[len(words)-1])
		case line == "no port-channel standalone-disable":
			intent.bond().Fallback = true
		case line == "ipv6 nd ra suppress all":
			quiet = true
		}
	})
	intent.readDefaultVLAN()
	_, ipv6 := intent.host(false)
	intent.Advertise = ipv6 && !quiet
	return intent
}

func (d iosxe) edit(port string, have section, want []statement) []string {
	style := d.style()
	var commands []string
	stanza := ""
	for _, command := range style.membership(style.edit(port, have.owned, want), want) {
		commands = append(commands, iosxeLine(stanza, command))
		switch word, _, _ := strings.Cut(command, " "); {
		case strings.Contains(command, " access-list ") && word != "no", word == "router", word == "address-family":
			stanza = command
		case word == "exit":
			stanza = ""
		}
		// All new neighbours are to exchange IPv4 routes, too ("bgp default ipv4-unicast"), but
		// those of a VRF, where each has only the family that it stands in.
		address, text, _ := neighbourLine(command)
		if strings.Contains(address, ":") && strings.HasPrefix(text, "remote-as ") && !strings.HasPrefix(stanza, "address-family ") {
			commands = append(commands, "address-family ipv4", "no neighbor "+address+" activate", "exit")
		}
	}
	return commands
}

func (d iosxe) transact(ctx context.Context, cli *terminal, t transaction) error {
	if err := d.enter(ctx, cli); err != nil {
		return err
	}
	send := cli.sender(d.refused)
	err := send(ctx, t.commands)
	if err == nil {
		err = t.verify(ctx)
	}
	if err == nil {
		err = t.refresh(ctx, cli, d.refused)
	}
	confirm := func() error { return cli.insist(ctx, "configure confirm", d.refused) }
	if err == nil {
		err = confirm()
	}
	if err == nil || errors.Is(err, ErrUnreachable) {
		return err
	}
	return errors.Join(err, t.goBack(ctx,
		func() error { return d.revert(ctx, cli) },
		func() error {
			if err := t.undo(ctx, send); err != nil {
				return err
			}
			return confirm()
		}), t.refresh(ctx, cli, d.refused))
}

// enter starts the timer. It waits while another program's runs.
func (d iosxe) enter(ctx context.Context, cli *terminal) error {
	for {
		err := enterBy(ctx, cli, "configure terminal revert timer "+iosxeMinutes, d.refused)
		var refused *RefusedError
		switch {
		case !errors.As(err, &refused):
			return err
		case strings.Contains(refused.Answer, "archive"):
			return fmt.Errorf("%w; configure an archive with a path on the switch, which changes that take themselves back need", err)
		case !strings.Contains(refused.Answer, "already"):
			return err
		}
		if err := errors.Join(pause(ctx), d.settle(ctx, cli)); err != nil {
			return err
		}
	}
}

func (d iosxe) revert(ctx context.Context, cli *terminal) error {
	const command = "configure revert now"
	answer, err := cli.patiently(commitPatience).say(ctx, command)
	if err == nil && !strings.Contains(answer, "Rollback Done") {
		err = &RefusedError{Line: command, Answer: strings.TrimSpace(answer)}
	}
	return err
}

// settle waits for the end of a timer: what was not confirmed is taken back, and another
// program may be verifying what it has done. A timer of another length is not Ferrodur's.
func (d iosxe) settle(ctx context.Context, cli *terminal) error {
	return awaitQuiet(ctx, func() (bool, error) {
		answer, err := cli.say(ctx, "show archive config rollback timer")
		_, value, pending := strings.Cut(answer, "Timer value:")
		if pending && strings.Fields(value + " ?")[0] != iosxeMinutes {
			err = fmt.Errorf("%w: a change waits to be confirmed: %s", ErrLocked, strings.Join(strings.Fields(answer), " "))
		}
		return pending, err
	})
}

// iosxeConfirm is the end of a question: "Overwrite the previous NVRAM configuration?[confirm]",
// when another release has written that.
var iosxeConfirm = regexp.MustCompile(`\[confirm\]\s*$`)

func (d iosxe) save(ctx context.Context, cli *terminal) error {
	const command = "write memory"
	answer, err := cli.patiently(commitPatience).sayYes(ctx, command, iosxeConfirm)
	if err == nil && (d.refused(answer) || !strings.Contains(answer, "[OK]")) {
		err = &RefusedError{Line: command, Answer: fmt.Sprintf("%q", answer)}
	}
	return err
}
