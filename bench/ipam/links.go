package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go4.org/netipx"

	"ferrodur/ipam"
)

// clientCounts are how many ask at once.
var clientCounts = []int{1, 8, 32}

const many = 32

func pool(name, prefix string) ipam.Pool {
	return ipam.Pool{Name: name, Site: "bench", Role: ipam.Tenant, Prefix: netip.MustParsePrefix(prefix)}
}

func request(owner string) ipam.Request {
	return ipam.Request{Owner: owner, Site: "bench", Role: ipam.Tenant, By: ipam.By{Actor: "bench", Workflow: owner}}
}

// inOrder are keys such as orders have that are numbered as they come.
func inOrder() string { return "instance/" + uuid.Must(uuid.NewV7()).String() }

// inNoOrder are keys that come in no order.
func inNoOrder() string { return "instance/" + uuid.NewString() }

// linksOf is the allocation of a link of each family.
func linksOf(store *ipam.Store, owner func() string) func(context.Context) error {
	return func(ctx context.Context) error {
		links, err := store.AllocateLinks(ctx, request(owner()))
		if err == nil && (!links.IPv4.Prefix.IsValid() || !links.IPv6.Prefix.IsValid()) {
			err = errors.New("a family is missing")
		}
		return err
	}
}

// rates measures the floor and links by turns, so that what else the machine does falls on both.
func (b *bench) rates(ctx context.Context) error {
	for _, clients := range clientCounts {
		floor, err := b.floor(ctx, clients)
		if err != nil {
			return err
		}
		b.Floor = append(b.Floor, floor)
		store, database, err := b.store(ctx, pool("v4", "10.0.0.0/8"), pool("v6", "2001:db8::/64"))
		if err != nil {
			return err
		}
		b.Links = append(b.Links, measure(ctx, clients, b.span, linksOf(store, inOrder)))
		database.Close()
	}
	last := len(clientCounts) - 1
	b.OfFloor = b.Links[last].PerSecond / b.Floor[last].PerSecond
	return nil
}

// growth compares a rate where little is held with one where much is.
type growth struct {
	Little []float64 `json:"little_per_second"`
	Much   []float64 `json:"much_per_second"`
	Ratio  float64   `json:"ratio"` // of the medians; wanted: 0.9
}

func (g *growth) finish() {
	median := func(all []float64) float64 {
		all = slices.Sorted(slices.Values(all))
		return all[len(all)/2]
	}
	g.Ratio = median(g.Much) / median(g.Little)
}

const rounds = 5

// grow compares links where none is held with links where a million is, by turns.
func (b *bench) grow(ctx context.Context) error {
	for _, owners := range []struct {
		key    func() string
		sql    string
		result *growth
	}{
		// The history is as long as what is held, and what is compared has the same pools.
		{inOrder, `lpad(to_hex(n), 32, '0')`, &b.Growth},
		{inNoOrder, `gen_random_uuid()`, &b.Random},
	} {
		much, muchDB, err := b.store(ctx, pool("v4", "10.0.0.0/8"), pool("v6", "2001:db8::/105"))
		if err != nil {
			return err
		}
		if err := hold(ctx, muchDB, 1_000_000, owners.sql); err != nil {
			return err
		}
		for range rounds {
			little, littleDB, err := b.store(ctx, pool("v4", "10.0.0.0/8"), pool("v6", "2001:db8::/105"))
			if err != nil {
				return err
			}
			for _, side := range []struct {
				store *ipam.Store
				rates *[]float64
			}{{little, &owners.result.Little}, {much, &owners.result.Much}} {
				measure(ctx, many, time.Second, linksOf(side.store, owners.key)) // connections, caches
				r := measure(ctx, many, b.span/2, linksOf(side.store, owners.key))
				if r.Errors > 0 {
					return errors.New(r.Error)
				}
				*side.rates = append(*side.rates, r.PerSecond)
			}
			littleDB.Close()
		}
		owners.result.finish()
		muchDB.Close()
	}
	return nil
}

