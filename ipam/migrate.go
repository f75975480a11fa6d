package ipam

import (
	"context"
	"embed"

	"github.com/jackc/pgx/v5/pgxpool"

	"ferrodur/schema"
)

//go:embed migrations/*.sql
var migrations embed.FS

// The lock is the ASCII text "ipam".
var tables = schema.Schema{Name: "ipam", Lock: 0x6970616d, Files: migrations}

// Migrate brings the schema "ipam" to the version this program knows. Several programs may
// call it at once. It returns a schema.NewerError when the schema is newer.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error { return tables.Migrate(ctx, pool) }
