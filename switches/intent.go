package switches

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
)

// Profile says what a port is for.
type Profile string

// The profiles.
const (
	// Provisioning is for installing, testing and wiping: the host reaches the boot service.
	Provisioning Profile = "provisioning"
	// Tenant is for the customer.
	Tenant Profile = "tenant"
	// Quarantine is shut and carries nothing.
	Quarantine Profile = "quarantine"
)

// Intent is what a port should be, or, when read from a switch, what it is. It says the
// same for all platforms. A port is either routed (Addresses and what depends on them) or
// switched (VLANs), or in quarantine.
//
// The profile and Ferrodur's name are kept on the switch as the first words of the port's
// description:
//
//	description ferrodur tenant ams1-r1-s1 instance/o-42
//
// Read from a switch, Profile is empty unless the description names one and everything
// else on the port is exactly as the intent demands. So two intents are equal only if
// nothing has drifted. The description of a port that Ferrodur did not configure is there
// in full.
type Intent struct {
	Port    string  `json:"port"`
	Profile Profile `json:"profile"`
	// Description names server and instance. Empty, or words of letters, digits and
	// ._:/@+=,- with single blanks between them; at most 160 bytes.
	Description string `json:"description,omitempty"`
	// MTU is the size of the largest IP packet in bytes, 1280 to 9190; 0 leaves the
	// platform's own. Drivers add what their platform counts besides it.
	MTU int `json:"mtu,omitempty"`
	// Bond is the link aggregation group that the port is a member of; nil: none.
	Bond *Bond `json:"bond,omitempty"`

	// Addresses are the switch's own: IPv4 /31 (RFC 3021) and IPv6 /127 (RFC 6164), at most
	// one of each family. Their order does not matter.
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	// Behind are prefixes that the switch routes to the host: by way of the host's address
	// of the link, which is the other one of a /31 or /127. A tenant's port only.
	Behind []netip.Prefix `json:"behind,omitempty"`
	VRF    string         `json:"vrf,omitempty"` // that the addresses are in; it exists. Empty: the default one
	BGP    *BGP           `json:"bgp,omitempty"` // with the host; nil: none
	// SourceFilter drops what the host sends from addresses that are not routed to it
	// (BCP 38, RFC 2827).
	SourceFilter bool `json:"source_filter,omitempty"`
	// Reach are all that the host may send packets to; none: anything.
	Reach []netip.Prefix `json:"reach,omitempty"`
	// Relay are the DHCPv4 servers that the host's requests are relayed to.
	Relay []netip.Addr `json:"relay,omitempty"`
	// Advertise sends IPv6 router advertisements (RFC 4861), for which the firmware of
	// network boots waits.
	Advertise bool `json:"advertise,omitempty"`

	VLANs *VLANs `json:"vlans,omitempty"` // of a switched port; nil: the port is routed
}

// BGP is a session with the host at the other end of each address (RFC 4271).
type BGP struct {
	ASN      uint32 `json:"asn"`                // the host's
	Password Secret `json:"password,omitempty"` // TCP MD5 (RFC 2385); empty: none. Read from a switch: Hidden
	// Renew sends the password although the switch has one: which one cannot be compared.
	Renew       bool           `json:"-"`
	Accept      []netip.Prefix `json:"accept"`       // what the host may announce, in whole or in parts
	MaxPrefixes int            `json:"max_prefixes"` // beyond which the session ends, for each family; 1 to 10 000
}

// VLANs are those of a switched port, which exist on the switch: an access port has an
// untagged one, a trunk tagged ones, a hybrid port both (IEEE 802.1Q). IDs are 1 to 4094.
type VLANs struct {
	Untagged int   `json:"untagged,omitempty"` // 0: none
	Tagged   []int `json:"tagged,omitempty"`   // rising
}

// All are the VLANs of the port, the untagged one among them.
func (v VLANs) All() []int {
	ids := slices.Clone(v.Tagged)
	if v.Untagged != 0 {
		ids = append(ids, v.Untagged)
	}
	slices.Sort(ids)
	return ids
}

// Allowed are all of them in the form "10-12,20".
func (v VLANs) Allowed() string { return vlanRanges(v.All()) }

// Bond is a link aggregation group that speaks LACP (IEEE 802.1AX). What the port carries
// is configured on the group; members of one group have intents that say the same.
type Bond struct {
	Group int `json:"group"` // its number on the switch, 1 to 1000
	// Fallback lets a member carry traffic while its host does not speak LACP, so that it
	// can boot from the network.
	Fallback bool `json:"fallback,omitempty"`
	// MultiChassis makes members of the group on a second switch (MLAG, vPC) one with it.
	MultiChassis bool `json:"multi_chassis,omitempty"`
}

