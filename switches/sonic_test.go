package switches

import (
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// A filter has a rule for each entry, and one that drops all else of its family: not ARP.
func TestSonicRenders(t *testing.T) {
	intent := Intent{
		Port: "Ethernet4", Profile: Tenant, Description: "s1", VRF: "red", MTU: 9000, SourceFilter: true,
		Addresses: parse("198.51.100.0/31", "2001:db8::/127"), Behind: parse("203.0.113.64/28"),
	}
	const want = `PORT|Ethernet4 description=ferrodur tenant s1
PORT|Ethernet4 admin_status=up
PORT|Ethernet4 mtu=9000
INTERFACE|Ethernet4 vrf_name=Vrfred
INTERFACE|Ethernet4|198.51.100.0/31
INTERFACE|Ethernet4|2001:db8::/127
STATIC_ROUTE|Vrfred|203.0.113.64/28 via=198.51.100.1 Ethernet4
ACL_TABLE_TYPE|FERRODUR_V4 MATCHES=IP_PROTOCOL
ACL_TABLE_TYPE|FERRODUR_V4 MATCHES=L4_SRC_PORT
ACL_TABLE_TYPE|FERRODUR_V4 MATCHES=L4_DST_PORT
ACL_TABLE_TYPE|FERRODUR_V4 MATCHES=IN_PORTS
ACL_TABLE_TYPE|FERRODUR_V4 MATCHES=IP_TYPE
ACL_TABLE_TYPE|FERRODUR_V4 MATCHES=SRC_IP
ACL_TABLE_TYPE|FERRODUR_V4 MATCHES=DST_IP
ACL_TABLE_TYPE|FERRODUR_V4 ACTIONS=PACKET_ACTION
ACL_TABLE_TYPE|FERRODUR_V4 BIND_POINTS=PORT
ACL_TABLE|FERRODUR_V4 policy_desc=ferrodur
ACL_TABLE|FERRODUR_V4 type=FERRODUR_V4
ACL_TABLE|FERRODUR_V4 stage=ingress
ACL_TABLE|FERRODUR_V4 ports=Ethernet4
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-c8307e39c3af IP_PROTOCOL=17
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-c8307e39c3af L4_SRC_PORT=68
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-c8307e39c3af L4_DST_PORT=67
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-c8307e39c3af PRIORITY=9999
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-c8307e39c3af PACKET_ACTION=FORWARD
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-c8307e39c3af IN_PORTS=Ethernet4
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-c8307e39c3af IP_TYPE=IPV4ANY
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-bc2cec52d144 SRC_IP=198.51.100.1/32
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-bc2cec52d144 PRIORITY=9999
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-bc2cec52d144 PACKET_ACTION=FORWARD
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-bc2cec52d144 IN_PORTS=Ethernet4
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-bc2cec52d144 IP_TYPE=IPV4ANY
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-f69d99e20571 SRC_IP=203.0.113.64/28
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-f69d99e20571 PRIORITY=9999
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-f69d99e20571 PACKET_ACTION=FORWARD
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-f69d99e20571 IN_PORTS=Ethernet4
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-f69d99e20571 IP_TYPE=IPV4ANY
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-rest PRIORITY=1
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-rest PACKET_ACTION=DROP
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-rest IN_PORTS=Ethernet4
ACL_RULE|FERRODUR_V4|ferrodur-Ethernet4-rest IP_TYPE=IPV4ANY`
	lines, err := sonic{}.render(Device{}, intent)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range lines {
		if text := strings.Replace(string(s), level, " ", 1); !strings.Contains(text, "FERRODUR_V6") {
			got = append(got, text)
		}
	}
	if all := strings.Join(got, "\n"); all != want {
		t.Errorf("got\n%s", all)
	}
	if !slices.Contains(lines, "ACL_RULE|FERRODUR_V6|ferrodur-Ethernet4-8a8d0dee1b62\nSRC_IPV6=fe80::/10") {
		t.Error("neighbour discovery is not let through")
	}
	if read := (sonic{}).parse("Ethernet4", lines); !read.Equal(intent) {
		t.Errorf("read back as %+v", read)
	}
}

func TestSonicSaysWhatItCannot(t *testing.T) {
	routed := Intent{Port: "Ethernet4", Profile: Tenant, Addresses: parse("198.51.100.0/31")}
	for what, change := range map[string]func(*Intent){
		"BGP":           func(i *Intent) { i.BGP = &BGP{ASN: 65010, Accept: parse("203.0.113.0/26"), MaxPrefixes: 1} },
		"relay":         func(i *Intent) { i.Relay = []netip.Addr{netip.MustParseAddr("192.0.2.1")} },
		"advertisement": func(i *Intent) { i.Advertise = true },
		"a bond's":      func(i *Intent) { i.Bond, i.SourceFilter = &Bond{Group: 7}, true },
		"spans":         func(i *Intent) { i.Bond = &Bond{Group: 7, MultiChassis: true} },
		"VLAN 1":        func(i *Intent) { i.Addresses, i.VLANs = nil, &VLANs{Untagged: 1} },
		"VRF":           func(i *Intent) { i.VRF = "thirteen-long" },
		"9100":          func(i *Intent) { i.MTU = 9100 },
	} {
		intent := routed
		change(&intent)
		var unsupported *UnsupportedError
		if _, err := (sonic{}).render(Device{}, intent); !errors.As(err, &unsupported) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// A filter may have more entries than there are priorities, for those that forward share one.
func TestSonicLongFilter(t *testing.T) {
	const entries = 12_000
	intent := Intent{Port: "Ethernet4", Profile: Provisioning, Addresses: parse("198.51.100.0/31")}
	for n := range entries {
		intent.Reach = append(intent.Reach, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(n / 256), byte(n)}), 32))
	}
	lines, err := sonic{}.render(Device{}, intent)
	if err != nil {
		t.Fatal(err)
	}
	rules := map[statement]bool{}
	for _, s := range lines {
		if s.line() == "PACKET_ACTION=FORWARD" {
			rules[s.header()] = true
		}
	}
	if want := entries + 1; len(rules) != want { // and DHCP
		t.Errorf("%d rules forward, want %d", len(rules), want)
	}
}

