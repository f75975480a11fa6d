package switches

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// srl is the driver for Nokia SR Linux, release 25.3 and later: changes are made in an
// exclusive candidate of its own, checked, committed with a timer that takes them back, and
// accepted after they were verified. It follows the "Configuration Basics Guide", chapters
// "CLI interface" and "Configuration management", the "ACL and Policy-Based Routing Guide",
// chapter "Access control lists", and Nokia's YANG models of release 25.3
// (srl_nokia-interfaces, -if-ip, -acl, -bgp, -routing-policy, -static-routes, …); it was
// tried with the emulated device only.
//
// A routed port is subinterface 0. A VLAN is the mac-vrf "vlan-" and its number, which
// exists, and a subinterface of that number on each of its ports. The switch's own are the
// network instances, that they speak BGP, and its address families.
type srl struct{}

//go:embed srl.yaml
var srlDefinition []byte

//go:embed srl.tmpl
var srlTemplate string

const (
	srlConfirm = 120 // seconds that an unconfirmed change stays
	srlGroup   = "lag"
	// srlName is the candidate's. A session that breaks off leaves its changes in its
	// candidate, where nobody else looks for his.
	srlName = mark
)

func (srl) definition() definition { return definition{prompts: srlDefinition} }

// refused: "Error: …", "Parsing error: …", "Validation error: …".
func (srl) refused(answer string) bool {
	return strings.Contains(strings.ToLower(answer), "error:")
}

// state reads leaves of the state datastore: the words of each line, the value last. The
// lines begin with a slash, but those of what can be configured with "set /".
func (d srl) state(ctx context.Context, cli *terminal, path string) ([][]string, error) {
	answer, err := cli.say(ctx, "info flat from state "+path)
	if err != nil {
		return nil, err
	}
	var all [][]string
	for _, s := range slices.Concat(parseFlat(answer, "/"), parseFlat(answer, "set /")) {
		all = append(all, strings.Fields(string(s)))
	}
	return all, nil
}

// ports are those that a cable can be plugged into.
func (d srl) ports(ctx context.Context, cli *terminal) (map[string]bool, error) {
	lines, err := d.state(ctx, cli, "interface * oper-state")
	if err != nil {
		return nil, err
	}
	ports := map[string]bool{}
	for _, words := range lines { // interface ethernet-1/1 oper-state up
		if len(words) == 4 && words[2] == "oper-state" && strings.HasPrefix(words[1], "ethernet-") {
			ports[words[1]] = words[3] == "up"
		}
	}
	return ports, nil
}

func (srl) running(ctx context.Context, cli *terminal) (string, error) {
	return cli.say(ctx, "info flat from running /")
}

// read takes apart what "info flat" shows, without secrets.
func (srl) read(text string) ([]statement, error) {
	all := parseFlat(text, "set /")
	above := map[statement]bool{}
	for i, s := range all {
		for n, r := range s {
			if r == ' ' {
				above[s[:n]] = true
			}
		}
		all[i] = srlCanonical(s)
	}
	// Some show containers besides what stands in them, which say nothing.
	all = slices.DeleteFunc(all, func(s statement) bool { return above[s] })
	// Whoever can log in finds an SSH server configured, near the end.
	if !slices.ContainsFunc(all, func(s statement) bool { return s.begins("system ssh-server") }) {
		return nil, ErrUnreadable
	}
	return all, nil
}

// srlCanonical hides secrets, and brings lists whose order is of no meaning into one.
func srlCanonical(s statement) statement {
	for _, secret := range []string{" password ", " authentication-key "} {
		if head, _, is := strings.Cut(string(s), secret); is && !strings.Contains(head, `"`) {
			return statement(head + secret + `"` + Hidden + `"`)
		}
	}
	if head, list, is := strings.Cut(string(s), " dhcp-relay server ["); is {
		servers := strings.Fields(strings.TrimSuffix(list, "]"))
		slices.Sort(servers)
		return statement(head + " dhcp-relay server [ " + strings.Join(servers, " ") + " ]")
	}
	return s
}

