package ipam

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"

	"github.com/jackc/pgx/v5"
)

// SpaceState is what becomes of addresses.
type SpaceState string

// The states of addresses. What is in no pool and not reserved has none.
const (
	Free       SpaceState = "free"
	Held       SpaceState = "held"
	Resting    SpaceState = "resting"
	NeverGiven SpaceState = "reserved"
)

// Space is a block of addresses in one state, but for those parts of it that another Space
// is about.
type Space struct {
	Prefix netip.Prefix `json:"prefix"`
	State  SpaceState   `json:"state"`
	Of     string       `json:"of"` // the pool, the owner, or the reason
}

// Spaces lists what becomes of the addresses of a prefix: pools first, then what lies in
// them. A pool that covers the prefix counts as far as it lies in it.
func (s *Store) Spaces(ctx context.Context, domain string, of netip.Prefix) ([]Space, error) {
	if err := checkPrefix(of); err != nil {
		return nil, &InvalidError{What: "prefix", Reason: err.Error()}
	}
	id, err := s.domains.id(ctx, s.pool, cmp.Or(domain, DefaultDomain))
	if err != nil {
		return nil, err
	}
	// One statement, so that all is of one moment.
	rows, err := s.pool.Query(ctx, inDomain(id, `
		SELECT * FROM (
			SELECT 1 AS layer, prefix, CASE kind WHEN 'pool' THEN 'free' ELSE 'reserved' END AS state, CASE kind WHEN 'pool' THEN name ELSE description END AS of
			FROM ipam.prefixes WHERE kind <> 'container' AND prefix && $1::cidr
			UNION ALL
			SELECT 2, prefix, CASE WHEN released_at IS NOT NULL THEN 'resting' WHEN kind = 'reserved' THEN 'reserved' ELSE 'held' END,
				CASE kind WHEN 'reserved' THEN reason ELSE owner END
			FROM ipam.allocations WHERE prefix && $1::cidr AND (released_at IS NULL OR rests_until > clock_timestamp())
		) spaces ORDER BY layer, prefix`), of)
	if err != nil {
		return nil, fmt.Errorf("what becomes of %s: %w", of, err)
	}
	spaces, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (space Space, err error) {
		var layer int
		err = row.Scan(&layer, &space.Prefix, &space.State, &space.Of)
		if covers(space.Prefix, of) {
			space.Prefix = of
		}
		return space, err
	})
	if err != nil {
		return nil, fmt.Errorf("what becomes of %s: %w", of, err)
	}
	return spaces, nil
}