// Secret is a text that is not shown: not by fmt, nor in logs or JSON.
type Secret string

// Hidden stands for a secret, in intents that were read and in diffs.
const Hidden = "<hidden>"

func (s Secret) String() string               { return s.shown() }
func (s Secret) GoString() string             { return s.shown() }
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.shown()) }

func (s Secret) shown() string {
	if s == "" {
		return ""
	}
	return Hidden
}

// Link is an address of the switch and the host's at the other end.
type Link struct {
	Switch netip.Prefix
	Host   netip.Addr
}

// Links are the port's addresses with their other ends.
func (i Intent) Links() []Link {
	var links []Link
	for _, address := range i.Addresses {
		host := address.Masked().Addr()
		if host == address.Addr() {
			host = host.Next()
		}
		links = append(links, Link{address, host})
	}
	return links
}

// Route is a static route to what lies behind a port.
type Route struct {
	Prefix netip.Prefix
	Via    netip.Addr // the host's address
}

// Routes are those to what lies behind the port, in the order of Behind.
func (i Intent) Routes() []Route {
	var routes []Route
	for _, prefix := range i.Behind {
		if via, found := i.host(prefix.Addr().Is4()); found {
			routes = append(routes, Route{prefix, via})
		}
	}
	return routes
}

// host is the host's address of the first link of a family.
func (i Intent) host(ipv4 bool) (netip.Addr, bool) {
	for _, link := range i.Links() {
		if link.Host.Is4() == ipv4 {
			return link.Host, true
		}
	}
	return netip.Addr{}, false
}

// Sources are what the host may send from: its addresses, what is routed to it, and what
// it may announce.
func (i Intent) Sources() []netip.Prefix {
	var sources []netip.Prefix
	for _, link := range i.Links() {
		sources = append(sources, netip.PrefixFrom(link.Host, link.Host.BitLen()))
	}
	sources = append(sources, i.Behind...)
	if i.BGP != nil {
		sources = append(sources, i.BGP.Accept...)
	}
	return sorted(sources)
}

func (i Intent) password() Secret {
	if i.BGP == nil {
		return ""
	}
	return i.BGP.Password
}

// Equal tells whether two intents say the same, whatever the order of addresses and
// prefixes, and whatever the secrets are.
func (i Intent) Equal(other Intent) bool {
	same, err := json.Marshal(i.ordered())
	if err != nil {
		return false
	}
	others, err := json.Marshal(other.ordered())
	return err == nil && string(same) == string(others)
}

// ordered is the intent with its lists in order.
func (i Intent) ordered() Intent {
	i.Addresses, i.Behind, i.Reach = sorted(i.Addresses), sorted(i.Behind), sorted(i.Reach)
	i.Relay = slices.SortedFunc(slices.Values(i.Relay), netip.Addr.Compare)
	if i.BGP != nil {
		bgp := *i.BGP
		bgp.Accept = sorted(bgp.Accept)
		i.BGP = &bgp
	}
	if i.VLANs != nil {
		vlans := *i.VLANs
		vlans.Tagged = slices.Sorted(slices.Values(vlans.Tagged))
		i.VLANs = &vlans
	}
	return i
}

func sorted(prefixes []netip.Prefix) []netip.Prefix {
	return slices.SortedFunc(slices.Values(prefixes), netip.Prefix.Compare)
}

const mark = "ferrodur" // first word of every description that Ferrodur writes

// label is the description as it stands on the switch.
func (i Intent) label() string {
	return strings.TrimSpace(mark + " " + string(i.Profile) + " " + i.Description)
}

// readLabel is the inverse of label. Text that label did not write is a description.
func (i *Intent) readLabel(text string) {
	i.Profile, i.Description = "", text
	words := strings.SplitN(text, " ", 3)
	if len(words) < 2 || words[0] != mark {
		return
	}
	switch profile := Profile(words[1]); profile {
	case Provisioning, Tenant, Quarantine:
		i.Profile, i.Description = profile, strings.Join(words[2:], "")
	}
}

// Change is what Apply did to a port, or what it would do.
type Change struct {
	Port    string   `json:"port"`
	Changed bool     `json:"changed"` // configuration lines were, or would be, sent
	Diff    []string `json:"diff"`    // "- line" taken away, "+ line" added
	// Foreign are the lines on the port that are not Ferrodur's concern. They are left as
	// they are.
	Foreign []string `json:"foreign,omitempty"`
	Linked  bool     `json:"linked"`  // the port has a link
	Running Intent   `json:"running"` // as read from the switch: by Apply after the change, by Diff before it
}
