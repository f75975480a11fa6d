package switches

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// srlTenant is a port with a filter, routes and BGP in a VRF.
var srlTenant = Intent{
	Port: "ethernet-1/1", Profile: Tenant, Description: "s1", VRF: "red", SourceFilter: true, MTU: 9000,
	Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/31")}, Behind: []netip.Prefix{netip.MustParsePrefix("203.0.113.64/28")},
	BGP: &BGP{ASN: 65010, Password: "wrong-mule", Accept: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/26")}, MaxPrefixes: 12},
}

// What no entry of a filter matches SR Linux accepts, and of what a prefix set says of a
// prefix it takes the lengths at their word.
func TestSRLRenders(t *testing.T) {
	const want = `acl acl-filter ferrodur-ethernet-1-1-filter4 type ipv4 entry 10 match ipv4 protocol udp
acl acl-filter ferrodur-ethernet-1-1-filter4 type ipv4 entry 10 match transport source-port operator eq
acl acl-filter ferrodur-ethernet-1-1-filter4 type ipv4 entry 10 match transport source-port value 68
acl acl-filter ferrodur-ethernet-1-1-filter4 type ipv4 entry 10 match transport destination-port operator eq
acl acl-filter ferrodur-ethernet-1-1-filter4 type ipv4 entry 10 match transport destination-port value 67
acl acl-filter ferrodur-ethernet-1-1-filter4 type ipv4 entry 10 action accept
acl acl-filter ferrodur-ethernet-1-1-filter4 type ipv4 entry 20 match ipv4 source-ip prefix 198.51.100.1/32
acl acl-filter ferrodur-ethernet-1-1-filter4 type ipv4 entry 20 action accept
acl acl-filter ferrodur-ethernet-1-1-filter4 type ipv4 entry 30 match ipv4 source-ip prefix 203.0.113.0/26
acl acl-filter ferrodur-ethernet-1-1-filter4 type ipv4 entry 30 action accept
acl acl-filter ferrodur-ethernet-1-1-filter4 type ipv4 entry 40 match ipv4 source-ip prefix 203.0.113.64/28
acl acl-filter ferrodur-ethernet-1-1-filter4 type ipv4 entry 40 action accept
acl acl-filter ferrodur-ethernet-1-1-filter4 type ipv4 entry 65535 action drop
routing-policy prefix-set ferrodur-ethernet-1-1-in4 prefix 203.0.113.0/26 mask-length-range 26..32
routing-policy policy ferrodur-ethernet-1-1-in4 statement accept match prefix prefix-set ferrodur-ethernet-1-1-in4
routing-policy policy ferrodur-ethernet-1-1-in4 statement accept action policy-result accept
routing-policy policy ferrodur-ethernet-1-1-in4 default-action policy-result reject
routing-policy prefix-set ferrodur-ethernet-1-1-out4 prefix 0.0.0.0/0 mask-length-range exact
routing-policy policy ferrodur-ethernet-1-1-out4 statement accept match prefix prefix-set ferrodur-ethernet-1-1-out4
routing-policy policy ferrodur-ethernet-1-1-out4 statement accept action policy-result accept
routing-policy policy ferrodur-ethernet-1-1-out4 default-action policy-result reject
interface ethernet-1/1 description "ferrodur tenant s1"
interface ethernet-1/1 admin-state enable
interface ethernet-1/1 subinterface 0 ip-mtu 9000
interface ethernet-1/1 subinterface 0 ipv4 admin-state enable
interface ethernet-1/1 subinterface 0 ipv4 address 198.51.100.0/31
network-instance red interface ethernet-1/1.0
acl interface ethernet-1/1.0 interface-ref interface ethernet-1/1
acl interface ethernet-1/1.0 interface-ref subinterface 0
acl interface ethernet-1/1.0 input acl-filter ferrodur-ethernet-1-1-filter4 type ipv4
network-instance red next-hop-groups group ferrodur-ethernet-1-1-via4 nexthop 1 ip-address 198.51.100.1
network-instance red static-routes route 203.0.113.64/28 next-hop-group ferrodur-ethernet-1-1-via4
network-instance red protocols bgp group ferrodur-ethernet-1-1 peer-as 65010
network-instance red protocols bgp group ferrodur-ethernet-1-1 authentication password "<hidden>"
network-instance red protocols bgp neighbor 198.51.100.1 peer-group ferrodur-ethernet-1-1
network-instance red protocols bgp neighbor 198.51.100.1 import-policy [ ferrodur-ethernet-1-1-in4 ]
network-instance red protocols bgp neighbor 198.51.100.1 export-policy [ ferrodur-ethernet-1-1-out4 ]
network-instance red protocols bgp neighbor 198.51.100.1 send-default-route ipv4-unicast true
network-instance red protocols bgp neighbor 198.51.100.1 afi-safi ipv4-unicast admin-state enable
network-instance red protocols bgp neighbor 198.51.100.1 afi-safi ipv4-unicast ipv4-unicast prefix-limit-received max-received-routes 12
network-instance red protocols bgp neighbor 198.51.100.1 afi-safi ipv6-unicast admin-state disable`
	lines, err := srl{}.render(Device{ASN: 65000}, srlTenant)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range difference(lines, parseFlat("set / "+strings.ReplaceAll(want, "\n", "\nset / "), "set /")) {
		t.Error(line)
	}
}

// What others have configured on a port's other subinterfaces, and for the ports that it is
// broken out into, is none of it.
func TestSRLLeavesOthersAlone(t *testing.T) {
	const foreign = `set / interface ethernet-1/1 subinterface 5 ipv4 address 192.0.2.1/24
set / interface ethernet-1/1 subinterface 5 vlan encap single-tagged vlan-id 5
set / interface ethernet-1/1 subinterface 0 ipv4 address 192.0.2.5/24 primary
set / network-instance default interface ethernet-1/1.5 interface-ref interface ethernet-1/1
`
	const others = `set / acl acl-filter ferrodur-ethernet-1-1-2-filter4 type ipv4 entry 65535 action drop
set / interface ethernet-1/1/2 description "ferrodur tenant s2"
set / interface ethernet-1/11 description "ferrodur tenant s11"
set / network-instance default interface ethernet-1/1/2.0
set / system ssh-server mgmt admin-state enable
`
	all, err := srl{}.read("set / interface ethernet-1/1 admin-state disable\n" + foreign + others)
	if err != nil {
		t.Fatal(err)
	}
	found := srl{}.section(all, "ethernet-1/1")
	if len(found.owned) != 1 || len(difference(found.foreign, parseFlat(foreign, "set /"))) > 0 {
		t.Errorf("owned %q, foreign %q", found.owned, found.foreign)
	}
	commands := srl{}.edit("ethernet-1/1", found, nil)
	if want := []string{"delete / interface ethernet-1/1 admin-state"}; !slices.Equal(commands, want) {
		t.Errorf("got %q, want %q", commands, want)
	}
}

// A subinterface that someone has bridged is a VLAN's, whichever way.
func TestSRLTakesBridgesAway(t *testing.T) {
	all, err := srl{}.read(`set / interface ethernet-1/1
set / interface ethernet-1/1 subinterface 0
set / interface ethernet-1/1 subinterface 0 type bridged
set / network-instance lan interface ethernet-1/1.0
set / system ssh-server mgmt admin-state enable
`)
	if err != nil {
		t.Fatal(err)
	}
	commands := srl{}.edit("ethernet-1/1", srl{}.section(all, "ethernet-1/1"), nil)
	if want := []string{"delete / interface ethernet-1/1", "delete / network-instance lan interface ethernet-1/1.0"}; !slices.Equal(commands, want) {
		t.Errorf("got %q, want %q", commands, want)
	}
}

func TestSRLCannot(t *testing.T) {
	routed := Intent{Port: "ethernet-1/1", Profile: Provisioning, Addresses: srlTenant.Addresses}
	for n := byte(1); n <= 9; n++ {
		routed.Relay = append(routed.Relay, netip.AddrFrom4([4]byte{192, 0, 2, n}))
	}
	filtered := srlTenant
	filtered.Reach = nil
	for n := range 6600 / len(filtered.Sources()) * 2 {
		filtered.Reach = append(filtered.Reach, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 32))
	}
	bridged := func(i Intent) Intent {
		i.Port, i.Profile, i.VLANs = "ethernet-1/1", Tenant, &VLANs{Untagged: 100}
		return i
	}
	for what, intent := range map[string]Intent{
		"9 servers":         routed,
		"many entries":      filtered,
		"two switches":      bridged(Intent{Bond: &Bond{Group: 7, MultiChassis: true}}),
		"frames below 1500": bridged(Intent{MTU: 1485}),
	} {
		var unsupported *UnsupportedError
		if _, err := (srl{}).render(Device{ASN: 65000}, intent); !errors.As(err, &unsupported) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if _, err := (srl{}).render(Device{}, bridged(Intent{MTU: 1486})); err != nil {
		t.Error(err)
	}
}
