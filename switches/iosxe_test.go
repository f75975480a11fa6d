package switches

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// iosxeRunning is what IOS-XE shows of routed ports, of a member of a group, and of what
// others have configured. One access list is as releases before 16.12 show it.
const iosxeRunning = `Building configuration...

Current configuration : 4321 bytes
!
! Last configuration change at 10:00:00 UTC Mon Nov 23 2026 by operator
!
version 17.9
hostname sw1
!
vrf definition red
 rd 65000:1
 !
 address-family ipv4
 exit-address-family
!
interface Port-channel7
 description ferrodur tenant ams1-r1-s2
 switchport mode access
 no port-channel standalone-disable
!
interface GigabitEthernet1/0/1
 description ferrodur tenant ams1-r1-s1 instance/o-42
 no switchport
 mtu 9000
 load-interval 30
 vrf forwarding red
 ip address 198.51.100.10 255.255.255.254
 ip access-group ferrodur-GigabitEthernet1-0-1-filter4 in
 ipv6 address 2001:DB8:0:10::/127
 ipv6 nd ra suppress all
 ipv6 traffic-filter ferrodur-GigabitEthernet1-0-1-filter6 in
!
interface GigabitEthernet1/0/2
 description ferrodur tenant ams1-r1-s2
 switchport mode access
 channel-group 7 mode active
!
interface GigabitEthernet1/0/3
 no switchport
 no ip address
 shutdown
!
router bgp 65000
 bgp log-neighbor-changes
 neighbor 198.51.100.11 remote-as 65099
 neighbor 198.51.100.11 description of another VRF
 !
 address-family ipv4
  neighbor 198.51.100.11 activate
 exit-address-family
 !
 address-family ipv4 vrf red
  neighbor 198.51.100.11 remote-as 65010
  neighbor 198.51.100.11 description ferrodur GigabitEthernet1/0/1
  neighbor 198.51.100.11 password 7 0A0B0C
  neighbor 198.51.100.11 activate
  neighbor 198.51.100.11 default-originate
  neighbor 198.51.100.11 prefix-list ferrodur-GigabitEthernet1-0-1-in4 in
  neighbor 198.51.100.11 prefix-list ferrodur-GigabitEthernet1-0-1-out4 out
  neighbor 198.51.100.11 maximum-prefix 10
 exit-address-family
 !
 address-family ipv6 vrf red
  neighbor 2001:DB8:0:10::1 remote-as 65010
  neighbor 2001:DB8:0:10::1 description ferrodur GigabitEthernet1/0/1
  neighbor 2001:DB8:0:10::1 password 7 0A0B0C
  neighbor 2001:DB8:0:10::1 activate
  neighbor 2001:DB8:0:10::1 default-originate
  neighbor 2001:DB8:0:10::1 prefix-list ferrodur-GigabitEthernet1-0-1-in6 in
  neighbor 2001:DB8:0:10::1 prefix-list ferrodur-GigabitEthernet1-0-1-out6 out
  neighbor 2001:DB8:0:10::1 maximum-prefix 10
 exit-address-family
!
ip route 203.0.113.128 255.255.255.128 Null0
ip route vrf red 203.0.113.64 255.255.255.240 198.51.100.11 name ferrodur-GigabitEthernet1-0-1
ip access-list extended ferrodur-GigabitEthernet1-0-1-filter4
 permit udp any eq bootpc any eq bootps
 permit ip host 198.51.100.11 192.0.2.64 0.0.0.15
 permit ip 203.0.113.0 0.0.0.63 192.0.2.64 0.0.0.15
 permit ip 203.0.113.64 0.0.0.15 192.0.2.64 0.0.0.15
!
ip prefix-list ferrodur-GigabitEthernet1-0-1-in4 seq 5 permit 203.0.113.0/26 le 32
ip prefix-list ferrodur-GigabitEthernet1-0-1-in4 seq 100000 deny 0.0.0.0/0 le 32
!
ip prefix-list ferrodur-GigabitEthernet1-0-1-out4 seq 5 permit 0.0.0.0/0
ipv6 prefix-list ferrodur-GigabitEthernet1-0-1-in6 seq 100000 deny ::/0 le 128
!
ipv6 prefix-list ferrodur-GigabitEthernet1-0-1-out6 seq 5 permit ::/0
ipv6 access-list ferrodur-GigabitEthernet1-0-1-filter6
 sequence 10 permit ipv6 FE80::/10 any
end
`

