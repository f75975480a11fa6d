package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"ferrodur/ipam"
)

// Any sequence of operations leaves what a plain map says: nobody lost a link, nobody
// has another's, and free links are exactly the rest of the pool.
func TestModel(t *testing.T) {
	store, database := open(t, pool("a", "198.51.100.0/28", 0))
	const capacity = 8
	rapid.Check(t, func(t *rapid.T) {
		if _, err := database.Exec(context.Background(),
			`TRUNCATE ipam.allocations, ipam.free; INSERT INTO ipam.free (pool, prefix) SELECT id, prefix FROM ipam.prefixes WHERE name = 'a'`); err != nil {
			t.Fatal(err)
		}
		held := map[string]netip.Prefix{}
		owner := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint("o", rapid.IntRange(0, 11).Draw(t, "n")) })
		t.Repeat(map[string]func(*rapid.T){
			"allocate": func(t *rapid.T) {
				who := owner.Draw(t, "owner")
				links, err := store.AllocateLinks(context.Background(), request(who))
				had, has := held[who]
				var exhausted *ipam.ExhaustedError
				switch {
				case errors.As(err, &exhausted):
					if has || len(held) < capacity {
						t.Fatalf("%s was refused with %d of %d held", who, len(held), capacity)
					}
				case err != nil:
					t.Fatal(err)
				case has && links.IPv4.Prefix != had:
					t.Fatalf("%s had %s and was answered %s", who, had, links.IPv4.Prefix)
				default:
					held[who] = links.IPv4.Prefix
				}
			},
			"release": func(t *rapid.T) {
				who := owner.Draw(t, "owner")
				if err := store.Release(context.Background(), who, ipam.By{}); err != nil {
					t.Fatal(err)
				}
				delete(held, who)
			},
			"": func(t *rapid.T) {
				allocations, err := store.Allocations(context.Background(), ipam.Filter{})
				if err != nil {
					t.Fatal(err)
				}
				if len(allocations) != len(held) {
					t.Fatalf("%d links are held, want %d", len(allocations), len(held))
				}
				owners := map[netip.Prefix]string{}
				for _, a := range allocations {
					if held[a.Owner] != a.Prefix || owners[a.Prefix] != "" {
						t.Fatalf("%s is with %s, the model says %v", a.Prefix, a.Owner, held)
					}
					owners[a.Prefix] = a.Owner
				}
			},
		})
	})
}
