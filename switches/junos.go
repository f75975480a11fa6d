package switches

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// junos is the driver for Juniper's Junos: changes are made in an exclusive configuration,
// checked, committed with a timer that takes them back, and confirmed after they were
// verified. It follows the "CLI User Guide", chapters "Committing a Configuration" and
// "Configure Exclusive", and the guides of each feature (ELS style of switching); it was
// tried with the emulated device only. A default route to announce to BGP neighbours is
// the switch's own.
type junos struct{}

//go:embed junos.yaml
var junosDefinition []byte

//go:embed junos.tmpl
var junosTemplate string

const (
	// junosConfirm is how many minutes an unconfirmed change stays.
	junosConfirm = 2
	junosGroup   = "ae" // interface of a group, before its number
)

func (junos) definition() definition { return definition{prompts: junosDefinition} }

func (junos) refused(answer string) bool {
	for line := range strings.Lines(answer) {
		line = strings.TrimSpace(line)
		for _, complaint := range []string{"error:", "syntax error", "unknown command", "missing argument", "invalid "} {
			if strings.HasPrefix(line, complaint) {
				return true
			}
		}
	}
	return false
}

// junosMember is said before each prompt of an EX or a QFX: "{master:0}", and in configuration
// mode "{master:0}[edit]".
var junosMember = regexp.MustCompile(`\s*\{[\w-]+(:\w+)?\}(\[edit[^\]]*\])?\s*$`)

// show sends an operational command, in whatever mode.
func (junos) show(ctx context.Context, cli *terminal, command string) (string, error) {
	if cli.configuring {
		command = "run " + command
	}
	answer, err := cli.say(ctx, command)
	return junosMember.ReplaceAllString(answer, "\n"), err
}

func (d junos) ports(ctx context.Context, cli *terminal) (map[string]bool, error) {
	answer, err := d.show(ctx, cli, "show interfaces terse | no-more")
	if err != nil {
		return nil, err
	}
	ports := map[string]bool{}
	for line := range strings.Lines(answer) {
		fields := strings.Fields(line) // xe-0/0/1 up down; xe-0/0/1.0 up down inet …
		if len(fields) >= 3 && !strings.Contains(fields[0], ".") && (fields[1] == "up" || fields[1] == "down") {
			ports[fields[0]] = fields[1] == "up" && fields[2] == "up"
		}
	}
	return ports, nil
}

func (d junos) running(ctx context.Context, cli *terminal) (string, error) {
	return d.show(ctx, cli, "show configuration | display set | no-more")
}

// read takes apart what "display set" shows, without secrets and remarks. What was deactivated
// is shown as if it were in effect, and in a line of its own.
func (junos) read(text string) ([]statement, error) {
	all := parseFlat(text, "set")
	inactive := parseFlat(text, "deactivate")
	for i, s := range all {
		if slices.ContainsFunc(inactive, func(path statement) bool { return s.begins(string(path)) }) {
			all[i] = junosInactive + s
		}
	}
	for i, s := range all {
		line, _, _ := strings.Cut(string(s), " ## ")
		if head, _, is := strings.Cut(line, " authentication-key "); is {
			line = head + ` authentication-key "` + Hidden + `"`
		}
		all[i] = statement(line)
	}
	// The line that every Junos configuration has.
	if !slices.ContainsFunc(all, func(s statement) bool { return strings.HasPrefix(string(s), "version ") }) {
		return nil, ErrUnreadable
	}
	return all, nil
}

// junosInactive begins a statement that is not in effect. It is nobody's to an intent: setting it
// does not activate it, and so what was asked for is missing until somebody does.
const junosInactive = "inactive: "

