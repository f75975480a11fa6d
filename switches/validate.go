package switches

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
)

const (
	descriptionMax = 160 // with the mark, below the 200 to 255 bytes that platforms allow
	portMax        = 63
	groupMax       = 1000
	acceptedMax    = 10_000
	// The smallest is IPv6's (RFC 8200 §5); the largest is below every platform's, with the
	// headers that some count in.
	mtuMin, mtuMax = 1280, 9190
)

// Names and descriptions become part of command lines. What they may contain is listed
// rather than what they may not: besides line breaks, a CLI may act on a question mark, a
// tab, a quotation mark, a pipe or a semicolon. A password is what every platform takes
// between blanks and without quotation.
var (
	portName    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._:/-]*$`)
	description = regexp.MustCompile(`^[A-Za-z0-9._:/@+=,-]+( [A-Za-z0-9._:/@+=,-]+)*$`)
	vrfName     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,31}$`)
	bgpPassword = regexp.MustCompile(`^[A-Za-z0-9._/@+=,-]{1,80}$`)
)

func invalid(field, format string, arguments ...any) error {
	return &InvalidIntentError{field, fmt.Sprintf(format, arguments...)}
}

// Validate returns an *InvalidIntentError, or nil if the intent can be applied.
func (i Intent) Validate() error {
	for _, check := range []func() error{i.validateName, i.validateKind, i.validateAddresses, i.validateBehind, i.validateFilters, i.validateBGP, i.validateVLANs, i.validateBond} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (i Intent) validateName() error {
	switch {
	case len(i.Port) > portMax || !portName.MatchString(i.Port):
		return invalid("Port", "%q is not the name of a port", i.Port)
	case len(i.Description) > descriptionMax:
		return invalid("Description", "longer than %d bytes", descriptionMax)
	case i.Description != "" && !description.MatchString(i.Description):
		return invalid("Description", "%q: only letters, digits, ._:/@+=,- and single blanks", i.Description)
	case i.VRF != "" && !vrfName.MatchString(i.VRF):
		return invalid("VRF", "%q is not the name of a VRF", i.VRF)
	case i.MTU != 0 && (i.MTU < mtuMin || i.MTU > mtuMax):
		return invalid("MTU", "%d is not from %d to %d", i.MTU, mtuMin, mtuMax)
	}
	return nil
}

// validateKind: a port is routed, switched, or in quarantine.
func (i Intent) validateKind() error {
	switch i.Profile {
	case Quarantine:
		bare := Intent{Port: i.Port, Profile: i.Profile, Description: i.Description}
		if len(i.Addresses) > 0 {
			return invalid("Addresses", "a port in quarantine carries none")
		}
		if len(i.Behind) > 0 {
			return invalid("Behind", "behind a port in quarantine there is nothing")
		}
		if !i.Equal(bare) {
			return invalid("Profile", "a port in quarantine carries nothing")
		}
		return nil
	case Provisioning, Tenant:
	default:
		return invalid("Profile", "%q is none of provisioning, tenant, quarantine", i.Profile)
	}
	if i.VLANs == nil {
		if len(i.Addresses) == 0 {
			return invalid("Addresses", "a routed %s port carries at least one", i.Profile)
		}
		return nil
	}
	switched := Intent{Port: i.Port, Profile: i.Profile, Description: i.Description, MTU: i.MTU, Bond: i.Bond, VLANs: i.VLANs}
	if !i.Equal(switched) {
		return invalid("VLANs", "a switched port is not routed: no addresses, routes, VRF, BGP, filters, relay or advertisements")
	}
	return nil
}

func (i Intent) validateAddresses() error {
	families := map[bool]bool{}
	for n, prefix := range i.Addresses {
		address := prefix.Addr()
		switch {
		case !prefix.IsValid():
			return invalid("Addresses", "an address is not set")
		case address.Is4In6() || !address.IsGlobalUnicast():
			return invalid("Addresses", "%s is not a unicast address", prefix)
		case address.BitLen()-prefix.Bits() != 1:
			return invalid("Addresses", "%s is neither an IPv4 /31 nor an IPv6 /127", prefix)
		case slices.Contains(i.Addresses[:n], prefix):
			return invalid("Addresses", "%s is there twice", prefix)
		case families[address.Is4()]:
			return invalid("Addresses", "%s is the second of its family", prefix)
		}
		families[address.Is4()] = true
	}
	return nil
}

func (i Intent) validateBehind() error {
	for n, prefix := range i.Behind {
		if i.Profile != Tenant {
			return invalid("Behind", "behind a %s port there is nothing", i.Profile)
		}
		if err := validatePrefix("Behind", prefix); err != nil {
			return err
		}
		if prefix.Bits() == 0 {
			return invalid("Behind", "%s is everything", prefix)
		}
		if _, linked := i.host(prefix.Addr().Is4()); !linked {
			return invalid("Behind", "%s has no link of its family to be routed over", prefix)
		}
		for _, other := range append(slices.Clone(i.Addresses), i.Behind[:n]...) {
			if other.Overlaps(prefix) {
				return invalid("Behind", "%s overlaps %s", prefix, other)
			}
		}
	}
	return nil
}

// validatePrefix accepts unicast prefixes in their usual form.
func validatePrefix(field string, prefix netip.Prefix) error {
	address := prefix.Addr()
	switch {
	case !prefix.IsValid():
		return invalid(field, "a prefix is not set")
	case prefix != prefix.Masked() || address.Is4In6():
		return invalid(field, "%s is not in its usual form", prefix)
	case prefix.Bits() > 0 && !address.IsGlobalUnicast() && address != netip.IPv4Unspecified() && address != netip.IPv6Unspecified():
		return invalid(field, "%s is not a unicast prefix", prefix)
	}
	return nil
}

func (i Intent) validateFilters() error {
	for n, prefix := range i.Reach {
		if err := validatePrefix("Reach", prefix); err != nil {
			return err
		}
		if slices.Contains(i.Reach[:n], prefix) {
			return invalid("Reach", "%s is there twice", prefix)
		}
	}
	for n, server := range i.Relay {
		switch {
		case !server.Is4() || !server.IsGlobalUnicast():
			return invalid("Relay", "%s is not a unicast IPv4 address", server)
		case slices.Contains(i.Relay[:n], server):
			return invalid("Relay", "%s is there twice", server)
		}
	}
	if _, ipv4 := i.host(true); !ipv4 && len(i.Relay) > 0 {
		return invalid("Relay", "a relay needs an IPv4 address on the port")
	}
	if _, ipv6 := i.host(false); !ipv6 && i.Advertise {
		return invalid("Advertise", "router advertisements need an IPv6 address on the port")
	}
	return nil
}

func (i Intent) validateBGP() error {
	if i.BGP == nil {
		return nil
	}
	if i.BGP.ASN == 0 || i.BGP.ASN == 23456 || i.BGP.ASN == 65535 || i.BGP.ASN == 1<<32-1 { // RFC 7607, 6793, 7300
		return invalid("BGP.ASN", "%d is reserved", i.BGP.ASN)
	}
	if i.BGP.MaxPrefixes < 1 || i.BGP.MaxPrefixes > acceptedMax {
		return invalid("BGP.MaxPrefixes", "%d is not from 1 to %d", i.BGP.MaxPrefixes, acceptedMax)
	}
	if len(i.BGP.Accept) == 0 {
		return invalid("BGP.Accept", "a session that accepts nothing is of no use")
	}
	if password := string(i.BGP.Password); password != "" && password != Hidden && !bgpPassword.MatchString(password) {
		return invalid("BGP.Password", "it has other than letters, digits and ._/@+=,- or is longer than 80")
	}
	for n, prefix := range i.BGP.Accept {
		if err := validatePrefix("BGP.Accept", prefix); err != nil {
			return err
		}
		if _, linked := i.host(prefix.Addr().Is4()); !linked {
			return invalid("BGP.Accept", "%s has no link of its family to be announced over", prefix)
		}
		if slices.Contains(i.BGP.Accept[:n], prefix) {
			return invalid("BGP.Accept", "%s is there twice", prefix)
		}
	}
	return nil
}

func (i Intent) validateVLANs() error {
	if i.VLANs == nil {
		return nil
	}
	if i.VLANs.Untagged == 0 && len(i.VLANs.Tagged) == 0 {
		return invalid("VLANs", "a switched port has at least one")
	}
	ids := slices.Clone(i.VLANs.Tagged)
	if i.VLANs.Untagged != 0 {
		ids = append(ids, i.VLANs.Untagged)
	}
	for n, id := range ids {
		if id < 1 || id > 4094 {
			return invalid("VLANs", "%d is not from 1 to 4094", id)
		}
		if slices.Contains(ids[:n], id) {
			return invalid("VLANs", "%d is there twice", id)
		}
	}
	if !slices.IsSorted(i.VLANs.Tagged) {
		return invalid("VLANs", "tagged ones are not in rising order")
	}
	return nil
}

func (i Intent) validateBond() error {
	if i.Bond != nil && (i.Bond.Group < 1 || i.Bond.Group > groupMax) {
		return invalid("Bond", "group %d is not from 1 to %d", i.Bond.Group, groupMax)
	}
	return nil
}
