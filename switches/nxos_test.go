package switches

import (
	"errors"
	"reflect"
	"slices"
	"testing"
)

// nxosRunning is what NX-OS 9.3 shows of a routed port, of the members of a group, and of
// what others have configured.
const nxosRunning = `
!Command: show running-config
!Running configuration last done at: Mon Nov 23 10:00:00 2026
!Time: Mon Nov 23 10:01:00 2026

version 9.3(10) Bios:version 05.45 
switchname sw1
feature bgp
feature lacp

ip prefix-list ferrodur-Ethernet1-1-in4 seq 5 permit 203.0.113.0/26 le 32 
ip prefix-list ferrodur-Ethernet1-1-in4 seq 100000 deny 0.0.0.0/0 le 32 
ip prefix-list ferrodur-Ethernet1-1-out4 seq 5 permit 0.0.0.0/0 
ipv6 prefix-list ferrodur-Ethernet1-1-out6 seq 5 permit 0::/0 
ipv6 prefix-list ferrodur-Ethernet1-1-in6 seq 100000 deny 0::/0 le 128 
ip prefix-list ferrodur-Ethernet1-1-1-in4 seq 5 permit 192.0.2.0/24 
ip access-list ferrodur-Ethernet1-1-filter4
  10 permit udp any eq bootpc any eq bootps 
  20 permit ip 198.51.100.11/32 any 
  30 permit ip 203.0.113.0/26 any 
  40 permit ip 203.0.113.64/28 any 
ipv6 access-list ferrodur-Ethernet1-1-filter6
  10 permit ipv6 fe80::/10 any 
  20 permit ipv6 2001:db8:0:10::1/128 any 
vrf context red
  ip route 203.0.113.64/28 198.51.100.11 name ferrodur-Ethernet1-1
  ip route 203.0.113.128/25 Null0
vrf context management
  ip route 0.0.0.0/0 192.0.2.1

interface Ethernet1/1
  description ferrodur tenant ams1-r1-s1 instance/o-42
  no switchport
  mtu 9000
  load-interval counter 1 60
  vrf member red
  ip access-group ferrodur-Ethernet1-1-filter4 in
  ipv6 traffic-filter ferrodur-Ethernet1-1-filter6 in
  ip address 198.51.100.10/31
  ipv6 address 2001:DB8:0:10::/127
  ipv6 nd suppress-ra
  no shutdown

interface Ethernet1/2
  description ferrodur tenant ams1-r1-s2
  switchport mode trunk
  switchport trunk allowed vlan 1,100-102
  switchport trunk allowed vlan add 300
  channel-group 7 mode active

interface Ethernet1/3
  no switchport

interface Ethernet1/4
  description to be cabled
  shutdown

interface port-channel7
  description ferrodur tenant ams1-r1-s2
  switchport mode trunk
  switchport trunk allowed vlan 1,100-102
  switchport trunk allowed vlan add 300
  no lacp suspend-individual
  vpc 7

router bgp 65000
  address-family ipv4 unicast
  neighbor 198.51.100.11
    remote-as 65099
    description of another VRF
  vrf red
    address-family ipv4 unicast
    neighbor 198.51.100.11
      remote-as 4200000010
      description ferrodur Ethernet1/1
      password 3 0a0b0c0d0e0f
      address-family ipv4 unicast
        default-originate
        prefix-list ferrodur-Ethernet1-1-in4 in
        prefix-list ferrodur-Ethernet1-1-out4 out
        maximum-prefix 10
    neighbor 2001:db8:0:10::1
      remote-as 4200000010
      description ferrodur Ethernet1/1
      password 3 0a0b0c0d0e0f
      address-family ipv6 unicast
        default-originate
        prefix-list ferrodur-Ethernet1-1-in6 in
        prefix-list ferrodur-Ethernet1-1-out6 out
        maximum-prefix 10
`