func TestParseIOSXE(t *testing.T) {
	all, err := iosxe{}.read(iosxeRunning)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		port    string
		foreign []statement
		intent  Intent
	}{
		{"GigabitEthernet1/0/1", []statement{"interface GigabitEthernet1/0/1\nload-interval 30"}, Intent{
			Port: "GigabitEthernet1/0/1", Profile: Tenant, Description: "ams1-r1-s1 instance/o-42", MTU: 9000, VRF: "red",
			Addresses: parse("198.51.100.10/31", "2001:db8:0:10::/127"), Behind: parse("203.0.113.64/28"), SourceFilter: true, Reach: parse("192.0.2.64/28"),
			BGP: &BGP{ASN: 65010, Password: Hidden, Accept: parse("203.0.113.0/26"), MaxPrefixes: 10},
		}},
		{"GigabitEthernet1/0/2", nil, Intent{
			Port: "GigabitEthernet1/0/2", Profile: Tenant, Description: "ams1-r1-s2", VLANs: &VLANs{Untagged: 1}, Bond: &Bond{Group: 7, Fallback: true},
		}},
		{"GigabitEthernet1/0/3", nil, Intent{Port: "GigabitEthernet1/0/3"}},
	} {
		got := iosxe{}.section(all, test.port)
		if !slices.Equal(got.foreign, test.foreign) {
			t.Errorf("%s: foreign are %q", test.port, got.foreign)
		}
		if intent := got.intent(iosxe{}, Device{ASN: 65000}, test.port); !reflect.DeepEqual(intent, test.intent) {
			t.Errorf("%s: got %+v, want %+v", test.port, intent, test.intent)
		}
	}
	part, _, _ := strings.Cut(iosxeRunning, "router bgp")
	if _, err := (iosxe{}).read(part); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a part: got %v, want ErrUnreadable", err)
	}
}

func TestEditIOSXE(t *testing.T) {
	quarantine := Intent{Port: "GigabitEthernet1/0/1", Profile: Quarantine, Description: "s1"}
	tenant := Intent{
		Port: "GigabitEthernet1/0/1", Profile: Tenant, Description: "s1", Addresses: parse("203.0.113.0/31", "2001:db8::/127"), Advertise: true,
		Behind: parse("192.0.2.64/28"), Reach: parse("192.0.2.0/28"),
	}
	open := tenant
	open.Reach = nil
	speaker := open
	speaker.BGP = &BGP{ASN: 65010, Password: "correct-horse", Accept: parse("192.0.2.64/28"), MaxPrefixes: 10}
	other := speaker
	other.BGP = &BGP{ASN: 65011, Password: "correct-horse", Accept: parse("192.0.2.64/28"), MaxPrefixes: 20}
	for _, test := range []struct {
		name     string
		from, to Intent
		want     []string
	}{
		{"quarantine to tenant", quarantine, tenant, []string{
			"interface GigabitEthernet1/0/1", "no description", "exit",
			"ip access-list extended ferrodur-GigabitEthernet1-0-1-filter4",
			"permit udp any eq bootpc any eq bootps", "permit ip any 192.0.2.0 0.0.0.15", "exit",
			"ipv6 access-list ferrodur-GigabitEthernet1-0-1-filter6", "permit ipv6 fe80::/10 any", "exit",
			"interface GigabitEthernet1/0/1", "description ferrodur tenant s1", "no switchport", "ip address 203.0.113.0 255.255.255.254", "ipv6 address 2001:db8::/127",
			"ip access-group ferrodur-GigabitEthernet1-0-1-filter4 in", "ipv6 traffic-filter ferrodur-GigabitEthernet1-0-1-filter6 in", "exit",
			"ip route 192.0.2.64 255.255.255.240 203.0.113.1 name ferrodur-GigabitEthernet1-0-1",
			"interface GigabitEthernet1/0/1", "no shutdown", "exit",
		}},
		{"tenant to speaker", open, speaker, []string{
			"ip prefix-list ferrodur-GigabitEthernet1-0-1-in4 seq 5 permit 192.0.2.64/28 le 32",
			"ip prefix-list ferrodur-GigabitEthernet1-0-1-in4 seq 100000 deny 0.0.0.0/0 le 32",
			"ip prefix-list ferrodur-GigabitEthernet1-0-1-out4 seq 5 permit 0.0.0.0/0",
			"ipv6 prefix-list ferrodur-GigabitEthernet1-0-1-in6 seq 100000 deny ::/0 le 128",
			"ipv6 prefix-list ferrodur-GigabitEthernet1-0-1-out6 seq 5 permit ::/0",
			"router bgp 65000", "neighbor 203.0.113.1 remote-as 65010", "neighbor 203.0.113.1 shutdown",
			"neighbor 203.0.113.1 description ferrodur GigabitEthernet1/0/1", "neighbor 203.0.113.1 password <hidden>",
			"neighbor 2001:db8::1 remote-as 65010", "address-family ipv4", "no neighbor 2001:db8::1 activate", "exit", "neighbor 2001:db8::1 shutdown",
			"neighbor 2001:db8::1 description ferrodur GigabitEthernet1/0/1", "neighbor 2001:db8::1 password <hidden>",
			"address-family ipv4", "neighbor 203.0.113.1 activate", "neighbor 203.0.113.1 default-originate",
			"neighbor 203.0.113.1 prefix-list ferrodur-GigabitEthernet1-0-1-in4 in", "neighbor 203.0.113.1 prefix-list ferrodur-GigabitEthernet1-0-1-out4 out",
			"neighbor 203.0.113.1 maximum-prefix 10", "exit",
			"address-family ipv6", "neighbor 2001:db8::1 activate", "neighbor 2001:db8::1 default-originate",
			"neighbor 2001:db8::1 prefix-list ferrodur-GigabitEthernet1-0-1-in6 in", "neighbor 2001:db8::1 prefix-list ferrodur-GigabitEthernet1-0-1-out6 out",
			"neighbor 2001:db8::1 maximum-prefix 10", "exit", "no neighbor 203.0.113.1 shutdown", "no neighbor 2001:db8::1 shutdown", "exit",
		}},
		{"speaker to tenant", speaker, open, []string{
			"router bgp 65000", "no neighbor 203.0.113.1", "no neighbor 2001:db8::1", "exit",
			"no ipv6 prefix-list ferrodur-GigabitEthernet1-0-1-out6 seq 5 permit ::/0",
			"no ipv6 prefix-list ferrodur-GigabitEthernet1-0-1-in6 seq 100000 deny ::/0 le 128",
			"no ip prefix-list ferrodur-GigabitEthernet1-0-1-out4 seq 5 permit 0.0.0.0/0",
			"no ip prefix-list ferrodur-GigabitEthernet1-0-1-in4 seq 100000 deny 0.0.0.0/0 le 32",
			"no ip prefix-list ferrodur-GigabitEthernet1-0-1-in4 seq 5 permit 192.0.2.64/28 le 32",
		}},
		{"another host", speaker, other, []string{
			"router bgp 65000", "neighbor 203.0.113.1 remote-as 65011", "neighbor 2001:db8::1 remote-as 65011", "address-family ipv4",
			"no neighbor 2001:db8::1 activate", "exit", "address-family ipv4", "neighbor 203.0.113.1 maximum-prefix 20", "exit",
			"address-family ipv6", "neighbor 2001:db8::1 maximum-prefix 20", "exit", "exit",
		}},
	} {
		t.Run(test.name, func(t *testing.T) { wantEdit(t, iosxe{}, test.from, test.to, test.want) })
	}
}

