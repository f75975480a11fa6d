package netbox_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"ferrodur/ipam"
	"ferrodur/ipam/netbox"
	"ferrodur/lab/netboxsim"
	"ferrodur/lab/postgres"
)

// What this project needs of a NetBox, without looking behind its API: on the fake one, and
// on the one that FERRODUR_TEST_NETBOX_API and FERRODUR_TEST_NETBOX_TOKEN name, if they do.
func TestAnyNetBox(t *testing.T) {
	t.Run("fake", func(t *testing.T) {
		server := httptest.NewServer(netboxsim.New(token))
		t.Cleanup(server.Close)
		useNetBox(t, server.URL, token)
	})
	t.Run("real", func(t *testing.T) {
		api := os.Getenv("FERRODUR_TEST_NETBOX_API")
		if api == "" {
			t.Skip("FERRODUR_TEST_NETBOX_API names no NetBox: only the fake one was used")
		}
		useNetBox(t, api, os.Getenv("FERRODUR_TEST_NETBOX_TOKEN"))
	})
}

func useNetBox(t *testing.T, api, token string) {
	ctx := t.Context()
	// A range that is set aside for benchmarks (RFC 2544): nobody keeps it in his NetBox.
	pools := []ipam.Pool{pool("links", "198.18.0.0/28", netbox.Name, time.Second), pool("addresses", "198.18.1.0/29", netbox.Name, 0)}
	pools[1].Role = ipam.Service
	for _, p := range pools {
		body := strings.NewReader(fmt.Sprintf(`{"prefix": %q, "status": "active", "description": "ferrodur's tests"}`, p.Prefix))
		call, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(api, "/")+"/api/ipam/prefixes/", body)
		if err != nil {
			t.Fatal(err)
		}
		call.Header.Set("Authorization", "Token "+token)
		call.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(call)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusCreated && answer.StatusCode != http.StatusBadRequest { // from a run before this one
			t.Fatalf("create %s: %s", p.Prefix, answer.Status)
		}
	}
	source, err := netbox.New(api, token)
	if err != nil {
		t.Fatal(err)
	}
	// Two stores that know nothing of each other but through NetBox.
	var stores []*ipam.Store
	for range 2 {
		database, err := pgxpool.New(context.Background(), postgres.Database(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(database.Close)
		if err := ipam.Migrate(ctx, database); err != nil {
			t.Fatal(err)
		}
		store := ipam.New(database, ipam.WithSource(netbox.Name, source))
		if err := store.PutPools(ctx, pools, ipam.By{}); err != nil {
			t.Fatal(err)
		}
		stores = append(stores, store)
	}
	seen := map[netip.Prefix]string{}
	for n := range 4 {
		store, owner := stores[n%2], fmt.Sprint("test/", n)
		t.Cleanup(func() {
			if err := store.Release(context.Background(), owner, ipam.By{}); err != nil {
				t.Error(err)
			}
		})
		for _, r := range []ipam.Request{
			{Owner: owner, Site: "ewr1", Role: ipam.Tenant, Wants: []ipam.Want{{Name: "link", Family: ipam.IPv4}}},
			{Owner: owner, Site: "ewr1", Role: ipam.Service, Wants: []ipam.Want{{Name: "address", Kind: ipam.KindAddress, Family: ipam.IPv4}}},
		} {
			first, err := store.Allocate(ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			again, err := store.Allocate(ctx, r)
			if err != nil || again[0].Prefix != first[0].Prefix {
				t.Errorf("%s was given %s, and then %v (%v)", owner, first[0].Prefix, again, err)
			}
			if other := seen[first[0].Prefix]; other != "" {
				t.Errorf("%s was given to %s and to %s", first[0].Prefix, other, owner)
			}
			seen[first[0].Prefix] = owner
		}
	}
	usage, err := stores[0].Usage(ctx)
	if err != nil || usage[1].Name != "links" || usage[1].Unknown != nil || usage[1].Free != 8 {
		t.Errorf("four links of eight are held: %+v (%v)", usage[1], err)
	}
	chosen := ipam.Request{Owner: "test/chosen", Site: "ewr1", Role: ipam.Tenant, Wants: []ipam.Want{{Name: "link", Chosen: netip.MustParsePrefix("198.18.0.14/31")}}}
	for range 2 {
		if given, err := stores[0].Allocate(ctx, chosen); err != nil || given[0].Prefix != chosen.Wants[0].Chosen {
			t.Errorf("a chosen link: %v (%v)", given, err)
		}
	}
	if err := stores[0].Release(ctx, "test/chosen", ipam.By{}); err != nil {
		t.Error(err)
	}
}
