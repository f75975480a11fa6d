package ipam

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Limit is how many addresses of a family a tenant may hold, over all routing domains.
// What is reserved does not count.
type Limit struct {
	Tenant    string
	Family    Family
	Addresses float64 // exact up to 2^53; of an IPv6 /56: 2^72
}

// PutLimits sets limits, in one transaction. A tenant that holds more than a new limit
// keeps it, and gets no more.
func (s *Store) PutLimits(ctx context.Context, limits []Limit) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := s.DeclareIn(ctx, tx, Declaration{Limits: limits}, By{})
		return err
	})
}

func (l Limit) validate() error {
	if l.Tenant == "" || l.Family != IPv4 && l.Family != IPv6 || !(l.Addresses >= 0) {
		return &InvalidError{What: "limit of " + l.Tenant, Reason: "it needs a tenant, a family and a number of addresses"}
	}
	return nil
}

// LimitUsage is a limit with what the tenant holds.
type LimitUsage struct {
	Limit
	Held float64
}

// Limits lists the limits.
func (s *Store) Limits(ctx context.Context) ([]LimitUsage, error) {
	rows, err := s.pool.Query(ctx, `SELECT tenant, family, addresses, `+heldByTenant+` FROM ipam.limits l ORDER BY tenant, family`)
	if err != nil {
		return nil, fmt.Errorf("list limits: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l LimitUsage, err error) {
		err = row.Scan(&l.Tenant, &l.Family, &l.Addresses, &l.Held)
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("list limits: %w", err)
	}
	return found, nil
}

// heldByTenant is what counts against a limit l.
const heldByTenant = `coalesce((
	SELECT sum(2::float8 ^ (CASE l.family WHEN 4 THEN 32 ELSE 128 END - masklen(prefix))) FROM ipam.allocations
	WHERE tenant = l.tenant AND tenant <> '' AND family(prefix) = l.family AND kind <> 'reserved' AND released_at IS NULL), 0)`

// limits are those of a batch's tenants, and what is held as the batch goes on.
type limits map[limitKey]*LimitUsage

type limitKey struct {
	tenant string
	family Family
}

// queueLimits brings the limits of the batch's tenants, and keeps others from taking
// addresses for them meanwhile.
func (a *allocation) queueLimits(batch *pgx.Batch) {
	var tenants []string
	for _, c := range a.calls {
		if c.in.Tenant != "" {
			tenants = append(tenants, c.in.Tenant)
		}
	}
	if tenants == nil {
		return
	}
	// Two statements: what is held is to be counted after the lock was waited for.
	batch.Queue(`SELECT FROM ipam.limits WHERE tenant = ANY($1) ORDER BY tenant, family FOR UPDATE`, tenants)
	batch.Queue(`SELECT tenant, family, addresses, `+heldByTenant+` FROM ipam.limits l WHERE tenant = ANY($1)`, tenants).Query(func(rows pgx.Rows) error {
		var l LimitUsage
		_, err := pgx.ForEachRow(rows, []any{&l.Tenant, &l.Family, &l.Addresses, &l.Held}, func() error {
			found := l
			a.limits[limitKey{l.Tenant, l.Family}] = &found
			return nil
		})
		return err
	})
}

// count counts what a tenant was given, or refuses it whole.
func (l limits) count(tenant string, given []Allocation) error {
	wanted := map[limitKey]float64{}
	for _, a := range given {
		if a.Kind != KindReserved {
			wanted[limitKey{tenant, familyOf(a.Prefix.Addr())}] += addresses(a.Prefix)
		}
	}
	for key, more := range wanted {
		if limit := l[key]; limit != nil && limit.Held+more > limit.Addresses {
			return &LimitError{LimitUsage: *limit, Wanted: more}
		}
	}
	for key, more := range wanted {
		if limit := l[key]; limit != nil {
			limit.Held += more
		}
	}
	return nil
}
