package switches_test

import (
	"fmt"
	"slices"
	"testing"
)

// A port that is not to advertise does not answer hosts that ask, either. Where it would, by
// hand or since an earlier version, that is a difference.
func TestEOSIsQuiet(t *testing.T) {
	b := benches["arista_eos"](t)
	intent := intentsOf(b.port(1))["routed"]
	b.must(t, intent)
	want := b.running(t)
	expect(t, want, "ipv6 nd ra disabled all\n")
	b.byHand(t, "interface "+intent.Port, "ipv6 nd ra disabled")
	if running, err := readOne(t, b.open(t), intent.Port); err != nil || running.Profile != "" || running.Advertise {
		t.Errorf("a port that answers reads as %+v, %v", running, err)
	}
	change := b.must(t, intent)
	if diff := []string{"- interface Ethernet1 / ipv6 nd ra disabled", "+ interface Ethernet1 / ipv6 nd ra disabled all"}; !slices.Equal(change.Diff, diff) {
		t.Errorf("mended by %q", change.Diff)
	}
	if now := b.running(t); sortedLines(now) != sortedLines(want) {
		t.Errorf("mended, it is\n%s\nand was\n%s", now, want)
	}
	b.must(t, intentsOf(intent.Port)["advertising"])
	expectNot(t, b.running(t), "ipv6 nd ra")
}

// Where a neighbour with an IPv4 address was told by hand to exchange no routes, that is a difference.
func TestEOSIPv4SessionCarriesIPv4(t *testing.T) {
	b := benches["arista_eos"](t)
	intent := intentsOf(b.port(1))["BGP"]
	b.must(t, intentsOf(intent.Port)["quarantine"])
	shut := sortedLines(b.running(t))
	b.must(t, intent)
	want := sortedLines(b.running(t))
	line := fmt.Sprintf("no neighbor %s activate", intent.Links()[0].Host)
	off := []string{"router bgp 65000", "address-family ipv4", line}
	b.byHand(t, off...)
	change := b.must(t, intent)
	if diff := []string{"- router bgp 65000 / address-family ipv4 / " + line}; !slices.Equal(change.Diff, diff) {
		t.Errorf("mended by %q", change.Diff)
	}
	if now := sortedLines(b.running(t)); now != want {
		t.Errorf("mended, it is\n%s\nand was\n%s", now, want)
	}
	b.byHand(t, off...)
	b.must(t, intentsOf(intent.Port)["quarantine"])
	if now := sortedLines(b.running(t)); now != shut {
		t.Errorf("shut, it is\n%s\nand was\n%s", now, shut)
	}
}

// A neighbour with an IPv6 address has no list for IPv4 routes, and so exchanges none; where it
// does, by hand, that is a difference.
func TestEOSIPv6SessionCarriesNoIPv4(t *testing.T) {
	b := benches["arista_eos"](t)
	intent := intentsOf(b.port(1))["BGP"]
	b.must(t, intent)
	var host string
	for _, link := range intent.Links() {
		if link.Host.Is6() {
			host = link.Host.String()
		} else {
			expect(t, b.running(t), "      neighbor "+link.Host.String()+" activate\n")
		}
	}
	const no = "no neighbor %s activate\n"
	expect(t, b.running(t), fmt.Sprintf(no, host))
	b.byHand(t, "router bgp 65000", "address-family ipv4", "neighbor "+host+" activate")
	expectNot(t, b.running(t), fmt.Sprintf(no, host))
	change := b.must(t, intent)
	if diff := []string{"- router bgp 65000 / address-family ipv4 / neighbor " + host + " activate"}; !slices.Equal(change.Diff, diff) {
		t.Errorf("mended by %q", change.Diff)
	}
	expect(t, b.running(t), fmt.Sprintf(no, host))
	b.must(t, intentsOf(intent.Port)["quarantine"])
	expectNot(t, b.running(t), host)
}