// hold writes links into both pools, from their low ends, as if they had been allocated.
func hold(ctx context.Context, database *pgxpool.Pool, n int, owner string) error {
	for _, statement := range []string{
		fmt.Sprintf(`CREATE TABLE public.given AS SELECT n, 'instance/' || %s AS owner FROM generate_series(0, %d) n`, owner, n-1),
		`INSERT INTO ipam.allocations (domain, pool, prefix, kind, owner, name)
			SELECT p.domain, p.id, set_masklen(network(p.prefix)::inet + 2 * n, CASE family(p.prefix) WHEN 4 THEN 31 ELSE 127 END)::cidr, 'link', owner, 'tenant'
			FROM public.given, ipam.prefixes p`,
		`INSERT INTO ipam.history (domain, prefix, action, kind, owner, name, actor)
			SELECT domain, prefix, 'allocate', kind, owner, name, 'bench' FROM ipam.allocations ORDER BY prefix`,
		`DELETE FROM ipam.free`,
	} {
		if _, err := database.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	if err := free(ctx, database, n); err != nil {
		return err
	}
	for _, statement := range []string{`VACUUM (ANALYZE) ipam.allocations`, `VACUUM (ANALYZE) ipam.history`, `VACUUM (ANALYZE) ipam.free`, `CHECKPOINT`} {
		if _, err := database.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// free writes what is left of a pool: aligned blocks from the first free address to the end.
func free(ctx context.Context, database *pgxpool.Pool, n int) error {
	rows, err := database.Query(ctx, `SELECT id, network(prefix)::inet + $1::bigint, broadcast(prefix), prefix FROM ipam.prefixes`, 2*n)
	if err != nil {
		return err
	}
	left := map[int64][]netip.Prefix{}
	var (
		id          int64
		first, last netip.Prefix
		pool        netip.Prefix
	)
	if _, err := pgx.ForEachRow(rows, []any{&id, &first, &last, &pool}, func() error {
		left[id] = netipx.IPRangeFrom(first.Addr(), last.Addr()).Prefixes()
		return nil
	}); err != nil {
		return err
	}
	for id, blocks := range left {
		if _, err := database.Exec(ctx, `INSERT INTO ipam.free (pool, prefix) SELECT $1, unnest($2::cidr[])`, id, blocks); err != nil {
			return err
		}
	}
	return nil
}

// fill compares links from an empty pool with links from one that is 99.9 % full: a million
// links and some large blocks are held. What is free is together, as when nothing was
// released yet, or each free link lies apart from the others, which is the worst there is:
// each is on pages of its own. Each round begins with a copy of the databases.
func (b *bench) fill(ctx context.Context) error {
	const links = 7_000
	pools := []ipam.Pool{pool("v4", "10.0.0.0/8"), pool("v6", "2001:db8::/104")}
	empty, err := b.template(ctx, pools)
	if err != nil {
		return err
	}
	for _, full := range []struct {
		free   string // makes 0.1 % of both pools free
		result *growth
	}{
		{`WITH holes AS (DELETE FROM ipam.allocations WHERE kind = 'block'
				AND CASE family(prefix) WHEN 4 THEN 32 ELSE 128 END - masklen(prefix) <= 13 RETURNING pool, prefix)
			INSERT INTO ipam.free (pool, prefix) SELECT pool, prefix FROM holes`, &b.Full},
		{`WITH holes AS (DELETE FROM ipam.allocations a USING public.given g WHERE a.owner = g.owner AND g.n % 120 = 1 RETURNING a.pool, a.prefix)
			INSERT INTO ipam.free (pool, prefix) SELECT pool, prefix FROM holes`, &b.Apart},
	} {
		held, err := b.template(ctx, pools, `INSERT INTO ipam.allocations (domain, pool, prefix, kind, owner, name) SELECT 1, pool, prefix, 'block', 'rest', prefix::text FROM ipam.free`,
			`DELETE FROM ipam.free`, full.free, `VACUUM (ANALYZE)`)
		if err != nil {
			return err
		}
		for range rounds {
			for _, side := range []struct {
				template string
				rates    *[]float64
			}{{empty, &full.result.Little}, {held, &full.result.Much}} {
				store, database, err := b.copyOf(ctx, side.template)
				if err != nil {
					return err
				}
				if err := comeAndGo(ctx, store, links); err != nil {
					return err
				}
				r := measureTimes(ctx, many, links, linksOf(store, inOrder))
				database.Close()
				if r.Errors > 0 {
					return errors.New(r.Error)
				}
				*side.rates = append(*side.rates, r.PerSecond)
			}
		}
		full.result.finish()
	}
	return nil
}

// comeAndGo allocates links and releases them, so that connections are there, and that the
// first write to a page since a checkpoint, which logs the page whole, is no part of what is
// measured: where what is free lies apart, nearly each link is on a page of its own.
func comeAndGo(ctx context.Context, store *ipam.Store, times int) error {
	owners := make(chan string, times)
	for _, do := range []func(context.Context) error{
		func(ctx context.Context) error {
			owner := inOrder()
			owners <- owner
			_, err := store.AllocateLinks(ctx, request(owner))
			return err
		},
		func(ctx context.Context) error { return store.Release(ctx, <-owners, ipam.By{Actor: "bench"}) },
	} {
		if r := measureTimes(ctx, many, times, do); r.Errors > 0 {
			return errors.New(r.Error)
		}
	}
	// Asking for more than there is makes free all that has rested.
	r := request("everything")
	r.Wants = []ipam.Want{{Kind: ipam.KindBlock, Family: ipam.IPv4, Bits: 7}, {Kind: ipam.KindBlock, Family: ipam.IPv6, Bits: 103}}
	var exhausted *ipam.ExhaustedError
	if _, err := store.Allocate(ctx, r); !errors.As(err, &exhausted) {
		return fmt.Errorf("asked for more than there is: %w", err)
	}
	return nil
}

// template makes a database to be copied: empty, or with a million links held and what the
// statements do then.
func (b *bench) template(ctx context.Context, pools []ipam.Pool, statements ...string) (name string, err error) {
	_, database, err := b.store(ctx, pools...)
	if err != nil {
		return "", err
	}
	defer database.Close()
	if len(statements) > 0 {
		if err := hold(ctx, database, 1_000_000, `lpad(to_hex(n), 32, '0')`); err != nil {
			return "", err
		}
	}
	for _, statement := range statements {
		if _, err := database.Exec(ctx, statement); err != nil {
			return "", fmt.Errorf("%s: %w", statement, err)
		}
	}
	return database.Config().ConnConfig.Database, nil
}

func (b *bench) copyOf(ctx context.Context, template string) (*ipam.Store, *pgxpool.Pool, error) {
	admin, err := pgx.Connect(ctx, b.cluster.DSN("postgres"))
	if err != nil {
		return nil, nil, err
	}
	defer admin.Close(ctx)
	b.databases++
	name := fmt.Sprint("bench", b.databases)
	for _, statement := range []string{"CREATE DATABASE " + name + " TEMPLATE " + template, "CHECKPOINT"} {
		if _, err := admin.Exec(ctx, statement); err != nil {
			return nil, nil, err
		}
	}
	database, err := pgxpool.New(ctx, b.cluster.DSN(name))
	if err != nil {
		return nil, nil, err
	}
	return ipam.New(database), database, nil
}

// burst is the shape that Neutron took 45 s to 2 min for.
type burst struct {
	Seconds   float64 `json:"seconds"`
	Addresses int     `json:"addresses"`
	Twice     int     `json:"twice"`
	Errors    int     `json:"errors"`
}

func (b *bench) burst(ctx context.Context) error {
	store, database, err := b.store(ctx, pool("v4", "203.0.113.0/24"))
	if err != nil {
		return err
	}
	defer database.Close()
	var (
		wait    sync.WaitGroup
		mu      sync.Mutex
		holders = map[netip.Prefix]int{}
		start   = time.Now()
	)
	for call := range 24 {
		wait.Go(func() {
			r := request(fmt.Sprint("instance/", call))
			for n := range 10 {
				r.Wants = append(r.Wants, ipam.Want{Name: fmt.Sprint(n), Kind: ipam.KindAddress, Family: ipam.IPv4})
			}
			given, err := store.Allocate(ctx, r)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				b.Burst.Errors++
			}
			for _, a := range given {
				holders[a.Prefix]++
			}
		})
	}
	wait.Wait()
	b.Burst.Seconds, b.Burst.Addresses = time.Since(start).Seconds(), len(holders)
	for _, n := range holders {
		b.Burst.Twice += n - 1
	}
	return nil
}
