package ipam

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Release sends all that an owner holds into quarantine. Releasing again, or for an owner
// who holds nothing, changes nothing.
//
// Errors: *SourceError while an outside system that the owner asked is away. What is held
// here is released then, and asking again releases the rest.
func (s *Store) Release(ctx context.Context, owner string, by By) error {
	if err := checkOwner(owner); err != nil {
		return err
	}
	outside, err := s.desks.release(s).ask(ctx, release{owner, by})
	if err == nil && outside {
		err = s.releaseAllOutside(ctx, owner)
	}
	if err != nil {
		return fmt.Errorf("release for %s: %w", owner, err)
	}
	return nil
}

func (s *Store) releaseAllOutside(ctx context.Context, owner string) error {
	pools, err := s.askedOutside(ctx, owner)
	if err != nil {
		return err
	}
	for _, pool := range pools {
		if err := s.releaseOutside(ctx, owner, pool); err != nil {
			return err
		}
	}
	return nil
}

type release struct {
	owner string
	by    By
}

func (s *Store) releaseBatch(ctx context.Context, calls []*call[release, bool]) error {
	owners, actors, workflows := make([]string, len(calls)), make([]string, len(calls)), make([]string, len(calls))
	for i, c := range calls {
		owners[i], actors[i], workflows[i] = c.in.owner, c.in.by.Actor, c.in.by.Workflow
	}
	var batch pgx.Batch
	batch.Queue("begin")
	batch.Queue("set local enable_seqscan = off")
	batch.Queue(`
		WITH asked AS (
			SELECT DISTINCT ON (owner) * FROM unnest($1::text[], $2::text[], $3::text[]) AS t (owner, actor, workflow)
		), released AS (
			UPDATE ipam.allocations a SET released_at = clock_timestamp(), rests_until = clock_timestamp() + p.quarantine
			FROM ipam.prefixes p
			WHERE p.domain = a.domain AND p.id = a.pool AND a.owner = ANY($1) AND a.released_at IS NULL
			RETURNING a.domain, a.prefix, a.owner, a.kind, a.name, a.tenant
		)
		INSERT INTO ipam.history (domain, prefix, action, kind, owner, name, tenant, actor, workflow)
		SELECT domain, prefix, 'release', kind, owner, name, tenant, actor, workflow
		FROM released JOIN asked USING (owner)`, owners, actors, workflows)
	batch.Queue(`SELECT DISTINCT owner FROM ipam.asked WHERE owner = ANY($1)`, owners).Query(func(rows pgx.Rows) error {
		asked, err := pgx.CollectRows(rows, pgx.RowTo[string])
		for _, c := range calls {
			c.out = slices.Contains(asked, c.in.owner)
		}
		return err
	})
	batch.Queue("commit")
	return s.pool.AcquireFunc(ctx, func(connection *pgxpool.Conn) error {
		err := connection.SendBatch(ctx, &batch).Close()
		if err != nil {
			_, undone := connection.Exec(context.WithoutCancel(ctx), "rollback")
			err = errors.Join(err, undone)
		}
		return err
	})
}
