package postgres_test

import (
	"context"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"ferrodur/lab/postgres"
)

// What was committed survives a stop and a crash; the folder is used again.
func TestClusterKeepsWhatWasCommitted(t *testing.T) {
	ctx := t.Context()
	dir, err := os.MkdirTemp("", "ferrodur-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	config := postgres.Config{Dir: dir + "/cluster"}
	for round, end := range []func(*postgres.Cluster) error{
		func(c *postgres.Cluster) error { return c.Stop(ctx) },
		(*postgres.Cluster).Kill,
		(*postgres.Cluster).Kill,
	} {
		cluster, err := postgres.Start(ctx, config)
		if err != nil {
			t.Fatal(err)
		}
		if err := cluster.CreateDatabase(ctx, "facts"); err != nil {
			t.Fatal(err)
		}
		if got := visits(t, cluster.DSN("facts")); got != round+1 {
			t.Errorf("%d commits are there, want %d", got, round+1)
		}
		if err := end(cluster); err != nil {
			t.Fatal(err)
		}
		if _, err := pgx.Connect(ctx, cluster.DSN("facts")); err == nil {
			t.Error("the cluster still answers after its end")
		}
	}
}

// visits commits one row and counts them.
func visits(t *testing.T, dsn string) int {
	t.Helper()
	ctx := context.Background()
	connection, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close(ctx)
	if _, err := connection.Exec(ctx, `CREATE TABLE IF NOT EXISTS visits (at timestamptz DEFAULT now())`); err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Exec(ctx, `INSERT INTO visits DEFAULT VALUES`); err != nil {
		t.Fatal(err)
	}
	var count int
	if err := connection.QueryRow(ctx, `SELECT count(*) FROM visits`).Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}

func TestDatabasesAreEmptyAndApart(t *testing.T) {
	a, b := postgres.Database(t), postgres.Database(t)
	if a == b {
		t.Fatal("two tests share a database")
	}
	if visits(t, a) != 1 || visits(t, b) != 1 {
		t.Error("a fresh database is not empty")
	}
}
