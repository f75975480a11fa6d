package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"ferrodur/ipam"
	"ferrodur/lab/postgres"
	"ferrodur/schema"
)

func open(t testing.TB, pools ...ipam.Pool) (*ipam.Store, *pgxpool.Pool) {
	t.Helper()
	database, err := pgxpool.New(context.Background(), postgres.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	if err := ipam.Migrate(context.Background(), database); err != nil {
		t.Fatal(err)
	}
	store := ipam.New(database)
	if err := store.PutPools(context.Background(), pools, ipam.By{}); err != nil {
		t.Fatal(err)
	}
	return store, database
}

func pool(name, prefix string, quarantine time.Duration) ipam.Pool {
	return ipam.Pool{Name: name, Site: "ewr1", Role: ipam.Tenant, Prefix: netip.MustParsePrefix(prefix), Quarantine: quarantine}
}

func request(owner string) ipam.Request {
	return ipam.Request{Owner: owner, Site: "ewr1", Role: ipam.Tenant}
}

func TestAllocateLinks(t *testing.T) {
	store, _ := open(t, pool("a4", "198.51.100.0/30", 0), pool("b4", "203.0.113.0/31", 0), pool("v6", "2001:db8::/64", 0))
	for _, test := range []struct{ owner, switch4, host4, host6 string }{
		{"one", "198.51.100.0/31", "198.51.100.1/31", "2001:db8::1/127"},
		{"two", "198.51.100.2/31", "198.51.100.3/31", "2001:db8::3/127"},
		{"one", "198.51.100.0/31", "198.51.100.1/31", "2001:db8::1/127"}, // asked again
		{"three", "203.0.113.0/31", "203.0.113.1/31", "2001:db8::5/127"}, // the first pool is full
	} {
		links, err := store.AllocateLinks(t.Context(), request(test.owner))
		if err != nil {
			t.Fatal(err)
		}
		if got := links.IPv4.Switch().String(); got != test.switch4 {
			t.Errorf("%s: switch %s, want %s", test.owner, got, test.switch4)
		}
		if got := links.IPv4.Host().String(); got != test.host4 {
			t.Errorf("%s: host %s, want %s", test.owner, got, test.host4)
		}
		if got := links.IPv6.Host().String(); got != test.host6 {
			t.Errorf("%s: host %s, want %s", test.owner, got, test.host6)
		}
	}
	var exhausted *ipam.ExhaustedError
	if _, err := store.AllocateLinks(t.Context(), request("four")); !errors.As(err, &exhausted) || exhausted.Family != ipam.IPv4 || !exhausted.NextFree.IsZero() {
		t.Errorf("a full pool answers %v", err)
	}
	held, err := store.Allocations(t.Context(), ipam.Filter{Owner: "four", Resting: true})
	if err != nil || len(held) != 0 {
		t.Errorf("a refused owner holds %v (%v)", held, err)
	}
}

func TestNoPool(t *testing.T) {
	store, _ := open(t)
	if _, err := store.AllocateLinks(t.Context(), request("one")); !errors.Is(err, ipam.ErrNoPool) {
		t.Errorf("got %v", err)
	}
}

// A released link rests; an order that finds only resting ones is told when one is free.
func TestQuarantine(t *testing.T) {
	const rest = 700 * time.Millisecond
	store, _ := open(t, pool("a", "198.51.100.0/31", rest))
	if _, err := store.AllocateLinks(t.Context(), request("one")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second release changes nothing
		if err := store.Release(t.Context(), "one", ipam.By{}); err != nil {
			t.Fatal(err)
		}
	}
	released := time.Now()
	var exhausted *ipam.ExhaustedError
	if _, err := store.AllocateLinks(t.Context(), request("two")); !errors.As(err, &exhausted) {
		t.Fatalf("a resting link: %v", err)
	}
	if wait := exhausted.NextFree.Sub(released); wait <= 0 || wait > rest+time.Second {
		t.Errorf("the next link is said to be free in %s", wait)
	}
	time.Sleep(time.Until(exhausted.NextFree) + 50*time.Millisecond)
	links, err := store.AllocateLinks(t.Context(), request("two"))
	if err != nil || links.IPv4.Prefix.String() != "198.51.100.0/31" {
		t.Errorf("after its rest: %v (%v)", links, err)
	}
}

// 32 orders race for the last 20 links; every link has one owner.
func TestRaceForTheLastLinks(t *testing.T) {
	store, database := open(t, pool("a", "198.51.100.0/27", 0), pool("b", "203.0.113.0/29", 0))
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		owner = map[netip.Prefix]string{}
		none  int
	)
	for n := range 32 {
		wait.Go(func() {
			name := fmt.Sprintf("instance/%d", n)
			links, err := store.AllocateLinks(t.Context(), request(name))
			mu.Lock()
			defer mu.Unlock()
			var exhausted *ipam.ExhaustedError
			switch {
			case errors.As(err, &exhausted):
				none++
			case err != nil:
				t.Error(err)
			case owner[links.IPv4.Prefix] != "":
				t.Errorf("%s went to %s and to %s", links.IPv4.Prefix, owner[links.IPv4.Prefix], name)
			default:
				owner[links.IPv4.Prefix] = name
			}
		})
	}
	wait.Wait()
	if len(owner) != 20 || none != 12 {
		t.Errorf("%d links went out and %d orders were refused, want 20 and 12", len(owner), none)
	}
	var gaps int
	if err := database.QueryRow(t.Context(), `SELECT count(*) FROM ipam.free`).Scan(&gaps); err != nil || gaps != 0 {
		t.Errorf("%d gaps are left in full pools (%v)", gaps, err)
	}
}

