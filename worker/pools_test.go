package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"ferrodur/ipam"
	"ferrodur/lab/postgres"
)

// A pool that passes its threshold is told once, and seen by Prometheus.
func TestPoolsAreWatched(t *testing.T) {
	ctx := t.Context()
	database, err := pgxpool.New(ctx, postgres.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	if err := ipam.Migrate(ctx, database); err != nil {
		t.Fatal(err)
	}
	store := ipam.New(database)
	pool := ipam.Pool{Name: "v4", Site: "ewr1", Role: ipam.Tenant, Prefix: netip.MustParsePrefix("198.51.100.0/30"), Threshold: 50}
	if err := store.PutPools(ctx, []ipam.Pool{pool}, ipam.By{}); err != nil {
		t.Fatal(err)
	}
	metrics, err := newMetrics()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	watch := poolWatch{log: slog.New(slog.NewTextHandler(&log, nil)), addresses: store, past: map[string]bool{}}
	if err := watch.register(metrics.meter); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	go metrics.serve(serving, slog.New(slog.DiscardHandler), address)
	expect := func(held, past string, logged string) {
		t.Helper()
		watch.look(ctx)
		watch.look(ctx)
		page := scrape(t, "http://"+address+"/metrics")
		for _, line := range []string{
			`ferrodur_pool_addresses{domain="default",pool="v4",role="tenant",site="ewr1",state="held"} ` + held,
			`ferrodur_pool_past_threshold{domain="default",pool="v4",role="tenant",site="ewr1"} ` + past,
		} {
			if !strings.Contains(page, line+"\n") {
				t.Errorf("no %s in\n%s", line, page)
			}
		}
		if strings.Count(log.String(), "\n") != strings.Count(logged, "pool") || !strings.Contains(log.String(), logged) {
			t.Errorf("logged: %s, want %q", log.String(), logged)
		}
		log.Reset()
	}
	expect("0", "0", "")
	if _, err := store.AllocateLinks(ctx, ipam.Request{Owner: "o", Site: "ewr1", Role: ipam.Tenant}); err != nil {
		t.Fatal(err)
	}
	expect("2", "1", "a pool has passed its threshold")
	if err := store.Release(ctx, "o", ipam.By{}); err != nil {
		t.Fatal(err)
	}
	expect("0", "0", "a pool is below its threshold again")
}