// junosOwned are the paths below an interface that an intent decides on.
func junosOwned(interfaceName string, s statement) bool {
	rest, is := strings.CutPrefix(string(s), "interfaces "+interfaceName)
	return is && (rest == "" || slices.ContainsFunc([]string{
		" description", " mtu", " disable", " native-vlan-id", " ether-options 802.3ad lacp force-up", " aggregated-ether-options lacp active",
		" aggregated-ether-options lacp force-up", " unit 0 family inet address", " unit 0 family inet6 address",
		" unit 0 family inet filter input", " unit 0 family inet6 filter input",
		" unit 0 family ethernet-switching interface-mode", " unit 0 family ethernet-switching vlan members",
	}, func(kind string) bool { return rest == kind || strings.HasPrefix(rest, kind+" ") }) ||
		junosGroupOf(rest) != "" || slices.Contains([]string{" unit 0", " unit 0 family inet", " unit 0 family inet6", " unit 0 family ethernet-switching", " aggregated-ether-options", " aggregated-ether-options lacp"}, rest))
}

// junosGroupOf is the group that a line below an interface puts it into; empty: it does not.
func junosGroupOf(rest string) string {
	group, is := strings.CutPrefix(rest, " ether-options 802.3ad ")
	if !is || !strings.HasPrefix(group, "ae") || strings.Contains(group, " ") {
		return ""
	}
	return group
}

func (junos) section(running []statement, port string) section {
	carrier := port
	for _, s := range running {
		if rest, is := strings.CutPrefix(string(s), "interfaces "+port); is && junosGroupOf(rest) != "" {
			carrier = junosGroupOf(rest)
		}
	}
	hosts := map[string]bool{}
	for _, s := range running {
		if address, is := junosAddress(s, carrier); is {
			for _, link := range (Intent{Addresses: []netip.Prefix{address}}).Links() {
				hosts[link.Host.String()] = true
			}
		}
	}
	foreignRoutes := junosForeignRoutes(running, hosts)
	var found section
	for _, s := range running {
		inner := junosInner(s)
		words := strings.Fields(inner)
		switch {
		case s.begins(junosInactive + "interfaces " + port), s.begins(junosInactive + "interfaces " + carrier):
			found.foreign = append(found.foreign, s)
		case s.begins("interfaces " + port), s.begins("interfaces " + carrier):
			if junosOwned(port, s) || junosOwned(carrier, s) {
				found.owned = append(found.owned, s)
			} else {
				found.foreign = append(found.foreign, s)
			}
		case strings.HasPrefix(inner, "firewall family ") && len(words) > 4 && isNamed(words[4], carrier),
			strings.HasPrefix(inner, "policy-options policy-statement ") && isNamed(words[2], carrier),
			statement(inner).begins("protocols bgp group " + routeName(carrier)),
			statement(inner).begins("forwarding-options dhcp-relay group " + routeName(carrier)),
			statement(inner).begins("forwarding-options dhcp-relay server-group " + routeName(carrier)),
			inner == "interface "+carrier+".0" && inner != string(s):
			found.owned = append(found.owned, s)
		case statement(inner).begins("protocols router-advertisement interface " + carrier + ".0"):
			if len(words) == 6 && (words[4] == "max-advertisement-interval" || words[4] == "min-advertisement-interval") {
				found.owned = append(found.owned, s)
			} else {
				found.foreign = append(found.foreign, s)
			}
		case junosRoute(s) != "" && foreignRoutes[junosRoute(s)]:
			found.foreign = append(found.foreign, s)
		case junosRoute(s) != "" && hosts[words[len(words)-1]]:
			found.owned = append(found.owned, s)
		case junosRoute(s) != "":
			found.beside = append(found.beside, s)
		}
	}
	return found
}

// junosInner is a statement without the routing instance that it is in.
func junosInner(s statement) string {
	words := strings.SplitN(string(s), " ", 3)
	if len(words) == 3 && words[0] == "routing-instances" {
		return words[2]
	}
	return string(s)
}

func junosAddress(s statement, carrier string) (netip.Prefix, bool) {
	for _, family := range []string{"inet", "inet6"} {
		if text, is := strings.CutPrefix(string(s), "interfaces "+carrier+" unit 0 family "+family+" address "); is {
			address, err := netip.ParsePrefix(text)
			return address, err == nil
		}
	}
	return netip.Prefix{}, false
}

