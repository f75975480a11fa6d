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

// eos is the driver for Arista EOS: changes are made in a configuration session, committed
// with a timer that takes them back, and confirmed after they were verified. It follows
// the "EOS User Manual", chapters "Session Management Commands", "Ethernet Ports", "ACLs
// and Route Maps" and "BGP"; it was tried with the emulated device only.
type eos struct{}

//go:embed eos.yaml
var eosDefinition []byte

//go:embed eos.tmpl
var eosTemplate string

// eosConfirm is how long an unconfirmed change stays.
const eosConfirm = "00:02:00"

// eosSession begins the names of this driver's sessions.
const eosSession = mark + "-"

// eosQuiet, by itself, still answers hosts that ask for an advertisement; with "all" it does
// not. "EOS User Manual", chapter "IPv6".
const eosQuiet = "ipv6 nd ra disabled"

func (eos) style() iosStyle {
	return iosStyle{
		platform: "arista_eos",
		group:    "Port-Channel",
		kinds: []string{
			"description", "mtu", "shutdown", "switchport", "vrf", "channel-group", "port-channel lacp fallback", "mlag",
			"ip address", "ipv6 address", eosQuiet, "ip helper-address", "ip access-group", "ipv6 access-group",
		},
		once: []string{"description", "mtu", eosQuiet, "switchport access vlan", "switchport trunk native vlan", "switchport trunk allowed vlan"},
		skip: func(words string) bool { return strings.HasPrefix(words, "!") || words == "end" },
		canonical: func(s statement) statement {
			if address, text, is := neighbourLine(s.line()); is && strings.HasPrefix(text, "password ") {
				return s.header().with("neighbor " + address + " password " + Hidden)
			}
			address, _, is := neighbourLine(strings.TrimPrefix(s.line(), "no "))
			if is && s.header().line() == eosIPv4 && s.line() == eosActivation(address) {
				return "" // as edit says it
			}
			return s
		},
		negate: func(line string) (string, bool) { return "no " + eosQuiet, strings.HasPrefix(line, eosQuiet) },
	}
}

func (eos) definition() definition { return definition{prompts: eosDefinition} }

// refused: EOS begins every complaint with a percent sign.
func (eos) refused(answer string) bool {
	for line := range strings.Lines(answer) {
		if strings.HasPrefix(line, "%") {
			return true
		}
	}
	return false
}

// ports: the columns are set apart by blanks, and the name may be any text; the state is
// the first of the words that are states.
func (eos) ports(ctx context.Context, cli *terminal) (map[string]bool, error) {
	answer, err := cli.say(ctx, "show interfaces description")
	if err != nil {
		return nil, err
	}
	ports := map[string]bool{}
	for line := range strings.Lines(answer) {
		fields := strings.Fields(line) // Et1 up up ferrodur tenant …; or: Et1 admin down down …
		if len(fields) < 3 || fields[0] == "Interface" {
			continue
		}
		ports[longName(fields[0], eosNames)] = fields[1] == "up" && fields[2] == "up"
	}
	return ports, nil
}

// eosNames are the kinds of interfaces as EOS shortens them.
var eosNames = map[string]string{"Et": "Ethernet", "Po": "Port-Channel", "Ma": "Management", "Lo": "Loopback", "Vl": "Vlan"}

func (eos) running(ctx context.Context, cli *terminal) (string, error) {
	return cli.say(ctx, "show running-config")
}

func (d eos) read(text string) ([]statement, error) {
	if !strings.HasSuffix(strings.TrimRight(text, "\r\n "), "\nend") {
		return nil, ErrUnreadable
	}
	return d.style().parse(text), nil
}

func (d eos) section(running []statement, port string) section {
	return d.style().section(running, port)
}

// render: VLAN 1 is the untagged one by default, and defaults are not shown.
func (d eos) render(device Device, intent Intent) ([]statement, error) {
	if err := unsupported("arista_eos", map[string]bool{"VLAN 1 without a tag": intent.VLANs != nil && intent.VLANs.Untagged == 1}); err != nil {
		return nil, err
	}
	return d.style().render(eosTemplate, device, intent)
}

func (d eos) parse(port string, owned []statement) Intent {
	intent := d.style().read(port, owned, func(intent *Intent, words []string) {
		last := words[len(words)-1]
		switch line := strings.Join(words[:len(words)-1], " "); line {
		case "switchport access vlan", "switchport trunk native vlan":
			intent.vlans().Untagged = number(last) // "tag": 0, none
		case "switchport trunk allowed vlan":
			intent.vlans().Tagged = readVLANRanges(last)
		case "ip helper-address":
			intent.readRelay(last)
		case "mlag":
			intent.bond().MultiChassis = true
		case "port-channel lacp fallback":
			intent.bond().Fallback = true
		}
	})
	intent.splitVLANs()
	_, ipv6 := intent.host(false)
	quiet := slices.ContainsFunc(owned, func(s statement) bool { return strings.HasPrefix(s.line(), eosQuiet) })
	intent.Advertise = ipv6 && !quiet
	return intent
}

