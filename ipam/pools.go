package ipam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// PutPools declares pools, in one transaction: all of them, or none. A pool that is not
// named stays as it is. A pool may grow and may change its quarantine at any time; its
// site, its role, and addresses that it loses only while nothing of it is held or rests.
//
// Errors: *InvalidError, *NoDomainError, *OverlapError, *InUseError.
func (s *Store) PutPools(ctx context.Context, pools []Pool, by By) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := s.DeclareIn(ctx, tx, Declaration{Pools: pools}, by)
		return err
	})
}

// lockUses has allocations wait, from the pools as they are and as they will be. All
// callers lock in one order.
func lockUses(ctx context.Context, tx pgx.Tx, pools []Pool) error {
	names := make([]string, len(pools))
	uses := map[string]poolUse{}
	for i, pool := range pools {
		use := poolUse{pool.Domain, pool.Site, pool.Role}
		names[i], uses[use.key()] = pool.Name, use
	}
	rows, err := tx.Query(ctx, `SELECT d.name, p.site, p.role FROM ipam.prefixes p JOIN ipam.domains d ON d.id = p.domain
		WHERE p.kind = 'pool' AND p.name = ANY($1)`, names)
	if err != nil {
		return err
	}
	var use poolUse
	if _, err := pgx.ForEachRow(rows, []any{&use.domain, &use.site, &use.role}, func() error {
		uses[use.key()] = use
		return nil
	}); err != nil {
		return err
	}
	var batch pgx.Batch
	for _, key := range slices.Sorted(maps.Keys(uses)) {
		uses[key].lock(&batch)
	}
	return tx.SendBatch(ctx, &batch).Close()
}

// Validate returns an *InvalidError, or nil.
func (p Pool) Validate() error {
	invalid := func(reason string) error { return &InvalidError{What: "pool " + p.Name, Reason: reason} }
	switch {
	case p.Name == "" || p.Site == "":
		return invalid("it needs a name and a site")
	case p.Role == "":
		return invalid("it needs a role")
	case p.Quarantine < 0 || p.Quarantine%time.Microsecond != 0:
		return invalid("its quarantine is negative, or finer than a microsecond")
	case p.Threshold < 0 || p.Threshold > 100:
		return invalid("its threshold is not between 1 and 100 percent")
	}
	for _, err := range []error{
		checkPrefix(p.Prefix), checkTags(p.Tags), checkTexts(p.Name, p.Site, string(p.Role), p.Plan, p.Tenant, p.Source, p.Description),
	} {
		if err != nil {
			return invalid(err.Error())
		}
	}
	return nil
}

func put(ctx context.Context, tx pgx.Tx, pool Pool, by By) (changed bool, err error) {
	domain, err := domainID(ctx, tx, pool.Domain)
	if err != nil {
		return false, err
	}
	var (
		old    Pool
		id     int64
		before []byte
	)
	err = tx.QueryRow(ctx, `SELECT id, site, role, prefix, source, `+describePrefix+` FROM ipam.prefixes p
		WHERE domain = $1 AND name = $2 AND kind = 'pool' FOR NO KEY UPDATE`, domain, pool.Name).
		Scan(&id, &old.Site, &old.Role, &old.Prefix, &old.Source, &before)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return create(ctx, tx, domain, pool, by)
	case err != nil:
		return false, err
	}
	if err := mayChange(ctx, tx, domain, id, old, pool); err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, `UPDATE ipam.prefixes SET site = $3, role = $4, prefix = $5, quarantine = $6, plan = $7, tenant = $8,
		threshold = $9, source = $10, tags = $11, description = $12
		WHERE domain = $1 AND id = $2`,
		domain, id, pool.Site, pool.Role, pool.Prefix, pool.Quarantine, pool.Plan, pool.Tenant,
		pool.Threshold, pool.Source, pool.Tags, pool.Description)
	if err != nil {
		return false, overlap(pool, err)
	}
	if changed, err = recordPrefix(ctx, tx, domain, id, before, by); err != nil {
		return false, err
	}
	if old.Prefix == pool.Prefix && old.Source == pool.Source {
		return changed, nil
	}
	return true, resize(ctx, tx, domain, id, old, pool)
}

func create(ctx context.Context, tx pgx.Tx, domain int32, pool Pool, by By) (changed bool, err error) {
	var id int64
	err = tx.QueryRow(ctx, `INSERT INTO ipam.prefixes (domain, kind, name, site, role, prefix, quarantine, plan, tenant, threshold, source, tags, description)
		VALUES ($1, 'pool', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id`,
		domain, pool.Name, pool.Site, pool.Role, pool.Prefix, pool.Quarantine, pool.Plan, pool.Tenant,
		pool.Threshold, pool.Source, pool.Tags, pool.Description).Scan(&id)
	if err != nil {
		return false, overlap(pool, err)
	}
	if pool.Source == "" {
		if _, err := tx.Exec(ctx, `INSERT INTO ipam.free (pool, prefix) VALUES ($1, $2)`, id, pool.Prefix); err != nil {
			return false, err
		}
	}
	return recordPrefix(ctx, tx, domain, id, nil, by)
}

func mayChange(ctx context.Context, tx pgx.Tx, domain int32, id int64, old, pool Pool) error {
	what := ""
	switch {
	case old.Site != pool.Site:
		what = "site"
	case old.Role != pool.Role:
		what = "role"
	case old.Source != pool.Source:
		what = "source"
	case !covers(pool.Prefix, old.Prefix):
		what = "prefix"
	default:
		return nil
	}
	return unused(ctx, tx, domain, id, pool.Name, what)
}