// junosRoute is the path of a static route up to its prefix; empty: none.
func junosRoute(s statement) string {
	head, rest, is := strings.Cut(string(s), " static route ")
	if !is || !strings.Contains(head, "routing-options") {
		return ""
	}
	prefix, _, _ := strings.Cut(rest, " ")
	return head + " static route " + prefix
}

// junosForeignRoutes are those by way of hosts that say more than Ferrodur does.
func junosForeignRoutes(running []statement, hosts map[string]bool) map[string]bool {
	mine, more := map[string]bool{}, map[string]bool{}
	for _, s := range running {
		path := junosRoute(s)
		if path == "" {
			continue
		}
		words := strings.Fields(strings.TrimPrefix(string(s), path))
		isHop := len(words) == 2 && words[0] == "next-hop"
		mine[path] = mine[path] || isHop && hosts[words[1]]
		more[path] = more[path] || !isHop
	}
	foreign := map[string]bool{}
	for path := range mine {
		foreign[path] = mine[path] && more[path]
	}
	return foreign
}

func (junos) render(device Device, intent Intent) ([]statement, error) {
	if err := unsupported("juniper_junos", map[string]bool{
		"a group that spans switches": intent.Bond != nil && intent.Bond.MultiChassis,
	}); err != nil {
		return nil, err
	}
	carrier := intent.Port
	if intent.Bond != nil {
		carrier = junosGroup + strconv.Itoa(intent.Bond.Group)
	}
	text, err := execute(junosTemplate, newView(device, intent, carrier))
	if err != nil {
		return nil, err
	}
	var all []statement
	for line := range strings.Lines(text) {
		s := statement(strings.TrimSpace(line))
		if s != "" && !slices.Contains(all, s) {
			all = append(all, junosUnquoted(s))
		}
	}
	return all, nil
}

// lacks: a switch has as many groups as it is told, from ae0 on. Others it lets be configured,
// and they do not come up. Where it is told by a configuration group, which is not shown, the
// interface is there.
func (junos) lacks(l look, intent Intent) error {
	if intent.Bond == nil {
		return nil
	}
	const told = "chassis aggregated-devices ethernet device-count "
	group := junosGroup + strconv.Itoa(intent.Bond.Group)
	_, there := l.ports[group]
	if there || slices.ContainsFunc(l.running, func(s statement) bool {
		count, is := strings.CutPrefix(string(s), told)
		return is && number(count) > intent.Bond.Group
	}) {
		return nil
	}
	return &UnsupportedError{"juniper_junos", fmt.Sprintf("%s on a switch without %q or more", group, told+strconv.Itoa(intent.Bond.Group+1))}
}

// junosUnquoted takes quotation marks off a text of one word, as Junos does.
func junosUnquoted(s statement) statement {
	head, text, is := strings.Cut(string(s), ` "`)
	text, closed := strings.CutSuffix(text, `"`)
	if is && closed && !strings.ContainsAny(text, ` <>`) {
		return statement(head + " " + text)
	}
	return s
}

func (junos) parse(port string, owned []statement) Intent {
	intent := Intent{Port: port}
	for _, s := range owned {
		words := strings.Fields(string(s))
		if words[0] == "routing-instances" && len(words) > 2 {
			if words[2] == "interface" {
				intent.VRF = words[1]
			}
			words = words[2:]
		}
		intent.readJunos(words)
	}
	if intent.VLANs != nil {
		intent.readJunosVLANs(owned)
	}
	intent.readEthernetMTU()
	return intent
}

