package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ferrodur/lab/netns"
	"ferrodur/lab/rack"
	"ferrodur/workflows/api"
)

// bridged is the server at the switch of VLANs.
const bridged = "s3"

// inANetwork: a server at a switch of VLANs is enrolled in the one, and lives as a tenant's in
// the other, with an address of its network.
func inANetwork(t *testing.T) {
	t.Parallel()
	ctx := within(t, 12*time.Minute)
	boot, blue, green := rack.Networks()[0], rack.Networks()[1], rack.Networks()[2]
	enroll(ctx, t, bridged)
	awaitEnrolled(ctx, t, bridged)

	c := newTenant(t)
	order := c.asks()
	order.Plan, order.Network, order.Tagged = rack.BridgedPlanName, blue.Name, []string{green.Name}
	must(t, world.Client.Provision(ctx, order))
	await(ctx, t, c.id(), "the install", func(_ api.State, p api.Progress) bool { return p.Phase == "writing" })
	mustBeIn(ctx, t, bridged, fmt.Sprintf("access [] %d", boot.VLAN))
	state, err := world.Client.WaitActive(ctx, c.order)
	must(t, err)
	mustBeBonded(ctx, t, fmt.Sprintf("native-untagged [%d] %d", green.VLAN, blue.VLAN))
	for i, address := range []netip.Prefix{state.Addresses.IPv4.Server, state.Addresses.IPv6.Server} {
		if address.Masked() != blue.Prefixes[i] {
			t.Errorf("the server's address %s is not in %s", address, blue.Prefixes[i])
		}
	}
	if seen := c.says(ctx, t, state, "ip -brief address show dev bond0"); !strings.Contains(seen, state.Addresses.IPv4.Server.String()) || !strings.Contains(seen, state.Addresses.IPv6.Server.String()) {
		t.Errorf("the machine says: %s", seen)
	}
	mustReachTagged(ctx, t, c, state, green)
	c.giveBack(ctx, t)
	mustBeWiped(t, bridged)
}

// mustBeBonded reads the server's two ports past Ferrodur's workflows: they are one, which carries
// VLANs, and the installed system speaks LACP on it.
func mustBeBonded(ctx context.Context, t *testing.T, want string) {
	t.Helper()
	declared, err := world.Inventory.Server(ctx, bridged)
	must(t, err)
	bond := fmt.Sprintf("bond%d", declared.Bond)
	line, err := world.BridgePort(ctx, bond)
	must(t, err)
	if line != want {
		t.Errorf("%s is %q, want %q", bond, line, want)
	}
	members, err := world.OnSwitch(ctx, rack.BridgeName, "sudo ovs-vsctl list-ifaces br0")
	must(t, err)
	for _, uplink := range declared.Uplinks() {
		if !slices.Contains(strings.Fields(members), uplink.Port) {
			t.Errorf("%s is not on the bridge, which has %s", uplink.Port, members)
		}
	}
	status, err := world.OnSwitch(ctx, rack.BridgeName, "sudo ovs-vsctl --columns=name,lacp_current list Interface")
	must(t, err)
	if strings.Count(status, "lacp_current        : true") != len(declared.Uplinks()) {
		t.Errorf("not all members of %s speak LACP with the server:\n%s", bond, status)
	}
}

// mustReachTagged has the tenant's machine ask the gateways of a network whose frames come tagged,
// each from the address that the machine has there.
func mustReachTagged(ctx context.Context, t *testing.T, c tenant, state api.State, network rack.Network) {
	t.Helper()
	for _, link := range state.Tagged[0].Links.List() {
		ping := fmt.Sprintf("ping -c 3 -W 5 -I %s %s", link.Server.Addr(), link.Switch.Addr())
		if output, err := world.Login(ctx, state.Addresses, "debian", c.key, ping); err != nil {
			t.Errorf("%s in network %s: %v\n%s", ping, network.Name, err, output)
		}
		if !slices.Contains(network.Prefixes, link.Server.Masked()) {
			t.Errorf("the address %s is not of network %s", link.Server, network.Name)
		}
	}
}

// cabledElsewhere: a server that is declared at another port than that which it is cabled to, and
// boots all the same, by hand, for in a VLAN every port boots, is parked; declared as it is, it is
// enrolled. That begins when two CPUs are not taken by other servers.
func cabledElsewhere(t *testing.T, begin <-chan struct{}) {
	t.Parallel()
	ctx := within(t, 12*time.Minute)
	select {
	case <-begin:
	case <-ctx.Done():
		t.Fatal("the other servers did not come into service")
	}
	const other = "swp9"
	vlan := rack.Networks()[0].VLAN
	server, err := world.Inventory.Server(ctx, bridged)
	must(t, err)
	onSwitch := func(format string, arguments ...any) {
		t.Helper()
		_, err := world.OnSwitch(ctx, rack.BridgeName, "sudo ovs-vsctl "+fmt.Sprintf(format, arguments...))
		must(t, err)
	}
	status, err := rack.Inspect(world.Rack)
	must(t, err)
	bridge := slices.IndexFunc(status.Switches, func(s rack.SwitchStatus) bool { return s.Name == rack.BridgeName })
	namespace := netns.Namespace(status.Switches[bridge].Namespace)
	must(t, namespace.AddTap(other))
	onSwitch("add-port ferrodur-shut %s -- set Port %s external_ids:ferrodur-bridge=br0", other, other)

	text, err := os.ReadFile(filepath.Join(world.Rack, "rack.yaml"))
	must(t, err)
	wrong := filepath.Join(t.TempDir(), "rack.yaml")
	must(t, os.WriteFile(wrong, []byte(strings.NewReplacer(
		"port: "+server.Port+"\n", "port: "+other+"\n", "ports: ["+server.Port, fmt.Sprintf("ports: [%s, %s", other, server.Port),
	).Replace(string(text))), 0o600))
	apply(ctx, t, wrong)
	onSwitch("--id=@port get Port %s -- remove Bridge ferrodur-shut ports @port -- add Bridge br0 ports @port -- set Port %s vlan_mode=access tag=%d", server.Port, server.Port, vlan)

	must(t, world.Client.Enroll(ctx, api.EnrollInput{Server: bridged, Limits: limits()}))
	state := await(ctx, t, api.EnrollID(bridged), "it was parked", func(s api.State, _ api.Progress) bool { return s.Status == api.StatusParked })
	if want := fmt.Sprintf("is cabled to port %s of %s, expected port %s of %s", server.Port, rack.BridgeName, other, rack.BridgeName); !strings.Contains(state.Reason, want) {
		t.Errorf("parked with %q, want %q", state.Reason, want)
	}
	_, err = world.Client.Abort(ctx, api.EnrollID(bridged))
	must(t, err)
	_, _ = world.Client.WaitEnded(ctx, api.EnrollID(bridged)) // the error is that it was aborted
	apply(ctx, t, filepath.Join(world.Rack, "rack.yaml"))
	onSwitch("del-port %s", other)
	must(t, namespace.RemoveInterface(other))
	enroll(ctx, t, bridged)
	awaitEnrolled(ctx, t, bridged)
}

