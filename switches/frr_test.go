package switches

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// running is what FRR 8.4.4 shows, with lines that its other daemons put on an interface.
const running = `Building configuration...

Current configuration:
!
frr version 8.4.4
frr defaults traditional
hostname sw1
service integrated-vtysh-config
!
ip route 203.0.113.128/25 blackhole
!
interface swp1
 bandwidth 12345
 description ferrodur provisioning ams1-r1-s1 instance/o-42
 ip address 198.51.100.0/31
 ipv6 address 2001:db8:0:1::/127
 ipv6 nd ra-interval 3
 no ipv6 nd suppress-ra
 link-params
  enable
  shutdown
 exit-link-params
exit
!
interface swp10 vrf red
 description uplink to sp1
 ip address 198.51.100.66/24 label spare
exit
!
interface swp1
 ip ospf area 0
exit
!
end
`

func TestParseFRR(t *testing.T) {
	for _, test := range []struct {
		port           string
		owned, foreign []statement
		intent         Intent
	}{
		{"swp1",
			[]statement{
				"interface swp1\ndescription ferrodur provisioning ams1-r1-s1 instance/o-42",
				"interface swp1\nip address 198.51.100.0/31",
				"interface swp1\nipv6 address 2001:db8:0:1::/127",
				"interface swp1\nipv6 nd ra-interval 3",
				"interface swp1\nno ipv6 nd suppress-ra",
			},
			[]statement{
				"interface swp1\nbandwidth 12345", "interface swp1\nlink-params", "interface swp1\nlink-params\nenable",
				"interface swp1\nlink-params\nshutdown", "interface swp1\nip ospf area 0",
			},
			Intent{
				Port: "swp1", Profile: Provisioning, Description: "ams1-r1-s1 instance/o-42",
				Addresses: parse("198.51.100.0/31", "2001:db8:0:1::/127"), Advertise: true,
			}},
		{"swp10",
			[]statement{"interface swp10\ndescription uplink to sp1", "interface swp10\nip address 198.51.100.66/24 label spare"}, nil,
			Intent{Port: "swp10", Description: "uplink to sp1"}},
		{"swp2", nil, nil, Intent{Port: "swp2"}},
	} {
		all, err := frr{}.read(running)
		if err != nil {
			t.Fatal(err)
		}
		got := frr{}.section(all, test.port)
		if !slices.Equal(got.owned, test.owned) || !slices.Equal(got.foreign, test.foreign) {
			t.Errorf("%s: got %q and foreign %q", test.port, got.owned, got.foreign)
		}
		if intent := got.intent(frr{}, Device{}, test.port); !reflect.DeepEqual(intent, test.intent) {
			t.Errorf("%s: got %+v, want %+v", test.port, intent, test.intent)
		}
	}
}

func TestParseFRROfAPart(t *testing.T) {
	part, _, _ := strings.Cut(running, " link-params")
	if _, err := (frr{}).read(part); !errors.Is(err, ErrUnreadable) {
		t.Errorf("got %v, want ErrUnreadable", err)
	}
}

