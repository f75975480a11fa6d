package bootsvc

import (
	"context"
	"net/netip"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"ferrodur/bootsvc/job"
	"ferrodur/bootsvc/nocloud"
	"ferrodur/lab/postgres"
)

func newPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), postgres.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if err := Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	return pool
}

// On loopback every address of 127.0.0.0/8 is ours: server 127.77.1.1 hangs on the switch
// at 127.77.1.0, the service is 127.77.0.1.
func inspect(id string) Target {
	return Target{
		ID: id, Server: "r1-s01", MAC: "52:54:00:00:00:01", RelayPort: "swp1",
		Relay: netip.MustParseAddr("127.77.1.0"), Link: netip.MustParsePrefix("127.77.1.1/31"), Kind: job.Inspect,
	}
}

const sum = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

func install(id string) Target {
	t := inspect(id)
	t.Kind = job.Install
	t.Install = &InstallOrder{
		Image: job.Image{Name: "debian-12.raw.zst", SHA256: sum, Bytes: 2 << 30},
		Seed: nocloud.Seed{
			InstanceID: "o-1", Hostname: "web1", MAC: t.MAC, UserData: []byte("the tenant's secret"),
			IPv4: nocloud.Link{Address: netip.MustParsePrefix("203.0.113.1/31"), Gateway: netip.MustParseAddr("203.0.113.0")},
		},
	}
	return t
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func tokenOf(t *testing.T, s *Store, mac string) string {
	t.Helper()
	target, err := s.targetOfMAC(context.Background(), mac)
	must(t, err)
	return target.token
}
