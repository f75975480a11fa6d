package ipam

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// PutPools declares pools, in one transaction: all of them, or none. A pool that is not
// named stays as it is. A pool may grow and may change its quarantine at any time; its
// site, its role, and addresses that it loses only while nothing of it is held or rests.
//
// Errors: *InvalidError, *OverlapError, *InUseError.
func (s *Store) PutPools(ctx context.Context, pools []Pool) error {
	for _, pool := range pools {
		if err := pool.Validate(); err != nil {
			return err
		}
	}
	names := make([]string, len(pools))
	for i, pool := range pools {
		names[i] = pool.Name
	}
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// In the order of names, as poolsOf; the declarations' own order is the caller's.
		if _, err := tx.Exec(ctx, `SELECT FROM ipam.pools WHERE name = ANY($1) ORDER BY name FOR UPDATE`, names); err != nil {
			return fmt.Errorf("declare pools: %w", err)
		}
		for _, pool := range pools {
			if err := put(ctx, tx, pool); err != nil {
				return fmt.Errorf("declare pool %s: %w", pool.Name, err)
			}
		}
		return nil
	})
}

// Validate returns an *InvalidError, or nil.
func (p Pool) Validate() error {
	invalid := func(reason string) error { return &InvalidError{What: "pool " + p.Name, Reason: reason} }
	switch {
	case p.Name == "" || p.Site == "":
		return invalid("it needs a name and a site")
	case p.Role != Tenant && p.Role != Provisioning:
		return invalid(fmt.Sprintf("role %q is neither %s nor %s", p.Role, Tenant, Provisioning))
	case !p.Prefix.IsValid():
		return invalid("it needs a prefix")
	case p.Prefix.Addr().Is4In6():
		return invalid(fmt.Sprintf("%s is an IPv4 address in IPv6 form: write it as IPv4", p.Prefix))
	case p.Prefix.Masked() != p.Prefix:
		return invalid(fmt.Sprintf("%s has bits set behind its length: write %s", p.Prefix, p.Prefix.Masked()))
	case p.Prefix.Bits() > linkBits(p.Prefix.Addr()):
		return invalid(fmt.Sprintf("%s is smaller than one link", p.Prefix))
	case p.Quarantine < 0:
		return invalid("its quarantine is negative")
	}
	return nil
}

func put(ctx context.Context, tx pgx.Tx, pool Pool) error {
	var old Pool
	err := tx.QueryRow(ctx, `SELECT site, role, prefix FROM ipam.pools WHERE name = $1 FOR UPDATE`, pool.Name).
		Scan(&old.Site, &old.Role, &old.Prefix)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return create(ctx, tx, pool)
	case err != nil:
		return err
	}
	if err := mayChange(ctx, tx, old, pool); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE ipam.pools SET site = $2, role = $3, prefix = $4, quarantine = $5 WHERE name = $1`,
		pool.Name, pool.Site, pool.Role, pool.Prefix, pool.Quarantine)
	if err != nil {
		return overlap(pool, err)
	}
	if old.Prefix == pool.Prefix {
		return nil
	}
	return resize(ctx, tx, old.Prefix, pool)
}

func create(ctx context.Context, tx pgx.Tx, pool Pool) error {
	_, err := tx.Exec(ctx, `INSERT INTO ipam.pools (name, site, role, prefix, quarantine) VALUES ($1, $2, $3, $4, $5)`,
		pool.Name, pool.Site, pool.Role, pool.Prefix, pool.Quarantine)
	if err != nil {
		return overlap(pool, err)
	}
	return freeRange(ctx, tx, pool.Name, pool.Prefix.Addr(), lastOf(pool.Prefix))
}

func mayChange(ctx context.Context, tx pgx.Tx, old, pool Pool) error {
	what := ""
	switch {
	case old.Site != pool.Site:
		what = "site"
	case old.Role != pool.Role:
		what = "role"
	case !covers(pool.Prefix, old.Prefix):
		what = "prefix"
	default:
		return nil
	}
	var links int64
	err := tx.QueryRow(ctx, `SELECT count(*) FROM ipam.allocations
		WHERE pool = $1 AND (released_at IS NULL OR rests_until > clock_timestamp())`, pool.Name).Scan(&links)
	if err != nil {
		return err
	}
	if links > 0 {
		return &InUseError{Pool: pool.Name, Links: links, What: what}
	}
	return nil
}

// resize makes the gaps fit a new prefix: one that covers the old, or any where nothing
// is held.
func resize(ctx context.Context, tx pgx.Tx, old netip.Prefix, pool Pool) error {
	if !covers(pool.Prefix, old) {
		// What has rested and was not woken yet lies in the old prefix.
		if _, err := tx.Exec(ctx, `DELETE FROM ipam.allocations
			WHERE pool = $1 AND released_at IS NOT NULL AND rests_until <= clock_timestamp()`, pool.Name); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM ipam.gaps WHERE pool = $1`, pool.Name); err != nil {
			return err
		}
		return freeRange(ctx, tx, pool.Name, pool.Prefix.Addr(), lastOf(pool.Prefix))
	}
	if first := pool.Prefix.Addr(); first != old.Addr() {
		if err := freeRange(ctx, tx, pool.Name, first, old.Addr().Prev()); err != nil {
			return err
		}
	}
	if last := lastOf(pool.Prefix); last != lastOf(old) {
		return freeRange(ctx, tx, pool.Name, lastOf(old).Next(), last)
	}
	return nil
}