// srlOwned are the paths below an interface that an intent decides on; "*" is any word.
// What has more words is none of them. Descriptions and lists of servers have any number.
var srlOwned = []string{
	"", "admin-state *", "vlan-tagging *", "ethernet aggregate-id *", "lag", "lag lag-type *", "lag lacp", "lag lacp lacp-mode *", "lag lacp-fallback-mode *",
	"subinterface 0", "subinterface 0 ip-mtu *", "subinterface 0 ipv4 admin-state *", "subinterface 0 ipv4 address *", "subinterface 0 ipv4 dhcp-relay",
	"subinterface 0 ipv6 admin-state *", "subinterface 0 ipv6 address *", "subinterface 0 ipv6 router-advertisement router-role admin-state *",
	"subinterface 0 ipv6 router-advertisement router-role max-advertisement-interval *",
	"subinterface 0 ipv6 router-advertisement router-role min-advertisement-interval *",
}

// srlBridged are those below a subinterface that is one of a VLAN's.
var srlBridged = []string{"", "type *", "l2-mtu *", "vlan encap untagged", "vlan encap single-tagged", "vlan encap single-tagged vlan-id *"}

// owns tells whether an intent decides on what stands at such words below an interface.
func (srl) owns(words []string, bridged map[string]bool) bool {
	path := statement(strings.Join(words, " "))
	shaped := func(pattern string, words []string) bool {
		return len(strings.Fields(pattern)) == len(words) && len(pathsOf(statement(strings.Join(words, " ")), pattern)) == 1
	}
	switch {
	case path.begins("description"), path.begins("subinterface 0 ipv4 dhcp-relay server"):
		return true
	case len(words) > 1 && words[0] == "subinterface" && bridged[words[1]] &&
		slices.ContainsFunc(srlBridged, func(p string) bool { return shaped(p, words[2:]) }):
		return true
	}
	return slices.ContainsFunc(srlOwned, func(p string) bool { return shaped(p, words) })
}

func (d srl) section(running []statement, port string) section {
	carrier := port
	for _, s := range running {
		if group, is := strings.CutPrefix(string(s), "interface "+port+" ethernet aggregate-id "); is {
			carrier = group
		}
	}
	bridged := map[string]bool{} // the subinterfaces of VLANs
	peers, routes := map[string]bool{}, map[string]bool{}
	for _, s := range running {
		words := strings.Fields(string(s))
		switch {
		case len(words) == 6 && len(pathsOf(s, "interface "+carrier+" subinterface * type bridged")) > 0:
			bridged[words[3]] = true
		case len(pathsOf(s, "network-instance * protocols bgp neighbor * peer-group "+routeName(carrier))) > 0:
			peers[strings.Join(words[:6], " ")] = true
		case srlRoute(s) != "" && len(words) == 7 && words[5] == "next-hop-group" && isNamed(words[6], carrier):
			routes[srlRoute(s)] = true
		}
	}
	var found section
	for _, s := range running {
		words := strings.Fields(string(s))
		mine := func(patterns ...string) bool { return len(pathsOf(s, patterns...)) > 0 }
		switch {
		case s.begins("interface " + port), s.begins("interface " + carrier):
			if d.owns(words[2:], bridged) {
				found.owned = append(found.owned, s)
			} else {
				found.foreign = append(found.foreign, s)
			}
		case s.begins("acl interface " + carrier + ".0"):
			if len(words) == 3 || words[3] == "interface-ref" || words[3] == "input" && len(words) > 5 && isNamed(words[5], carrier) {
				found.owned = append(found.owned, s)
			} else {
				found.foreign = append(found.foreign, s)
			}
		case len(words) > 2 && mine("acl acl-filter *", "routing-policy prefix-set *", "routing-policy policy *") && isNamed(words[2], carrier),
			len(words) > 4 && mine("network-instance * next-hop-groups group *") && isNamed(words[4], carrier),
			mine("network-instance * protocols bgp group " + routeName(carrier)),
			mine("network-instance * protocols bgp neighbor *") && peers[strings.Join(words[:6], " ")],
			srlRoute(s) != "" && routes[srlRoute(s)] && words[5] == "next-hop-group",
			srlMember(s, carrier) == "0" || bridged[srlMember(s, carrier)]:
			found.owned = append(found.owned, s)
		case srlRoute(s) != "" && routes[srlRoute(s)], srlMember(s, carrier) != "":
			found.foreign = append(found.foreign, s)
		case srlRoute(s) != "":
			found.beside = append(found.beside, s)
		}
	}
	return found
}

