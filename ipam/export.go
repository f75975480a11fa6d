package ipam

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Export reads all records of a table, of all routing domains, as they are at one moment.
// What has rested is free and left out.
func (s *Store) Export(ctx context.Context, table Table) ([]Record, error) {
	var records []Record
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if table == Prefixes {
			rows, err := tx.Query(ctx, `SELECT `+prefixColumns+`, d.name, p.quarantine, p.threshold, p.source
				FROM ipam.prefixes p JOIN ipam.domains d ON d.id = p.domain ORDER BY d.name, p.prefix`)
			if err != nil {
				return err
			}
			records, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Record, error) {
				var (
					prefix Prefix
					pool   Pool
				)
				err := row.Scan(append(prefix.columns(), &prefix.Domain, &pool.Quarantine, &pool.Threshold, &pool.Source)...)
				return recordOf(prefix, pool), err
			})
			if err != nil {
				return err
			}
		}
		rows, err := tx.Query(ctx, `
			SELECT d.name, a.prefix, a.kind, a.owner, a.name, a.tenant, a.instance, a.reason, a.allocated_at, a.released_at, a.rests_until
			FROM ipam.allocations a JOIN ipam.domains d ON d.id = a.domain
			WHERE (a.released_at IS NULL OR a.rests_until > clock_timestamp())
			  AND (masklen(a.prefix) = CASE family(a.prefix) WHEN 4 THEN 32 ELSE 128 END) = $1
			ORDER BY d.name, a.prefix`, table == IPAddresses)
		if err != nil {
			return err
		}
		allocations, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Record, error) {
			var (
				a                   importedAllocation
				released, restsTill *time.Time
			)
			err := row.Scan(&a.Domain, &a.Prefix, &a.Kind, &a.Owner, &a.Name, &a.Tenant, &a.Instance, &a.Reason, &a.AllocatedAt, &released, &restsTill)
			if released != nil {
				a.ReleasedAt, a.RestsUntil = *released, *restsTill
			}
			return recordOfAllocation(a), err
		})
		records = append(records, allocations...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("export %s: %w", table, err)
	}
	return records, nil
}