// apply makes the inventory what a rack file says.
func apply(ctx context.Context, t *testing.T, file string) {
	t.Helper()
	if output, err := world.Starter(ctx, "apply", "-f", file); err != nil {
		t.Fatalf("starter apply: %v\n%s", err, output)
	}
}

// mustBeIn reads the server's port past Ferrodur's workflows.
func mustBeIn(ctx context.Context, t *testing.T, server, want string) {
	t.Helper()
	declared, err := world.Inventory.Server(ctx, server)
	must(t, err)
	line, err := world.BridgePort(ctx, declared.Port)
	must(t, err)
	if line != want {
		t.Errorf("port %s is %q, want %q", declared.Port, line, want)
	}
}

// mustCarryWhatIsRouted has a tenant send from his link, from his block, from an elastic
// block that is moved to him and away again, and from an address that is not his. What is
// not routed to him does not arrive. So it is on the second uplink, where the first one's
// link is not his.
func mustCarryWhatIsRouted(ctx context.Context, t *testing.T, c tenant, state api.State) {
	t.Helper()
	const owner = "customer/e2e"
	starter := func(arguments ...string) {
		t.Helper()
		output, err := world.Starter(ctx, arguments...)
		if err != nil {
			t.Fatalf("starter %s: %v\n%s", strings.Join(arguments, " "), err, output)
		}
	}
	starter("ip", "allocate", owner, "--name", "first", "--site", rack.SiteName, "--role", "elastic", "--kind", "elastic", "--ipv4=30")
	starter("ip", "move", owner, "first", c.order, "-o", "json")

	own, block, borrowed := state.Addresses.IPv4.Server.Addr(), state.Blocks[0].Addr(), netip.MustParseAddr("198.51.100.250")
	elastic := rack.Layout().Elastic.Addr()
	seen := c.knock(ctx, t, state, rack.Layout().Boot, own, block, elastic, borrowed)
	if seen[own] == 0 || seen[block] == 0 || seen[elastic] == 0 || seen[borrowed] > 0 {
		t.Errorf("packets that arrived: %v; there should be some from each but %s", seen, borrowed)
	}
	second := state.Others[0].IPv4
	beyond := netip.MustParseAddr("192.0.2.11") // at the site; what logs in is elsewhere
	_, err := world.Login(ctx, state.Addresses, "debian", c.key, fmt.Sprintf("sudo ip route add %s via %s dev eth1", beyond, second.Switch.Addr()))
	must(t, err)
	seen = c.knock(ctx, t, state, beyond, own, second.Server.Addr(), block, elastic, borrowed)
	if seen[own] > 0 || seen[second.Server.Addr()] == 0 || seen[block] == 0 || seen[elastic] == 0 || seen[borrowed] > 0 {
		t.Errorf("packets that arrived by the second uplink: %v; there should be some from each but %s and %s", seen, own, borrowed)
	}
	starter("ip", "move", owner, "first", "--away")
	if seen := c.knock(ctx, t, state, rack.Layout().Boot, own, elastic); seen[own] == 0 || seen[elastic] > 0 {
		t.Errorf("packets that arrived: %v; from %s, which was moved away, there should be none", seen, elastic)
	}
	starter("ip", "release", owner, "--name", "first")
}

const discard = 9 // a port that nobody listens on (RFC 863)

// knock has a tenant's machine send to an address of the site from others, and returns how many packets of each
// arrived at the site.
func (c tenant) knock(ctx context.Context, t *testing.T, state api.State, to netip.Addr, sources ...netip.Addr) map[netip.Addr]int {
	t.Helper()
	must(t, world.WatchSources(ctx, discard, sources...))
	var script strings.Builder
	script.WriteString("set -e\n")
	for _, source := range sources {
		fmt.Fprintf(&script, `sudo ip address replace %s/32 dev lo
python3 -c 'import socket, sys; s = socket.socket(type=socket.SOCK_DGRAM); s.bind((sys.argv[1], 0)); s.sendto(b"knock", (sys.argv[2], %d))' %s %s
`, source, discard, source, to)
	}
	_, err := world.Login(ctx, state.Addresses, "debian", c.key, script.String())
	must(t, err)
	seen, err := world.SeenSources(ctx)
	must(t, err)
	return seen
}