// srlRoute is the path of a static route that says something; empty: none.
func srlRoute(s statement) string {
	paths := pathsOf(s, "network-instance * static-routes route * *")
	if len(paths) == 0 {
		return ""
	}
	return paths[0][:strings.LastIndex(paths[0], " ")]
}

// srlMember is the subinterface of an interface that is in a network instance; empty: none.
// Some say, besides, which they mean.
func srlMember(s statement, carrier string) string {
	words := strings.Fields(string(s))
	if len(words) < 4 || words[0] != "network-instance" || words[2] != "interface" || len(words) > 4 && words[4] != "interface-ref" {
		return ""
	}
	index, is := strings.CutPrefix(words[3], carrier+".")
	if !is {
		return ""
	}
	return index
}

func (srl) render(device Device, intent Intent) ([]statement, error) {
	carrier := intent.Port
	if intent.Bond != nil {
		carrier = srlGroup + strconv.Itoa(intent.Bond.Group)
	}
	const (
		servers  = 8     // of a relay: srl_nokia-interfaces-ip-dhcp-relay, "server"
		frame    = 1500  // the least l2-mtu: srl_nokia-interfaces
		entryMax = 65535 // srl_nokia-acl, "sequence-id"
	)
	v := newView(device, intent, carrier)
	if err := unsupported("nokia_srl", map[string]bool{
		"a group that spans switches":                       intent.Bond != nil && intent.Bond.MultiChassis,
		"a relay to more than 8 servers":                    len(intent.Relay) > servers,
		"an MTU of VLANs whose frames are below 1500 bytes": intent.VLANs != nil && intent.MTU > 0 && v.EthernetMTU() < frame,
		"a filter of more than 6553 entries":                slices.ContainsFunc(v.FilterLists(), func(l filterList) bool { return l.Entries[len(l.Entries)-1].Seq >= entryMax }),
	}); err != nil {
		return nil, err
	}
	text, err := execute(srlTemplate, v)
	if err != nil {
		return nil, err
	}
	var all []statement
	for line := range strings.Lines(text) {
		s := srlCanonical(statement(strings.TrimSpace(line)))
		if s != "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all, nil
}

func (srl) parse(port string, owned []statement) Intent {
	intent := Intent{Port: port}
	for _, s := range owned {
		words := strings.Fields(string(s))
		if len(words) < 3 {
			continue
		}
		intent.readSRL(s, words)
	}
	// SR Linux shows them in an order of its own.
	intent.Addresses, intent.Behind = sorted(intent.Addresses), sorted(intent.Behind)
	if intent.VLANs != nil {
		slices.Sort(intent.VLANs.Tagged)
		intent.readEthernetMTU()
	}
	return intent
}

func (i *Intent) readSRL(s statement, words []string) {
	last := words[len(words)-1]
	is := func(pattern string) bool { return len(pathsOf(s, pattern)) > 0 }
	prefix, err := netip.ParsePrefix(last)
	switch {
	case is("interface " + i.Port + " description"):
		_, text, _ := strings.Cut(string(s), " description ")
		i.readLabel(strings.Trim(text, `"`))
	case is("interface * ethernet aggregate-id *"):
		i.bond().Group = number(strings.TrimPrefix(last, srlGroup))
	case is("interface * lag lacp-fallback-mode *"):
		i.bond().Fallback = true
	case is("interface * subinterface * ip-mtu *"), is("interface * subinterface * l2-mtu *"):
		i.MTU = number(last)
	case is("interface * subinterface * vlan encap untagged"):
		i.vlans().Untagged = number(words[3])
	case is("interface * subinterface * vlan encap single-tagged vlan-id *"):
		i.vlans().Tagged = append(i.vlans().Tagged, number(last))
	case is("interface * subinterface * * address *") && err == nil:
		i.Addresses = append(i.Addresses, prefix)
	case is("interface * subinterface * ipv4 dhcp-relay server"):
		for _, server := range words {
			i.readRelay(server)
		}
	case is("interface * subinterface * ipv6 router-advertisement router-role admin-state enable"):
		i.Advertise = true
	case is("network-instance * interface *"):
		if words[1] != "default" && strings.HasSuffix(words[3], ".0") {
			i.VRF = words[1]
		}
	case is("network-instance * static-routes route * next-hop-group *"):
		if prefix, err := netip.ParsePrefix(words[4]); err == nil {
			i.Behind = append(i.Behind, prefix)
		}
	case is("network-instance * protocols bgp"):
		i.readSRLBGP(s, last)
	case is("routing-policy prefix-set * prefix * mask-length-range *") && (strings.HasSuffix(words[2], "-in4") || strings.HasSuffix(words[2], "-in6")):
		if prefix, err := netip.ParsePrefix(words[4]); err == nil {
			i.bgp().Accept = append(i.bgp().Accept, prefix)
		}
	case is("acl acl-filter * type * entry * match * source-ip prefix *"):
		i.SourceFilter = i.SourceFilter || err == nil && last != "fe80::/10"
	case is("acl acl-filter * type * entry * match * destination-ip prefix *"):
		if err == nil && !slices.Contains(i.Reach, prefix) {
			i.Reach = append(i.Reach, prefix)
		}
	}
}

func (i *Intent) readSRLBGP(s statement, last string) {
	is := func(pattern string) bool { return len(pathsOf(s, "network-instance * protocols bgp "+pattern)) > 0 }
	switch {
	case is("group * peer-as *"):
		asn, _ := strconv.ParseUint(last, 10, 32) // 0 is no valid one
		i.bgp().ASN = uint32(asn)
	case is("group * authentication password"):
		i.bgp().Password = Hidden
	case is("neighbor * afi-safi * * prefix-limit-received max-received-routes *"):
		i.bgp().MaxPrefixes = number(last)
	}
}

// srlEntries are the paths, of those that Ferrodur owns, that end in a key and not in a
// leaf's value, and those of containers that say something by being there.
var srlEntries = []string{
	"interface * subinterface * * address *", "interface * subinterface * vlan encap untagged", "network-instance * interface *",
	"acl acl-filter * type * entry * action accept", "acl acl-filter * type * entry * action drop",
	"acl interface * input acl-filter * type *", "routing-policy prefix-set * prefix * mask-length-range *",
}

// srlContainers are the paths that are of no use when nothing stands below them.
var srlContainers = []string{
	"interface *", "interface * lag", "interface * lag lacp", "interface * subinterface *", "interface * subinterface * ipv4 dhcp-relay",
	"interface * subinterface * vlan encap single-tagged", "acl acl-filter * type *", "acl acl-filter * type * entry *", "acl interface *",
	"routing-policy prefix-set *", "routing-policy policy *", "routing-policy policy * statement *",
	"network-instance * next-hop-groups group *", "network-instance * static-routes route *",
	"network-instance * protocols bgp group *", "network-instance * protocols bgp neighbor *", "network-instance * protocols bgp neighbor * afi-safi *",
}

// edit: what is taken away is named without a leaf's value.
func (srl) edit(_ string, have section, want []statement) []string {
	const remove = "delete /"
	commands := flatEdit(have, want, remove, "set /", func(s statement) []string { return pathsOf(s, srlContainers...) })
	for i, command := range commands {
		if path, is := strings.CutPrefix(command, remove+" "); is {
			commands[i] = remove + " " + srlNode(statement(path))
		}
	}
	return commands
}

// srlNode is the path of what a statement says.
func srlNode(s statement) string {
	words := strings.Fields(string(s))
	for _, path := range pathsOf(s, slices.Concat(srlEntries, srlContainers)...) {
		if path == string(s) {
			return path
		}
	}
	for _, list := range []string{"[", `"`} {
		if i := slices.IndexFunc(words, func(word string) bool { return strings.HasPrefix(word, list) }); i > 0 {
			return strings.Join(words[:i], " ")
		}
	}
	if len(pathsOf(s, "interface * description")) > 0 {
		return strings.Join(words[:3], " ")
	}
	return strings.Join(words[:len(words)-1], " ")
}

func (d srl) transact(ctx context.Context, cli *terminal, t transaction) error {
	if err := d.enter(ctx, cli); err != nil {
		return err
	}
	err := cli.configure(ctx, t.commands, d.refused)
	if err == nil {
		// Others may have committed candidates of theirs since.
		err = t.unchanged(ctx)
	}
	if err == nil {
		err = cli.insist(ctx, "commit validate", d.refused)
	}
	if err == nil {
		err = d.commit(ctx, cli)
	}
	if err != nil {
		if errors.Is(err, ErrUnreachable) {
			return err
		}
		return errors.Join(err, cli.leave(ctx)) // which discards
	}
	end := "tools system configuration confirmed-accept"
	if err = t.verify(ctx); err != nil {
		if errors.Is(err, ErrUnreachable) {
			return err
		}
		end = "tools system configuration confirmed-reject"
	}
	return errors.Join(err, cli.insist(ctx, end, d.refused), cli.leave(ctx))
}

// enter enters the candidate: ErrLocked where someone holds any candidate alone. SR Linux
// refuses it, too, while the candidate has changes; then they are what a session of
// Ferrodur's that broke off has left, or another one is at it, who has it alone.
func (d srl) enter(ctx context.Context, cli *terminal) error {
	if err := d.locked(ctx, cli); err != nil {
		return err
	}
	const exclusive = "enter candidate exclusive name " + srlName
	answer, err := cli.say(ctx, exclusive)
	if err == nil && d.refused(answer) {
		if answer, err = cli.say(ctx, "enter candidate name "+srlName); err == nil && !d.refused(answer) {
			if err = cli.leave(ctx); err == nil { // which discards
				answer, err = cli.say(ctx, exclusive)
			}
		}
	}
	if err == nil && d.refused(answer) {
		err = fmt.Errorf("%w: %s", ErrLocked, strings.Join(strings.Fields(answer), " "))
	}
	return err
}

// locked returns ErrLocked, with the name, where someone holds a candidate alone.
func (d srl) locked(ctx context.Context, cli *terminal) error {
	lines, err := d.state(ctx, cli, "system configuration session *")
	if err != nil {
		return err
	}
	users, exclusive := map[string]string{}, ""
	for _, words := range lines { // system configuration session 7 exclusive true
		switch {
		case len(words) != 6:
		case words[4] == "username":
			users[words[3]] = words[5]
		case words[4] == "exclusive" && words[5] == "true":
			exclusive = words[3]
		}
	}
	if exclusive != "" {
		return fmt.Errorf("%w: locked by %s", ErrLocked, users[exclusive])
	}
	return nil
}

// commit starts the timer. ErrLocked while another's runs.
func (d srl) commit(ctx context.Context, cli *terminal) error {
	err := cli.insist(ctx, fmt.Sprintf("commit confirmed timeout %d", srlConfirm), d.refused)
	var refused *RefusedError
	if errors.As(err, &refused) && strings.Contains(refused.Answer, "in progress") {
		err = fmt.Errorf("%w: %s", ErrLocked, refused.Answer)
	}
	return err
}

// settle waits for the end of a timer: another program may be verifying what it has
// committed.
func (d srl) settle(ctx context.Context, cli *terminal) error {
	return awaitQuiet(ctx, func() (bool, error) {
		lines, err := d.state(ctx, cli, "system configuration commit * status")
		return slices.ContainsFunc(lines, func(words []string) bool { return words[len(words)-1] == "unconfirmed" }), err
	})
}

func (d srl) save(ctx context.Context, cli *terminal) error {
	return cli.insist(ctx, "save startup", d.refused)
}
