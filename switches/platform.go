package switches

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/template"

	"ferrodur/report"
)

// driver is what one platform does in its own way. A platform is one file that holds a
// driver, its scrapligo definition and its template, and one line in driverFor.
//
// Drivers see a switch's configuration as a set of statements, in the platform's own words.
type driver interface {
	definition() definition
	// ports are those that the switch has, whether configured or not; true: with a link.
	ports(ctx context.Context, cli *terminal) (map[string]bool, error)
	// neighbours are who is heard by LLDP, by port.
	neighbours(ctx context.Context, cli *terminal) (map[string][]report.Neighbour, error)
	// resolve has the switch look for a host of a routed port, and is the table of who answers.
	resolve(ctx context.Context, cli *terminal, intent Intent, host netip.Addr) (string, error)
	// running is the text of the configuration in use, and read takes that apart:
	// ErrUnreadable if it is not whole.
	running(ctx context.Context, cli *terminal) (string, error)
	read(text string) ([]statement, error)
	// section picks what concerns a port.
	section(running []statement, port string) section
	// render returns what an intent stands for. *UnsupportedError where the platform, or
	// this driver, cannot say it.
	render(device Device, intent Intent) ([]statement, error)
	// parse makes an intent of such statements. It believes the description's profile.
	parse(port string, owned []statement) Intent
	// edit returns the commands that lead a port from what it owns to want, which differ.
	edit(port string, have section, want []statement) []string
	// refused tells whether an answer to such a command says no.
	refused(answer string) bool
	// transact carries out a transaction with what safety the platform has. After nil it
	// is done and verified; after a *RefusedError or *MismatchError it is undone.
	transact(ctx context.Context, cli *terminal, t transaction) error
	// settle ends what a session that broke off has left pending.
	settle(ctx context.Context, cli *terminal) error
	// save makes the running configuration the one that the switch starts with.
	save(ctx context.Context, cli *terminal) error
}

// particular is a driver of a platform where an intent may take what is the switch's own.
type particular interface {
	// lacks returns an *UnsupportedError where the switch does not have it.
	lacks(l look, intent Intent) error
}

func driverFor(platform string) (driver, error) {
	switch platform {
	case "frr":
		return frr{}, nil
	case "juniper_junos":
		return junos{}, nil
	case "cisco_nxos":
		return nxos{}, nil
	case "cisco_iosxe":
		return iosxe{}, nil
	case "ovs":
		return ovs{}, nil
	case "nokia_srl":
		return srl{}, nil
	case "sonic":
		return sonic{}, nil
	case "arista_eos":
		return eos{}, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownPlatform, platform)
}

// Supports tells whether a platform can be configured so, whatever the switch: nil, or the
// *UnsupportedError, *InvalidIntentError or ErrUnknownPlatform that says why not.
func Supports(platform string, intent Intent) error {
	d, err := driverFor(platform)
	if err != nil {
		return err
	}
	if err := intent.Validate(); err != nil {
		return err
	}
	_, err = d.render(Device{Platform: platform, ASN: leastPrivateASN}, intent)
	return err
}

// leastPrivateASN stands for a switch's own (RFC 6996 §5).
const leastPrivateASN = 64512

// section is the configuration of one port: statements of the kinds that an intent decides
// on, and all others, which are not touched.
type section struct {
	owned, foreign []statement
	// beside is what concerns other ports, and stands where something of this one stands.
	beside []statement
}

// intent is what a section amounts to. Its profile is empty if the statements are not
// exactly those that the intent demands.
func (s section) intent(d driver, device Device, port string) Intent {
	intent := d.parse(port, s.owned)
	if intent.Validate() == nil {
		demanded, err := d.render(device, intent)
		if err == nil && len(difference(s.owned, demanded)) == 0 {
			return intent
		}
	}
	intent.Profile = ""
	return intent
}

// view is the data of a platform's template: the intent and what goes with it.
type view struct {
	Intent
	Device  Device
	Label   string // the port's description
	Carrier string // the interface that what the port carries is configured on: the port's own, or the group's
	Peer    string // the description of its BGP neighbours
}

// BGPLists are the entries of the lists that bound the port's BGP sessions.
func (v view) BGPLists() []listEntry { return listEntries(v.Intent, v.Carrier) }

// FilterLists are the access lists of the port.
func (v view) FilterLists() []filterList { return filterLists(v.Intent, v.Carrier) }

// EthernetMTU is the MTU with the headers that it does not count.
func (v view) EthernetMTU() int { return v.MTU + v.headers() }

// readEthernetMTU takes the headers off, where there is an MTU.
func (i *Intent) readEthernetMTU() {
	if i.MTU > 0 {
		i.MTU -= i.headers()
	}
}

// headers are the bytes of a frame before the packet: Ethernet's, and a trunk's tag.
func (i Intent) headers() int {
	const ethernet, tag = 14, 4
	if i.VLANs != nil && len(i.VLANs.Tagged) > 0 {
		return ethernet + tag
	}
	return ethernet
}

// neighbour is a host to speak BGP with.
type neighbour struct {
	View view
	Host netip.Addr
}

// Neighbours are the hosts at the other ends of the port's addresses.
func (v view) Neighbours() []neighbour {
	var all []neighbour
	for _, link := range v.Links() {
		all = append(all, neighbour{v, link.Host})
	}
	return all
}

// RouteName is what routes to the host are called.
func (v view) RouteName() string { return routeName(v.Carrier) }

// Lists names such a list: that of the host's family, and "in" or "out".
func (v view) Lists(host netip.Addr, direction string) string {
	return listName(v.Carrier, host.Is4(), direction)
}

func newView(device Device, intent Intent, carrier string) view {
	return view{Intent: intent, Device: device, Label: intent.label(), Carrier: carrier, Peer: peer(carrier)}
}

// execute executes a platform's template, which may lay itself out with empty lines.
func execute(text string, v view) (string, error) {
	parsed, err := template.New(string(v.Profile)).Parse(text)
	if err != nil {
		return "", err
	}
	var rendered bytes.Buffer
	err = parsed.Execute(&rendered, v)
	return rendered.String(), err
}

// unsupported returns an *UnsupportedError for the first of what is asked for.
func unsupported(platform string, asked map[string]bool) error {
	for _, what := range slices.Sorted(maps.Keys(asked)) {
		if asked[what] {
			return &UnsupportedError{platform, what}
		}
	}
	return nil
}

// tag makes a port's name one that every platform takes as part of a name.
func tag(port string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("/:.", r) {
			return '-'
		}
		return r
	}, port)
}
