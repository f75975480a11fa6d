package ipam_test

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"ferrodur/ipam"
)

// A tenant gets what his limit allows, however many ask for him at once and where.
func TestLimits(t *testing.T) {
	ctx := t.Context()
	other := pool("b", "203.0.113.0/24", 0)
	other.Site = "ams1"
	store, _ := open(t, pool("a", "198.51.100.0/24", 0), other, pool("v6", "2001:db8::/32", 0))
	if err := store.PutLimits(ctx, []ipam.Limit{{Tenant: "acme", Family: ipam.IPv4, Addresses: 21}, {Tenant: "acme", Family: ipam.IPv6, Addresses: 0}}); err != nil {
		t.Fatal(err)
	}
	ask := func(owner, site, tenant string, wants ...ipam.Want) error {
		_, err := store.Allocate(ctx, ipam.Request{Owner: owner, Site: site, Role: ipam.Tenant, Tenant: tenant, Wants: wants})
		return err
	}
	link := ipam.Want{Family: ipam.IPv4}
	var (
		wait    sync.WaitGroup
		mu      sync.Mutex
		refused []string
	)
	for n := range 32 {
		wait.Go(func() {
			owner, site := fmt.Sprint("instance/", n), []string{"ewr1", "ams1"}[n%2]
			err := ask(owner, site, "acme", link)
			var limit *ipam.LimitError
			if errors.As(err, &limit) {
				mu.Lock()
				defer mu.Unlock()
				refused = append(refused, owner)
				if limit.Addresses != 21 || limit.Held != 20 || limit.Wanted != 2 {
					t.Errorf("%+v", limit)
				}
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if len(refused) != 22 {
		t.Errorf("%d of 32 orders were refused, want 22", len(refused))
	}
	usage, err := store.Limits(ctx)
	if err != nil || len(usage) != 2 || usage[0].Held != 20 {
		t.Errorf("%+v (%v)", usage, err)
	}

	var limit *ipam.LimitError
	if err := ask("instance/both", "ewr1", "acme", ipam.Want{Kind: ipam.KindAddress, Family: ipam.IPv4}, ipam.Want{Family: ipam.IPv6}); !errors.As(err, &limit) || limit.Family != ipam.IPv6 {
		t.Errorf("over the limit of one family: %v", err)
	}
	if held, _ := store.Allocations(ctx, ipam.Filter{Owner: "instance/both"}); len(held) != 0 {
		t.Errorf("half of a refused request is held: %v", held)
	}
	if err := ask("instance/other", "ewr1", "other", link); err != nil {
		t.Errorf("a tenant without a limit: %v", err)
	}
	if err := store.Release(ctx, "instance/other", ipam.By{}); err != nil {
		t.Fatal(err)
	}
	// One released makes room for one.
	for n := range 32 {
		if owner := fmt.Sprint("instance/", n); ask(owner, []string{"ewr1", "ams1"}[n%2], "acme", link) == nil {
			if err := store.Release(ctx, owner, ipam.By{}); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if err := ask(refused[0], "ewr1", "acme", link); err != nil {
		t.Errorf("after a release: %v", err)
	}
	if err := ask(refused[1], "ewr1", "acme", link); !errors.As(err, &limit) {
		t.Errorf("over the limit again: %v", err)
	}
	var invalid *ipam.InvalidError
	for _, l := range []ipam.Limit{{Family: ipam.IPv4}, {Tenant: "a"}, {Tenant: "a", Family: ipam.IPv4, Addresses: -1}} {
		if err := store.PutLimits(ctx, []ipam.Limit{l}); !errors.As(err, &invalid) {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

// Pools that are kept for a plan or a tenant serve nobody else.
func TestPoolsForSome(t *testing.T) {
	ctx := t.Context()
	plan, tenant := pool("b", "203.0.113.0/24", 0), pool("a", "198.51.100.0/24", 0)
	plan.Plan, tenant.Tenant = "large", "acme"
	store, _ := open(t, plan, tenant)
	for _, test := range []struct{ plan, tenant, pool string }{
		{"large", "", "b"}, {"large", "acme", "a"}, {"", "acme", "a"}, {"small", "other", ""}, {"", "", ""},
	} {
		answer, err := store.Allocate(ctx, ipam.Request{
			Owner: "o/" + test.plan + test.tenant, Site: "ewr1", Role: ipam.Tenant, Plan: test.plan, Tenant: test.tenant,
			Wants: []ipam.Want{{Family: ipam.IPv4}},
		})
		switch {
		case test.pool == "" && !errors.Is(err, ipam.ErrNoPool):
			t.Errorf("%+v: %v, %v", test, answer, err)
		case test.pool != "" && (err != nil || answer[0].Pool != test.pool):
			t.Errorf("%+v: %v, %v", test, answer, err)
		}
	}
}

// What is held, rests, is reserved and is free adds up, also where a pool has more
// addresses than a float can count.
func TestUsage(t *testing.T) {
	ctx := t.Context()
	v4, v6 := pool("v4", "198.51.100.0/28", time.Hour), pool("v6", "2001:db8::/32", 700*time.Millisecond)
	v4.Threshold = 50
	v4.Tags = []string{"routed"}
	store, _ := open(t, v4, v6)
	for _, owner := range []string{"a", "b"} {
		if _, err := store.AllocateLinks(ctx, request(owner)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Release(ctx, "a", ipam.By{}); err != nil {
		t.Fatal(err)
	}
	if err := store.Reserve(ctx, v4, netip.MustParseAddr("198.51.100.13"), netip.MustParseAddr("198.51.100.15"), "VRRP", ipam.By{}); err != nil {
		t.Fatal(err)
	}
	check := func(held, resting, reserved, free float64, past bool, held6, resting6 float64) {
		t.Helper()
		usage, err := store.Usage(ctx)
		if err != nil || len(usage) != 2 {
			t.Fatalf("%v (%v)", usage, err)
		}
		if u := usage[0]; u.Capacity != 16 || u.Held != held || u.Resting != resting || u.Reserved != reserved || u.Free != free || u.PastThreshold() != past || u.Tags[0] != "routed" {
			t.Errorf("%+v", u)
		}
		if u := usage[1]; u.Held != held6 || u.Resting != resting6 || u.PastThreshold() || u.Threshold != ipam.DefaultThreshold {
			t.Errorf("%+v", u)
		}
	}
	check(2, 2, 3, 9, false, 2, 2)
	time.Sleep(time.Second)
	if _, err := store.Allocate(ctx, wanting("c", ipam.Want{Kind: ipam.KindAddress, Family: ipam.IPv4})); err != nil {
		t.Fatal(err)
	}
	check(3, 2, 3, 8, true, 2, 0)
}

func TestRemove(t *testing.T) {
	ctx := t.Context()
	store, database := open(t, pool("v4", "198.51.100.0/28", 0))
	whole := ipam.Prefix{Prefix: netip.MustParsePrefix("198.51.100.0/24"), Kind: ipam.Container}
	if err := store.PutPrefix(ctx, whole, ipam.By{Actor: "ann"}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.AllocateLinks(ctx, request("a")); err != nil {
		t.Fatal(err)
	}
	var (
		inUse   *ipam.InUseError
		invalid *ipam.InvalidError
	)
	prefix := netip.MustParsePrefix("198.51.100.0/28")
	if err := store.Remove(ctx, "", prefix, ipam.By{}); !errors.As(err, &inUse) || inUse.Pool != "v4" || inUse.Held != 1 {
		t.Errorf("a pool in use: %v", err)
	}
	if err := store.Release(ctx, "a", ipam.By{}); err != nil {
		t.Fatal(err)
	}
	if err := store.Remove(ctx, "", prefix, ipam.By{Actor: "ann"}); err != nil {
		t.Errorf("a pool that is not in use: %v", err)
	}
	if err := store.Remove(ctx, "", whole.Prefix, ipam.By{Actor: "ann"}); err != nil {
		t.Error(err)
	}
	if err := store.Remove(ctx, "", whole.Prefix, ipam.By{}); !errors.As(err, &invalid) {
		t.Errorf("a prefix that is not there: %v", err)
	}
	var left int
	if err := database.QueryRow(ctx, `SELECT (SELECT count(*) FROM ipam.prefixes) + (SELECT count(*) FROM ipam.free) + (SELECT count(*) FROM ipam.allocations)`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows are left (%v)", left, err)
	}
	events, err := store.History(ctx, ipam.HistoryFilter{Of: whole.Prefix})
	if err != nil || len(events) != 2 || events[0].Action != ipam.Declared || events[1].Action != ipam.Removed || events[0].By.Actor != "ann" || len(events[0].After) == 0 {
		t.Errorf("%+v (%v)", events, err)
	}
}
