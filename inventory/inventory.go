// Package inventory keeps the facts about sites, switches, servers, plans, images and
// instances on PostgreSQL. What must never happen — one server let twice, an available
// server that still holds a tenant's data — is ruled out by constraints of the schema;
// the methods here turn the rest into errors that say what to do.
//
// Every method may be called again after a lost answer: it then finds its own work.
package inventory

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Store is the inventory in one database. It is safe for concurrent use.
type Store struct {
	pool *pgxpool.Pool
}

// New returns the store on a database that Migrate has prepared.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// one returns the only row of a query, or a NotFoundError.
func one[T any](ctx context.Context, q querier, scan pgx.RowToFunc[T], kind Kind, name, sql string, args ...any) (T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return *new(T), fmt.Errorf("read %s %q: %w", kind, name, err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return found, NotFoundError{Kind: kind, Name: name}
	}
	if err != nil {
		return found, fmt.Errorf("read %s %q: %w", kind, name, err)
	}
	return found, nil
}

// list returns every row of a query.
func list[T any](ctx context.Context, q querier, scan pgx.RowToFunc[T], kind Kind, sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list %ss: %w", kind, err)
	}
	found, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("list %ss: %w", kind, err)
	}
	return found, nil
}

// querier is what pools and transactions have in common.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// inTransaction runs do and commits, or rolls back if do fails.
func (s *Store) inTransaction(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, s.pool, do)
}
