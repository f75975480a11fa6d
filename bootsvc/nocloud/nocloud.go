// Package nocloud builds the documents that cloud-init's NoCloud data source reads from a
// config drive: who the machine is, its network, its keys, and the tenant's user data.
//
// See https://docs.cloud-init.io/en/22.4.2/topics/datasources/nocloud.html and, for the
// network, network-config-format-v2.html beside it.
package nocloud

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The files of a config drive.
const (
	MetaData      = "meta-data"
	NetworkConfig = "network-config"
	UserData      = "user-data"
	VendorData    = "vendor-data"
)

// ErrInvalidSeed is returned, wrapped with the reason, by Seed.Files.
var ErrInvalidSeed = errors.New("the config drive cannot be built")

// Seed is what a machine is to learn at its first boot.
type Seed struct {
	InstanceID string
	Hostname   string
	MAC        string // of the NIC with the addresses, colon form
	IPv4, IPv6 Link   // either may be zero, not both
	Others     []NIC  // further ones, each with addresses and no gateway
	// Bonded are the MACs of further NICs that are one with it, by LACP (IEEE 802.1AX).
	Bonded      []string
	VLANs       []VLAN // whose frames are tagged
	DNS         []netip.Addr
	SSHKeys     []string // lines of authorized_keys, for the image's own user
	UserData    []byte   // handed over as it is; empty for none
	CallHomeURL string   // empty: do not call home
}

// NIC is a further network card. What leaves by it the tenant decides: by BGP, or routes of
// his own.
type NIC struct {
	MAC        string       // colon form
	IPv4, IPv6 netip.Prefix // either may be zero, not both
}

// VLAN is one whose frames are tagged (IEEE 802.1Q), with addresses and no gateway.
type VLAN struct {
	ID         int          // 1 to 4094
	IPv4, IPv6 netip.Prefix // either may be zero
}

// Link is an address with its prefix length, and the gateway on the same link.
type Link struct {
	Address netip.Prefix
	Gateway netip.Addr
}

// IsZero reports whether the link has no address.
func (l Link) IsZero() bool { return !l.Address.IsValid() }

// Files returns the documents by their file names. It returns ErrInvalidSeed.
func (s Seed) Files() (map[string]string, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	files := map[string]string{UserData: string(s.UserData)}
	if len(s.UserData) == 0 {
		files[UserData] = cloudConfig + "{}\n"
	}
	for name, document := range map[string]any{
		MetaData:      metaData{InstanceID: s.InstanceID, Hostname: s.Hostname, PublicKeys: s.SSHKeys},
		NetworkConfig: s.networkConfig(),
		VendorData:    s.vendorData(),
	} {
		text, err := encode(document)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrInvalidSeed, name, err)
		}
		files[name] = text
	}
	files[VendorData] = cloudConfig + files[VendorData]
	return files, nil
}

// cloudConfig is the first line by which cloud-init tells YAML from a script.
const cloudConfig = "#cloud-config\n"

func encode(document any) (string, error) {
	var text strings.Builder
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(document); err != nil {
		return "", err
	}
	return text.String(), encoder.Close()
}

func (s Seed) validate() error {
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrInvalidSeed, fmt.Sprintf(format, args...))
	}
	if s.InstanceID == "" || s.Hostname == "" {
		return invalid("it needs an instance and a hostname")
	}
	if _, err := net.ParseMAC(s.MAC); err != nil {
		return invalid("MAC %q is not an Ethernet address", s.MAC)
	}
	if s.IPv4.IsZero() && s.IPv6.IsZero() {
		return invalid("%s has no address", s.InstanceID)
	}
	for _, link := range []struct {
		Link
		is4 bool
	}{{s.IPv4, true}, {s.IPv6, false}} {
		if !link.IsZero() && (link.Address.Addr().Is4() != link.is4 || !link.Address.Contains(link.Gateway) || link.Gateway == link.Address.Addr()) {
			return invalid("gateway %s does not fit address %s", link.Gateway, link.Address)
		}
	}
	for _, nic := range s.Others {
		if _, err := net.ParseMAC(nic.MAC); err != nil || !nic.IPv4.IsValid() && !nic.IPv6.IsValid() {
			return invalid("NIC %q has no Ethernet address, or no other", nic.MAC)
		}
	}
	for _, mac := range s.Bonded {
		if _, err := net.ParseMAC(mac); err != nil || len(s.Others) > 0 {
			return invalid("NIC %q cannot be in a bond: it has no Ethernet address, or others have addresses of their own", mac)
		}
	}
	for _, vlan := range s.VLANs {
		if vlan.ID < 1 || vlan.ID > 4094 {
			return invalid("VLAN %d is not from 1 to 4094", vlan.ID)
		}
	}
	for _, key := range s.SSHKeys {
		if strings.ContainsAny(key, "\r\n") {
			return invalid("an SSH key has more than one line")
		}
	}
	return nil
}
