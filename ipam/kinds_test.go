package ipam_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"ferrodur/ipam"
)

func wanting(owner string, wants ...ipam.Want) ipam.Request {
	return ipam.Request{Owner: owner, Site: "ewr1", Role: ipam.Tenant, Wants: wants, By: ipam.By{Actor: "test", Workflow: "instance/test"}}
}

// Every kind comes out of the smallest block that fits, so that large ones last; what
// cannot be given whole is not given at all.
func TestKinds(t *testing.T) {
	ctx := t.Context()
	store, _ := open(t, pool("v4", "198.51.100.0/26", 0), pool("v6", "2001:db8::/48", 0))
	tests := []struct {
		owner string
		want  ipam.Want
		got   string // empty: refused
	}{
		{"a", ipam.Want{Kind: ipam.KindAddress, Family: ipam.IPv4}, "198.51.100.0/32"},
		{"b", ipam.Want{Family: ipam.IPv4}, "198.51.100.2/31"},
		{"c", ipam.Want{Kind: ipam.KindAddress, Family: ipam.IPv4}, "198.51.100.1/32"}, // the buddy of a's
		{"d", ipam.Want{Kind: ipam.KindLink, Bits: 30, Family: ipam.IPv4}, "198.51.100.4/30"},
		{"e", ipam.Want{Kind: ipam.KindBlock, Bits: 28, Family: ipam.IPv4}, "198.51.100.16/28"},
		{"f", ipam.Want{Kind: ipam.KindBlock, Bits: 27, Family: ipam.IPv4}, "198.51.100.32/27"},
		{"g", ipam.Want{Kind: ipam.KindBlock, Bits: 28, Family: ipam.IPv4}, ""},
		{"h", ipam.Want{Kind: ipam.KindBlock, Bits: 56, Family: ipam.IPv6}, "2001:db8::/56"},
		{"i", ipam.Want{Chosen: netip.MustParsePrefix("198.51.100.8/31")}, "198.51.100.8/31"},
		{"a", ipam.Want{Kind: ipam.KindAddress, Family: ipam.IPv4}, "198.51.100.0/32"}, // asked again
	}
	for _, test := range tests {
		answer, err := store.Allocate(ctx, wanting(test.owner, test.want))
		switch {
		case test.got == "":
			var exhausted *ipam.ExhaustedError
			if !errors.As(err, &exhausted) || exhausted.Bits != test.want.Bits {
				t.Errorf("%s: %v", test.owner, err)
			}
		case err != nil:
			t.Errorf("%s: %v", test.owner, err)
		case answer[0].Prefix.String() != test.got:
			t.Errorf("%s got %s, want %s", test.owner, answer[0].Prefix, test.got)
		}
	}
	// Both families or none.
	_, err := store.Allocate(ctx, wanting("z", ipam.Want{Family: ipam.IPv6}, ipam.Want{Kind: ipam.KindBlock, Bits: 25, Family: ipam.IPv4}))
	if held, _ := store.Allocations(ctx, ipam.Filter{Owner: "z"}); err == nil || len(held) != 0 {
		t.Errorf("half of a request was given: %v, %v", held, err)
	}
	var (
		taken   *ipam.TakenError
		invalid *ipam.InvalidError
	)
	for what, test := range map[string]struct {
		request ipam.Request
		want    any
	}{
		"a chosen link that is held":   {wanting("y", ipam.Want{Chosen: netip.MustParsePrefix("198.51.100.8/31")}), &taken},
		"a chosen block with a holder": {wanting("y", ipam.Want{Kind: ipam.KindBlock, Chosen: netip.MustParsePrefix("198.51.100.0/28")}), &taken},
		"outside of every pool":        {wanting("y", ipam.Want{Chosen: netip.MustParsePrefix("203.0.113.0/31")}), &taken},
		"another thing by that name":   {wanting("a", ipam.Want{Kind: ipam.KindBlock, Bits: 29, Family: ipam.IPv4}), &invalid},
		"host bits":                    {wanting("y", ipam.Want{Chosen: netip.MustParsePrefix("198.51.100.9/31")}), &invalid},
		"IPv4 in IPv6":                 {wanting("y", ipam.Want{Chosen: netip.MustParsePrefix("::ffff:198.51.100.8/127")}), &invalid},
		"a block without a length":     {wanting("y", ipam.Want{Kind: ipam.KindBlock, Family: ipam.IPv4}), &invalid},
		"a link too long":              {wanting("y", ipam.Want{Bits: 32, Family: ipam.IPv4}), &invalid},
		"no family":                    {wanting("y", ipam.Want{}), &invalid},
		"twice the same name":          {wanting("y", ipam.Want{Family: ipam.IPv4}, ipam.Want{Family: ipam.IPv4}), &invalid},
		"nothing":                      {wanting("y"), &invalid},
		"no owner":                     {wanting("", ipam.Want{Family: ipam.IPv4}), &invalid},
		"an owner that is no text":     {wanting("a\x00", ipam.Want{Family: ipam.IPv4}), &invalid},
	} {
		if _, err := store.Allocate(ctx, test.request); err == nil || !errors.As(err, test.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What was released and has rested is one block again with what is free around it.
func TestBlocksJoin(t *testing.T) {
	ctx := t.Context()
	store, database := open(t, pool("v4", "198.51.100.0/27", 0))
	whole := wanting("all", ipam.Want{Kind: ipam.KindBlock, Bits: 27, Family: ipam.IPv4})
	for round := range 3 {
		for _, owner := range []string{"a", "b", "c", "d", "e"} {
			if _, err := store.Allocate(ctx, wanting(owner, ipam.Want{Family: ipam.IPv4}, ipam.Want{Name: "one", Kind: ipam.KindAddress, Family: ipam.IPv4})); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := store.Allocate(ctx, whole); err == nil {
			t.Fatal("the pool was given out twice")
		}
		for _, owner := range []string{"c", "a", "e", "b", "d"} {
			if err := store.Release(ctx, owner, ipam.By{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := store.Allocate(ctx, whole); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := store.Release(ctx, "all", ipam.By{}); err != nil {
			t.Fatal(err)
		}
	}
	var free int
	if err := database.QueryRow(ctx, `SELECT count(*) FROM ipam.free`).Scan(&free); err != nil || free != 0 {
		t.Errorf("%d free blocks beside what rests (%v)", free, err)
	}
}

// Private space may be used in each domain.
func TestDomainsAreApart(t *testing.T) {
	ctx := t.Context()
	store, _ := open(t, pool("v4", "10.0.0.0/30", 0))
	for range 2 {
		if err := store.CreateDomain(ctx, "vrf-blue", "blue"); err != nil {
			t.Fatal(err)
		}
	}
	blue := pool("v4", "10.0.0.0/30", 0)
	blue.Domain = "vrf-blue"
	if err := store.PutPools(ctx, []ipam.Pool{blue}, ipam.By{}); err != nil {
		t.Fatal(err)
	}
	for _, domain := range []string{ipam.DefaultDomain, "vrf-blue"} {
		request := wanting("o", ipam.Want{Family: ipam.IPv4})
		request.Domain = domain
		answer, err := store.Allocate(ctx, request)
		if err != nil || answer[0].Prefix.String() != "10.0.0.0/31" || answer[0].Domain != domain {
			t.Errorf("%s: %v (%v)", domain, answer, err)
		}
	}
	request := wanting("o", ipam.Want{Family: ipam.IPv4})
	request.Domain = "vrf-red"
	var unknown *ipam.NoDomainError
	if _, err := store.Allocate(ctx, request); !errors.As(err, &unknown) {
		t.Errorf("an unknown domain: %v", err)
	}
}

// An elastic block moves between instances, and the history tells who had an address when.
func TestElasticBlocksAndHistory(t *testing.T) {
	ctx := t.Context()
	store, _ := open(t, pool("v4", "198.51.100.0/28", time.Hour))
	by := ipam.By{Actor: "ann", Workflow: "instance/o-1"}
	request := wanting("customer/1", ipam.Want{Name: "shop", Kind: ipam.KindElastic, Bits: 30, Family: ipam.IPv4})
	request.By = by
	answer, err := store.Allocate(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	for _, instance := range []string{"instance/o-1", "instance/o-1", "instance/o-2"} {
		if err := store.Move(ctx, "", "customer/1", "shop", instance, by); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Move(ctx, "", "customer/2", "shop", "instance/o-3", by); !errors.Is(err, ipam.ErrNotHeld) {
		t.Errorf("a block of nobody: %v", err)
	}
	held, err := store.Allocations(ctx, ipam.Filter{Owner: "customer/1"})
	if err != nil || len(held) != 1 || held[0].Instance != "instance/o-2" {
		t.Errorf("held: %v (%v)", held, err)
	}
	if err := store.Release(ctx, "customer/1", by); err != nil {
		t.Fatal(err)
	}
	address := answer[0].Prefix.Addr().Next()
	events, err := store.History(ctx, ipam.HistoryFilter{Of: netip.PrefixFrom(address, 32)})
	if err != nil {
		t.Fatal(err)
	}
	var actions []ipam.Action
	for _, event := range events {
		if event.Action == ipam.Declared { // the pool
			continue
		}
		actions = append(actions, event.Action)
		if event.Owner != "customer/1" || event.By != by {
			t.Errorf("%+v", event)
		}
	}
	if len(actions) != 4 || actions[0] != ipam.Allocated || actions[2] != ipam.Moved || actions[3] != ipam.Released {
		t.Errorf("actions %v", actions)
	}
	if event, err := store.HeldAt(ctx, "", address, before); err != nil || event.Owner != "customer/1" {
		t.Errorf("held then: %v (%v)", event, err)
	}
	for _, at := range []time.Time{before.Add(-time.Hour), time.Now().Add(time.Minute)} {
		if event, err := store.HeldAt(ctx, "", address, at); !errors.Is(err, ipam.ErrNotHeld) {
			t.Errorf("at %s: %v (%v)", at, event, err)
		}
	}
}

// What is reserved goes to nobody, and says why.
func TestReservations(t *testing.T) {
	ctx := t.Context()
	p := pool("v4", "198.51.100.0/29", 0)
	store, _ := open(t, p)
	first, last := netip.MustParseAddr("198.51.100.0"), netip.MustParseAddr("198.51.100.4")
	for range 2 {
		if err := store.Reserve(ctx, p, first, last, "VRRP", ipam.By{Actor: "ann"}); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := store.Allocate(ctx, wanting("a", ipam.Want{Family: ipam.IPv4}))
	if err != nil || answer[0].Prefix.String() != "198.51.100.6/31" {
		t.Errorf("got %v (%v)", answer, err)
	}
	var taken *ipam.TakenError
	_, err = store.Allocate(ctx, wanting("b", ipam.Want{Kind: ipam.KindAddress, Chosen: netip.MustParsePrefix("198.51.100.4/32")}))
	if !errors.As(err, &taken) || taken.By.Reason != "VRRP" {
		t.Errorf("a reserved address: %v", err)
	}
	if err := store.Reserve(ctx, p, netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.7"), "gateway", ipam.By{}); !errors.As(err, &taken) || taken.By.Owner != "a" {
		t.Errorf("a held address was reserved: %v", err)
	}
	if err := store.Unreserve(ctx, first, last, ipam.By{}); err != nil {
		t.Fatal(err)
	}
	if answer, err := store.Allocate(ctx, wanting("b", ipam.Want{Kind: ipam.KindBlock, Bits: 30, Family: ipam.IPv4})); err != nil || answer[0].Prefix.String() != "198.51.100.0/30" {
		t.Errorf("after the reservation: %v (%v)", answer, err)
	}
}

func TestTree(t *testing.T) {
	ctx := t.Context()
	store, _ := open(t, pool("v4", "10.1.2.0/24", 0))
	for _, p := range []ipam.Prefix{
		{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Kind: ipam.Container, Tags: []string{"ours"}},
		{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Kind: ipam.Container, Site: "ewr1"},
		{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Kind: ipam.Reserved, Description: "the office"},
	} {
		for range 2 {
			if err := store.PutPrefix(ctx, p, ipam.By{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var overlap *ipam.OverlapError
	for _, prefix := range []string{"10.1.2.0/24", "10.1.2.128/25", "10.1.0.0/16"} {
		p := ipam.Prefix{Prefix: netip.MustParsePrefix(prefix), Kind: ipam.Reserved}
		if err := store.PutPrefix(ctx, p, ipam.By{}); !errors.As(err, &overlap) {
			t.Errorf("%s is reserved though there is a pool in it: %v", prefix, err)
		}
	}
	if err := store.PutPools(ctx, []ipam.Pool{pool("b", "10.2.3.0/24", 0)}, ipam.By{}); !errors.As(err, &overlap) {
		t.Errorf("a pool in what is reserved: %v", err)
	}
	if _, err := store.Allocate(ctx, wanting("a", ipam.Want{Kind: ipam.KindBlock, Bits: 26, Family: ipam.IPv4})); err != nil {
		t.Fatal(err)
	}
	tree := func(filter ipam.TreeFilter) (lines []string) {
		nodes, err := store.Tree(ctx, filter)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			lines = append(lines, fmt.Sprintf("%d %s used %.0f pools %d", n.Depth, n.Prefix.Prefix, n.Used, n.Pools))
		}
		return lines
	}
	all := []string{"0 10.0.0.0/8 used 64 pools 1", "1 10.1.0.0/16 used 64 pools 1", "2 10.1.2.0/24 used 64 pools 1", "1 10.2.0.0/16 used 0 pools 0"}
	for _, test := range []struct {
		filter ipam.TreeFilter
		want   []string
	}{
		{ipam.TreeFilter{}, all},
		{ipam.TreeFilter{Depth: 1}, all[:1]},
		{ipam.TreeFilter{Depth: 2}, []string{all[0], all[1], all[3]}},
		{ipam.TreeFilter{Depth: 3}, all},
		{ipam.TreeFilter{Depth: 9}, all},
		{ipam.TreeFilter{Under: netip.MustParsePrefix("10.1.0.0/16")}, []string{"0 10.1.0.0/16 used 64 pools 1", "1 10.1.2.0/24 used 64 pools 1"}},
		{ipam.TreeFilter{Under: netip.MustParsePrefix("10.0.0.0/8"), Depth: 2}, []string{all[0], all[1], all[3]}},
		{ipam.TreeFilter{Under: netip.MustParsePrefix("11.0.0.0/8"), Depth: 2}, nil},
	} {
		if got := tree(test.filter); !slices.Equal(got, test.want) {
			t.Errorf("%+v:\n%s\nwant\n%s", test.filter, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
		}
	}
	holder, err := store.HolderOf(ctx, "", netip.MustParsePrefix("10.1.2.63/32"))
	if err != nil || len(holder.Prefixes) != 3 || holder.Prefixes[2].Name != "v4" || holder.Allocation == nil || holder.Allocation.Owner != "a" {
		t.Errorf("holder %+v (%v)", holder, err)
	}
	holder, err = store.HolderOf(ctx, "", netip.MustParsePrefix("10.1.2.64/32"))
	if err != nil || holder.Allocation != nil {
		t.Errorf("holder of a free address %+v (%v)", holder, err)
	}
}

// What an owner holds by one name can be released alone, and what was reserved does not rest.
func TestReleaseByName(t *testing.T) {
	store, _ := open(t, pool("p", "203.0.113.0/28", time.Hour))
	r := request("me")
	for _, name := range []string{"a", "b"} {
		r.Wants = append(r.Wants, ipam.Want{Name: name, Kind: ipam.KindAddress, Family: ipam.IPv4})
	}
	if _, err := store.Allocate(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for range 2 { // releasing again changes nothing
		if err := store.ReleaseName(t.Context(), "me", "a", ipam.By{Actor: "me"}); err != nil {
			t.Fatal(err)
		}
	}
	held, err := store.Allocations(t.Context(), ipam.Filter{Owner: "me", Resting: true})
	if err != nil || len(held) != 2 || held[0].RestsUntil.IsZero() || !held[1].RestsUntil.IsZero() {
		t.Errorf("got %+v (%v)", held, err)
	}
	var invalid *ipam.InvalidError
	if err := store.ReleaseName(t.Context(), "me", "", ipam.By{}); !errors.As(err, &invalid) {
		t.Errorf("a release of no name: %v", err)
	}
	history, err := store.History(t.Context(), ipam.HistoryFilter{Owner: "me"})
	if err != nil || len(history) != 3 || history[2].Action != ipam.Released || history[2].By.Actor != "me" {
		t.Errorf("the history is %+v (%v)", history, err)
	}
	gateway := netip.MustParseAddr("203.0.113.9")
	if err := store.Reserve(t.Context(), ipam.Pool{Site: "ewr1", Role: ipam.Tenant}, gateway, gateway, "gateway", ipam.By{}); err != nil {
		t.Fatal(err)
	}
	if err := store.Unreserve(t.Context(), gateway, gateway, ipam.By{}); err != nil {
		t.Fatal(err)
	}
	r.Wants = []ipam.Want{{Name: "c", Kind: ipam.KindAddress, Chosen: netip.PrefixFrom(gateway, 32)}}
	if _, err := store.Allocate(t.Context(), r); err != nil {
		t.Errorf("what was reserved is not free: %v", err)
	}
}

// A pool may have any size, from all addresses to one.
func TestAnySize(t *testing.T) {
	store, database := open(t)
	for _, whole := range []string{"0.0.0.0/0", "::/0", "128.0.0.0/1", "203.0.113.7/32", "2001:db8::7/128", "203.0.113.0/31"} {
		if err := store.CreateDomain(t.Context(), whole, ""); err != nil {
			t.Fatal(err)
		}
		p := pool("p", whole, 0)
		p.Domain = whole
		if err := store.PutPools(t.Context(), []ipam.Pool{p}, ipam.By{}); err != nil {
			t.Fatal(err)
		}
		first := netip.PrefixFrom(p.Prefix.Addr(), p.Prefix.Addr().BitLen())
		r := request("me")
		r.Domain, r.Wants = whole, []ipam.Want{{Kind: ipam.KindAddress, Chosen: first}}
		if given, err := store.Allocate(t.Context(), r); err != nil || given[0].Prefix != first {
			t.Errorf("%s: %v (%v)", whole, given, err)
		}
		r.Owner, r.Wants = "you", []ipam.Want{{Kind: ipam.KindBlock, Chosen: p.Prefix}}
		if _, err := store.Allocate(t.Context(), r); err == nil {
			t.Errorf("%s was given whole while a part of it is held", whole)
		}
		mustBePartition(t, database)
		if err := store.Release(t.Context(), "me", ipam.By{}); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Allocate(t.Context(), r); err != nil {
			t.Errorf("%s is not whole again: %v", whole, err)
		}
		if err := store.Release(t.Context(), "you", ipam.By{}); err != nil {
			t.Fatal(err)
		}
	}
	usage, err := store.Usage(t.Context())
	if err != nil || len(usage) != 6 {
		t.Fatalf("%v (%v)", usage, err)
	}
	for _, u := range usage {
		if u.Free != u.Capacity || u.Used() != 0 {
			t.Errorf("%s has %g of %g free", u.Domain, u.Free, u.Capacity)
		}
	}
}