// readJunos reads the words of a statement, without the routing instance that it is in.
func (i *Intent) readJunos(words []string) {
	line, last := strings.Join(words, " "), words[len(words)-1]
	has := func(path string) bool { return strings.Contains(line+" ", path+" ") }
	switch {
	case words[0] == "interfaces":
		i.readJunosInterface(words, line, last)
	case has("static route"):
		if n := slices.Index(words, "route"); n+1 < len(words) {
			if prefix, err := netip.ParsePrefix(words[n+1]); err == nil && !slices.Contains(i.Behind, prefix) {
				i.Behind = append(i.Behind, prefix)
			}
		}
	case has("router-advertisement"):
		i.Advertise = true
	case has("dhcp-relay server-group"):
		i.readRelay(last)
	case has("protocols bgp group"):
		i.bgp()
		switch {
		case has("peer-as"):
			asn, _ := strconv.ParseUint(last, 10, 32) // 0 is no valid one
			i.bgp().ASN = uint32(asn)
		case has("authentication-key"):
			i.bgp().Password = Hidden
		case has("prefix-limit maximum"):
			i.bgp().MaxPrefixes = number(last)
		}
	case words[0] == "policy-options" && len(words) > 6 && has("route-filter") && (strings.HasSuffix(words[2], "-in4") || strings.HasSuffix(words[2], "-in6")):
		if prefix, err := netip.ParsePrefix(words[len(words)-2]); err == nil {
			i.bgp().Accept = append(i.bgp().Accept, prefix)
		}
	case words[0] == "firewall" && (has("from source-address") || has("from destination-address")):
		prefix, err := netip.ParsePrefix(last)
		switch {
		case err != nil || last == "fe80::/10":
		case has("from source-address"):
			i.SourceFilter = true
		case !slices.Contains(i.Reach, prefix):
			i.Reach = append(i.Reach, prefix)
		}
	}
}

func (i *Intent) readJunosInterface(words []string, line, last string) {
	if len(words) < 3 {
		return
	}
	switch {
	case words[2] == "description" && words[1] == i.Port:
		_, text, _ := strings.Cut(line, " description ")
		i.readLabel(strings.Trim(text, `"`))
	case words[2] == "mtu":
		i.MTU = number(last)
	case last == "force-up":
		i.bond().Fallback = true
	case words[2] == "ether-options":
		i.bond().Group = number(strings.TrimPrefix(last, junosGroup))
	case strings.Contains(line, " address "):
		if address, err := netip.ParsePrefix(last); err == nil {
			i.Addresses = append(i.Addresses, address)
		}
	case strings.Contains(line, " vlan members "):
		i.vlans().Tagged = append(i.vlans().Tagged, number(last))
	case words[2] == "native-vlan-id", strings.Contains(line, " interface-mode "):
		i.vlans()
	}
}

// readJunosVLANs tells the untagged VLAN from the tagged ones.
func (i *Intent) readJunosVLANs(owned []statement) {
	members := slices.Sorted(slices.Values(i.VLANs.Tagged))
	i.VLANs.Tagged = members
	access := slices.ContainsFunc(owned, func(s statement) bool { return strings.HasSuffix(string(s), " interface-mode access") })
	for _, s := range owned {
		if _, id, is := strings.Cut(string(s), " native-vlan-id "); is {
			i.VLANs.Untagged = number(id)
		}
	}
	if access && len(members) == 1 {
		i.VLANs.Untagged = members[0]
	}
	i.VLANs.Tagged = slices.DeleteFunc(members, func(id int) bool { return id == i.VLANs.Untagged })
	if len(i.VLANs.Tagged) == 0 {
		i.VLANs.Tagged = nil
	}
}

// edit takes filters and policies away as a whole and makes them anew when they change:
// the order of their terms is that in which they were made.
func (junos) edit(_ string, have section, want []statement) []string {
	ordered := func(s statement) []string {
		return pathsOf(s, "firewall family * filter *", "policy-options policy-statement *")
	}
	for _, changed := range slices.Concat(without(have.owned, want), without(want, have.owned)) {
		for _, path := range ordered(changed) {
			have.owned = slices.DeleteFunc(slices.Clone(have.owned), func(s statement) bool { return s.begins(path) && slices.Contains(want, s) })
		}
	}
	commands := flatEdit(have, want, "delete", "set", func(s statement) []string {
		paths := pathsOf(statement(junosInner(s)), "interfaces *", "interfaces * unit *", "interfaces * unit * family *", "interfaces * aggregated-ether-options",
			"interfaces * ether-options", "interfaces * ether-options 802.3ad lacp", "firewall family * filter *", "firewall family * filter * term *",
			"policy-options policy-statement *", "policy-options policy-statement * term *", "protocols bgp group *",
			"protocols bgp group * neighbor *", "protocols router-advertisement interface *", "forwarding-options dhcp-relay group *",
			"forwarding-options dhcp-relay server-group *", "routing-options static route *", "routing-options rib * static route *")
		instance := strings.TrimSuffix(string(s), junosInner(s))
		for i := range paths {
			paths[i] = instance + paths[i]
		}
		return paths
	})
	for i, command := range commands {
		if strings.HasPrefix(command, "delete ") { // which needs no secret to take it away
			commands[i] = strings.TrimSuffix(command, ` "`+Hidden+`"`)
		}
	}
	return commands
}