func TestEditFRR(t *testing.T) {
	provisioning := Intent{Port: "swp1", Profile: Provisioning, Description: "s1", Addresses: parse("198.51.100.0/31", "2001:db8::/127"), Advertise: true}
	tenant := Intent{Port: "swp1", Profile: Tenant, Description: "s1 instance/o-42", Addresses: parse("203.0.113.0/31", "2001:db8::/127")}
	quarantine := Intent{Port: "swp1", Profile: Quarantine, Description: "s1"}
	customer := tenant
	customer.Behind = parse("192.0.2.64/28", "2001:db8:8000::/56")
	other := tenant
	other.Behind = parse("192.0.2.64/28", "192.0.2.80/28")
	speaker := tenant
	speaker.BGP = &BGP{ASN: 65010, Password: "correct-horse", Accept: parse("192.0.2.64/28"), MaxPrefixes: 10}
	renumbered := speaker
	renumbered.BGP = &BGP{ASN: 65011, Password: "correct-horse", Accept: parse("192.0.2.64/28"), MaxPrefixes: 20}
	moved := speaker
	moved.BGP = &BGP{ASN: 65010, Password: "correct-horse", Accept: parse("192.0.2.80/28"), MaxPrefixes: 10}
	for _, test := range []struct {
		name     string
		from, to Intent
		want     []string
	}{
		{"provisioning to tenant", provisioning, tenant, []string{
			"interface swp1",
			"no ipv6 nd ra-interval 3",
			"ipv6 nd suppress-ra",
			"no ip address 198.51.100.0/31",
			"description ferrodur tenant s1 instance/o-42",
			"ip address 203.0.113.0/31",
			"exit",
		}},
		{"tenant to quarantine", tenant, quarantine, []string{
			"interface swp1",
			"shutdown",
			"no ipv6 address 2001:db8::/127",
			"no ip address 203.0.113.0/31",
			"description ferrodur quarantine s1",
			"exit",
		}},
		{"quarantine to provisioning", quarantine, provisioning, []string{
			"interface swp1",
			"description ferrodur provisioning s1",
			"ip address 198.51.100.0/31",
			"ipv6 address 2001:db8::/127",
			"no ipv6 nd suppress-ra",
			"ipv6 nd ra-interval 3",
			"no shutdown",
			"exit",
		}},
		{"quarantine to a customer", quarantine, customer, []string{
			"interface swp1",
			"description ferrodur tenant s1 instance/o-42",
			"ip address 203.0.113.0/31",
			"ipv6 address 2001:db8::/127",
			"exit",
			"ip route 192.0.2.64/28 203.0.113.1 swp1",
			"ipv6 route 2001:db8:8000::/56 2001:db8::1 swp1",
			"interface swp1",
			"no shutdown",
			"exit",
		}},
		{"one block for another", customer, other, []string{
			"no ipv6 route 2001:db8:8000::/56 2001:db8::1 swp1",
			"ip route 192.0.2.80/28 203.0.113.1 swp1",
		}},
		{"customer to quarantine", customer, quarantine, []string{
			"interface swp1",
			"shutdown",
			"exit",
			"no ipv6 route 2001:db8:8000::/56 2001:db8::1 swp1",
			"no ip route 192.0.2.64/28 203.0.113.1 swp1",
			"interface swp1",
			"no ipv6 address 2001:db8::/127",
			"no ip address 203.0.113.0/31",
			"description ferrodur quarantine s1",
			"exit",
		}},
		{"tenant to a speaker of BGP", tenant, speaker, []string{
			"ip prefix-list ferrodur-swp1-in4 seq 5 permit 192.0.2.64/28 le 32",
			"ip prefix-list ferrodur-swp1-in4 seq 100000 deny 0.0.0.0/0 le 32",
			"ip prefix-list ferrodur-swp1-out4 seq 5 permit 0.0.0.0/0",
			"ipv6 prefix-list ferrodur-swp1-in6 seq 100000 deny ::/0 le 128",
			"ipv6 prefix-list ferrodur-swp1-out6 seq 5 permit ::/0",
			"router bgp 65000",
			"neighbor 203.0.113.1 remote-as 65010",
			"neighbor 203.0.113.1 shutdown",
			"neighbor 203.0.113.1 description ferrodur swp1",
			"neighbor 203.0.113.1 password <hidden>",
			"address-family ipv6 unicast",
			"no neighbor 203.0.113.1 activate",
			"exit",
			"address-family ipv4 unicast",
			"neighbor 203.0.113.1 default-originate",
			"neighbor 203.0.113.1 prefix-list ferrodur-swp1-in4 in",
			"neighbor 203.0.113.1 prefix-list ferrodur-swp1-out4 out",
			"neighbor 203.0.113.1 maximum-prefix 10",
			"neighbor 203.0.113.1 activate",
			"exit",
			"neighbor 2001:db8::1 remote-as 65010",
			"neighbor 2001:db8::1 shutdown",
			"neighbor 2001:db8::1 description ferrodur swp1",
			"neighbor 2001:db8::1 password <hidden>",
			"address-family ipv4 unicast",
			"no neighbor 2001:db8::1 activate",
			"exit",
			"address-family ipv6 unicast",
			"neighbor 2001:db8::1 default-originate",
			"neighbor 2001:db8::1 prefix-list ferrodur-swp1-in6 in",
			"neighbor 2001:db8::1 prefix-list ferrodur-swp1-out6 out",
			"neighbor 2001:db8::1 maximum-prefix 10",
			"neighbor 2001:db8::1 activate",
			"exit",
			"no neighbor 203.0.113.1 shutdown",
			"no neighbor 2001:db8::1 shutdown",
			"exit",
		}},
		{"a speaker of BGP to a tenant", speaker, tenant, []string{
			"router bgp 65000",
			"no neighbor 203.0.113.1",
			"no neighbor 2001:db8::1",
			"exit",
			"no ipv6 prefix-list ferrodur-swp1-out6 seq 5 permit ::/0",
			"no ipv6 prefix-list ferrodur-swp1-in6 seq 100000 deny ::/0 le 128",
			"no ip prefix-list ferrodur-swp1-out4 seq 5 permit 0.0.0.0/0",
			"no ip prefix-list ferrodur-swp1-in4 seq 100000 deny 0.0.0.0/0 le 32",
			"no ip prefix-list ferrodur-swp1-in4 seq 5 permit 192.0.2.64/28 le 32",
		}},
		{"other announcements", speaker, moved, []string{
			"router bgp 65000",
			"no neighbor 203.0.113.1 description ferrodur swp1",
			"exit",
			"no ip prefix-list ferrodur-swp1-in4 seq 5 permit 192.0.2.64/28 le 32",
			"ip prefix-list ferrodur-swp1-in4 seq 5 permit 192.0.2.80/28 le 32",
			"clear bgp ipv4 unicast 203.0.113.1 soft in",
			"router bgp 65000",
			"neighbor 203.0.113.1 description ferrodur swp1",
			"exit",
		}},
		{"another AS number, and more", speaker, renumbered, []string{
			"router bgp 65000",
			"neighbor 203.0.113.1 remote-as 65011",
			"address-family ipv4 unicast",
			"neighbor 203.0.113.1 maximum-prefix 20",
			"exit",
			"neighbor 2001:db8::1 remote-as 65011",
			"address-family ipv6 unicast",
			"neighbor 2001:db8::1 maximum-prefix 20",
			"exit",
			"exit",
		}},
	} {
		t.Run(test.name, func(t *testing.T) { wantEdit(t, frr{}, test.from, test.to, test.want) })
	}
}