// overlap turns the exclusion constraint's refusal into an *OverlapError.
func overlap(pool Pool, err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23P01" { // exclusion_violation
		return &OverlapError{Pool: pool.Name, Prefix: pool.Prefix}
	}
	return err
}

func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// lastOf is the highest address of a prefix.
func lastOf(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Addr().AsSlice()
	for bit := prefix.Bits(); bit < prefix.Addr().BitLen(); bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// Allocations lists links with their owners, by pool and address.
func (s *Store) Allocations(ctx context.Context, filter Filter) ([]Allocation, error) {
	rows, err := s.pool.Query(ctx, `SELECT a.pool, a.prefix, a.owner, a.allocated_at, a.rests_until
		FROM ipam.allocations a JOIN ipam.pools p ON p.name = a.pool
		WHERE ($1 = '' OR a.owner = $1) AND ($2 = '' OR a.pool = $2) AND ($3 = '' OR p.site = $3)
		  AND (a.released_at IS NULL OR ($4 AND a.rests_until > clock_timestamp()))
		ORDER BY a.pool, a.prefix`, filter.Owner, filter.Pool, filter.Site, filter.Resting)
	if err != nil {
		return nil, fmt.Errorf("list allocations: %w", err)
	}
	allocations, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a Allocation, err error) {
		var restsUntil *time.Time
		err = row.Scan(&a.Pool, &a.Prefix, &a.Owner, &a.AllocatedAt, &restsUntil)
		if restsUntil != nil {
			a.RestsUntil = *restsUntil
		}
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("list allocations: %w", err)
	}
	return allocations, nil
}

// Usage lists all pools with what is held of them.
func (s *Store) Usage(ctx context.Context) ([]PoolUsage, error) {
	rows, err := s.pool.Query(ctx, `SELECT p.name, p.site, p.role, p.prefix, p.quarantine,
		  count(*) FILTER (WHERE a.id IS NOT NULL AND a.released_at IS NULL),
		  count(*) FILTER (WHERE a.rests_until > clock_timestamp())
		FROM ipam.pools p LEFT JOIN ipam.allocations a ON a.pool = p.name
		GROUP BY p.name ORDER BY p.name`)
	if err != nil {
		return nil, fmt.Errorf("list pools: %w", err)
	}
	usage, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (u PoolUsage, err error) {
		err = row.Scan(&u.Name, &u.Site, &u.Role, &u.Prefix, &u.Quarantine, &u.Held, &u.Resting)
		if bits := linkBits(u.Prefix.Addr()) - u.Prefix.Bits(); bits < 63 {
			u.Capacity = 1 << bits
		} else {
			u.Capacity = math.MaxInt64
		}
		return u, err
	})
	if err != nil {
		return nil, fmt.Errorf("list pools: %w", err)
	}
	return usage, nil
}