func TestParseNXOS(t *testing.T) {
	all, err := nxos{}.read(nxosRunning)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		port    string
		foreign []statement
		intent  Intent
	}{
		{"Ethernet1/1", []statement{"interface Ethernet1/1\nload-interval counter 1 60"}, Intent{
			Port: "Ethernet1/1", Profile: Tenant, Description: "ams1-r1-s1 instance/o-42", MTU: 9000, VRF: "red",
			Addresses: parse("198.51.100.10/31", "2001:db8:0:10::/127"), Behind: parse("203.0.113.64/28"), SourceFilter: true,
			BGP: &BGP{ASN: 4200000010, Password: Hidden, Accept: parse("203.0.113.0/26"), MaxPrefixes: 10},
		}},
		{"Ethernet1/2", nil, Intent{
			Port: "Ethernet1/2", Profile: Tenant, Description: "ams1-r1-s2",
			VLANs: &VLANs{Untagged: 1, Tagged: []int{100, 101, 102, 300}}, Bond: &Bond{Group: 7, Fallback: true, MultiChassis: true},
		}},
		{"Ethernet1/3", nil, Intent{Port: "Ethernet1/3"}},
		{"Ethernet1/4", nil, Intent{Port: "Ethernet1/4", Description: "to be cabled"}},
	} {
		got := nxos{}.section(all, test.port)
		if !slices.Equal(got.foreign, test.foreign) {
			t.Errorf("%s: foreign are %q", test.port, got.foreign)
		}
		if intent := got.intent(nxos{}, Device{ASN: 65000}, test.port); !reflect.DeepEqual(intent, test.intent) {
			t.Errorf("%s: got %+v, want %+v", test.port, intent, test.intent)
		}
	}
	shut := under("interface Ethernet1/3", "shutdown")
	if !slices.Contains(nxos{}.section(all, "Ethernet1/3").owned, shut) {
		t.Error("a routed port that does not say otherwise is not taken for shut")
	}
}

func TestParseNXOSOfAPart(t *testing.T) {
	if _, err := (nxos{}).read(nxosRunning[200:]); !errors.Is(err, ErrUnreadable) {
		t.Errorf("got %v, want ErrUnreadable", err)
	}
}

