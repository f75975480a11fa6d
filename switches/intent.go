package switches

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Profile says what a port is for.
type Profile string

// The profiles.
const (
	// Provisioning carries addresses and sends router advertisements, so that network boot
	// firmware does not wait for them in vain.
	Provisioning Profile = "provisioning"
	// Tenant carries the tenant's addresses and sends no router advertisements: both ends of
	// a /127 are configured by hand (RFC 6164 §5).
	Tenant Profile = "tenant"
	// Quarantine is shut and carries no address.
	Quarantine Profile = "quarantine"
)

// Intent is what a port should be, or, when read from a switch, what it is. The profile
// and Ferrodur's name are kept on the switch as the first words of the port's description:
//
//	description ferrodur tenant ams1-r1-s1 instance/o-42
//
// Read from a switch, Profile is empty unless the description names one and everything
// else on the port is exactly as that profile demands. So two intents are equal only if
// nothing has drifted. The description of a port that Ferrodur did not configure is there
// in full.
type Intent struct {
	Port    string
	Profile Profile
	// Description names server and instance. Empty, or words of letters, digits and
	// ._:/@+=,- with single blanks between them; at most 160 bytes.
	Description string
	// Addresses are the switch's own: IPv4 /31 (RFC 3021) and IPv6 /127 (RFC 6164). Their
	// order does not matter. None in quarantine, at least one otherwise.
	Addresses []netip.Prefix
	// Behind are prefixes that the switch routes to the host: by way of the host's address
	// of the link, which is the other one of a /31 or /127. A tenant's port only.
	Behind []netip.Prefix
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
	for _, link := range i.Addresses {
		if link.Addr().Is4() != ipv4 {
			continue
		}
		if low := link.Masked().Addr(); low != link.Addr() {
			return low, true
		}
		return link.Addr().Next(), true
	}
	return netip.Addr{}, false
}

const (
	mark           = "ferrodur" // first word of every description that Ferrodur writes
	descriptionMax = 160        // with the mark, below the 200 to 255 bytes that platforms allow
	portMax        = 63
)

// Names and descriptions become part of command lines. What they may contain is listed
// rather than what they may not: besides line breaks, a CLI may act on a question mark, a
// tab, a quotation mark, a pipe or a semicolon.
const word = `[A-Za-z0-9._:/@+=,-]+`

// Validate returns an *InvalidIntentError, or nil if the intent can be applied.
func (i Intent) Validate() error {
	// Compiled here and not kept: validation is rare, and the package has no state.
	if len(i.Port) > portMax || !regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._:/-]*$`).MatchString(i.Port) {
		return &InvalidIntentError{"Port", fmt.Sprintf("%q is not the name of a port", i.Port)}
	}
	if len(i.Description) > descriptionMax {
		return &InvalidIntentError{"Description", fmt.Sprintf("longer than %d bytes", descriptionMax)}
	}
	if i.Description != "" && !regexp.MustCompile(`^`+word+`( `+word+`)*$`).MatchString(i.Description) {
		return &InvalidIntentError{"Description", fmt.Sprintf("%q: only letters, digits, ._:/@+=,- and single blanks", i.Description)}
	}
	switch i.Profile {
	case Quarantine:
		if len(i.Addresses) > 0 {
			return &InvalidIntentError{"Addresses", "a port in quarantine carries none"}
		}
	case Provisioning, Tenant:
		if len(i.Addresses) == 0 {
			return &InvalidIntentError{"Addresses", fmt.Sprintf("a %s port carries at least one", i.Profile)}
		}
	default:
		return &InvalidIntentError{"Profile", fmt.Sprintf("%q is none of provisioning, tenant, quarantine", i.Profile)}
	}
	for n, address := range i.Addresses {
		if err := validateAddress(address); err != nil {
			return err
		}
		if slices.Contains(i.Addresses[:n], address) {
			return &InvalidIntentError{"Addresses", fmt.Sprintf("%s is there twice", address)}
		}
	}
	for n, prefix := range i.Behind {
		if err := i.validateBehind(prefix, i.Behind[:n]); err != nil {
			return err
		}
	}
	return nil
}

func (i Intent) validateBehind(prefix netip.Prefix, others []netip.Prefix) error {
	invalid := func(format string, arguments ...any) error {
		return &InvalidIntentError{"Behind", fmt.Sprintf(format, arguments...)}
	}
	address := prefix.Addr()
	switch {
	case i.Profile != Tenant:
		return invalid("behind a %s port there is nothing", i.Profile)
	case !prefix.IsValid():
		return invalid("a prefix is not set")
	case prefix != prefix.Masked() || address.Is4In6():
		return invalid("%s is not in its usual form", prefix)
	case prefix.Bits() == 0 || !address.IsGlobalUnicast():
		return invalid("%s is not a unicast prefix", prefix)
	}
	if _, linked := i.host(address.Is4()); !linked {
		return invalid("%s has no link of its family to be routed over", prefix)
	}
	for _, other := range append(slices.Clone(i.Addresses), others...) {
		if other.Overlaps(prefix) {
			return invalid("%s overlaps %s", prefix, other)
		}
	}
	return nil
}

func validateAddress(prefix netip.Prefix) error {
	address := prefix.Addr()
	switch {
	case !prefix.IsValid():
		return &InvalidIntentError{"Addresses", "an address is not set"}
	case address.Is4In6() || !address.IsGlobalUnicast():
		return &InvalidIntentError{"Addresses", fmt.Sprintf("%s is not a unicast address", prefix)}
	case address.BitLen()-prefix.Bits() != 1:
		return &InvalidIntentError{"Addresses", fmt.Sprintf("%s is neither an IPv4 /31 nor an IPv6 /127", prefix)}
	}
	return nil
}

// Equal tells whether two intents say the same, whatever the order of addresses and prefixes.
func (i Intent) Equal(other Intent) bool {
	return i.Port == other.Port && i.Profile == other.Profile && i.Description == other.Description &&
		slices.Equal(sorted(i.Addresses), sorted(other.Addresses)) && slices.Equal(sorted(i.Behind), sorted(other.Behind))
}

func sorted(prefixes []netip.Prefix) []netip.Prefix {
	return slices.SortedFunc(slices.Values(prefixes), netip.Prefix.Compare)
}

// label is the description as it stands on the switch.
func (i Intent) label() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", mark, i.Profile, i.Description))
}

// parseLabel is the inverse of label. Text that label did not write is a description.
func parseLabel(text string) (Profile, string) {
	words := strings.SplitN(text, " ", 3)
	if len(words) < 2 || words[0] != mark {
		return "", text
	}
	profile := Profile(words[1])
	if profile != Provisioning && profile != Tenant && profile != Quarantine {
		return "", text
	}
	return profile, strings.Join(words[2:], "")
}

// Change is what Apply did to a port, or what it would do.
type Change struct {
	Port    string
	Changed bool     // configuration lines were, or would be, sent
	Diff    []string // "- line" taken away, "+ line" added
	// Foreign are the lines on the port that are not Ferrodur's concern. They are left as
	// they are.
	Foreign []string
	Running Intent // as read from the switch: by Apply after the change, by Diff before it
}