func TestSameOwnerInParallelGetsOneAnswer(t *testing.T) {
	store, _ := open(t, pool("a", "198.51.100.0/24", 0), pool("v6", "2001:db8::/64", 0))
	answers := make([]ipam.Links, 16)
	var wait sync.WaitGroup
	for n := range answers {
		wait.Go(func() {
			var err error
			if answers[n], err = store.AllocateLinks(t.Context(), request("one")); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, answer := range answers {
		if answer != answers[0] {
			t.Fatalf("one owner was answered %v and %v", answers[0], answer)
		}
	}
}

// The schema itself refuses what this package would never write.
func TestSchemaRefusesOverlap(t *testing.T) {
	store, database := open(t, pool("a", "198.51.100.0/24", 0))
	if _, err := store.AllocateLinks(t.Context(), request("one")); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"198.51.100.0/31", "198.51.100.1/32", "198.51.100.0/25"} {
		_, err := database.Exec(t.Context(), `INSERT INTO ipam.allocations (domain, pool, kind, owner, prefix)
			SELECT domain, id, 'block', 'thief', $1 FROM ipam.prefixes WHERE name = 'a'`, netip.MustParsePrefix(prefix))
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.ConstraintName != "allocations_apart_1" {
			t.Errorf("%s beside the held link: %v", prefix, err)
		}
	}
}

func TestPutPools(t *testing.T) {
	ctx := t.Context()
	store, _ := open(t, pool("a", "198.51.100.0/30", time.Hour))
	if _, err := store.AllocateLinks(ctx, request("one")); err != nil {
		t.Fatal(err)
	}
	var (
		overlap *ipam.OverlapError
		inUse   *ipam.InUseError
		invalid *ipam.InvalidError
	)
	elsewhere := pool("a", "198.51.100.0/30", 0)
	elsewhere.Site = "ams1"
	for _, test := range []struct {
		name string
		pool ipam.Pool
		want any // nil: accepted
	}{
		{"the same again", pool("a", "198.51.100.0/30", time.Hour), nil},
		{"overlap", pool("b", "198.51.100.0/24", 0), &overlap},
		{"shrunk while held", pool("a", "198.51.100.0/31", 0), &inUse},
		{"moved while held", pool("a", "203.0.113.0/24", 0), &inUse},
		{"another site while held", elsewhere, &inUse},
		{"grown", pool("a", "198.51.100.0/29", 0), nil},
		{"no name", pool("", "203.0.113.0/24", 0), &invalid},
		{"host bits", ipam.Pool{Name: "c", Site: "x", Role: ipam.Tenant, Prefix: netip.MustParsePrefix("203.0.113.1/24")}, &invalid},
		{"IPv4 in IPv6", pool("c", "::ffff:203.0.113.0/120", 0), &invalid},
		{"negative quarantine", pool("c", "203.0.113.0/24", -time.Second), &invalid},
	} {
		err := store.PutPools(ctx, []ipam.Pool{test.pool}, ipam.By{})
		if test.want == nil && err != nil || test.want != nil && (err == nil || !errors.As(err, test.want)) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	// The grown pool hands out every link that it gained, and the held one stays.
	for n := range 3 {
		if _, err := store.AllocateLinks(ctx, request(fmt.Sprint("more ", n))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.AllocateLinks(ctx, request("too many")); err == nil {
		t.Error("the grown pool gave out more than it has")
	}
	usage, err := store.Usage(ctx)
	if err != nil || len(usage) != 1 || usage[0].Held != 8 || usage[0].Capacity != 8 {
		t.Errorf("usage %+v (%v)", usage, err)
	}
}

func TestMigrateTogetherAndTooNew(t *testing.T) {
	_, database := open(t)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if err := ipam.Migrate(t.Context(), database); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if _, err := database.Exec(t.Context(), `INSERT INTO ipam.schema_version (version_id, is_applied) VALUES (99999, true)`); err != nil {
		t.Fatal(err)
	}
	var newer schema.NewerError
	if err := ipam.Migrate(t.Context(), database); !errors.As(err, &newer) {
		t.Errorf("a newer schema: %v", err)
	}
}
