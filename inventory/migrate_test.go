package inventory_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"ferrodur/inventory"
	"ferrodur/lab/postgres"
	"ferrodur/schema"
)

func TestMigrateManyAtOnce(t *testing.T) {
	config, err := pgxpool.ParseConfig(postgres.Database(t))
	require.NoError(t, err)
	config.MaxConns = 1 // no deadlock with the connection that holds the lock
	errs := make([]error, 8)
	var together sync.WaitGroup
	for i := range errs {
		together.Go(func() {
			pool, err := pgxpool.NewWithConfig(context.Background(), config.Copy())
			if err != nil {
				errs[i] = err
				return
			}
			defer pool.Close()
			errs[i] = inventory.Migrate(context.Background(), pool)
		})
	}
	together.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

func TestMigrateRefusesANewerSchema(t *testing.T) {
	_, pool := migrated(t)
	_, err := pool.Exec(t.Context(), `INSERT INTO inventory.schema_version (version_id, is_applied) VALUES (99, true)`)
	require.NoError(t, err)
	var newer schema.NewerError
	require.ErrorAs(t, inventory.Migrate(t.Context(), pool), &newer)
	require.EqualValues(t, 99, newer.Has)
}