func TestEditNXOS(t *testing.T) {
	quarantine := Intent{Port: "Ethernet1/1", Profile: Quarantine, Description: "s1"}
	tenant := Intent{Port: "Ethernet1/1", Profile: Tenant, Description: "s1", Addresses: parse("203.0.113.0/31"), VRF: "red", Behind: parse("192.0.2.64/28")}
	speaker := tenant
	speaker.BGP = &BGP{ASN: 65010, Password: "correct-horse", Accept: parse("192.0.2.64/28"), MaxPrefixes: 10}
	other := speaker
	other.BGP = &BGP{ASN: 65011, Accept: parse("192.0.2.64/28"), MaxPrefixes: 10}
	bond := Intent{Port: "Ethernet1/1", Profile: Tenant, Description: "s1", VLANs: &VLANs{Untagged: 100}, Bond: &Bond{Group: 7, Fallback: true}}
	access := Intent{Port: "Ethernet1/1", Profile: Tenant, Description: "s1", VLANs: &VLANs{Untagged: 100}}
	trunk := Intent{Port: "Ethernet1/1", Profile: Tenant, Description: "s1", VLANs: &VLANs{Tagged: []int{100, 101}}}
	for _, test := range []struct {
		name     string
		from, to Intent
		want     []string
	}{
		{"quarantine to tenant in a VRF", quarantine, tenant, []string{
			"interface Ethernet1/1", "no description", "exit",
			"interface Ethernet1/1", "description ferrodur tenant s1", "no switchport", "vrf member red", "ip address 203.0.113.0/31", "exit",
			"vrf context red", "ip route 192.0.2.64/28 203.0.113.1 name ferrodur-Ethernet1-1", "exit",
			"interface Ethernet1/1", "no shutdown", "exit",
		}},
		{"tenant to speaker", tenant, speaker, []string{
			"ip prefix-list ferrodur-Ethernet1-1-in4 seq 5 permit 192.0.2.64/28 le 32",
			"ip prefix-list ferrodur-Ethernet1-1-in4 seq 100000 deny 0.0.0.0/0 le 32",
			"ip prefix-list ferrodur-Ethernet1-1-out4 seq 5 permit 0.0.0.0/0",
			"router bgp 65000", "vrf red", "neighbor 203.0.113.1", "shutdown", "description ferrodur Ethernet1/1", "remote-as 65010", "password <hidden>",
			"address-family ipv4 unicast", "prefix-list ferrodur-Ethernet1-1-in4 in", "prefix-list ferrodur-Ethernet1-1-out4 out", "default-originate", "maximum-prefix 10", "exit",
			"no shutdown", "exit", "exit", "exit",
		}},
		{"another host", speaker, other, []string{"router bgp 65000", "vrf red", "neighbor 203.0.113.1", "no password", "remote-as 65011", "exit", "exit", "exit"}},
		{"no speaker any more", other, tenant, []string{
			"router bgp 65000", "vrf red", "no neighbor 203.0.113.1", "exit", "exit",
			"no ip prefix-list ferrodur-Ethernet1-1-out4 seq 5 permit 0.0.0.0/0",
			"no ip prefix-list ferrodur-Ethernet1-1-in4 seq 100000 deny 0.0.0.0/0 le 32",
			"no ip prefix-list ferrodur-Ethernet1-1-in4 seq 5 permit 192.0.2.64/28 le 32",
		}},
		{"access to trunk", access, trunk, []string{ // never with all VLANs
			"interface Ethernet1/1", "shutdown", "no switchport access vlan", "no description", "exit",
			"interface Ethernet1/1", "description ferrodur tenant s1", "switchport trunk allowed vlan 100-101", "switchport mode trunk", "no shutdown", "exit",
		}},
		{"into a group", quarantine, bond, []string{
			"interface Ethernet1/1", "no description", "exit",
			"interface port-channel7", "description ferrodur tenant s1", "shutdown", "no lacp suspend-individual", "no shutdown", "switchport access vlan 100", "exit",
			"interface Ethernet1/1", "description ferrodur tenant s1", "switchport access vlan 100", "channel-group 7 force mode active", "no shutdown", "exit",
		}},
		{"out of a group", bond, quarantine, []string{
			"interface Ethernet1/1", "shutdown", "no channel-group",
			"switchport", "no switchport mode", "no switchport access vlan", "no switchport trunk native vlan", "no switchport trunk allowed vlan", "no mtu",
			"no description", "exit", "no interface port-channel7", "interface Ethernet1/1", "description ferrodur quarantine s1", "exit",
		}},
	} {
		t.Run(test.name, func(t *testing.T) { wantEdit(t, nxos{}, test.from, test.to, test.want) })
	}
}

func TestNXOSLacks(t *testing.T) {
	routed := Intent{Port: "Ethernet1/1", Profile: Tenant, Addresses: parse("203.0.113.0/31"), Bond: &Bond{Group: 7, MultiChassis: true}}
	tagged := Intent{Port: "Ethernet1/1", Profile: Tenant, VLANs: &VLANs{Tagged: []int{1, 100}}}
	jumbo := Intent{Port: "Ethernet1/1", Profile: Tenant, VLANs: &VLANs{Untagged: 100}, MTU: 9000}
	odd := Intent{Port: "Ethernet1/1", Profile: Tenant, Addresses: parse("203.0.113.0/31"), MTU: 9001}
	for _, intent := range []Intent{routed, tagged, jumbo, odd} {
		var unsupported *UnsupportedError
		if _, err := (nxos{}).render(Device{}, intent); !errors.As(err, &unsupported) {
			t.Errorf("%+v: got %v, want an UnsupportedError", intent, err)
		}
	}
}

// Where switched ports are shut by default, those are shut that nothing is shown of.
func TestNXOSShutByDefault(t *testing.T) {
	text := "!Command: show running-config\n\nversion 10.3(4)\nsystem default switchport shutdown\n\ninterface Ethernet1/1\n\ninterface Ethernet1/2\n  no shutdown\n\ninterface Ethernet1/3\n  no switchport\n  no shutdown\n"
	all, err := nxos{}.read(text)
	if err != nil {
		t.Fatal(err)
	}
	for port, shut := range map[statement]bool{"interface Ethernet1/1": true, "interface Ethernet1/2": false, "interface Ethernet1/3": false} {
		if got := slices.Contains(all, port.with("shutdown")); got != shut {
			t.Errorf("%s is shut: %t, want %t", port, got, shut)
		}
	}
}
