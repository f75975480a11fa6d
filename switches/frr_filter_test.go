package switches

import (
	"slices"
	"strings"
	"testing"
)

// nftables lists the same rule in other words from 1.1.4 on.
func TestReadNewerNFT(t *testing.T) {
	want, err := frr{}.read(shown["frr"])
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(shown["frr"], "fib saddr . iif oif missing drop", "fib saddr . iif check missing drop", 1)
	if got, err := (frr{}).read(newer); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// A host's IPv6 blocks are let through before the source filter, and read as nothing else.
func TestFilterOfBlocks(t *testing.T) {
	intent := Intent{
		Port: "swp1", Profile: Tenant, SourceFilter: true, Addresses: parse("2001:db8::/127"), Behind: parse("2001:db8:8000::/56"),
		BGP: &BGP{ASN: 65010, Accept: parse("::/0", "203.0.113.0/28", "2001:db8:9000::1/128"), MaxPrefixes: 10},
	}
	var rules []string
	read := Intent{Port: "swp1"}
	for _, s := range nftRules(intent)[1:] {
		_, rule, _ := strings.Cut(s.line(), " ")
		rules = append(rules, rule)
		read.readNFT(s)
	}
	want := append(slices.Clone(nftNeighbours), "ip6 saddr 2001:db8:8000::/56 accept", "ip6 saddr 2001:db8:9000::1 accept", nftReverse)
	if !slices.Equal(rules, want) {
		t.Errorf("got %q, want %q", rules, want)
	}
	if !read.SourceFilter || len(read.Reach) > 0 {
		t.Errorf("read as %+v", read)
	}
}
