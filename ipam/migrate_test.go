package ipam_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"ferrodur/ipam"
	"ferrodur/lab/postgres"
)

// A database that version 1 filled goes on: what was held is held, what rested rests, and
// every other link of the pools is free.
func TestMigratesWhatVersion1Filled(t *testing.T) {
	ctx := t.Context()
	database, err := pgxpool.New(context.Background(), postgres.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	if _, err := database.Exec(ctx, `CREATE SCHEMA ipam`); err != nil {
		t.Fatal(err)
	}
	files, err := fs.Sub(os.DirFS("."), "migrations")
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*database.Config().ConnConfig)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithTableName("ipam.schema_version"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := database.Exec(ctx, `
		INSERT INTO ipam.pools VALUES ('v4', 'ewr1', 'tenant', '198.51.100.0/27', '1h'), ('v6', 'ewr1', 'tenant', '2001:db8::/48', '1h');
		INSERT INTO ipam.allocations (pool, owner, prefix, released_at, rests_until) VALUES
			('v4', 'instance/a', '198.51.100.0/31', NULL, NULL), ('v6', 'instance/a', '2001:db8::/127', NULL, NULL),
			('v4', 'instance/b', '198.51.100.10/31', NULL, NULL), ('v4', 'instance/c', '198.51.100.30/31', now(), now() + interval '1h');
		INSERT INTO ipam.gaps VALUES ('v4', '198.51.100.2', '198.51.100.9'), ('v4', '198.51.100.12', '198.51.100.29'),
			('v6', '2001:db8::2', '2001:db8:0:ffff:ffff:ffff:ffff:ffff')`); err != nil {
		t.Fatal(err)
	}
	if err := ipam.Migrate(ctx, database); err != nil {
		t.Fatal(err)
	}
	store := ipam.New(database)
	links, err := store.AllocateLinks(ctx, request("instance/a"))
	if err != nil || links.IPv4.Prefix.String() != "198.51.100.0/31" || links.IPv6.Prefix.String() != "2001:db8::/127" {
		t.Errorf("who held links was answered %v (%v)", links, err)
	}
	seen := map[netip.Prefix]bool{}
	for n := range 13 { // of 16: two are held, one rests
		links, err := store.AllocateLinks(ctx, request(fmt.Sprint("new/", n)))
		if err != nil {
			t.Fatal(err)
		}
		seen[links.IPv4.Prefix] = true
	}
	if _, err := store.AllocateLinks(ctx, request("too many")); err == nil || len(seen) != 13 {
		t.Errorf("%d links were free, want 13; then: %v", len(seen), err)
	}
	whole := wanting("block", ipam.Want{Kind: ipam.KindBlock, Bits: 49, Family: ipam.IPv6})
	if answer, err := store.Allocate(ctx, whole); err != nil || answer[0].Prefix.String() != "2001:db8:0:8000::/49" {
		t.Errorf("the free half of the IPv6 pool: %v (%v)", answer, err)
	}
}
