package ipam

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"net/netip"

	"github.com/jackc/pgx/v5"
)

// Node is a prefix with its place in the tree and how full it is.
type Node struct {
	Prefix
	Depth int     // 0 at the top of what was asked for
	Pools int     // here and below, also those that the depth asked for leaves out
	Used  float64 // addresses of pools, here and below, that are not free; exact up to 2^53
	Size  float64 // addresses
}

// TreeFilter selects a part of a routing domain's tree.
type TreeFilter struct {
	Domain string       // empty: DefaultDomain
	Under  netip.Prefix // this prefix and what lies in it; all where it is not valid
	Depth  int          // so many levels; 0: all
}

// Tree lists prefixes, each after the one that it lies in. With a depth it reads no more
// of a level than it lists; what is used is counted for all that lies below.
func (s *Store) Tree(ctx context.Context, filter TreeFilter) ([]Node, error) {
	filter.Domain = cmp.Or(filter.Domain, DefaultDomain)
	id, err := s.domains.id(ctx, s.pool, filter.Domain)
	if err != nil {
		return nil, err
	}
	var nodes []Node
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, planAsAsked); err != nil {
			return err
		}
		levels, err := treeLevels(ctx, tx, id, filter)
		if err != nil {
			return err
		}
		if nodes, err = readNodes(ctx, tx, id, filter, levels); err != nil {
			return err
		}
		return countUse(ctx, tx, id, filter, nodes)
	})
	if err != nil {
		return nil, fmt.Errorf("list the prefixes of %s: %w", filter.Domain, err)
	}
	return nodes, nil
}

// planAsAsked has PostgreSQL plan for the prefixes that are asked for: a plan for any would
// have to reckon with all, and be compiled, which takes longer than the answer.
const planAsAsked = `SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true)`

// childrenOf steps over what lies in a child to the next one: one look into the index for
// each. The order of the index puts all that a prefix covers between it and its last address.
const childrenOf = `
	WITH RECURSIVE child AS (
		(SELECT prefix FROM ipam.prefixes WHERE domain = $2 AND ($1::cidr IS NULL OR prefix > $1) AND ($1::cidr IS NULL OR prefix <= ` + lastOf1 + `) ORDER BY prefix LIMIT 1)
		UNION ALL
		SELECT (SELECT p.prefix FROM ipam.prefixes p
			WHERE p.domain = $2 AND p.prefix > set_masklen(broadcast(child.prefix), CASE family(child.prefix) WHEN 4 THEN 32 ELSE 128 END)::cidr
			  AND ($1::cidr IS NULL OR p.prefix <= ` + lastOf1 + `)
			ORDER BY p.prefix LIMIT 1)
		FROM child WHERE child.prefix IS NOT NULL
	) SELECT prefix FROM child WHERE prefix IS NOT NULL`

// lastOf1 is the last address of the first argument.
const lastOf1 = `set_masklen(broadcast($1::cidr), CASE family($1::cidr) WHEN 4 THEN 32 ELSE 128 END)::cidr`

// treeLevels finds the prefixes of a tree of limited depth, top level first; nil where the
// depth is not limited.
func treeLevels(ctx context.Context, tx pgx.Tx, domain int32, filter TreeFilter) ([]netip.Prefix, error) {
	if filter.Depth == 0 {
		return nil, nil
	}
	statement := inDomain(domain, childrenOf)
	all := []netip.Prefix{}
	above := []*netip.Prefix{nil}
	if filter.Under.IsValid() {
		above = []*netip.Prefix{&filter.Under}
		all = append(all, filter.Under)
		filter.Depth--
	}
	for range filter.Depth {
		var (
			batch pgx.Batch
			level []*netip.Prefix
		)
		for _, parent := range above {
			batch.Queue(statement, parent, domain).Query(func(rows pgx.Rows) error {
				children, err := pgx.CollectRows(rows, pgx.RowTo[netip.Prefix])
				for i := range children {
					level = append(level, &children[i])
				}
				all = append(all, children...)
				return err
			})
		}
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return nil, err
		}
		above = level
	}
	return all, nil
}

