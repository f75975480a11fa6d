package switches

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
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

func (eos) style() iosStyle {
	return iosStyle{
		platform: "arista_eos",
		group:    "Port-Channel",
		kinds: []string{
			"description", "mtu", "shutdown", "switchport", "vrf", "channel-group", "port-channel lacp fallback", "mlag",
			"ip address", "ipv6 address", "ipv6 nd ra disabled", "ip helper-address", "ip access-group", "ipv6 access-group",
		},
		once: []string{"description", "mtu", "switchport access vlan", "switchport trunk native vlan", "switchport trunk allowed vlan"},
		skip: func(words string) bool { return strings.HasPrefix(words, "!") || words == "end" },
		canonical: func(s statement) statement {
			if address, text, is := neighbourLine(s.line()); is && strings.HasPrefix(text, "password ") {
				return s.header().with("neighbor " + address + " password " + Hidden)
			}
			return s
		},
		negate: func(string) (string, bool) { return "", false },
	}
}

func (eos) definition() []byte { return eosDefinition }

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
		ports[eosLong(fields[0])] = fields[1] == "up" && fields[2] == "up"
	}
	return ports, nil
}

// eosLong is the full name of an interface.
func eosLong(name string) string {
	for short, long := range map[string]string{"Et": "Ethernet", "Po": "Port-Channel", "Ma": "Management", "Lo": "Loopback", "Vl": "Vlan"} {
		if rest, is := strings.CutPrefix(name, short); is && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return long + rest
		}
	}
	return name
}

func (d eos) running(ctx context.Context, cli *terminal) ([]statement, error) {
	text, err := cli.say(ctx, "show running-config")
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(strings.TrimRight(text, "\r\n "), "\nend") {
		return nil, ErrUnreadable
	}
	return d.style().parse(text), nil
}

func (d eos) section(running []statement, port string) section {
	return d.style().section(running, port)
}

func (d eos) render(device Device, intent Intent) ([]statement, error) {
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
	if intent.VLANs != nil {
		intent.VLANs.Tagged = slices.DeleteFunc(intent.VLANs.Tagged, func(id int) bool { return id == intent.VLANs.Untagged })
	}
	_, ipv6 := intent.host(false)
	quiet := slices.ContainsFunc(owned, func(s statement) bool { return s.line() == "ipv6 nd ra disabled" })
	intent.Advertise = ipv6 && !quiet
	return intent
}

func (d eos) edit(port string, have, want []statement) []string {
	return d.style().edit(port, have, want)
}

func (d eos) transact(ctx context.Context, cli *terminal, t transaction) error {
	session := "configure session " + eosSession + strings.ToLower(rand.Text()[:8])
	err := d.enter(ctx, cli, session)
	if err == nil {
		err = errors.Join(cli.configure(ctx, t.commands, d.refused), cli.leave(ctx))
	}
	// A commit overwrites what others have changed since the session was made.
	if err == nil {
		err = t.unchanged(ctx)
	}
	if err == nil {
		err = d.enter(ctx, cli, session)
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

func (d eos) enter(ctx context.Context, cli *terminal, session string) error {
	err := cli.insist(ctx, session, d.refused)
	var refused *RefusedError
	if errors.As(err, &refused) && strings.Contains(refused.Answer, "ocked") {
		return fmt.Errorf("%w: %s", ErrLocked, refused.Answer)
	}
	return err
}

// eosPoll is how often it is looked whether a timer has ended.
const eosPoll = 200 * time.Millisecond

// settle aborts sessions of this driver's that nobody is in. Where a commit waits for its
// confirmation, it waits for the end of the timer: another program may be verifying.
func (d eos) settle(ctx context.Context, cli *terminal) error {
	for {
		answer, err := cli.say(ctx, "show configuration sessions")
		if err != nil {
			return err
		}
		waiting := ""
		for line := range strings.Lines(answer) {
			fields := strings.Fields(line) // NAME STATE [USER TERMINAL]
			switch {
			case len(fields) < 2 || !strings.HasPrefix(fields[0], eosSession):
			case fields[1] == "pendingCommitTimer":
				waiting = fields[0]
			case fields[1] == "pending" && len(fields) == 2:
				if _, err := cli.say(ctx, "configure session "+fields[0]+" abort"); err != nil {
					return err
				}
			}
		}
		if waiting == "" {
			return nil
		}
		select {
		case <-time.After(eosPoll):
		case <-ctx.Done():
			return fmt.Errorf("%w: session %s waits to be confirmed", ErrLocked, waiting)
		}
	}
}

func (d eos) save(ctx context.Context, cli *terminal) error {
	const command = "write memory"
	answer, err := cli.say(ctx, command)
	if err == nil && (d.refused(answer) || !strings.Contains(answer, "successfully")) {
		err = &RefusedError{Line: command, Answer: fmt.Sprintf("%q", answer)}
	}
	return err
}
