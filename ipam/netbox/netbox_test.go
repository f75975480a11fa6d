package netbox_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"ferrodur/ipam"
	"ferrodur/ipam/netbox"
	"ferrodur/lab/netboxsim"
	"ferrodur/lab/postgres"
)

const token = "0123456789abcdef0123456789abcdef01234567"

// open returns a store whose pools are in a NetBox with the same prefixes.
func open(t *testing.T, pools ...ipam.Pool) (*ipam.Store, *netboxsim.NetBox) {
	t.Helper()
	sim := netboxsim.New(token)
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	source, err := netbox.New(server.URL+"/", token)
	if err != nil {
		t.Fatal(err)
	}
	database, err := pgxpool.New(context.Background(), postgres.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	if err := ipam.Migrate(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	store := ipam.New(database, ipam.WithSource(netbox.Name, source))
	if err := store.PutPools(t.Context(), pools, ipam.By{}); err != nil {
		t.Fatal(err)
	}
	for _, pool := range pools {
		if pool.Source != "" {
			sim.Add(netboxsim.Prefixes, netboxsim.Object{Prefix: pool.Prefix, Status: "active"})
		}
	}
	return store, sim
}

func pool(name, prefix, source string, quarantine time.Duration) ipam.Pool {
	return ipam.Pool{Name: name, Site: "ewr1", Role: ipam.Tenant, Prefix: netip.MustParsePrefix(prefix), Source: source, Quarantine: quarantine}
}

func request(owner string, wants ...ipam.Want) ipam.Request {
	return ipam.Request{Owner: owner, Site: "ewr1", Role: ipam.Tenant, Wants: wants}
}

// held are the objects in NetBox that are not the pools' own.
func held(sim *netboxsim.NetBox) (all []string) {
	for _, set := range []string{netboxsim.Prefixes, netboxsim.Addresses} {
		for _, o := range sim.All(set) {
			if len(o.Tags) == 0 {
				continue
			}
			p := o.Prefix
			if o.Address.IsValid() {
				p = o.Address
			}
			all = append(all, fmt.Sprintf("%s %s", p, o.Status))
		}
	}
	return all
}

func TestAllocateAndRelease(t *testing.T) {
	ctx := t.Context()
	store, sim := open(t, pool("v4", "198.51.100.0/30", netbox.Name, 0), pool("v6", "2001:db8::/64", "", 0))
	sim.Add(netboxsim.Prefixes, netboxsim.Object{Prefix: netip.MustParsePrefix("198.51.100.0/31"), Description: "somebody else's"})
	for range 2 { // asked again, the same
		links, err := store.AllocateLinks(ctx, request("instance/o-1"))
		if err != nil {
			t.Fatal(err)
		}
		if links.IPv4.Prefix.String() != "198.51.100.2/31" || links.IPv4.Pool != "v4" || links.IPv6.Prefix.String() != "2001:db8::/127" {
			t.Errorf("got %v", links)
		}
	}
	if got := fmt.Sprint(held(sim)); got != "[198.51.100.2/31 active]" {
		t.Errorf("NetBox has %s", got)
	}
	var exhausted *ipam.ExhaustedError
	if _, err := store.AllocateLinks(ctx, request("instance/o-2")); !errors.As(err, &exhausted) || exhausted.Family != ipam.IPv4 {
		t.Errorf("a full prefix: %v", err)
	}
	if found, _ := store.Allocations(ctx, ipam.Filter{Owner: "instance/o-2"}); len(found) != 0 {
		t.Errorf("half of a request is held: %v", found)
	}
	usage, err := store.Usage(ctx)
	if err != nil || usage[0].Unknown != nil || usage[0].Free != 0 || usage[0].Held != 4 {
		t.Errorf("usage %+v (%v)", usage[0], err)
	}
	for range 2 {
		if err := store.Release(ctx, "instance/o-1", ipam.By{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := held(sim); len(got) != 0 {
		t.Errorf("after the release NetBox has %s", got)
	}
	if tags := sim.All(netboxsim.Tags); len(tags) != 0 {
		t.Errorf("tags stay behind: %v", tags)
	}
}

// An answer that is lost takes nothing twice, and nothing is left behind.
func TestLostAnswers(t *testing.T) {
	ctx := t.Context()
	store, sim := open(t, pool("v4", "198.51.100.0/24", netbox.Name, 0))
	for n := range 5 {
		owner := fmt.Sprint("instance/o-", n)
		for lost := 1; ; lost++ {
			sim.Lose(1)
			_, err := store.AllocateLinks(ctx, request(owner))
			var away *ipam.SourceError
			if err == nil {
				t.Fatal("no answer was lost")
			}
			if !errors.As(err, &away) {
				t.Fatal(err)
			}
			if lost == 2 { // first the tag's, then the prefix's
				break
			}
		}
		sim.Lose(0)
		if _, err := store.AllocateLinks(ctx, request(owner)); err != nil {
			t.Fatal(err)
		}
	}
	if got := held(sim); len(got) != 5 {
		t.Errorf("NetBox has %v for 5 owners", got)
	}
	// An order that gives up after a lost answer leaves nothing either.
	for range 2 {
		sim.Lose(1)
		if _, err := store.AllocateLinks(ctx, request("instance/gone")); err == nil {
			t.Fatal("no answer was lost")
		}
	}
	sim.Lose(0)
	if got := held(sim); len(got) != 6 {
		t.Fatalf("NetBox has %v", got)
	}
	if err := store.Release(ctx, "instance/gone", ipam.By{}); err != nil {
		t.Fatal(err)
	}
	if got := held(sim); len(got) != 5 {
		t.Errorf("after the release NetBox has %v", got)
	}
}

// While NetBox is away, requests fail in a way that is worth a retry.
func TestAway(t *testing.T) {
	ctx := t.Context()
	store, sim := open(t, pool("v4", "198.51.100.0/24", netbox.Name, 0))
	if _, err := store.AllocateLinks(ctx, request("instance/o-1")); err != nil {
		t.Fatal(err)
	}
	sim.Away(true)
	var away *ipam.SourceError
	if _, err := store.AllocateLinks(ctx, request("instance/o-2")); !errors.As(err, &away) || away.Pool != "v4" {
		t.Errorf("away: %v", err)
	}
	if err := store.Release(ctx, "instance/o-1", ipam.By{}); !errors.As(err, &away) {
		t.Errorf("a release while it is away: %v", err)
	}
	if usage, err := store.Usage(ctx); err != nil || usage[0].Unknown == nil {
		t.Errorf("usage while it is away: %+v (%v)", usage, err)
	}
	sim.Away(false)
	if err := store.Release(ctx, "instance/o-1", ipam.By{}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.AllocateLinks(ctx, request("instance/o-2")); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(held(sim)); got != "[198.51.100.0/31 active]" {
		t.Errorf("NetBox has %s", got)
	}
}

// What is released rests in NetBox too, where nobody else is given it.
func TestQuarantine(t *testing.T) {
	ctx := t.Context()
	const rest = 700 * time.Millisecond
	store, sim := open(t, pool("v4", "198.51.100.0/30", netbox.Name, rest))
	sim.Add(netboxsim.Prefixes, netboxsim.Object{Prefix: netip.MustParsePrefix("198.51.100.2/31")})
	if _, err := store.AllocateLinks(ctx, request("one")); err != nil {
		t.Fatal(err)
	}
	if err := store.Release(ctx, "one", ipam.By{}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(held(sim)); got != "[198.51.100.0/31 deprecated]" {
		t.Errorf("NetBox has %s", got)
	}
	var exhausted *ipam.ExhaustedError
	if _, err := store.AllocateLinks(ctx, request("two")); !errors.As(err, &exhausted) || exhausted.NextFree.IsZero() {
		t.Errorf("while it rests: %v", err)
	}
	time.Sleep(time.Until(exhausted.NextFree) + 100*time.Millisecond)
	if _, err := store.AllocateLinks(ctx, request("two")); err != nil {
		t.Errorf("after its rest: %v", err)
	}
}

func TestKinds(t *testing.T) {
	ctx := t.Context()
	links, addresses := pool("blocks", "198.51.100.0/24", netbox.Name, 0), pool("addresses", "203.0.113.0/29", netbox.Name, 0)
	addresses.Role = "service"
	store, sim := open(t, links, addresses)
	answer, err := store.Allocate(ctx, request("a", ipam.Want{Kind: ipam.KindBlock, Bits: 28, Family: ipam.IPv4},
		ipam.Want{Name: "chosen", Chosen: netip.MustParsePrefix("198.51.100.64/31")}))
	if err != nil || answer[0].Prefix.String() != "198.51.100.0/28" || answer[1].Prefix.String() != "198.51.100.64/31" {
		t.Errorf("%v (%v)", answer, err)
	}
	if _, err := store.Allocate(ctx, request("b", ipam.Want{Chosen: netip.MustParsePrefix("198.51.100.64/31")})); err == nil {
		t.Error("a chosen link went to two")
	}
	service := ipam.Request{Owner: "vip", Site: "ewr1", Role: "service", Wants: []ipam.Want{{Kind: ipam.KindAddress, Family: ipam.IPv4}}}
	if answer, err := store.Allocate(ctx, service); err != nil || answer[0].Prefix.String() != "203.0.113.1/32" {
		t.Errorf("%v (%v)", answer, err)
	}
	if got := sim.All(netboxsim.Addresses); len(got) != 1 || got[0].Address.String() != "203.0.113.1/29" {
		t.Errorf("NetBox has %v", got)
	}
}

// Requests of one owner that run into each other, and into those of others, all come to
// the same.
func TestParallel(t *testing.T) {
	ctx := t.Context()
	store, sim := open(t, pool("v4", "198.51.100.0/24", netbox.Name, 0))
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		given = map[string]string{}
	)
	for n := range 24 {
		wait.Go(func() {
			owner := fmt.Sprint("instance/o-", n%8)
			links, err := store.AllocateLinks(ctx, request(owner))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if had := given[owner]; had != "" && had != links.IPv4.Prefix.String() {
				t.Errorf("%s got %s and %s", owner, had, links.IPv4.Prefix)
			}
			given[owner] = links.IPv4.Prefix.String()
		})
	}
	wait.Wait()
	if got := held(sim); len(got) != 8 {
		t.Errorf("NetBox has %v for 8 owners", got)
	}
}

func TestWhatAPersonMustMend(t *testing.T) {
	ctx := t.Context()
	store, sim := open(t, pool("v4", "198.51.100.0/24", netbox.Name, 0), pool("w4", "203.0.113.0/31", "nowhere", 0))
	sim.Token = "another"
	if _, err := store.AllocateLinks(ctx, request("a")); !errors.Is(err, netbox.ErrCredentials) {
		t.Errorf("a wrong token: %v", err)
	}
	sim.Token = token
	grown := pool("v4", "198.51.0.0/16", netbox.Name, 0) // but not in NetBox
	if err := store.PutPools(ctx, []ipam.Pool{grown}, ipam.By{}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.AllocateLinks(ctx, request("a")); !errors.Is(err, netbox.ErrNoPrefix) {
		t.Errorf("a prefix that is not there: %v", err)
	}
	for _, test := range [][2]string{{"netbox.example.net", token}, {"ftp://netbox", token}, {"https://netbox.example.net", ""}} {
		if _, err := netbox.New(test[0], test[1]); err == nil {
			t.Errorf("%q is accepted", test)
		}
	}
}

// What NetBox gives though somebody else still has it here goes to nobody.
func TestConflict(t *testing.T) {
	ctx := t.Context()
	store, sim := open(t, pool("v4", "198.51.100.0/30", netbox.Name, 0))
	if _, err := store.AllocateLinks(ctx, request("a")); err != nil {
		t.Fatal(err)
	}
	// Somebody deletes it there while a's server still has it.
	sim.Forget(netip.MustParsePrefix("198.51.100.0/31"))
	var conflict *ipam.ConflictError
	if _, err := store.AllocateLinks(ctx, request("b")); !errors.As(err, &conflict) {
		t.Errorf("got %v", err)
	}
	if found, _ := store.Allocations(ctx, ipam.Filter{}); len(found) != 1 || found[0].Owner != "a" {
		t.Errorf("held: %v", found)
	}
}

// Who lost the answer about the last block finds it, though nothing is free any more.
func TestLostAnswerAboutTheLastBlock(t *testing.T) {
	ctx := t.Context()
	store, sim := open(t, pool("v4", "198.51.100.0/30", netbox.Name, 0))
	sim.Add(netboxsim.Prefixes, netboxsim.Object{Prefix: netip.MustParsePrefix("198.51.100.2/31")})
	for range 2 { // the tag's answer, and the prefix's
		sim.Lose(1)
		if _, err := store.AllocateLinks(ctx, request("one")); err == nil {
			t.Fatal("no answer was lost")
		}
	}
	sim.Lose(0)
	if links, err := store.AllocateLinks(ctx, request("one")); err != nil || links.IPv4.Prefix.String() != "198.51.100.0/31" {
		t.Errorf("%v (%v)", links, err)
	}
}

// Of two that an owner holds in NetBox, one can be released, and later the other.
func TestReleaseByName(t *testing.T) {
	store, sim := open(t, pool("v4", "198.51.100.0/30", netbox.Name, 0))
	r := request("me")
	for _, name := range []string{"a", "b"} {
		r.Wants = append(r.Wants, ipam.Want{Name: name, Family: ipam.IPv4})
	}
	if _, err := store.Allocate(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := store.ReleaseName(t.Context(), "me", "a", ipam.By{}); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(held(sim)); got != "[198.51.100.2/31 active]" {
			t.Errorf("NetBox has %s", got)
		}
	}
	if err := store.Release(t.Context(), "me", ipam.By{}); err != nil {
		t.Fatal(err)
	}
	if got := held(sim); len(got) != 0 {
		t.Errorf("after the release NetBox has %s", got)
	}
}