func TestIOSXELacks(t *testing.T) {
	spanning := Intent{Port: "p", Profile: Tenant, VLANs: &VLANs{Untagged: 100}, Bond: &Bond{Group: 7, MultiChassis: true}}
	tagged := Intent{Port: "p", Profile: Tenant, VLANs: &VLANs{Tagged: []int{1, 100}}}
	small := Intent{Port: "p", Profile: Tenant, Addresses: parse("203.0.113.0/31"), MTU: 1400}
	for _, intent := range []Intent{spanning, tagged, small} {
		var unsupported *UnsupportedError
		if _, err := (iosxe{}).render(Device{}, intent); !errors.As(err, &unsupported) {
			t.Errorf("%+v: got %v, want an UnsupportedError", intent, err)
		}
	}
}

func TestIOSXERemarks(t *testing.T) {
	for answer, refused := range map[string]bool{
		"% Warning: use /31 mask on non point-to-point interface cautiously":                                 false,
		"% Interface GigabitEthernet1/0/1 IPv4 disabled and address(es) removed due to enabling VRF red":     false,
		"% Specify remote-as or peer-group commands first":                                                   true,
		"        ^\n% Invalid input detected at '^' marker.\n":                                               true,
		"Bad mask /31 for address 198.51.100.10":                                                             true,
		"BGP is already running; AS is 65001":                                                                true,
		"Command rejected (Port-channel7, Gi1/0/1): Either port is L2 and port-channel is L3, or vice-versa": true,
		"Enter configuration commands, one per line.  End with CNTL/Z.":                                      false,
	} {
		if got := (iosxe{}).refused(answer); got != refused {
			t.Errorf("%q: refused is %v", answer, got)
		}
	}
}

func TestMasks(t *testing.T) {
	for bits, want := range map[int][2]string{
		0: {"0.0.0.0", "255.255.255.255"}, 28: {"255.255.255.240", "0.0.0.15"}, 31: {"255.255.255.254", "0.0.0.1"}, 32: {"255.255.255.255", "0.0.0.0"},
	} {
		for i, wildcard := range []bool{false, true} {
			if got := maskText(bits, wildcard); got != want[i] {
				t.Errorf("/%d: got %q, want %q", bits, got, want[i])
			}
			if got, is := maskBits(want[i], wildcard); !is || got != bits {
				t.Errorf("%q: got %d", want[i], got)
			}
		}
	}
	for _, text := range []string{"255.0.255.0", "255.255.255.0/24", "::", ""} {
		if got, is := maskBits(text, false); is {
			t.Errorf("%q is taken for a mask of %d bits", text, got)
		}
	}
}