// edit says of new neighbours whether IPv4 routes are exchanged, which depends on the switch
// otherwise ("bgp default ipv4-unicast"), and over IPv6 would be without any list.
func (d eos) edit(port string, have section, want []statement) []string {
	var commands []string
	for _, command := range d.style().edit(port, have.owned, want) {
		commands = append(commands, command)
		if address, text, is := neighbourLine(command); is && strings.HasPrefix(text, "remote-as ") {
			commands = append(commands, eosIPv4, eosActivation(address), "exit")
		}
	}
	return commands
}

const eosIPv4 = "address-family ipv4"

// eosActivation says that a neighbour exchanges IPv4 routes, or that one with an IPv6 address
// does not.
func eosActivation(address string) string {
	if strings.Contains(address, ":") {
		return "no neighbor " + address + " activate"
	}
	return "neighbor " + address + " activate"
}

func (d eos) transact(ctx context.Context, cli *terminal, t transaction) error {
	session, err := d.enter(ctx, cli)
	if err != nil {
		return err
	}
	err = cli.configure(ctx, t.commands, d.refused)
	if err == nil {
		// The commit overwrites what others have changed since the session was made.
		err = t.unchanged(ctx)
	}
	if err == nil {
		err = cli.insist(ctx, "commit timer "+eosConfirm, d.refused)
	}
	if err == nil {
		err = t.verify(ctx)
	}
	if err == nil {
		return cli.insist(ctx, session+" commit", d.refused)
	}
	if errors.Is(err, ErrUnreachable) {
		return err
	}
	// Before its commit the session is left, after it taken back.
	return errors.Join(err, cli.leave(ctx), cli.insist(ctx, session+" abort", d.refused))
}

// enter makes a session, and is alone in having one: two that commit at the same time
// would overwrite each other. Who sees another's session after making his own goes back.
func (d eos) enter(ctx context.Context, cli *terminal) (session string, err error) {
	for {
		name := eosSession + strings.ToLower(rand.Text()[:8])
		session := "configure session " + name
		if err := enterBy(ctx, cli, session, d.refused); err != nil {
			return "", err
		}
		open, err := d.sessions(ctx, cli)
		if err != nil {
			return "", err
		}
		alone := true
		for other, state := range open {
			alone = alone && (other == name || state == eosOrphan)
		}
		if alone {
			return session, nil
		}
		if err := cli.insist(ctx, "abort", d.refused); err != nil {
			return "", err
		}
		if err := pause(ctx); err != nil {
			return "", err
		}
	}
}

// The states of a session that has not ended.
const (
	eosAttended = "attended" // someone is in it
	eosOrphan   = "orphan"   // nobody is, and it was not committed
	eosTimed    = "timed"    // it was committed, and not confirmed
)

// sessions are those of this driver's that have not ended.
func (d eos) sessions(ctx context.Context, cli *terminal) (map[string]string, error) {
	answer, err := cli.say(ctx, "show configuration sessions")
	if err != nil {
		return nil, err
	}
	open := map[string]string{}
	for line := range strings.Lines(answer) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "*")) // NAME STATE [USER TERMINAL]; the asker's own has the star
		switch {
		case len(fields) < 2 || !strings.HasPrefix(fields[0], eosSession):
		case fields[1] == "pendingCommitTimer":
			open[fields[0]] = eosTimed
		case fields[1] == "pending" && len(fields) == 2:
			open[fields[0]] = eosOrphan
		case fields[1] == "pending":
			open[fields[0]] = eosAttended
		}
	}
	return open, nil
}

// settle aborts orphans. It waits for the end of a timer: another program may be verifying
// what it has committed.
func (d eos) settle(ctx context.Context, cli *terminal) error {
	return awaitQuiet(ctx, func() (timed bool, err error) {
		open, err := d.sessions(ctx, cli)
		for name, state := range open {
			timed = timed || state == eosTimed
			if state == eosOrphan { // which may have ended meanwhile
				if _, err := cli.say(ctx, "configure session "+name+" abort"); err != nil {
					return false, err
				}
			}
		}
		return timed, err
	})
}

func (d eos) save(ctx context.Context, cli *terminal) error {
	const command = "write memory"
	answer, err := cli.say(ctx, command)
	if err == nil && (d.refused(answer) || !strings.Contains(answer, "successfully")) {
		err = &RefusedError{Line: command, Answer: fmt.Sprintf("%q", answer)}
	}
	return err
}
