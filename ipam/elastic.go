package ipam

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Move takes an elastic block to an instance, or, where that is empty, away from any. The
// owner keeps it. Moving it to where it is changes nothing.
//
// Errors: ErrNotHeld, *InvalidError.
func (s *Store) Move(ctx context.Context, domain, owner, name, instance string, by By) error {
	if err := checkTexts(instance); err != nil {
		return &InvalidError{What: "move", Reason: err.Error()}
	}
	id, err := s.domains.id(ctx, s.pool, cmp.Or(domain, DefaultDomain))
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, inDomain(id, allocationColumns)+`
			WHERE a.owner = $1 AND a.name = $2 AND a.released_at IS NULL FOR UPDATE OF a`, owner, name)
		if err != nil {
			return err
		}
		blocks, err := pgx.CollectRows(rows, scanAllocation)
		if err != nil {
			return err
		}
		if len(blocks) == 0 {
			return ErrNotHeld
		}
		for _, block := range blocks {
			if block.Kind != KindElastic {
				return &InvalidError{What: "move", Reason: fmt.Sprintf("%s of %s is of the kind %s: only elastic blocks move", block.Prefix, owner, block.Kind)}
			}
			if block.Instance == instance {
				continue
			}
			var batch pgx.Batch
			batch.Queue(inDomain(id, `UPDATE ipam.allocations SET instance = $2 WHERE prefix = $1`), block.Prefix, instance)
			batch.Queue(`INSERT INTO ipam.history (domain, prefix, action, kind, owner, name, tenant, actor, workflow, before, after)
				VALUES ($1, $2, 'move', $3, $4, $5, $6, $7, $8, jsonb_build_object('instance', $9::text), jsonb_build_object('instance', $10::text))`,
				id, block.Prefix, block.Kind, owner, name, block.Tenant, by.Actor, by.Workflow, block.Instance, instance)
			if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("move %q of %s: %w", name, owner, err)
	}
	return nil
}
