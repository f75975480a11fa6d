package ipam

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the PostgreSQL advisory lock that one Migrate at a time holds; the
// number is the ASCII text "ipam".
const migrationLock = 0x6970616d

// Migrate brings the schema "ipam" to the version this program knows. Several
// programs may call it at once. It returns a *SchemaError when the schema is newer.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	lock, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("migrate the addresses: %w", err)
	}
	defer lock.Release()
	if _, err := lock.Exec(ctx, `SELECT pg_advisory_lock($1)`, migrationLock); err != nil {
		return fmt.Errorf("migrate the addresses: wait for its lock: %w", err)
	}
	// Unlock though ctx may be over: the connection goes back to the pool.
	defer lock.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, migrationLock)
	if _, err := lock.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS ipam`); err != nil {
		return fmt.Errorf("migrate the addresses: create its schema: %w", err)
	}

	// goose has connections of its own: the pool's could all be waiting for the lock.
	db := stdlib.OpenDB(*pool.Config().ConnConfig)
	defer db.Close()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("migrate the addresses: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithTableName("ipam.schema_version"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrate the addresses: %w", err)
	}
	has, knows, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrate the addresses: read its version: %w", err)
	}
	if has > knows {
		return &SchemaError{Has: has, Knows: knows}
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate the addresses: %w", err)
	}
	return nil
}
