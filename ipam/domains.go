package ipam

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// domains remembers the numbers of routing domains, which never change.
type domains struct {
	mu  sync.Mutex
	ids map[string]int32
}

func (d *domains) id(ctx context.Context, pool *pgxpool.Pool, name string) (int32, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id, known := d.ids[name]; known {
		return id, nil
	}
	id, err := domainID(ctx, pool, name)
	if err != nil {
		return 0, err
	}
	if d.ids == nil {
		d.ids = map[string]int32{}
	}
	d.ids[name] = id
	return id, nil
}

// rower is a pool of connections, or a transaction.
type rower interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func domainID(ctx context.Context, db rower, name string) (id int32, err error) {
	err = db.QueryRow(ctx, `SELECT id FROM ipam.domains WHERE name = $1`, name).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, &NoDomainError{Name: name}
	}
	return id, err
}

// CreateDomain makes a routing domain: an address space of its own, in which the prefixes
// of others may be used again. Creating it twice is creating it once.
func (s *Store) CreateDomain(ctx context.Context, name, description string) error {
	if name == "" {
		return &InvalidError{What: "routing domain", Reason: "it needs a name"}
	}
	_, err := s.pool.Exec(ctx, `SELECT ipam.create_domain($1, $2) WHERE NOT EXISTS (SELECT FROM ipam.domains WHERE name = $1)`, name, description)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23505" { // unique_violation: somebody else was quicker
		return nil
	}
	if err != nil {
		return fmt.Errorf("create routing domain %s: %w", name, err)
	}
	return nil
}

// inDomain has a statement work on the partitions of one routing domain, which have indexes
// of their own, and spares the planner the choice.
func inDomain(domain int32, statement string) string {
	for _, table := range []string{"ipam.allocations", "ipam.prefixes"} {
		statement = strings.ReplaceAll(statement, table, fmt.Sprintf("%s_%d", table, domain))
	}
	return statement
}
