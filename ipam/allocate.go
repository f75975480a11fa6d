package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
)

// AllocateLinks gives an owner one link of each family that the site has pools of the
// role for: all of them, or none. An owner who holds links of that site and role gets the
// same ones again.
//
// Errors: ErrNoPool, *ExhaustedError, *InvalidError.
func (s *Store) AllocateLinks(ctx context.Context, r Request) (Links, error) {
	if r.Owner == "" {
		return Links{}, &InvalidError{What: "request", Reason: "it names no owner"}
	}
	var links Links
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := lockOwner(ctx, tx, r.Owner); err != nil {
			return err
		}
		pools, err := poolsOf(ctx, tx, r)
		if err != nil {
			return err
		}
		if links.IPv4, err = allocateLink(ctx, tx, r, "IPv4", pools.ipv4); err != nil {
			return err
		}
		links.IPv6, err = allocateLink(ctx, tx, r, "IPv6", pools.ipv6)
		return err
	})
	if err != nil {
		return Links{}, fmt.Errorf("allocate for %s: %w", r.Owner, err)
	}
	return links, nil
}

// lockOwner has the calls for one owner take turns until tx ends.
func lockOwner(ctx context.Context, tx pgx.Tx, owner string) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('ipam ' || $1, 0))`, owner)
	return err
}

type families struct{ ipv4, ipv6 []string }

// poolsOf names the pools that a request can be served from, in the order of their names,
// and locks them in that order, as PutPools does: allocations take turns, so that two of
// them do not want the same gap, and nobody waits in a circle.
func poolsOf(ctx context.Context, tx pgx.Tx, r Request) (families, error) {
	rows, err := tx.Query(ctx, `SELECT name, family(prefix) FROM ipam.pools
		WHERE site = $1 AND role = $2 ORDER BY name FOR UPDATE`, r.Site, r.Role)
	if err != nil {
		return families{}, err
	}
	var (
		pools  families
		name   string
		family int
	)
	_, err = pgx.ForEachRow(rows, []any{&name, &family}, func() error {
		if family == 4 {
			pools.ipv4 = append(pools.ipv4, name)
		} else {
			pools.ipv6 = append(pools.ipv6, name)
		}
		return nil
	})
	if err == nil && len(pools.ipv4)+len(pools.ipv6) == 0 {
		err = fmt.Errorf("%s at %s: %w", r.Role, r.Site, ErrNoPool)
	}
	return pools, err
}

// allocateLink takes the lowest free link of the first pool that has one.
func allocateLink(ctx context.Context, tx pgx.Tx, r Request, family string, pools []string) (Link, error) {
	if len(pools) == 0 {
		return Link{}, nil
	}
	held, err := heldLink(ctx, tx, r.Owner, pools)
	if err != nil || held.Prefix.IsValid() {
		return held, err
	}
	for _, pool := range pools {
		link, err := allocateFrom(ctx, tx, pool, r.Owner)
		if err != nil || link.Prefix.IsValid() {
			return link, err
		}
	}
	exhausted := &ExhaustedError{Site: r.Site, Role: r.Role, Family: family}
	var next *time.Time
	err = tx.QueryRow(ctx, `SELECT min(rests_until) FROM ipam.allocations
		WHERE pool = ANY($1) AND released_at IS NOT NULL`, pools).Scan(&next)
	if err != nil {
		return Link{}, err
	}
	if next != nil {
		exhausted.NextFree = *next
	}
	return Link{}, exhausted
}

func heldLink(ctx context.Context, tx pgx.Tx, owner string, pools []string) (Link, error) {
	var link Link
	err := tx.QueryRow(ctx, `SELECT pool, prefix FROM ipam.allocations
		WHERE owner = $1 AND pool = ANY($2) AND released_at IS NULL`, owner, pools).Scan(&link.Pool, &link.Prefix)
	if errors.Is(err, pgx.ErrNoRows) {
		return Link{}, nil
	}
	return link, err
}

// allocateFrom takes the lowest free link of a pool; the zero Link if there is none. The
// pool is locked.
func allocateFrom(ctx context.Context, tx pgx.Tx, pool, owner string) (Link, error) {
	if err := wake(ctx, tx, pool); err != nil {
		return Link{}, err
	}
	var first, last netip.Addr
	err := tx.QueryRow(ctx, `SELECT first, last FROM ipam.gaps WHERE pool = $1 ORDER BY first LIMIT 1`, pool).Scan(&first, &last)
	if errors.Is(err, pgx.ErrNoRows) {
		return Link{}, nil
	}
	if err != nil {
		return Link{}, err
	}
	link := Link{Pool: pool, Prefix: netip.PrefixFrom(first, linkBits(first))}
	if end := first.Next(); end == last {
		_, err = tx.Exec(ctx, `DELETE FROM ipam.gaps WHERE pool = $1 AND first = $2`, pool, first)
	} else {
		_, err = tx.Exec(ctx, `UPDATE ipam.gaps SET first = $3 WHERE pool = $1 AND first = $2`, pool, first, end.Next())
	}
	if err != nil {
		return Link{}, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO ipam.allocations (pool, owner, prefix) VALUES ($1, $2, $3)`, pool, owner, link.Prefix)
	return link, err
}

// wakeAtOnce bounds the links that one allocation makes free. More than the one it takes,
// so that none stays behind for good; few, so that thousands of rests that end together do
// not hold up the orders behind this one.
const wakeAtOnce = 16

// wake makes links of a pool free whose rest is over, those first that ended first. The
// pool is locked.
func wake(ctx context.Context, tx pgx.Tx, pool string) error {
	rows, err := tx.Query(ctx, `DELETE FROM ipam.allocations WHERE id IN (
		SELECT id FROM ipam.allocations
		WHERE pool = $1 AND released_at IS NOT NULL AND rests_until <= clock_timestamp()
		ORDER BY rests_until LIMIT $2) RETURNING prefix`, pool, wakeAtOnce)
	if err != nil {
		return err
	}
	woken, err := pgx.CollectRows(rows, pgx.RowTo[netip.Prefix])
	if err != nil {
		return err
	}
	for _, link := range woken {
		if err := freeRange(ctx, tx, pool, link.Addr(), link.Addr().Next()); err != nil {
			return err
		}
	}
	return nil
}

// freeRange adds a range to the gaps, as one with the gaps before and after it.
func freeRange(ctx context.Context, tx pgx.Tx, pool string, first, last netip.Addr) error {
	err := tx.QueryRow(ctx, `DELETE FROM ipam.gaps WHERE pool = $1 AND last = $2 RETURNING first`, pool, first.Prev()).Scan(&first)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	err = tx.QueryRow(ctx, `DELETE FROM ipam.gaps WHERE pool = $1 AND first = $2 RETURNING last`, pool, last.Next()).Scan(&last)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO ipam.gaps (pool, first, last) VALUES ($1, $2, $3)`, pool, first, last)
	return err
}

// Release sends all that an owner holds into quarantine. Releasing again, or for an owner
// who holds nothing, changes nothing.
func (s *Store) Release(ctx context.Context, owner string) error {
	if owner == "" {
		return &InvalidError{What: "release", Reason: "it names no owner"}
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := lockOwner(ctx, tx, owner); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE ipam.allocations a
			SET released_at = clock_timestamp(), rests_until = clock_timestamp() + p.quarantine
			FROM ipam.pools p WHERE p.name = a.pool AND a.owner = $1 AND a.released_at IS NULL`, owner)
		return err
	})
	if err != nil {
		return fmt.Errorf("release for %s: %w", owner, err)
	}
	return nil
}
