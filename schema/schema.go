// Package schema brings a room's own tables in PostgreSQL to the version that this program
// knows.
package schema

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// Schema is one of the database's, with the table schema_version in it.
type Schema struct {
	Name string
	// Lock is the PostgreSQL advisory lock that one Migrate at a time holds.
	Lock int64
	// Files has goose's migrations in the folder "migrations".
	Files embed.FS
}

// NewerError says that the database was migrated by a newer program.
type NewerError struct {
	Schema     string
	Has, Knows int64 // versions
}

func (e NewerError) Error() string {
	return fmt.Sprintf("the schema %s has version %d, this program knows up to %d: run a newer program", e.Schema, e.Has, e.Knows)
}

// Migrate brings the schema up to date. Several programs may call it at once. It returns a
// NewerError when the database's schema is newer.
func (s Schema) Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	if err := s.migrate(ctx, pool); err != nil {
		return fmt.Errorf("migrate the schema %s: %w", s.Name, err)
	}
	return nil
}

func (s Schema) migrate(ctx context.Context, pool *pgxpool.Pool) error {
	lock, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	if _, err := lock.Exec(ctx, `SELECT pg_advisory_lock($1)`, s.Lock); err != nil {
		return fmt.Errorf("wait for its lock: %w", err)
	}
	// Unlock though ctx may be over: the connection goes back to the pool.
	defer func() { _, _ = lock.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, s.Lock) }()
	if _, err := lock.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS `+s.Name); err != nil {
		return err
	}

	// goose has connections of its own: the pool's could all be waiting for the lock.
	db := stdlib.OpenDB(*pool.Config().ConnConfig)
	defer func() { _ = db.Close() }()
	files, err := fs.Sub(s.Files, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithTableName(s.Name+".schema_version"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	has, knows, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read its version: %w", err)
	}
	if has > knows {
		return NewerError{Schema: s.Name, Has: has, Knows: knows}
	}
	_, err = provider.Up(ctx)
	return err
}
