package nocloud_test

import (
	"errors"
	"net/netip"
	"testing"

	"ferrodur/bootsvc/nocloud"
)

func seed() nocloud.Seed {
	return nocloud.Seed{
		InstanceID: "o-1", Hostname: "web1", MAC: "52:54:00:00:00:01",
		IPv4:        nocloud.Link{Address: netip.MustParsePrefix("203.0.113.1/31"), Gateway: netip.MustParseAddr("203.0.113.0")},
		IPv6:        nocloud.Link{Address: netip.MustParsePrefix("2001:db8::1/127"), Gateway: netip.MustParseAddr("2001:db8::")},
		Others:      []nocloud.NIC{{MAC: "52:54:00:00:00:02", IPv4: netip.MustParsePrefix("203.0.113.3/31")}},
		DNS:         []netip.Addr{netip.MustParseAddr("192.0.2.53")},
		SSHKeys:     []string{"ssh-ed25519 AAAA me: #1"},
		CallHomeURL: "http://192.0.2.1:8080/call-home/T",
	}
}

func TestFiles(t *testing.T) {
	files, err := seed().Files()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		nocloud.MetaData: `instance-id: o-1
local-hostname: web1
public-keys:
  - 'ssh-ed25519 AAAA me: #1'
`,
		nocloud.NetworkConfig: `version: 2
ethernets:
  eth0:
    match:
      macaddress: "52:54:00:00:00:01"
    set-name: eth0
    addresses:
      - 203.0.113.1/31
      - 2001:db8::1/127
    gateway4: 203.0.113.0
    gateway6: '2001:db8::'
    nameservers:
      addresses:
        - 192.0.2.53
  eth1:
    match:
      macaddress: "52:54:00:00:00:02"
    set-name: eth1
    addresses:
      - 203.0.113.3/31
`,
		nocloud.UserData: "#cloud-config\n{}\n",
		nocloud.VendorData: `#cloud-config
phone_home:
  url: http://192.0.2.1:8080/call-home/T
  post:
    - pub_key_rsa
    - pub_key_ecdsa
    - pub_key_ed25519
    - instance_id
    - hostname
    - fqdn
  tries: 14400
`,
	}
	for name, text := range want {
		if files[name] != text {
			t.Errorf("%s is\n%s\nwant\n%s", name, files[name], text)
		}
	}
	if len(files) != len(want) {
		t.Errorf("%d files, want %d", len(files), len(want))
	}
}

func TestBondWithVLANs(t *testing.T) {
	s := seed()
	s.Others, s.Bonded = nil, []string{"52:54:00:00:00:02"}
	s.VLANs = []nocloud.VLAN{{ID: 300, IPv4: netip.MustParsePrefix("198.51.100.9/24")}, {ID: 301}}
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	const want = `version: 2
ethernets:
  eth0:
    match:
      macaddress: "52:54:00:00:00:01"
    set-name: eth0
  eth1:
    match:
      macaddress: "52:54:00:00:00:02"
    set-name: eth1
bonds:
  bond0:
    interfaces:
      - eth0
      - eth1
    macaddress: "52:54:00:00:00:01"
    parameters:
      mode: 802.3ad
      mii-monitor-interval: 100
      lacp-rate: fast
      transmit-hash-policy: layer3+4
    addresses:
      - 203.0.113.1/31
      - 2001:db8::1/127
    gateway4: 203.0.113.0
    gateway6: '2001:db8::'
    nameservers:
      addresses:
        - 192.0.2.53
vlans:
  bond0.300:
    id: 300
    link: bond0
    addresses:
      - 198.51.100.9/24
  bond0.301:
    id: 301
    link: bond0
`
	if got := files[nocloud.NetworkConfig]; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestUserDataIsNotTouched(t *testing.T) {
	s := seed()
	s.UserData = []byte("#!/bin/sh\necho \"$HOME\"")
	files, err := s.Files()
	if err != nil || files[nocloud.UserData] != string(s.UserData) {
		t.Errorf("user data %q, %v", files[nocloud.UserData], err)
	}
}

func TestInvalidSeeds(t *testing.T) {
	for name, spoil := range map[string]func(*nocloud.Seed){
		"no hostname":      func(s *nocloud.Seed) { s.Hostname = "" },
		"bad MAC":          func(s *nocloud.Seed) { s.MAC = "eth0" },
		"no address":       func(s *nocloud.Seed) { s.IPv4, s.IPv6 = nocloud.Link{}, nocloud.Link{} },
		"families swapped": func(s *nocloud.Seed) { s.IPv4, s.IPv6 = s.IPv6, s.IPv4 },
		"foreign gateway":  func(s *nocloud.Seed) { s.IPv4.Gateway = netip.MustParseAddr("203.0.113.2") },
		"own gateway":      func(s *nocloud.Seed) { s.IPv4.Gateway = s.IPv4.Address.Addr() },
		"two-line key":     func(s *nocloud.Seed) { s.SSHKeys = []string{"a\nb"} },
		"bond of others":   func(s *nocloud.Seed) { s.Bonded = []string{"52:54:00:00:00:02"} },
		"bond of no MAC":   func(s *nocloud.Seed) { s.Others, s.Bonded = nil, []string{"eth1"} },
		"reserved VLAN":    func(s *nocloud.Seed) { s.VLANs = []nocloud.VLAN{{ID: 4095}} },
	} {
		t.Run(name, func(t *testing.T) {
			s := seed()
			spoil(&s)
			if _, err := s.Files(); !errors.Is(err, nocloud.ErrInvalidSeed) {
				t.Errorf("error %v", err)
			}
		})
	}
}
