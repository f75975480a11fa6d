package switches_test

import "testing"

// Where a host may reach a prefix only, the switch is found nevertheless, and finds the host:
// a host asks from its own address, or from none, and answers from the one that it was asked
// for.
func TestFiltersLetNeighbourDiscoveryThrough(t *testing.T) {
	for platform, lines := range map[string][]string{
		"arista_eos": {
			"10 permit ipv6 fe80::/10 any", "11 permit icmpv6 any ff02::/16", "12 permit icmpv6 any fe80::/10",
			"13 permit icmpv6 any host 2001:db8:0:1::", "20 permit ipv6 any 2001:db8:b::/64",
		},
		"juniper_junos": {
			"term t10 from source-address fe80::/10", "term t10 then accept", "term t11 from next-header icmp6", "term t11 from icmp-type router-solicit",
			"term t11 from icmp-type neighbor-solicit", "term t11 from icmp-type neighbor-advertisement", "term t11 then accept",
			"term t20 from destination-address 2001:db8:b::/64", "term t20 then accept",
		},
		"nokia_srl": {
			"entry 10 match ipv6 source-ip prefix fe80::/10", "entry 11 match ipv6 icmp6 type router-solicit", "entry 11 match ipv6 next-header icmp6",
			"entry 12 match ipv6 icmp6 type neighbor-solicit", "entry 12 match ipv6 next-header icmp6", "entry 13 match ipv6 icmp6 type neighbor-advertise",
			"entry 13 match ipv6 next-header icmp6", "entry 20 match ipv6 destination-ip prefix 2001:db8:b::/64", "entry 65535 action drop",
			"entry 10 action accept", "entry 11 action accept", "entry 12 action accept", "entry 13 action accept", "entry 20 action accept",
		},
	} {
		t.Run(platform, func(t *testing.T) {
			b := benches[platform](t)
			intent := intentsOf(b.port(1))["advertising"]
			intent.Addresses, intent.Reach = intent.Addresses[1:], prefixes("2001:db8:b::/64")
			if change := b.must(t, intent); !change.Running.Equal(intent) {
				t.Errorf("got %+v", change.Running)
			}
			expect(t, b.running(t), lines...)
		})
	}
}