// readNodes reads the listed prefixes, or all where the list is nil.
func readNodes(ctx context.Context, tx pgx.Tx, domain int32, filter TreeFilter, listed []netip.Prefix) ([]Node, error) {
	statement, argument := ` FROM ipam.prefixes p WHERE p.prefix = ANY($1) ORDER BY p.prefix`, any(listed)
	switch {
	case listed == nil && filter.Under.IsValid():
		statement, argument = ` FROM ipam.prefixes p WHERE p.prefix <<= $1 ORDER BY p.prefix`, filter.Under
	case listed == nil:
		statement, argument = ` FROM ipam.prefixes p WHERE $1 ORDER BY p.prefix`, true
	}
	rows, err := tx.Query(ctx, inDomain(domain, `SELECT `+prefixColumns+statement), argument)
	if err != nil {
		return nil, err
	}
	nodes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (n Node, err error) {
		err = row.Scan(n.columns()...)
		n.Domain, n.Size = filter.Domain, addresses(n.Prefix.Prefix)
		return n, err
	})
	return nodes, err
}

// nest finds the depth of nodes in the order of their prefixes, and which node each lies
// in: -1 for those at the top.
func nest(nodes []Node) (parents []int) {
	above := []int{-1} // the nodes that the one at hand lies in, outermost first
	parents = make([]int, len(nodes))
	for i := range nodes {
		for len(above) > 1 && !covers(nodes[above[len(above)-1]].Prefix.Prefix, nodes[i].Prefix.Prefix) {
			above = above[:len(above)-1]
		}
		nodes[i].Depth, parents[i] = len(above)-1, above[len(above)-1]
		above = append(above, i)
	}
	return parents
}

// poolsAt are the pools that count for each listed prefix: itself, and for those of the
// second argument all that lie below.
const poolsAt = `
	SELECT prefix AS at, id, prefix, source FROM ipam.prefixes WHERE kind = 'pool' AND prefix = ANY($1::cidr[])
	UNION ALL
	SELECT listed, p.id, p.prefix, p.source FROM unnest($2::cidr[]) AS listed JOIN ipam.prefixes p ON p.prefix <<= listed AND p.kind = 'pool'`

// useAt adds up what is used of these: what a pool has but for what is free or has rested,
// and, where an outside system knows what is free, what is held.
const useAt = `
	WITH p AS MATERIALIZED (` + poolsAt + `)
	SELECT at, 1, masklen(prefix), count(*), count(*) FROM p WHERE source = '' GROUP BY 1, 3
	UNION ALL
	SELECT at, -1, masklen(f.prefix), count(*), 0 FROM p JOIN ipam.free f ON f.pool = p.id GROUP BY 1, 3
	UNION ALL
	SELECT at, -1, masklen(a.prefix), count(*), 0
	FROM p JOIN ipam.allocations a ON a.pool = p.id AND a.released_at IS NOT NULL AND a.rests_until <= now() WHERE source = '' GROUP BY 1, 3
	UNION ALL
	SELECT at, 1, masklen(a.prefix), count(*), 0 FROM p JOIN ipam.allocations a ON a.prefix <<= p.prefix WHERE source <> '' GROUP BY 1, 3
	UNION ALL
	SELECT at, 0, 0, 0, count(*) FROM p WHERE source <> '' GROUP BY 1`

// countUse counts what is used of each node and, where the depth is limited, of all that
// lies below those of the last level.
func countUse(ctx context.Context, tx pgx.Tx, domain int32, filter TreeFilter, nodes []Node) error {
	var (
		parents     = nest(nodes)
		used        = make([]*big.Int, len(nodes))
		at          = make(map[netip.Prefix]int, len(nodes))
		alone, last []netip.Prefix
	)
	for i, n := range nodes {
		used[i], at[n.Prefix.Prefix] = new(big.Int), i
		if filter.Depth > 0 && n.Depth == filter.Depth-1 {
			last = append(last, n.Prefix.Prefix)
		} else {
			alone = append(alone, n.Prefix.Prefix)
		}
	}
	rows, err := tx.Query(ctx, inDomain(domain, useAt), alone, last)
	if err != nil {
		return err
	}
	var (
		prefix      netip.Prefix
		sign, n     int64
		bits, pools int
	)
	if _, err := pgx.ForEachRow(rows, []any{&prefix, &sign, &bits, &n, &pools}, func() error {
		i := at[prefix]
		size := new(big.Int).Lsh(big.NewInt(sign*n), uint(prefix.Addr().BitLen()-bits))
		used[i].Add(used[i], size)
		nodes[i].Pools += pools
		return nil
	}); err != nil {
		return err
	}
	// Backwards, what lies in a prefix comes before it.
	for i := len(nodes) - 1; i >= 0; i-- {
		nodes[i].Used = float(used[i])
		if outer := parents[i]; outer >= 0 {
			used[outer].Add(used[outer], used[i])
			nodes[outer].Pools += nodes[i].Pools
		}
	}
	return nil
}
