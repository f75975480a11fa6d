package inventory_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"ferrodur/inventory"
	"ferrodur/lab/postgres"
	"ferrodur/report"
)

// migrated is an empty inventory in a database of its own.
func migrated(t *testing.T) (*inventory.Store, *pgxpool.Pool) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), postgres.Database(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, inventory.Migrate(t.Context(), pool))
	return inventory.New(pool), pool
}

// stocked is an inventory of a rack with n servers, srv1 and up, all of them available.
func stocked(t *testing.T, n int) (*inventory.Store, *pgxpool.Pool) {
	t.Helper()
	store, pool := migrated(t)
	_, err := store.Apply(t.Context(), rack(n))
	require.NoError(t, err)
	for _, server := range rack(n).Servers {
		enroll(t, store, server.Name)
	}
	return store, pool
}

func enroll(t *testing.T, store *inventory.Store, server string) {
	t.Helper()
	workflow := "enroll/" + server
	step := func(to inventory.ServerState) inventory.Transition {
		return inventory.Transition{Server: server, To: to, Workflow: workflow}
	}
	require.NoError(t, store.Take(t.Context(), step(inventory.Inspecting)))
	require.NoError(t, store.SetServerState(t.Context(), step(inventory.BurningIn)))
	require.NoError(t, store.Leave(t.Context(), step(inventory.Available)))
}

func rack(n int) inventory.Declaration {
	d := inventory.Declaration{
		Sites: []inventory.Site{{Name: "ewr1", Description: "Newark"}, {Name: "ams1"}},
		Plans: []inventory.Plan{{Name: "c1.small", Threads: 2, MemoryMiB: 1536, Disks: 1, DiskBytes: 4 << 30}},
		Images: []inventory.Image{{
			Name: "debian-12", File: "debian-12.raw.zst", SHA256: fmt.Sprintf("%064x", 12), Bytes: 2 << 30, SSHUser: "debian",
		}},
		Networks: []inventory.Network{{
			Name: "blue", Site: "ewr1", VLAN: 100, Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/26")},
		}},
		Switches: []inventory.Switch{{
			Name: "sw1", Site: "ewr1", Platform: "frr", Address: "192.0.2.1:22", User: "ferrodur",
			PrivateKey: "file:/etc/ferrodur/sw1.key", HostKey: "ssh-ed25519 AAAA", DHCPRelay: netip.MustParseAddr("192.0.2.1"),
			Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8::/32")},
			MTU:      9000, AnySource: true, Provisioning: inventory.ProvisioningPorts{
				Reach: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, Relay: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
				Network: "blue", CircuitID: "vlan100",
			},
		}},
	}
	for i := 1; i <= n; i++ {
		port := fmt.Sprintf("swp%d", i)
		d.Switches[0].Ports = append(d.Switches[0].Ports, port)
		d.Servers = append(d.Servers, inventory.Server{
			Name: fmt.Sprintf("srv%d", i), Site: "ewr1", Rack: "r1", Plan: "c1.small",
			Uplink: inventory.Uplink{Switch: "sw1", Port: port, MAC: fmt.Sprintf("02:00:00:00:00:%02x", i)},
			BMC:    inventory.BMC{Address: fmt.Sprintf("192.0.2.%d", 100+i), User: "admin", Password: "env:BMC_PASSWORD"},
		})
	}
	return d
}

func order(instance string) inventory.Order {
	return inventory.Order{Instance: instance, Site: "ewr1", Plan: "c1.small", Image: "debian-12", Hostname: "web1"}
}

// set moves an instance through states.
func set(t *testing.T, store *inventory.Store, instance string, states ...inventory.InstanceState) {
	t.Helper()
	for _, to := range states {
		require.NoError(t, store.SetInstanceState(t.Context(), inventory.InstanceTransition{Instance: instance, To: to}))
	}
}

func wipe(clean ...bool) report.Wipe {
	var proof report.Wipe
	for _, c := range clean {
		proof.Disks = append(proof.Disks, report.DiskWipe{Method: "discard", Clean: c})
	}
	return proof
}
