package switches

import (
	"slices"
	"strings"
	"testing"
)

// shown are configurations as switches show them, by platform.
var shown = map[string]string{
	"frr": running + `table inet ferrodur {
	map ports {
		type ifname : verdict
		elements = { "swp1" : jump port-swp1,
			     "swp2" : jump port-swp2 }
	}

	chain hosts {
		type filter hook prerouting priority raw; policy accept;
		iifname vmap @ports
	}

	chain port-swp1 {
		icmpv6 type nd-router-solicit accept
		icmpv6 type nd-neighbor-solicit accept
		icmpv6 type nd-neighbor-advert accept
		fib saddr . iif oif missing drop
		ip daddr 192.0.2.10 accept
		ip daddr 192.0.2.64/28 accept
		drop
	}
}
`,
	"ovs": `{"data":[["br0",["uuid","7a0f5f0a-53c1-4f0e-8a34-0f6f1c9a2b11"],["set",[]],["set",[]],"netdev"],["ferrodur-shut",["uuid","9b1c6d52-2b7e-4b57-9f0d-6f2f8f3f1c22"],"secure",["set",[]],"netdev"]],"headings":["name","ports","fail_mode","controller","datapath_type"]}
{"data":[[["uuid","9b1c6d52-2b7e-4b57-9f0d-6f2f8f3f1c22"],"swp2",["uuid","5e0d3a9c-7c1b-49b1-8f0e-2d4c6b8a0f33"],["set",[]],["set",[]],["set",[]],["set",[]],false,["set",[]],["set",[]],["set",[]],["set",[]],0,0,["map",[["description","ferrodur quarantine s2"],["ferrodur-bridge","br0"]]],["map",[]]],[["uuid","7a0f5f0a-53c1-4f0e-8a34-0f6f1c9a2b11"],"swp1",["uuid","1c6e26bc-0d2f-4f0b-a9f0-3a8b0d6f4f4e"],100,["set",[200,300]],["set",[]],"native-untagged",false,["set",[]],["set",[]],["set",[]],["set",[]],0,0,["map",[["description","ferrodur tenant s1 instance/o-42"],["owner","ops"]]],["map",[["rstp-enable","true"]]]]],"headings":["_uuid","name","interfaces","tag","trunks","cvlans","vlan_mode","protected","qos","mac","bond_mode","lacp","bond_downdelay","bond_updelay","external_ids","other_config"]}
{"data":[[["uuid","1c6e26bc-0d2f-4f0b-a9f0-3a8b0d6f4f4e"],"swp1","",9000,["set",[]],["set",[]],["map",[]],0,0,["map",[]],["map",[]],["map",[]],["map",[]],"up"]],"headings":["_uuid","name","type","mtu_request","mac","ofport_request","options","ingress_policing_rate","ingress_policing_burst","external_ids","other_config","bfd","lldp","link_state"]}
`,
	"arista_eos": `! Command: show running-config
interface Ethernet1
   description ferrodur tenant s1 instance/o-42
   no switchport
   ip address 198.51.100.0/31
   ipv6 address 2001:db8::/127
   ipv6 nd ra disabled all
   ip access-group ferrodur-Ethernet1-filter4 in
   load-interval 30
!
ip access-list ferrodur-Ethernet1-filter4
   10 permit udp any eq bootpc any eq bootps
   20 permit ip host 198.51.100.1 any
!
ip route 203.0.113.64/28 198.51.100.1 name ferrodur-Ethernet1
router bgp 65000
   neighbor 198.51.100.1 remote-as 65010
   neighbor 198.51.100.1 description ferrodur Ethernet1
   neighbor 198.51.100.1 password 7 0A1B
end
`,
	"sonic": `{
    "ACL_RULE": {
        "FERRODUR_V4|ferrodur-Ethernet1-20": {"IN_PORTS": "Ethernet1", "IP_TYPE": "IPV4ANY", "PACKET_ACTION": "FORWARD", "PRIORITY": "9998", "SRC_IP": "198.51.100.1/32"}
    },
    "ACL_TABLE": {
        "FERRODUR_V4": {"policy_desc": "ferrodur", "ports": ["Ethernet1"], "stage": "ingress", "type": "FERRODUR_V4"}
    },
    "BGP_NEIGHBOR": {
        "default|198.51.100.1": {"asn": "65010", "auth_password": "0A1B"},
        "default|Ethernet1": {"auth_password": "0A1B"}
    },
    "INTERFACE": {
        "Ethernet1": {"vrf_name": "Vrfred"},
        "Ethernet1|198.51.100.0/31": {}
    },
    "PORT": {
        "Ethernet1": {"admin_status": "up", "description": "ferrodur tenant s1 instance/o-42", "fec": "rs", "lanes": "0", "mtu": "9100", "speed": "25000"},
        "Ethernet2": {"admin_status": "up", "description": "ferrodur tenant s2", "lanes": "1", "mtu": "9100", "speed": "25000"}
    },
    "STATIC_ROUTE": {
        "Vrfred|203.0.113.64/28": {"ifname": "Ethernet1", "nexthop": "198.51.100.1"}
    },
    "TACPLUS": {
        "global": {"passkey": "abcdef"}
    },
    "VLAN_MEMBER": {
        "Vlan100|Ethernet2": {"tagging_mode": "untagged"}
    }
}
`,
	"cisco_nxos":  nxosRunning,
	"cisco_iosxe": iosxeRunning,
	"juniper_junos": `set version 22.4R3.25
set interfaces xe-0/0/1 description "ferrodur tenant s1 instance/o-42"
set interfaces xe-0/0/1 unit 0 family inet address 198.51.100.0/31
set interfaces xe-0/0/1 unit 0 family inet filter input ferrodur-xe-0-0-1-filter4
set interfaces xe-0/0/1 hold-time up 100 down 100
set firewall family inet filter ferrodur-xe-0-0-1-filter4 term t20 from source-address 198.51.100.1/32
set routing-options static route 203.0.113.64/28 next-hop 198.51.100.1
set routing-options static route 203.0.113.80/28 next-hop 198.51.100.1
set routing-options static route 203.0.113.80/28 tag 7
set protocols bgp group ferrodur-xe-0-0-1 neighbor 198.51.100.1 authentication-key "$9$abc" ## SECRET-DATA
`,
	"nokia_srl": `set / acl acl-filter ferrodur-ethernet-1-1-filter4 type ipv4 entry 20 match ipv4 source-ip prefix 198.51.100.1/32
set / acl interface ethernet-1/1.0 input acl-filter ferrodur-ethernet-1-1-filter4 type ipv4
set / interface ethernet-1/1 description "ferrodur tenant s1 instance/o-42"
set / interface ethernet-1/1 admin-state enable
set / interface ethernet-1/1 ethernet reload-delay 10
set / interface ethernet-1/1 subinterface 0 ipv4 admin-state enable
set / interface ethernet-1/1 subinterface 0 ipv4 address 198.51.100.0/31
set / interface ethernet-1/1 subinterface 0 ipv4 dhcp-relay server [ 192.0.2.11 192.0.2.10 ]
set / interface ethernet-1/2 subinterface 100 type bridged
set / interface ethernet-1/2 subinterface 100 vlan encap single-tagged vlan-id 100
set / network-instance default interface ethernet-1/1.0
set / network-instance default next-hop-groups group ferrodur-ethernet-1-1-via4 nexthop 1 ip-address 198.51.100.1
set / network-instance default protocols bgp group ferrodur-ethernet-1-1 authentication password $aes1$AbcDef==
set / network-instance default protocols bgp neighbor 198.51.100.1 peer-group ferrodur-ethernet-1-1
set / network-instance default static-routes route 203.0.113.64/28 next-hop-group ferrodur-ethernet-1-1-via4
set / network-instance default static-routes route 203.0.113.80/28 next-hop-group ferrodur-ethernet-1-1-via4
set / network-instance default static-routes route 203.0.113.80/28 metric 7
set / routing-policy prefix-set ferrodur-ethernet-1-1-in4 prefix 203.0.113.0/26 mask-length-range 26..32
set / system ssh-server mgmt admin-state enable
`,
}

