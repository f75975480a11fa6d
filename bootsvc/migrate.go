package bootsvc

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
// number is the ASCII text "bootsv".
const migrationLock = 0x626f6f747376

// Migrate brings the schema "bootsvc" to the version this program knows. Several programs
// may call it at once. It returns a SchemaError when the schema is newer.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	lock, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("migrate the boot targets: %w", err)
	}
	defer lock.Release()
	if _, err := lock.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		return fmt.Errorf("migrate the boot targets: wait for the lock: %w", err)
	}
	// Unlock though ctx may be over: the connection goes back to the pool.
	defer func() {
		_, _ = lock.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(migrationLock))
	}()
	if _, err := lock.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS bootsvc`); err != nil {
		return fmt.Errorf("migrate the boot targets: create their schema: %w", err)
	}

	// goose has connections of its own: the pool's could all be waiting for the lock.
	db := stdlib.OpenDB(*pool.Config().ConnConfig)
	defer func() { _ = db.Close() }()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("migrate the boot targets: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithTableName("bootsvc.schema_version"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrate the boot targets: %w", err)
	}
	has, knows, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrate the boot targets: read the schema's version: %w", err)
	}
	if has > knows {
		return SchemaError{Has: has, Knows: knows}
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate the boot targets: %w", err)
	}
	return nil
}