const sonicOthers = `{
	"PORT": {
		"Ethernet4": {"lanes": "1", "speed": "25000", "admin_status": "down", "mtu": "9100", "description": "", "fec": "rs"},
		"Ethernet40": {"lanes": "2", "speed": "25000", "description": "ferrodur tenant s40"}
	},
	"PORTCHANNEL": {"PortChannel4": {"admin_status": "up"}},
	"PORTCHANNEL_MEMBER": {"PortChannel4|Ethernet40": {}},
	"INTERFACE": {"Ethernet4": {"mpls": "enable"}, "Ethernet40|192.0.2.0/31": {}},
	"VLAN_MEMBER": {"Vlan4|Ethernet40": {"tagging_mode": "tagged"}},
	"STATIC_ROUTE": {
		"default|203.0.113.0/28": {"nexthop": "192.0.2.1,192.0.2.3", "ifname": "Ethernet4,Ethernet40"},
		"203.0.113.16/28": {"nexthop": "192.0.2.1", "ifname": "Ethernet4", "distance": "7"},
		"default|203.0.113.32/28": {"nexthop": "192.0.2.1", "ifname": "Ethernet40"}
	},
	"ACL_TABLE": {"EVERFLOW": {"type": "MIRROR", "ports": ["Ethernet4", "Ethernet40"]}, "FERRODUR_V4": {"type": "FERRODUR_V4", "ports": ["Ethernet40"]}},
	"ACL_RULE": {"FERRODUR_V4|ferrodur-Ethernet40-10": {"PRIORITY": "1"}},
	"BUFFER_PG": {"Ethernet4|3-4": {"profile": "lossless"}, "Ethernet40|3-4": {"profile": "lossless"}},
	"TACPLUS": {"global": {"passkey": "abcdef"}}
}`

