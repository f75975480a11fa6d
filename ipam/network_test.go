package ipam_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"ferrodur/ipam"
)

// Hosts of a network get what hosts can have: neither its own address nor the gateway's nor
// the broadcast address.
func TestHostsOfANetwork(t *testing.T) {
	ctx := t.Context()
	pools := ipam.NetworkPools("blue", "ewr1", []netip.Prefix{netip.MustParsePrefix("198.51.100.128/29"), netip.MustParsePrefix("2001:db8:2::/64")})
	store, _ := open(t, pools...)
	join := func(n int) ([]netip.Prefix, error) {
		return store.AllocateHosts(ctx, ipam.Request{Owner: fmt.Sprint("instance/", n), Site: "ewr1", By: ipam.By{Actor: "test"}}, pools)
	}
	seen := map[netip.Addr]bool{}
	for n := range 5 {
		got, err := join(n)
		if err != nil {
			t.Fatal(err)
		}
		again, err := join(n)
		if err != nil || !slices.Equal(got, again) {
			t.Errorf("host %d got %s, and then %s, %v", n, got, again, err)
		}
		if got[0].Bits() != 29 || got[1].Bits() != 64 {
			t.Errorf("host %d got %s", n, got)
		}
		seen[got[0].Addr()], seen[got[1].Addr()] = true, true
	}
	for _, kept := range []string{"198.51.100.128", "198.51.100.129", "198.51.100.135", "2001:db8:2::", "2001:db8:2::1"} {
		if seen[netip.MustParseAddr(kept)] {
			t.Errorf("%s was handed out", kept)
		}
	}
	if len(seen) != 10 {
		t.Errorf("handed out were %v", seen)
	}
	var exhausted *ipam.ExhaustedError
	if got, err := join(5); !errors.As(err, &exhausted) {
		t.Errorf("a sixth host of a /29 got %s, %v", got, err)
	}
	if held, err := store.Allocations(ctx, ipam.Filter{Owner: "instance/5"}); err != nil || len(held) > 0 {
		t.Errorf("half of a request was given: %v, %v", held, err)
	}
}
