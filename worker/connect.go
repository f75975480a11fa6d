package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	sdk "go.temporal.io/sdk/client"

	"ferrodur/bootsvc"
	"ferrodur/client"
	"ferrodur/inventory"
	"ferrodur/ipam"
)

// patience is how long a worker that starts waits for Temporal and PostgreSQL: machines
// of a data centre come up in any order.
const patience = 2 * time.Minute

// connectTemporal reaches Temporal, and creates the search attributes.
func connectTemporal(ctx context.Context, adjust func(*sdk.Options)) (*client.Client, error) {
	return backoff.Retry(ctx, func() (*client.Client, error) {
		temporal, err := client.Dial(ctx, adjust)
		if err != nil {
			return nil, err
		}
		if err := temporal.EnsureSearchAttributes(ctx); err != nil {
			temporal.Close()
			return nil, err
		}
		return temporal, nil
	}, backoff.WithMaxElapsedTime(patience))
}

// connectDatabase reaches PostgreSQL. An empty FERRODUR_DATABASE_URL leaves it to libpq's
// variables.
func connectDatabase(ctx context.Context) (*pgxpool.Pool, error) {
	pool, err := pgxpool.New(ctx, os.Getenv("FERRODUR_DATABASE_URL"))
	if err != nil {
		return nil, fmt.Errorf("read PostgreSQL's settings (FERRODUR_DATABASE_URL, PGHOST, …): %w", err)
	}
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, pool.Ping(ctx)
	}, backoff.WithMaxElapsedTime(patience))
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("reach PostgreSQL: %w", err)
	}
	return pool, nil
}

// migrateAll brings the tables of every room up to date. Workers that start together wait
// for each other.
func migrateAll(ctx context.Context, pool *pgxpool.Pool) error {
	for _, migrate := range []func(context.Context, *pgxpool.Pool) error{inventory.Migrate, ipam.Migrate, bootsvc.Migrate} {
		if err := migrate(ctx, pool); err != nil {
			return err
		}
	}
	return nil
}