// A session may have broken off before a list was made to count.
func TestEditFRRWithoutAMark(t *testing.T) {
	speaker := Intent{
		Port: "swp1", Profile: Tenant, Addresses: parse("203.0.113.0/31"), BGP: &BGP{ASN: 65010, Accept: parse("192.0.2.64/28"), MaxPrefixes: 10},
	}
	all, err := frr{}.render(Device{ASN: 65000}, speaker)
	if err != nil {
		t.Fatal(err)
	}
	have := without(all, []statement{under("router bgp 65000", "neighbor 203.0.113.1 description ferrodur swp1")})
	want := []string{"clear bgp ipv4 unicast 203.0.113.1 soft in", "router bgp 65000", "neighbor 203.0.113.1 description ferrodur swp1", "exit"}
	if got := (frr{}).edit("swp1", section{owned: have}, all); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A neighbour that somebody had shut is shut when it is put back.
func TestEditFRRBackToAShutNeighbour(t *testing.T) {
	want, err := frr{}.render(Device{ASN: 65000}, Intent{
		Port: "swp1", Profile: Tenant, Addresses: parse("203.0.113.0/31"), BGP: &BGP{ASN: 65010, Accept: parse("192.0.2.64/28"), MaxPrefixes: 10},
	})
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, under("router bgp 65000", "neighbor 203.0.113.1 shutdown"))
	if got := (frr{}).edit("swp1", section{}, want); slices.Contains(got, "no neighbor 203.0.113.1 shutdown") {
		t.Errorf("got %q", got)
	}
}

// The way back to a port without configuration takes the description, too.
func TestEditFRRBackToNothing(t *testing.T) {
	have, err := frr{}.render(Device{}, Intent{Port: "swp1", Profile: Quarantine, Description: "s1"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"interface swp1", "no description", "no shutdown", "exit"}
	if got := (frr{}).edit("swp1", section{owned: have}, nil); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A neighbour at the other end of a port's link is the port's, but not one of a VRF in which the
// same address is another host's, nor one beyond a network.
func TestBareNeighboursOfFRR(t *testing.T) {
	all, err := frr{}.read(`
interface swp1
 ip address 198.51.100.0/31
exit
interface swp2
 ip address 203.0.113.1/24
exit
router bgp 65000
 neighbor 198.51.100.1 remote-as 65010
 neighbor 203.0.113.0 remote-as 65010
exit
router bgp 65000 vrf red
 neighbor 198.51.100.1 remote-as 65010
exit
end
`)
	if err != nil {
		t.Fatal(err)
	}
	who := under("router bgp 65000", "neighbor 198.51.100.1")
	if found := frrNeighbours(all, "swp1"); len(found) != 1 || !found[who] {
		t.Errorf("of swp1: %v", found)
	}
	if found := frrNeighbours(all, "swp2"); len(found) != 0 {
		t.Errorf("of swp2: %v", found)
	}
}
