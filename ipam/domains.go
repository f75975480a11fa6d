package ipam

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
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
	var id int32
	err := pool.QueryRow(ctx, `SELECT id FROM ipam.domains WHERE name = $1`, name).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, &InvalidError{What: "request", Reason: fmt.Sprintf("there is no routing domain %q", name)}
	}
	if err != nil {
		return 0, err
	}
	if d.ids == nil {
		d.ids = map[string]int32{}
	}
	d.ids[name] = id
	return id, nil
}