// Whatever a switch prints, and on whichever port one looks, nothing panics; and what is
// taken for an intent of Ferrodur's is one: valid, and rendered again it is what was there.
func FuzzRead(f *testing.F) {
	for platform, text := range shown {
		for _, port := range []string{"swp1", "Ethernet1", "Ethernet2", "Ethernet1/1", "Ethernet1/2", "GigabitEthernet1/0/1", "xe-0/0/1", "ethernet-1/1", "ethernet-1/2"} {
			f.Add(platform, text, port)
			f.Add(platform, strings.ToUpper(text), port)
			f.Add(platform, text[:len(text)*2/3], port)
		}
	}
	f.Add("frr", "interface\ninterface swp1\n ip address\n ip address ::1/127\n ipv6 address fe80::1%eth0/127\nend", "swp1")
	f.Add("frr", "interface p\n description ferrodur tenant a\n description ferrodur quarantine b\n shutdown\nend", "p")
	for _, text := range []string{
		"interface p\n  channel-group\n  switchport trunk allowed vlan add 7\n  description ferrodur tenant\n",
		"interface p\n  description ferrodur tenant\n  switchport access vlan 7\n  channel-group ?\n",
		"router bgp 1\n  neighbor\n    description ferrodur p\n  neighbor ::1\n    description ferrodur p\n      maximum-prefix\n",
	} {
		f.Add("cisco_nxos", "!Command: show running-config\nversion 9.3(10)\n"+text, "p")
	}
	for _, text := range []string{
		"interface p\n description ferrodur tenant\n no switchport\n ip address 192.0.2.0 255.255.255.254 secondary\nend",
		"interface p\n description ferrodur provisioning x\n switchport mode access\n channel-group\nend",
		"ip access-list extended ferrodur-p-filter4\n permit ip 192.0.2.1\n permit ip host\ninterface p\n ip address 1.2.3.4\nend",
	} {
		f.Add("cisco_iosxe", text, "p")
	}
	device := Device{ASN: 65000}
	f.Fuzz(func(t *testing.T, platform, text, port string) {
		driver, err := driverFor(platform)
		if err != nil {
			return
		}
		all, err := driver.read(text)
		if err != nil {
			return
		}
		section := driver.section(all, port)
		driver.edit(port, section, nil)
		intent := section.intent(driver, device, port)
		if intent.Profile == "" {
			return
		}
		if err := intent.Validate(); err != nil {
			t.Fatal(err)
		}
		lines, err := driver.render(device, intent)
		if err != nil {
			t.Fatal(err)
		}
		if diff := difference(section.owned, lines); len(diff) > 0 {
			t.Fatalf("%+v leaves a difference: %q", intent, diff)
		}
	})
}

// No secret that a switch shows, hidden as it may be, is among the statements.
func TestReadLeavesSecretsOut(t *testing.T) {
	for platform, text := range shown {
		driver, err := driverFor(platform)
		if err != nil {
			t.Fatal(err)
		}
		all, err := driver.read(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"0A1B", "0a0b0c", "$9$abc", "$aes1$"} {
			if slices.ContainsFunc(all, func(s statement) bool { return strings.Contains(string(s), secret) }) {
				t.Errorf("%s: %q is among the statements", platform, secret)
			}
		}
	}
}

// Half an answer is none: nothing may be concluded from it.
func TestReadRefusesAPart(t *testing.T) {
	for platform, text := range shown {
		driver, err := driverFor(platform)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"", "\n", text[len(text)/2 : len(text)*2/3]} {
			if all, err := driver.read(part); err == nil {
				t.Errorf("%s: %q was read as %q", platform, part, all)
			}
		}
	}
}
