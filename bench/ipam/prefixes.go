package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ferrodur/ipam"
)

// prefixes is a question to a routing domain of many prefixes.
type prefixes struct {
	Question string   `json:"question"`
	Prefixes int      `json:"prefixes"` // in the answer
	P50      float64  `json:"p50_ms"`
	P99      float64  `json:"p99_ms"`
	Plan     []string `json:"plan"` // of the last statement
}

// lastStatement remembers what a store has asked PostgreSQL.
type lastStatement struct {
	sql       string
	arguments []any
}

func (l *lastStatement) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, "ipam.") {
		l.sql, l.arguments = data.SQL, data.Args
	}
	return ctx
}

func (*lastStatement) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (b *bench) prefixes(ctx context.Context) error {
	dsn, err := b.database(ctx)
	if err != nil {
		return err
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return err
	}
	var last lastStatement
	config.ConnConfig.Tracer = &last
	database, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer database.Close()
	if err := ipam.Migrate(ctx, database); err != nil {
		return err
	}
	store := ipam.New(database)
	// 10.0.0.0/8 with 256 containers of 390 pools each: 100 097 prefixes.
	for _, statement := range []string{
		`INSERT INTO ipam.prefixes (domain, prefix, kind) VALUES (1, '10.0.0.0/8', 'container')`,
		`INSERT INTO ipam.prefixes (domain, prefix, kind) SELECT 1, set_masklen('10.0.0.0'::inet + (n::bigint << 16), 16)::cidr, 'container' FROM generate_series(0, 255) n`,
		`INSERT INTO ipam.prefixes (domain, prefix, kind, name, site, role)
			SELECT 1, set_masklen('10.0.0.0'::inet + (n::bigint << 16) + (m << 7), 25)::cidr, 'pool', format('p-%s-%s', n, m), 'bench', 'tenant'
			FROM generate_series(0, 255) n, generate_series(0, 389) m`,
		`INSERT INTO ipam.free (pool, prefix) SELECT id, set_masklen(prefix, 26)::cidr FROM ipam.prefixes WHERE kind = 'pool'`,
		`INSERT INTO ipam.allocations (domain, pool, prefix, kind, owner) SELECT 1, id, set_masklen(network(prefix)::inet + 64, 26)::cidr, 'block', name FROM ipam.prefixes WHERE kind = 'pool'`,
		`VACUUM (ANALYZE)`,
	} {
		if _, err := database.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	random := func() netip.Addr {
		return netip.AddrFrom4([4]byte{10, byte(rand.IntN(256)), byte(rand.IntN(190)), byte(rand.IntN(256))})
	}
	for _, q := range []struct {
		question string
		ask      func() (int, error)
	}{
		{"which prefixes and which owner hold this address", func() (int, error) {
			a := random()
			found, err := store.HolderOf(ctx, "", netip.PrefixFrom(a, a.BitLen()))
			if err == nil && len(found.Prefixes) != 3 {
				err = fmt.Errorf("%s lies in %d prefixes", a, len(found.Prefixes))
			}
			return len(found.Prefixes), err
		}},
		{"the top two levels of the tree, with how full they are", func() (int, error) {
			found, err := store.Tree(ctx, ipam.TreeFilter{Depth: 2})
			return len(found), err
		}},
		{"the tree below one /16, with how full each is", func() (int, error) {
			a := random()
			under := netip.PrefixFrom(a, 16).Masked()
			found, err := store.Tree(ctx, ipam.TreeFilter{Under: under})
			return len(found), err
		}},
		{"how full one /16 is", func() (int, error) {
			a := random()
			found, err := store.Tree(ctx, ipam.TreeFilter{Under: netip.PrefixFrom(a, 16).Masked(), Depth: 1})
			return len(found), err
		}},
		{"all 100 097 prefixes, with how full each is", func() (int, error) {
			found, err := store.Tree(ctx, ipam.TreeFilter{})
			return len(found), err
		}},
	} {
		p := prefixes{Question: q.question}
		var all []time.Duration
		for start := time.Now(); len(all) < 200 && time.Since(start) < b.span/2 || len(all) == 0; {
			begin := time.Now()
			if p.Prefixes, err = q.ask(); err != nil {
				return err
			}
			all = append(all, time.Since(begin))
		}
		var r rate
		r.fill(all)
		p.P50, p.P99 = r.P50, r.P99
		rows, err := database.Query(ctx, "EXPLAIN "+last.sql, last.arguments...)
		if err != nil {
			return err
		}
		if p.Plan, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (line string, err error) {
			err = row.Scan(&line)
			return line[:min(len(line), 120)], err
		}); err != nil {
			return err
		}
		b.Prefixes = append(b.Prefixes, p)
	}
	return nil
}
