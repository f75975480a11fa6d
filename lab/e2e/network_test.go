package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ferrodur/lab/rack"
	"ferrodur/workflows/api"
)

// A server at a switch of VLANs is enrolled in the one, and lives as a tenant's in the
// other, with an address of its network.
func TestServerInANetwork(t *testing.T) {
	ctx := within(t, 12*time.Minute)
	enrolled(ctx, t)
	const server = "s3"
	boot, blue := rack.Networks()[0], rack.Networks()[1]
	must(t, world.Client.Enroll(ctx, api.EnrollInput{Server: server, Limits: limits()}))
	_, err := world.Client.WaitEnded(ctx, api.EnrollID(server))
	must(t, err)

	c := newTenant(t)
	order := c.asks()
	order.Plan, order.Network = rack.BridgedPlanName, blue.Name
	must(t, world.Client.Provision(ctx, order))
	await(ctx, t, c.id(), "the install", func(_ api.State, p api.Progress) bool { return p.Phase == "writing" })
	mustBeIn(ctx, t, server, boot.VLAN)
	state, err := world.Client.WaitActive(ctx, c.order)
	must(t, err)
	mustBeIn(ctx, t, server, blue.VLAN)
	for i, address := range []netip.Prefix{state.Addresses.IPv4.Server, state.Addresses.IPv6.Server} {
		if address.Masked() != blue.Prefixes[i] {
			t.Errorf("the server's address %s is not in %s", address, blue.Prefixes[i])
		}
	}
	if seen := c.login(ctx, t, state); !strings.Contains(seen, state.Addresses.IPv4.Server.String()) || !strings.Contains(seen, state.Addresses.IPv6.Server.String()) {
		t.Errorf("the machine says: %s", seen)
	}
	c.giveBack(ctx, t)
	mustHoldNothing(ctx, t)
	mustBeWiped(t, server)
}

// mustBeIn reads the server's port past Ferrodur's workflows.
func mustBeIn(ctx context.Context, t *testing.T, server string, vlan int) {
	t.Helper()
	declared, err := world.Inventory.Server(ctx, server)
	must(t, err)
	line, err := world.BridgePort(ctx, declared.Port)
	must(t, err)
	if want := fmt.Sprintf("access [] %d", vlan); line != want {
		t.Errorf("port %s is %q, want %q", declared.Port, line, want)
	}
}

// mustNotSpoof has a tenant send from an address that is not his: nothing of it arrives,
// while what he sends from his own does.
func mustNotSpoof(ctx context.Context, t *testing.T, c tenant, state api.State) {
	t.Helper()
	own, borrowed := state.Addresses.IPv4.Server.Addr(), netip.MustParseAddr("198.51.100.250")
	must(t, world.WatchSources(ctx, own, borrowed))
	_, err := world.Login(ctx, state.Addresses, "debian", c.key, fmt.Sprintf(`set -e
sudo ip address add %[2]s/32 dev lo
for source in %[1]s %[2]s; do
	python3 -c 'import socket, sys; s = socket.socket(type=socket.SOCK_DGRAM); s.bind((sys.argv[1], 0)); s.sendto(b"knock", (sys.argv[2], 9))' $source %[3]s
done
sudo ip address del %[2]s/32 dev lo`, own, borrowed, rack.Layout().Boot))
	must(t, err)
	seen, err := world.SeenSources(ctx)
	must(t, err)
	if seen[own] == 0 || seen[borrowed] > 0 {
		t.Errorf("packets that arrived: %v; from %s there should be none", seen, borrowed)
	}
}
