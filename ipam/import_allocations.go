package ipam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// putAllocations stores what is not there yet, and takes it out of the free blocks.
func (i *importing) putAllocations(ctx context.Context, allocations []parsed) error {
	if len(allocations) == 0 {
		return nil
	}
	_, err := i.tx.Exec(ctx, `CREATE TEMPORARY TABLE importing (
		line integer, domain integer, prefix cidr, kind text, owner text, name text, tenant text, instance text, reason text,
		allocated_at timestamptz, released_at timestamptz, rests_until timestamptz) ON COMMIT DROP`)
	if err != nil {
		return err
	}
	columns := []string{"line", "domain", "prefix", "kind", "owner", "name", "tenant", "instance", "reason", "allocated_at", "released_at", "rests_until"}
	_, err = i.tx.CopyFrom(ctx, pgx.Identifier{"importing"}, columns, pgx.CopyFromSlice(len(allocations), func(n int) ([]any, error) {
		a := allocations[n].allocation
		return []any{
			allocations[n].line, i.domains[a.Domain], a.Prefix, string(a.Kind), a.Owner, a.Name, a.Tenant, a.Instance, a.Reason,
			orNull(a.AllocatedAt), orNull(a.ReleasedAt), orNull(a.RestsUntil),
		}, nil
	}))
	if err != nil {
		return err
	}
	if _, err := i.tx.Exec(ctx, "ANALYZE importing"); err != nil {
		return err
	}
	domains := map[int32]bool{}
	for _, a := range allocations {
		domains[i.domains[a.allocation.Domain]] = true
	}
	var wrong ImportErrors
	for _, domain := range slices.Sorted(maps.Keys(domains)) {
		found, err := i.check(ctx, domain)
		if err != nil {
			return err
		}
		wrong = append(wrong, found...)
	}
	if len(wrong) > 0 {
		return wrong
	}
	for _, domain := range slices.Sorted(maps.Keys(domains)) {
		if err := i.store(ctx, domain); err != nil {
			return err
		}
	}
	return nil
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// check leaves out what a domain holds already, and finds what contradicts what it holds.
func (i *importing) check(ctx context.Context, domain int32) (wrong ImportErrors, err error) {
	same, err := i.tx.Exec(ctx, inDomain(domain, `
		DELETE FROM importing i USING ipam.allocations a
		WHERE i.domain = $1 AND a.prefix = i.prefix AND (a.kind, a.owner, a.name, a.tenant, a.instance, a.reason, a.released_at IS NULL)
			= (i.kind, i.owner, i.name, i.tenant, i.instance, i.reason, i.released_at IS NULL)`), domain)
	if err != nil {
		return nil, err
	}
	i.done.Unchanged += int(same.RowsAffected())
	rows, err := i.tx.Query(ctx, inDomain(domain, `
		SELECT i.line, i.prefix || ' lies in no pool'
		FROM importing i WHERE i.domain = $1 AND NOT EXISTS (SELECT FROM ipam.prefixes p WHERE p.kind = 'pool' AND p.prefix >>= i.prefix)
		UNION ALL
		SELECT i.line, format('%s overlaps %s, which %s', i.prefix, a.prefix, CASE
			WHEN a.released_at IS NOT NULL THEN 'rests, or has rested, after ' || a.owner || ' released it'
			ELSE a.owner || ' holds' END)
		FROM importing i JOIN ipam.allocations a ON a.prefix && i.prefix WHERE i.domain = $1
		UNION ALL
		SELECT i.line, format('%s holds %s by the name %s already', i.owner, a.prefix, quote_ident(i.name))
		FROM importing i JOIN ipam.allocations a ON a.owner = i.owner AND a.name = i.name AND family(a.prefix) = family(i.prefix)
		WHERE i.domain = $1 AND a.released_at IS NULL AND i.released_at IS NULL AND NOT a.prefix && i.prefix
		ORDER BY 1`), domain)
	if err != nil {
		return nil, err
	}
	var (
		line   int
		reason string
	)
	_, err = pgx.ForEachRow(rows, []any{&line, &reason}, func() error {
		wrong = append(wrong, &LineError{Line: line, Err: errors.New(reason)})
		return nil
	})
	return wrong, err
}

// store makes a domain hold what check has left.
func (i *importing) store(ctx context.Context, domain int32) error {
	if err := i.cutFree(ctx, domain); err != nil {
		return err
	}
	stored, err := i.tx.Exec(ctx, inDomain(domain, `
		INSERT INTO ipam.allocations (domain, pool, prefix, kind, owner, name, tenant, instance, reason, allocated_at, released_at, rests_until)
		SELECT i.domain, p.id, i.prefix, i.kind, i.owner, i.name, i.tenant, i.instance, i.reason, coalesce(i.allocated_at, now()), i.released_at, i.rests_until
		FROM importing i JOIN ipam.prefixes p ON p.kind = 'pool' AND p.prefix >>= i.prefix WHERE i.domain = $1`), domain)
	if err != nil {
		return err
	}
	i.done.Allocations += int(stored.RowsAffected())
	// A release of what is kept outside is to reach there too.
	_, err = i.tx.Exec(ctx, inDomain(domain, `
		INSERT INTO ipam.asked (owner, pool)
		SELECT DISTINCT i.owner, p.id FROM importing i JOIN ipam.prefixes p ON p.kind = 'pool' AND p.prefix >>= i.prefix
		WHERE i.domain = $1 AND i.released_at IS NULL AND p.source <> '' ON CONFLICT DO NOTHING`), domain)
	if err != nil {
		return err
	}
	_, err = i.tx.Exec(ctx, `
		INSERT INTO ipam.history (domain, prefix, action, kind, owner, name, tenant, actor, workflow, after)
		SELECT domain, prefix, CASE WHEN released_at IS NULL THEN 'allocate' ELSE 'release' END, kind, owner, name, tenant, $2, $3,
			jsonb_build_object('allocated_at', allocated_at, 'released_at', released_at)
		FROM importing WHERE domain = $1`, domain, i.by.Actor, i.by.Workflow)
	return err
}

// cutFree takes what is imported out of the free blocks of this database's own pools.
func (i *importing) cutFree(ctx context.Context, domain int32) error {
	rows, err := i.tx.Query(ctx, inDomain(domain, `
		SELECT i.line, i.prefix, p.id, p.prefix FROM importing i JOIN ipam.prefixes p ON p.kind = 'pool' AND p.prefix >>= i.prefix
		WHERE i.domain = $1 AND p.source = '' ORDER BY i.line`), domain)
	if err != nil {
		return err
	}
	type take struct {
		line   int
		prefix netip.Prefix
	}
	var (
		one   take
		pool  freeSpace
		takes = map[int64][]take{}
		pools = map[int64]*freeSpace{}
	)
	if _, err := pgx.ForEachRow(rows, []any{&one.line, &one.prefix, &pool.pool, &pool.prefix}, func() error {
		if pools[pool.pool] == nil {
			pools[pool.pool] = newFreeSpace(pool.pool, pool.prefix)
		}
		takes[pool.pool] = append(takes[pool.pool], one)
		return nil
	}); err != nil {
		return err
	}
	for id, free := range pools {
		rows, err := i.tx.Query(ctx, `SELECT prefix FROM ipam.free WHERE pool = $1`, id)
		if err != nil {
			return err
		}
		var block netip.Prefix
		if _, err := pgx.ForEachRow(rows, []any{&block}, func() error {
			free.blocks[block] = true
			return nil
		}); err != nil {
			return err
		}
		for _, take := range takes[id] {
			if !free.takeChosen(take.prefix) {
				return ImportErrors{{Line: take.line, Err: fmt.Errorf("%s is not free", take.prefix)}}
			}
		}
		free.settle()
		var batch pgx.Batch
		free.store(&batch)
		if err := i.tx.SendBatch(ctx, &batch).Close(); err != nil {
			return err
		}
	}
	return nil
}