func (d junos) transact(ctx context.Context, cli *terminal, t transaction) error {
	if err := enterBy(ctx, cli, "configure exclusive", d.refused); err != nil {
		return err
	}
	err := cli.configure(ctx, t.commands, d.refused)
	if err == nil {
		err = d.alone(ctx, cli)
	}
	if err == nil {
		err = cli.insist(ctx, "commit check", d.refused)
	}
	if err == nil {
		err = cli.insist(ctx, fmt.Sprintf("commit confirmed %d", junosConfirm), d.refused)
	}
	if err != nil {
		if errors.Is(err, ErrUnreachable) {
			return err
		}
		return errors.Join(err, cli.insist(ctx, "rollback 0", d.refused), cli.leave(ctx))
	}
	if err = t.verify(ctx); err == nil {
		return errors.Join(cli.insist(ctx, "commit", d.refused), cli.leave(ctx))
	}
	if errors.Is(err, ErrUnreachable) {
		return err
	}
	return errors.Join(err, cli.insist(ctx, "rollback 1", d.refused), cli.insist(ctx, "commit", d.refused), cli.leave(ctx))
}

// settle waits for the end of a timer: another program may be verifying what it has
// committed. What was not committed Junos discards itself when an exclusive configuration
// is left.
func (d junos) settle(ctx context.Context, cli *terminal) error {
	return awaitQuiet(ctx, func() (bool, error) { return d.pending(ctx, cli) })
}

// alone returns ErrLocked where somebody's commit waits to be confirmed, which each check and
// commit would confirm.
func (d junos) alone(ctx context.Context, cli *terminal) error {
	is, err := d.pending(ctx, cli)
	if is && err == nil {
		err = fmt.Errorf("%w: a commit waits to be confirmed", ErrLocked)
	}
	return err
}

var (
	junosLatest = regexp.MustCompile(`^0\s+(\S+ \S+) (\S+) .*commit confirmed, rollback in (\d+)`)
	junosClock  = regexp.MustCompile(`(?m)^Current time: (\S+ \S+) (\S+)`)
)

// pending tells whether a commit waits to be confirmed. Its entry in the history says so for
// good. What confirms it, or takes it back, is an entry of its own, but for "commit check",
// which confirms as well: then only the clock tells.
func (d junos) pending(ctx context.Context, cli *terminal) (bool, error) {
	history, err := d.show(ctx, cli, "show system commit | no-more")
	latest := junosLatest.FindStringSubmatch(strings.TrimSpace(history))
	if err != nil || latest == nil {
		return false, err
	}
	answer, err := d.show(ctx, cli, "show system uptime | no-more")
	clock := junosClock.FindStringSubmatch(answer)
	if err != nil || clock == nil {
		return true, err
	}
	since, wrong := time.Parse(time.DateTime, latest[1])
	now, wrongToo := time.Parse(time.DateTime, clock[1])
	patience := time.Duration(number(latest[3])+1) * time.Minute // and the roll-back takes its time
	if latest[2] != clock[2] {                                   // summer time has begun, or ended
		patience += time.Hour
	}
	return wrong != nil || wrongToo != nil || now.Sub(since) < patience, nil
}

// save: what is committed is what Junos starts with.
func (junos) save(context.Context, *terminal) error { return nil }