// unused refuses a change of what a pool is while something of it is held or rests.
func unused(ctx context.Context, tx pgx.Tx, domain int32, id int64, name, what string) error {
	var held int64
	err := tx.QueryRow(ctx, `SELECT count(*) FROM ipam.allocations
		WHERE domain = $1 AND pool = $2 AND (released_at IS NULL OR rests_until > clock_timestamp())`, domain, id).Scan(&held)
	if err != nil {
		return err
	}
	if held > 0 {
		return &InUseError{Pool: name, Held: held, What: what}
	}
	return nil
}

// resize makes the free blocks fit a changed pool: one that covers the old, or any where
// nothing is held.
func resize(ctx context.Context, tx pgx.Tx, domain int32, id int64, old, pool Pool) error {
	var batch pgx.Batch
	switch {
	case old.Source == "" && pool.Source == "" && covers(pool.Prefix, old.Prefix):
		free := newFreeSpace(id, pool.Prefix)
		if err := free.give(ctx, tx, cut(pool.Prefix, old.Prefix)); err != nil {
			return err
		}
		free.store(&batch)
	case old.Source == pool.Source && covers(pool.Prefix, old.Prefix):
		return nil // the outside system knows what is free
	default:
		// What has rested and was not woken yet lies in the old prefix.
		batch.Queue(`DELETE FROM ipam.allocations WHERE domain = $1 AND pool = $2`, domain, id)
		batch.Queue(`DELETE FROM ipam.free WHERE pool = $1`, id)
		if pool.Source == "" {
			batch.Queue(`INSERT INTO ipam.free (pool, prefix) VALUES ($1, $2)`, id, pool.Prefix)
		}
	}
	return tx.SendBatch(ctx, &batch).Close()
}

// overlap turns a constraint's refusal into an *OverlapError.
func overlap(pool Pool, err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == "23P01" || refused.Code == "23505") { // exclusion_violation, unique_violation
		return &OverlapError{Pool: pool.Name, Prefix: pool.Prefix}
	}
	return err
}

const allocationColumns = `SELECT d.name, p.name, a.prefix, a.kind, a.owner, a.name, a.tenant, a.instance, a.reason, a.allocated_at, a.rests_until
	FROM ipam.allocations a
	JOIN ipam.prefixes p ON p.domain = a.domain AND p.id = a.pool
	JOIN ipam.domains d ON d.id = a.domain`

func scanAllocation(row pgx.CollectableRow) (a Allocation, err error) {
	var restsUntil *time.Time
	err = row.Scan(&a.Domain, &a.Pool, &a.Prefix, &a.Kind, &a.Owner, &a.Name, &a.Tenant, &a.Instance, &a.Reason, &a.AllocatedAt, &restsUntil)
	if restsUntil != nil {
		a.RestsUntil = *restsUntil
	}
	return a, err
}

func (a Allocation) key() key { return key{a.Owner, a.Name, familyOf(a.Prefix.Addr())} }

// fits refuses an answer to a want that is another than the one asked before.
func (a Allocation) fits(r Request, want Want) error {
	differs := func(what, is, wanted string) error {
		return &InvalidError{What: "request", Reason: fmt.Sprintf("%s holds %s already, with the %s %q and not %q: release it first", a.Owner, a.Prefix, what, is, wanted)}
	}
	switch {
	case a.Tenant != r.Tenant:
		return differs("tenant", a.Tenant, r.Tenant)
	case a.Kind == KindReserved && want.Kind == KindReserved && a.Reason != want.Reason:
		return differs("reason", a.Reason, want.Reason)
	}
	if a.Kind != want.Kind || a.Prefix.Bits() != want.Bits || want.Chosen.IsValid() && want.Chosen != a.Prefix {
		return &InvalidError{What: "request", Reason: fmt.Sprintf("%s holds the %s %s by the name %q already, which is not what is wanted now",
			a.Owner, a.Kind, a.Prefix, a.Name)}
	}
	return nil
}

// Allocations lists allocations with their owners, by pool and address.
func (s *Store) Allocations(ctx context.Context, filter Filter) ([]Allocation, error) {
	rows, err := s.pool.Query(ctx, allocationColumns+`
		WHERE ($1 = '' OR a.owner = $1) AND ($2 = '' OR p.name = $2) AND ($3 = '' OR p.site = $3)
		  AND (a.released_at IS NULL OR ($4 AND a.rests_until > clock_timestamp()))
		  AND ($5 = '' OR d.name = $5) AND ($6 = '' OR a.name = $6) AND ($7 = '' OR a.instance = $7)
		ORDER BY p.name, a.prefix`, filter.Owner, filter.Pool, filter.Site, filter.Resting, filter.Domain, filter.Name, filter.Instance)
	if err != nil {
		return nil, fmt.Errorf("list allocations: %w", err)
	}
	allocations, err := pgx.CollectRows(rows, scanAllocation)
	if err != nil {
		return nil, fmt.Errorf("list allocations: %w", err)
	}
	return allocations, nil
}

// addresses is how many addresses a prefix has.
func addresses(p netip.Prefix) float64 { return math.Exp2(float64(p.Addr().BitLen() - p.Bits())) }
