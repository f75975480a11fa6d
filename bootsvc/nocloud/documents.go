package nocloud

import (
	"fmt"
	"net/netip"
)

type metaData struct {
	InstanceID string   `yaml:"instance-id"`
	Hostname   string   `yaml:"local-hostname"`
	PublicKeys []string `yaml:"public-keys,omitempty"`
}

type networkConfig struct {
	Version   int                 `yaml:"version"`
	Ethernets map[string]ethernet `yaml:"ethernets"`
	Bonds     map[string]bond     `yaml:"bonds,omitempty"`
	VLANs     map[string]vlan     `yaml:"vlans,omitempty"`
}

type ethernet struct {
	Match     match  `yaml:"match"`
	SetName   string `yaml:"set-name"`
	addressed `yaml:",inline"`
}

// addressed is what may be said of every kind of interface.
type addressed struct {
	Addresses   []netip.Prefix `yaml:"addresses,omitempty"`
	Gateway4    string         `yaml:"gateway4,omitempty"`
	Gateway6    string         `yaml:"gateway6,omitempty"`
	Nameservers *nameservers   `yaml:"nameservers,omitempty"`
}

type match struct {
	MAC string `yaml:"macaddress"`
}

type nameservers struct {
	Addresses []netip.Addr `yaml:"addresses"`
}

type bond struct {
	Interfaces []string       `yaml:"interfaces"`
	MAC        string         `yaml:"macaddress"`
	Parameters bondParameters `yaml:"parameters"`
	addressed  `yaml:",inline"`
}

// bondParameters are those of the kernel's driver (Documentation/networking/bonding.rst).
type bondParameters struct {
	Mode     string `yaml:"mode"`
	Monitor  int    `yaml:"mii-monitor-interval"` // ms
	LACPRate string `yaml:"lacp-rate"`
	Hash     string `yaml:"transmit-hash-policy"`
}

var lacp = bondParameters{Mode: "802.3ad", Monitor: 100, LACPRate: "fast", Hash: "layer3+4"}

type vlan struct {
	ID        int    `yaml:"id"`
	Link      string `yaml:"link"`
	addressed `yaml:",inline"`
}

// networkConfig calls the NICs eth0 and so on: they are found by their MACs and renamed, since
// the renderer for ifupdown cannot match by MAC.
//
// It names the gateways by gateway4 and gateway6. They are called deprecated, yet cloud-init
// 22.4.2 crashes on a route `to: default` and renders one `to: 0.0.0.0/0` as a command that
// Debian does not have.
func (s Seed) networkConfig() networkConfig {
	config := networkConfig{Version: 2, Ethernets: map[string]ethernet{}}
	uplink, own := "eth0", s.addresses()
	nic := ethernet{Match: match{MAC: s.MAC}, SetName: uplink}
	if len(s.Bonded) == 0 {
		nic.addressed = own
	}
	config.Ethernets[uplink] = nic
	for n, other := range s.Others {
		name := fmt.Sprintf("eth%d", n+1)
		config.Ethernets[name] = ethernet{Match: match{MAC: other.MAC}, SetName: name, addressed: numbered(other.IPv4, other.IPv6)}
	}
	if len(s.Bonded) > 0 {
		members := []string{uplink}
		for n, mac := range s.Bonded {
			name := fmt.Sprintf("eth%d", n+1)
			members = append(members, name)
			config.Ethernets[name] = ethernet{Match: match{MAC: mac}, SetName: name}
		}
		uplink = "bond0"
		config.Bonds = map[string]bond{uplink: {Interfaces: members, MAC: s.MAC, Parameters: lacp, addressed: own}}
	}
	for _, v := range s.VLANs {
		if config.VLANs == nil {
			config.VLANs = map[string]vlan{}
		}
		config.VLANs[fmt.Sprintf("%s.%d", uplink, v.ID)] = vlan{ID: v.ID, Link: uplink, addressed: numbered(v.IPv4, v.IPv6)}
	}
	return config
}

// addresses are the machine's own, with the ways out.
func (s Seed) addresses() addressed {
	own := numbered(s.IPv4.Address, s.IPv6.Address)
	if !s.IPv4.IsZero() {
		own.Gateway4 = s.IPv4.Gateway.String()
	}
	if !s.IPv6.IsZero() {
		own.Gateway6 = s.IPv6.Gateway.String()
	}
	if len(s.DNS) > 0 {
		own.Nameservers = &nameservers{Addresses: s.DNS}
	}
	return own
}

// numbered has those of the addresses that there are.
func numbered(addresses ...netip.Prefix) (a addressed) {
	for _, address := range addresses {
		if address.IsValid() {
			a.Addresses = append(a.Addresses, address)
		}
	}
	return a
}

type vendorData struct {
	PhoneHome *phoneHome `yaml:"phone_home,omitempty"`
}

type phoneHome struct {
	URL   string   `yaml:"url"`
	Post  []string `yaml:"post"`
	Tries int      `yaml:"tries"`
}

// callHomeTries are three seconds apart, or more (cloud-init's cc_phone_home.py): the machine goes on
// calling for the twelve hours that its port's switch may be away.
const callHomeTries = 12 * 60 * 60 / 3

// vendorData asks the machine to call home. A tenant's user data wins over it: one that
// sets phone_home itself, or disables vendor data, is not heard from.
func (s Seed) vendorData() vendorData {
	if s.CallHomeURL == "" {
		return vendorData{}
	}
	return vendorData{PhoneHome: &phoneHome{
		URL:   s.CallHomeURL,
		Post:  []string{"pub_key_rsa", "pub_key_ecdsa", "pub_key_ed25519", "instance_id", "hostname", "fqdn"},
		Tries: callHomeTries,
	}}
}
