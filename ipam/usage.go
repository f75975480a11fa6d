package ipam

import (
	"context"
	"fmt"
	"math/big"

	"github.com/jackc/pgx/v5"
)

// PoolUsage is a pool with how many of its addresses are held, rest, are reserved and are
// free. Numbers up to 2^53 are exact.
type PoolUsage struct {
	Pool
	Capacity, Held, Resting, Reserved, Free float64
	// Unknown says why the outside system that keeps the pool did not tell how much of it is
	// free; Held is then what this database knows of, and Free is the rest.
	Unknown error
}

// Used is the share of a pool that is not free, in percent.
func (u PoolUsage) Used() float64 { return 100 * (1 - u.Free/u.Capacity) }

// PastThreshold says that it is time to add a pool.
func (u PoolUsage) PastThreshold() bool { return u.Used() >= float64(u.Threshold) }

// Usage lists all pools with how full they are. It counts what is free, what rests and
// what is reserved, which is little where much is held.
func (s *Store) Usage(ctx context.Context) ([]PoolUsage, error) {
	var (
		usage  []PoolUsage
		ids    []int64
		counts = map[int64]*spaces{}
	)
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, planAsAsked); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT p.id, d.name, p.name, p.site, p.role, p.prefix, p.plan, p.tenant, p.quarantine, p.threshold, p.source, p.tags, p.description
			FROM ipam.prefixes p JOIN ipam.domains d ON d.id = p.domain WHERE p.kind = 'pool' ORDER BY p.name, d.name`)
		if err != nil {
			return err
		}
		usage, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (u PoolUsage, err error) {
			var id int64
			err = row.Scan(&id, &u.Domain, &u.Name, &u.Site, &u.Role, &u.Prefix, &u.Plan, &u.Tenant, &u.Quarantine, &u.Threshold, &u.Source, &u.Tags, &u.Description)
			ids = append(ids, id)
			counts[id] = &spaces{}
			return u, err
		})
		if err != nil {
			return err
		}
		rows, err = tx.Query(ctx, `
			SELECT pool, 'free', masklen(prefix), count(*) FROM ipam.free GROUP BY 1, 3
			UNION ALL
			SELECT pool, CASE WHEN rests_until > now() THEN 'resting' ELSE 'free' END, masklen(prefix), count(*)
			FROM ipam.allocations WHERE released_at IS NOT NULL GROUP BY 1, 2, 3
			UNION ALL
			SELECT pool, 'reserved', masklen(prefix), count(*) FROM ipam.allocations WHERE kind = 'reserved' AND released_at IS NULL GROUP BY 1, 3
			UNION ALL
			SELECT pool, 'held', masklen(prefix), count(*) FROM ipam.allocations
			WHERE kind <> 'reserved' AND released_at IS NULL AND pool IN (SELECT id FROM ipam.prefixes WHERE source <> '') GROUP BY 1, 3`)
		if err != nil {
			return err
		}
		var (
			pool, n int64
			state   string
			bits    int
		)
		_, err = pgx.ForEachRow(rows, []any{&pool, &state, &bits, &n}, func() error {
			if counts[pool] != nil {
				counts[pool].add(state, bits, n)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list pools: %w", err)
	}
	for i := range usage {
		counts[ids[i]].fill(&usage[i])
		if usage[i].Source != "" {
			s.askSource(ctx, &usage[i])
		}
	}
	return usage, nil
}

// spaces counts blocks by state and length.
type spaces struct {
	free, resting, reserved, held [129]int64
}

func (s *spaces) add(state string, bits int, n int64) {
	switch state {
	case "free":
		s.free[bits] += n
	case "resting":
		s.resting[bits] += n
	case "reserved":
		s.reserved[bits] += n
	case "held":
		s.held[bits] += n
	}
}

// fill computes with whole numbers: an IPv6 pool with one address held is not empty.
func (s *spaces) fill(u *PoolUsage) {
	full := u.Prefix.Addr().BitLen()
	capacity := new(big.Int).Lsh(big.NewInt(1), uint(full-u.Prefix.Bits()))
	sum := func(counts [129]int64) *big.Int {
		total := new(big.Int)
		for bits, n := range counts[:full+1] {
			total.Add(total, new(big.Int).Lsh(big.NewInt(n), uint(full-bits)))
		}
		return total
	}
	resting, reserved := sum(s.resting), sum(s.reserved)
	free, held := sum(s.free), new(big.Int)
	if u.Source == "" {
		held.Sub(capacity, free)
	} else {
		held.Add(sum(s.held), new(big.Int).Add(resting, reserved))
		free.Sub(capacity, held)
	}
	held.Sub(held, resting).Sub(held, reserved)
	u.Capacity, u.Held, u.Resting, u.Reserved, u.Free = float(capacity), float(held), float(resting), float(reserved), float(free)
}

func float(n *big.Int) float64 {
	f, _ := new(big.Float).SetInt(n).Float64()
	return f
}
