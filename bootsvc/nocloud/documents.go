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
}

type ethernet struct {
	Match       match          `yaml:"match"`
	SetName     string         `yaml:"set-name"`
	Addresses   []netip.Prefix `yaml:"addresses"`
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

// uplink is what the NIC is called in the machine: found by its MAC and renamed, since the
// renderer for ifupdown cannot match by MAC. Further ones are eth1 and so on.
const uplink = "eth0"

// networkConfig names the gateways by gateway4 and gateway6. They are called deprecated,
// yet cloud-init 22.4.2 crashes on a route `to: default` and renders one `to: 0.0.0.0/0`
// as a command that Debian does not have.
func (s Seed) networkConfig() networkConfig {
	nic := ethernet{Match: match{MAC: s.MAC}, SetName: uplink}
	if !s.IPv4.IsZero() {
		nic.Addresses = append(nic.Addresses, s.IPv4.Address)
		nic.Gateway4 = s.IPv4.Gateway.String()
	}
	if !s.IPv6.IsZero() {
		nic.Addresses = append(nic.Addresses, s.IPv6.Address)
		nic.Gateway6 = s.IPv6.Gateway.String()
	}
	if len(s.DNS) > 0 {
		nic.Nameservers = &nameservers{Addresses: s.DNS}
	}
	nics := map[string]ethernet{uplink: nic}
	for n, other := range s.Others {
		name := fmt.Sprintf("eth%d", n+1)
		further := ethernet{Match: match{MAC: other.MAC}, SetName: name}
		for _, address := range []netip.Prefix{other.IPv4, other.IPv6} {
			if address.IsValid() {
				further.Addresses = append(further.Addresses, address)
			}
		}
		nics[name] = further
	}
	return networkConfig{Version: 2, Ethernets: nics}
}

type vendorData struct {
	PhoneHome *phoneHome `yaml:"phone_home,omitempty"`
}

type phoneHome struct {
	URL   string   `yaml:"url"`
	Post  []string `yaml:"post"`
	Tries int      `yaml:"tries"`
}

// vendorData asks the machine to call home. A tenant's user data wins over it: one that
// sets phone_home itself, or disables vendor data, is not heard from.
func (s Seed) vendorData() vendorData {
	if s.CallHomeURL == "" {
		return vendorData{}
	}
	return vendorData{PhoneHome: &phoneHome{
		URL:   s.CallHomeURL,
		Post:  []string{"pub_key_rsa", "pub_key_ecdsa", "pub_key_ed25519", "instance_id", "hostname", "fqdn"},
		Tries: 10,
	}}
}
