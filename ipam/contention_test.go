package ipam_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"ferrodur/ipam"
)

// Orders and declarations lock the same pools; whichever order the declarations are in,
// nobody is refused for a deadlock.
func TestOrdersAndDeclarationsTogether(t *testing.T) {
	pools := []ipam.Pool{pool("z4", "10.0.0.0/16", 0), pool("a6", "2001:db8::/64", 0)}
	store, _ := open(t, pools...)
	var wait sync.WaitGroup
	for n := range 6 {
		wait.Go(func() {
			for round := range 40 {
				var err error
				switch n % 3 {
				case 0:
					_, err = store.AllocateLinks(t.Context(), request(fmt.Sprintf("instance/%d-%d", n, round)))
				case 1:
					err = store.PutPools(t.Context(), pools, ipam.By{})
				default:
					err = store.PutPools(t.Context(), []ipam.Pool{pools[1], pools[0]}, ipam.By{})
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}

// When thousands of rests end together, the next order does not pay for all of them, and
// in the end each link is handed out again.
func TestManyRestsEndTogether(t *testing.T) {
	ctx := t.Context()
	store, database := open(t, pool("a", "198.51.100.0/24", time.Hour))
	const capacity = 128
	for n := range capacity {
		if _, err := store.AllocateLinks(ctx, request(fmt.Sprint("old ", n))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := database.Exec(ctx, `UPDATE ipam.allocations
		SET released_at = now() - interval '2h', rests_until = now() - interval '1h'`); err != nil {
		t.Fatal(err)
	}
	seen := map[netip.Prefix]bool{}
	for n := range capacity {
		links, err := store.AllocateLinks(ctx, request(fmt.Sprint("new ", n)))
		if err != nil {
			t.Fatalf("order %d of %d: %v", n+1, capacity, err)
		}
		seen[links.IPv4.Prefix] = true
		var rested int
		if err := database.QueryRow(ctx, `SELECT count(*) FROM ipam.allocations WHERE released_at IS NOT NULL`).Scan(&rested); err != nil {
			t.Fatal(err)
		}
		if n == 0 && rested < capacity/2 {
			t.Errorf("the first order woke %d links", capacity-rested)
		}
	}
	if len(seen) != capacity {
		t.Errorf("%d links were handed out, want %d", len(seen), capacity)
	}
}

// A pool whose links have all rested may move, woken or not.
func TestRestedPoolMoves(t *testing.T) {
	ctx := t.Context()
	store, database := open(t, pool("a", "198.51.100.0/24", 0))
	for n := range 40 {
		if _, err := store.AllocateLinks(ctx, request(fmt.Sprint("old ", n))); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 40 {
		if err := store.Release(ctx, fmt.Sprint("old ", n), ipam.By{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.PutPools(ctx, []ipam.Pool{pool("a", "203.0.113.0/31", 0)}, ipam.By{}); err != nil {
		t.Fatal(err)
	}
	links, err := store.AllocateLinks(ctx, request("new"))
	if err != nil || links.IPv4.Prefix.String() != "203.0.113.0/31" {
		t.Errorf("the moved pool answers %v (%v)", links, err)
	}
	var left int
	if err := database.QueryRow(ctx, `SELECT count(*) FROM ipam.allocations WHERE NOT prefix << '203.0.113.0/30'`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d links are left of the old prefix (%v)", left, err)
	}
}

// A call that is cancelled anywhere has happened whole or not at all, and keeps no lock
// and no connection.
func TestCancelledCallsLeakNothing(t *testing.T) {
	store, database := open(t, pool("a", "10.0.0.0/23", 0), pool("v6", "2001:db8::/64", 0))
	order := func(ctx context.Context, owner string) error {
		_, err := store.AllocateLinks(ctx, request(owner))
		return err
	}
	began := time.Now()
	for range 5 {
		if err := order(t.Context(), "o0"); err != nil {
			t.Fatal(err)
		}
		if err := store.Release(t.Context(), "o0", ipam.By{}); err != nil {
			t.Fatal(err)
		}
	}
	call := time.Since(began) / 10
	var whole, cut int
	for n := range 240 {
		timeout := call * time.Duration(n%40) / 40 // cut somewhere in the call
		if n%4 > 1 {
			timeout *= 40 // after a cut, connecting anew takes several calls' time
		}
		do := []func(context.Context, string) error{order}
		if n%2 == 1 { // the others' halves, if there are any, stay to be seen
			do = append(do, func(ctx context.Context, owner string) error { return store.Release(ctx, owner, ipam.By{}) })
		}
		for _, do := range do {
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			err := do(ctx, fmt.Sprint("o", n))
			cancel()
			if err == nil {
				whole++
			} else {
				cut++
			}
		}
	}
	if whole < 20 || cut < 20 {
		t.Fatalf("%d calls ended whole and %d were cut: too few of one kind to tell", whole, cut)
	}
	// The server notices a cut a moment later.
	for busy := 1; busy > 0; time.Sleep(10 * time.Millisecond) {
		if err := database.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'`).Scan(&busy); err != nil {
			t.Fatal(err)
		}
	}
	if acquired := database.Stat().AcquiredConns(); acquired != 0 {
		t.Errorf("%d connections are still taken", acquired)
	}
	var half, locks int
	if err := database.QueryRow(t.Context(), `SELECT
		(SELECT count(*) FROM (SELECT FROM ipam.allocations WHERE released_at IS NULL GROUP BY owner HAVING count(*) <> 2) AS o),
		(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`).Scan(&half, &locks); err != nil {
		t.Fatal(err)
	}
	if half != 0 || locks != 0 {
		t.Errorf("%d owners hold half of what they asked for, and %d locks are left", half, locks)
	}
	var free, used int
	if err := database.QueryRow(t.Context(), `SELECT
		(SELECT sum(2 ^ (31 - bits)) FROM ipam.free WHERE family(prefix) = 4),
		(SELECT count(*) FROM ipam.allocations WHERE family(prefix) = 4)`).Scan(&free, &used); err != nil {
		t.Fatal(err)
	}
	if free+used != 256 {
		t.Errorf("%d links are free and %d held or rest, want 256 together", free, used)
	}
}