// What others have configured on a port is seen, and not theirs on another that begins like it.
func TestSonicLeavesOthersAlone(t *testing.T) {
	all, err := sonic{}.read(sonicOthers)
	if err != nil {
		t.Fatal(err)
	}
	found := sonic{}.section(all, "Ethernet4")
	owned := []statement{
		"PORT|Ethernet4\nadmin_status=down", "PORT|Ethernet4\nmtu=9100",
		"STATIC_ROUTE|default|203.0.113.0/28\nvia=192.0.2.1 Ethernet4",
	}
	foreign := []statement{
		"ACL_TABLE|EVERFLOW\nports=Ethernet4", "BUFFER_PG|Ethernet4|3-4\nprofile=lossless", "INTERFACE|Ethernet4\nmpls=enable", "PORT|Ethernet4\nfec=rs",
		"STATIC_ROUTE|203.0.113.16/28\nifname=Ethernet4",
	}
	if !slices.Equal(found.owned, owned) || !slices.Equal(found.foreign, foreign) {
		t.Errorf("owned %q\nforeign %q", found.owned, found.foreign)
	}
}

// A patch names what is there when it is made; tables come with their first row, and go with
// their last.
func TestSonicPatch(t *testing.T) {
	before, err := readSonicDB(`{"PORT": {"Ethernet4": {"mtu": "9100", "fec": "rs"}}, "VLAN_MEMBER": {"Vlan100|Ethernet4": {"tagging_mode": "untagged"}},
		"STATIC_ROUTE": {"Q": {"nexthop": "192.0.2.9,192.0.2.3", "ifname": "Ethernet9,Ethernet8"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	after := before.edited(asCommands(
		"unset VLAN_MEMBER|Vlan100|Ethernet4\ntagging_mode=untagged", "unset PORT|Ethernet4\nmtu=9100", "unset INTERFACE|Ethernet9", "set PORT|Ethernet4\nmtu=9000",
		"set PORT|Ethernet4\ndescription=a~b/c", "set INTERFACE|Ethernet4|198.51.100.0/31", "set ACL_TABLE|T\nports=Ethernet4", "set ACL_TABLE|T\nports=Ethernet8",
		"set STATIC_ROUTE|P\nvia=192.0.2.3 Ethernet8", "set STATIC_ROUTE|P\nvia=192.0.2.1 Ethernet4", "set STATIC_ROUTE|Q\nvia=192.0.2.1 Ethernet4", "unset STATIC_ROUTE|Q\nvia=192.0.2.9 Ethernet9",
	))
	text, err := json.Marshal(before.patch(after))
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"op":"add","path":"/ACL_TABLE","value":{}},{"op":"add","path":"/ACL_TABLE/T","value":{"ports":["Ethernet4","Ethernet8"]}},` +
		`{"op":"add","path":"/INTERFACE","value":{}},{"op":"add","path":"/INTERFACE/Ethernet4","value":{}},{"op":"add","path":"/INTERFACE/Ethernet4|198.51.100.0~131","value":{}},` +
		`{"op":"add","path":"/PORT/Ethernet4/description","value":"a~b/c"},{"op":"replace","path":"/PORT/Ethernet4/mtu","value":"9000"},` +
		`{"op":"add","path":"/STATIC_ROUTE/P","value":{"ifname":"Ethernet4,Ethernet8","nexthop":"192.0.2.1,192.0.2.3"}},` +
		`{"op":"replace","path":"/STATIC_ROUTE/Q/ifname","value":"Ethernet4,Ethernet8"},{"op":"replace","path":"/STATIC_ROUTE/Q/nexthop","value":"192.0.2.1,192.0.2.3"},` +
		`{"op":"remove","path":"/VLAN_MEMBER"}]`
	if string(text) != want {
		t.Errorf("got %s", text)
	}
}

// What all filters have in common goes with the last port; a group that someone has
// configured, and a row of which something else is left, stay.
func TestSonicTidies(t *testing.T) {
	before, err := readSonicDB(`{
		"PORT": {"Ethernet4": {}},
		"ACL_TABLE_TYPE": {"FERRODUR_V4": {"MATCHES": ["SRC_IP"]}, "FERRODUR_V6": {"MATCHES": ["SRC_IPV6"]}},
		"ACL_TABLE": {"FERRODUR_V4": {"type": "FERRODUR_V4", "ports": ["Ethernet4"]}, "FERRODUR_V6": {"type": "FERRODUR_V6", "ports": ["Ethernet4", "Ethernet8"]}},
		"PORTCHANNEL": {"PortChannel7": {"admin_status": "up", "min_links": "1"}, "PortChannel8": {"admin_status": "up"}},
		"INTERFACE": {"Ethernet4": {"mpls": "enable", "vrf_name": "Vrfred"}, "Ethernet8": {}}
	}`)
	if err != nil {
		t.Fatal(err)
	}
	after := before.edited(asCommands(
		"unset ACL_TABLE|FERRODUR_V4\nports=Ethernet4", "unset ACL_TABLE|FERRODUR_V6\nports=Ethernet4", "unset PORTCHANNEL|PortChannel7\nadmin_status=up",
		"unset PORTCHANNEL|PortChannel8\nadmin_status=up", "unset INTERFACE|Ethernet4\nvrf_name=Vrfred", "unset INTERFACE|Ethernet8",
	))
	text, err := json.Marshal(after)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"ACL_TABLE":{"FERRODUR_V6":{"ports":["Ethernet8"],"type":"FERRODUR_V6"}},"ACL_TABLE_TYPE":{"FERRODUR_V6":{"MATCHES":["SRC_IPV6"]}},` +
		`"INTERFACE":{"Ethernet4":{"mpls":"enable"}},"PORT":{"Ethernet4":{}},"PORTCHANNEL":{"PortChannel7":{"admin_status":"up","min_links":"1"}}}`
	if string(text) != want {
		t.Errorf("got %s", text)
	}
}

func asCommands(texts ...string) []command {
	var commands []command
	for _, text := range texts {
		commands = append(commands, command{text: text})
	}
	return commands
}

// Whatever the switch prints, and whatever is changed in it, nothing panics, and what a
// patch is made of leads where it should.
func FuzzSonicPatch(f *testing.F) {
	f.Add(sonicOthers, "unset INTERFACE|Ethernet4", "set STATIC_ROUTE|a\nb=c")
	f.Add(shown["sonic"], "unset ACL_TABLE|FERRODUR_V4\nports=Ethernet1", "set ACL_TABLE|FERRODUR_V4\nports=Ethernet2")
	f.Add(`{"PORT": {"a": null, "b": {"c": null, "d": [null, ""], "e": [[1]]}}, "": {"": {}}}`, "set PORT|a\nb", "unset PORT|b\nd=")
	f.Fuzz(func(t *testing.T, text, one, other string) {
		_, _ = readSonicDump(text)
		before, err := readSonicDB(text)
		if err != nil {
			return
		}
		after := before.edited(asCommands(one, other))
		shut, done := before.stages(after)
		for port := range after["PORT"] {
			was, is := before.open(port), after.open(port)
			if !was && shut.open(port) || done.open(port) && !(was && is) {
				t.Errorf("%s is open while it is changed", port)
			}
		}
		for table, rows := range after {
			for key, row := range rows {
				had := before.row(table, key)
				if slices.Contains(sonicInterfaces, table) && had != nil && had["vrf_name"] != row["vrf_name"] && shut.row(table, key) != nil {
					t.Errorf("%s is moved without being taken away", key)
				}
			}
		}
		if again := after.patch(after.copy()); len(again) > 0 {
			t.Errorf("nothing is changed by %+v", again)
		}
	})
}

func TestSonicComplaint(t *testing.T) {
	const text = "Failed to apply patch due to: x\nUsage: config apply-patch [OPTIONS]\nTry 'config apply-patch -h' for help.\n\nError: Failed to apply\n- localhost: no\n"
	if got := sonicComplaint(text); got != "Failed to apply - localhost: no" {
		t.Errorf("got %q", got)
	}
	if got := sonicComplaint("sudo: a password is required\n"); got != "sudo: a password is required" {
		t.Errorf("got %q", got)
	}
}
