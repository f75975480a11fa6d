package ipam

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Release sends all that an owner holds into quarantine, but for what was reserved. Releasing again, or for an owner
// who holds nothing, changes nothing.
//
// Errors: *SourceError while an outside system that the owner asked is away. What is held
// here is released then, and asking again releases the rest.
func (s *Store) Release(ctx context.Context, owner string, by By) error {
	return s.release(ctx, release{owner: owner, by: by})
}

// ReleaseIn does so in one routing domain only.
func (s *Store) ReleaseIn(ctx context.Context, domain, owner, name string, by By) error {
	if _, err := s.domains.id(ctx, s.pool, domain); err != nil {
		return err
	}
	return s.release(ctx, release{owner: owner, name: name, domain: domain, by: by})
}

// ReleaseName sends what an owner holds by one name into quarantine, as Release does.
//
// Errors: *SourceError, *InvalidError.
func (s *Store) ReleaseName(ctx context.Context, owner, name string, by By) error {
	if name == "" {
		return &InvalidError{What: "release", Reason: "it names nothing"}
	}
	return s.release(ctx, release{owner: owner, name: name, by: by})
}

func (s *Store) release(ctx context.Context, r release) error {
	if err := checkOwner(r.owner); err != nil {
		return err
	}
	outside, err := s.desks.release(s).ask(ctx, r)
	if err == nil && outside {
		err = s.releaseAllOutside(ctx, r.owner, r.name)
	}
	if err != nil {
		return fmt.Errorf("release for %s: %w", r.owner, err)
	}
	return nil
}

func (s *Store) releaseAllOutside(ctx context.Context, owner, name string) error {
	pools, err := s.askedOutside(ctx, owner)
	if err != nil {
		return err
	}
	for _, pool := range pools {
		if err := s.releaseOutside(ctx, owner, name, pool); err != nil {
			return err
		}
	}
	return nil
}

type release struct {
	owner  string
	name   string // empty: all names
	domain string // empty: all routing domains
	by     By
}

func (s *Store) releaseBatch(ctx context.Context, calls []*call[release, bool]) error {
	n := len(calls)
	owners, names, domains := make([]string, n), make([]string, n), make([]string, n)
	actors, workflows := make([]string, n), make([]string, n)
	for i, c := range calls {
		owners[i], names[i], domains[i], actors[i], workflows[i] = c.in.owner, c.in.name, c.in.domain, c.in.by.Actor, c.in.by.Workflow
	}
	var batch pgx.Batch
	batch.Queue("begin")
	batch.Queue("set local enable_seqscan = off")
	batch.Queue(`
		WITH released AS (
			UPDATE ipam.allocations a SET released_at = clock_timestamp(), rests_until = clock_timestamp() + CASE a.kind WHEN 'reserved' THEN interval '0' ELSE p.quarantine END
			FROM ipam.prefixes p, unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS asked (owner, name, actor, workflow, domain)
			WHERE p.domain = a.domain AND p.id = a.pool AND a.owner = asked.owner AND asked.name IN ('', a.name) AND a.released_at IS NULL
				AND (asked.domain = '' OR a.domain = (SELECT id FROM ipam.domains WHERE name = asked.domain))
			RETURNING a.domain, a.prefix, a.kind, a.owner, a.name, a.tenant, asked.actor, asked.workflow
		)
		INSERT INTO ipam.history (domain, prefix, action, kind, owner, name, tenant, actor, workflow)
		SELECT domain, prefix, 'release', kind, owner, name, tenant, actor, workflow FROM released`, owners, names, actors, workflows, domains)
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
