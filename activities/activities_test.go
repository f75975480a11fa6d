package activities_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"ferrodur/activities"
	"ferrodur/bootsvc"
	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/lab/postgres"
	"ferrodur/workflows/api"
)

// place is a site with one server, s1, on a real database, and a worker for its activities.
type place struct {
	t         *testing.T
	inventory *inventory.Store
	addresses *ipam.Store
	targets   *bootsvc.Store
	worker    *testsuite.TestActivityEnvironment
	log       *bytes.Buffer
	secrets   string // folder of passwords; each is in the file of its owner's name
}

// declare changes what is declared before it is applied.
func newPlace(t *testing.T, declare ...func(*inventory.Declaration)) *place {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), postgres.Database(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, inventory.Migrate(t.Context(), pool))
	require.NoError(t, ipam.Migrate(t.Context(), pool))
	require.NoError(t, bootsvc.Migrate(t.Context(), pool))
	log := new(bytes.Buffer)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.NewTextHandler(log, nil))))
	p := &place{
		t: t, log: log, inventory: inventory.New(pool), addresses: ipam.New(pool), targets: bootsvc.NewStore(pool),
		worker: suite.NewTestActivityEnvironment(), secrets: t.TempDir(),
	}
	p.worker.SetTestTimeout(time.Minute)
	for _, name := range []string{"sw1", "s1-bmc"} {
		require.NoError(t, os.WriteFile(filepath.Join(p.secrets, name), []byte(secret), 0o600))
	}
	declaration := inventory.Declaration{
		Sites:  []inventory.Site{{Name: "ewr1"}},
		Plans:  []inventory.Plan{{Name: "c1.small", Threads: 1, MemoryMiB: 512, Disks: 1, DiskBytes: 1 << 30}},
		Images: []inventory.Image{{Name: "debian-12", File: "debian-12.raw.zst", SHA256: strings.Repeat("ab", 32), Bytes: 2 << 30, SSHUser: "debian"}},
		Switches: []inventory.Switch{{
			Name: "sw1", Site: "ewr1", Platform: "frr", Address: "127.0.0.1:1", User: "ferrodur", Password: p.reference("sw1"),
			HostKey: hostKey, DHCPRelay: netip.MustParseAddr("127.78.0.1"), Ports: []string{"swp1"},
		}},
		Servers: []inventory.Server{{
			Name: "s1", Site: "ewr1", Rack: "r1", Plan: "c1.small",
			Uplink: inventory.Uplink{Switch: "sw1", Port: "swp1", MAC: "02:00:00:00:00:01"},
			BMC:    inventory.BMC{Address: "127.0.0.1:1", User: "admin", Password: p.reference("s1-bmc")},
		}},
	}
	for _, change := range declare {
		change(&declaration)
	}
	_, err = p.inventory.Apply(t.Context(), declaration)
	require.NoError(t, err)
	return p
}

const (
	secret  = "correct-horse" // must be in no error
	hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGvZwcHVD3LHZoKMdgqPmKTcFlmWUIXYzNFKXkEgrQMd"
)

func (p *place) reference(name string) inventory.SecretRef {
	return inventory.SecretRef("file:" + filepath.Join(p.secrets, name))
}

// serves registers one queue's activities.
func (p *place) serves(queue interface{ Register(worker.ActivityRegistry) }) *place {
	queue.Register(p.worker)
	return p
}

// run runs an activity by its name, as a workflow does.
func run[In, Out any](p *place, activity api.Activity[In, Out], input In) (Out, error) {
	var output Out
	encoded, err := p.worker.ExecuteActivity(string(activity), input)
	if err != nil {
		if strings.Contains(err.Error(), secret) {
			p.t.Errorf("a password is in the error: %v", err)
		}
		return output, err
	}
	return output, encoded.Get(&output)
}

// requireError wants an application error of a type; the empty type is worth a retry.
func requireError(t *testing.T, err error, kind string, words ...string) {
	t.Helper()
	var application *temporal.ApplicationError
	require.True(t, errors.As(err, &application), "%v", err)
	require.Equal(t, kind, application.Type(), "%v", err)
	require.Equal(t, kind != "", application.NonRetryable(), "%v", err)
	for _, word := range words {
		require.Contains(t, err.Error(), word)
	}
}

func TestAddresses(t *testing.T) {
	p := newPlace(t)
	p.serves(&activities.IPAM{Addresses: p.addresses})
	ask := api.AllocateInput{Owner: "instance/o-1", Site: "ewr1", Role: api.TenantPool}
	_, err := run(p, api.AllocateAddresses, ask)
	requireError(t, err, api.ErrorRefused, "ewr1")

	require.NoError(t, p.addresses.PutPools(t.Context(), []ipam.Pool{
		{Name: "v4", Site: "ewr1", Role: "tenant", Prefix: netip.MustParsePrefix("198.51.100.0/31")},
		{Name: "v6", Site: "ewr1", Role: "tenant", Prefix: netip.MustParsePrefix("2001:db8::/64")},
	}, ipam.By{}))
	first, err := run(p, api.AllocateAddresses, ask)
	require.NoError(t, err)
	require.Equal(t, "198.51.100.0/31", first.IPv4.Switch.String())
	require.Equal(t, "198.51.100.1/31", first.IPv4.Server.String())
	require.Equal(t, 127, first.IPv6.Server.Bits())
	again, err := run(p, api.AllocateAddresses, ask)
	require.NoError(t, err)
	require.Equal(t, first, again, "asked again after a lost answer")
	require.Regexp(t, `msg="activity done" .*ActivityType=AllocateAddresses .*owner=instance/o-1 seconds=0\.`, p.log.String())

	ask.Blocks = api.Blocks{IPv4: 29, IPv6: 56}
	_, err = run(p, api.AllocateAddresses, ask)
	requireError(t, err, api.ErrorRefused, "IPv4 routed at ewr1", "no pool")
	require.NoError(t, p.addresses.PutPools(t.Context(), []ipam.Pool{
		{Name: "blocks4", Site: "ewr1", Role: ipam.Routed, Prefix: netip.MustParsePrefix("203.0.113.0/28")},
		{Name: "blocks6", Site: "ewr1", Role: ipam.Routed, Prefix: netip.MustParsePrefix("2001:db8:8000::/48")},
	}, ipam.By{}))
	for range 2 {
		given, err := run(p, api.AllocateAddresses, ask)
		require.NoError(t, err)
		require.Equal(t, first.Links, given.Links)
		require.Equal(t, []netip.Prefix{netip.MustParsePrefix("203.0.113.0/29"), netip.MustParsePrefix("2001:db8:8000::/56")}, given.Blocks)
	}

	_, err = run(p, api.AllocateAddresses, api.AllocateInput{Owner: "instance/o-2", Site: "ewr1", Role: api.TenantPool})
	requireError(t, err, api.ErrorRefused, "have no free /31")
	for range 2 {
		_, err = run(p, api.ReleaseAddresses, api.ReleaseInput{Owner: "instance/o-1"})
		require.NoError(t, err)
	}
}

// Who is in a network and in others whose frames come tagged has an address in each.
func TestAddressesInNetworks(t *testing.T) {
	network := func(name string, vlan int, prefix string) inventory.Network {
		return inventory.Network{Name: name, Site: "ewr1", VLAN: vlan, Prefixes: []netip.Prefix{netip.MustParsePrefix(prefix)}}
	}
	p := newPlace(t, func(d *inventory.Declaration) {
		d.Networks = []inventory.Network{network("blue", 200, "198.51.100.0/29"), network("green", 300, "203.0.113.0/29")}
	})
	p.serves(&activities.IPAM{Addresses: p.addresses, Inventory: p.inventory})
	for _, n := range []string{"blue", "green"} {
		found, err := p.inventory.Network(t.Context(), n)
		require.NoError(t, err)
		require.NoError(t, p.addresses.PutPools(t.Context(), ipam.NetworkPools(n, "ewr1", found.Prefixes), ipam.By{}))
	}
	ask := api.AllocateInput{Owner: "instance/o-1", Site: "ewr1", Role: api.TenantPool, Network: "blue", Tagged: []string{"green"}}
	for range 2 {
		given, err := run(p, api.AllocateAddresses, ask)
		require.NoError(t, err)
		require.Equal(t, "198.51.100.6/29", given.IPv4.Server.String())
		require.Equal(t, []api.Membership{{Network: "green", VLAN: 300, Links: api.Links{IPv4: api.Link{
			Switch: netip.MustParsePrefix("203.0.113.1/29"), Server: netip.MustParsePrefix("203.0.113.6/29"),
		}}}}, given.Tagged)
	}
	ask.Tagged = []string{"red"}
	_, err := run(p, api.AllocateAddresses, ask)
	requireError(t, err, api.ErrorRefused, "red")
}

// Links and blocks come from the routing domain that the order names, and an elastic block
// does not leave its own.
func TestRoutingDomain(t *testing.T) {
	p := newPlace(t)
	p.serves(&activities.IPAM{Addresses: p.addresses, Inventory: p.inventory})
	require.NoError(t, p.addresses.CreateDomain(t.Context(), "red", ""))
	same := netip.MustParsePrefix("198.51.100.0/30")
	require.NoError(t, p.addresses.PutPools(t.Context(), []ipam.Pool{
		{Name: "links", Site: "ewr1", Role: ipam.Tenant, Prefix: same},
		{Name: "elastic", Site: "ewr1", Role: ipam.Elastic, Prefix: netip.MustParsePrefix("203.0.113.0/30")},
		{Name: "red-links", Domain: "red", Site: "ewr1", Role: ipam.Tenant, Prefix: same},
	}, ipam.By{}))
	for _, domain := range []string{"", "red"} {
		given, err := run(p, api.AllocateAddresses, api.AllocateInput{
			Owner: api.InstanceID("o-" + domain), Site: "ewr1", Role: api.TenantPool, Domain: domain,
		})
		require.NoError(t, err)
		require.Equal(t, "198.51.100.0/31", given.IPv4.Switch.String())
	}
	_, err := p.addresses.Allocate(t.Context(), ipam.Request{
		Owner: "tenant/acme", Site: "ewr1", Role: ipam.Elastic, Wants: []ipam.Want{{Name: "web", Kind: ipam.KindElastic, Family: ipam.IPv4, Bits: 32}},
	})
	require.NoError(t, err)
	move := func(to string) error {
		_, err := run(p, api.MoveElastic, api.MoveInput{ElasticKey: api.ElasticKey{Owner: "tenant/acme", Name: "web"}, Instance: to})
		return err
	}
	requireError(t, move("instance/o-red"), api.ErrorRefused, "instance/o-red is in routing domain red")
	require.NoError(t, move("instance/o-"))
	require.NoError(t, move("instance/o-of-tomorrow"))
	require.NoError(t, move(""))
}

// Which switches can carry an order their drivers know.
func TestReservationsFit(t *testing.T) {
	for platform, unfit := range map[string][]string{
		"frr":           {"network", "domain"},
		"ovs":           {"routed", "bgp", "domain"},
		"sonic":         {"bgp"},
		"juniper_junos": nil, "nokia_srl": nil, "arista_eos": nil, "cisco_nxos": nil, "cisco_iosxe": nil,
	} {
		p := newPlace(t, func(d *inventory.Declaration) {
			d.Switches[0].Platform = platform
			d.Networks = []inventory.Network{{Name: "blue", Site: "ewr1", VLAN: 8, Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/26")}}}
		})
		p.serves(&activities.Inventory{Inventory: p.inventory})
		mustRun(t, p, api.TakeServer, api.TakeServerInput{Server: "s1", State: "inspecting"})
		mustRun(t, p, api.SetServerState, api.SetServerStateInput{Server: "s1", State: "burning-in"})
		mustRun(t, p, api.LeaveServer, api.LeaveServerInput{Server: "s1", State: "available"})
		for ordered, order := range map[string]api.ReserveServerInput{
			"routed": {}, "bgp": {BGP: true}, "network": {Network: "blue"}, "domain": {Domain: "red"},
		} {
			order.Instance, order.Site, order.Plan, order.Image, order.Hostname = api.InstanceID(platform+"-"+ordered), "ewr1", "c1.small", "debian-12", "web1"
			_, err := run(p, api.ReserveServer, order)
			if slices.Contains(unfit, ordered) {
				requireError(t, err, api.ErrorRefused, "switches of 1 cannot carry what is ordered")
				continue
			}
			require.NoError(t, err, "%s at %s", ordered, platform)
			mustRun(t, p, api.FreeServer, api.FreeServerInput{Instance: order.Instance})
		}
	}
}

// A block goes to an instance that is there or may come, and not to one that is leaving.
func TestAwaitsBlocks(t *testing.T) {
	p := newPlace(t)
	p.serves(&activities.Inventory{Inventory: p.inventory})
	mustRun(t, p, api.TakeServer, api.TakeServerInput{Server: "s1", State: "inspecting"})
	mustRun(t, p, api.SetServerState, api.SetServerStateInput{Server: "s1", State: "burning-in"})
	mustRun(t, p, api.LeaveServer, api.LeaveServerInput{Server: "s1", State: "available"})
	awaits := api.AwaitsBlocksInput{Instance: api.InstanceID("o-1")}
	mustRun(t, p, api.AwaitsBlocks, awaits) // nobody has ordered it yet
	mustRun(t, p, api.ReserveServer, api.ReserveServerInput{Instance: awaits.Instance, Site: "ewr1", Plan: "c1.small", Image: "debian-12", Hostname: "web1"})
	mustRun(t, p, api.AwaitsBlocks, awaits)
	mustRun(t, p, api.SetInstanceState, api.SetInstanceStateInput{Instance: awaits.Instance, State: "returning"})
	_, err := run(p, api.AwaitsBlocks, awaits)
	requireError(t, err, api.ErrorRefused, "carries no block any more")
	mustRun(t, p, api.FreeServer, api.FreeServerInput{Instance: awaits.Instance})
	_, err = run(p, api.AwaitsBlocks, awaits)
	requireError(t, err, api.ErrorRefused, "carries no block any more")
}

func mustRun[In, Out any](t *testing.T, p *place, activity api.Activity[In, Out], in In) {
	t.Helper()
	_, err := run(p, activity, in)
	require.NoError(t, err)
}

func TestReservations(t *testing.T) {
	p := newPlace(t)
	p.serves(&activities.Inventory{Inventory: p.inventory})
	ask := func(order string) api.ReserveServerInput {
		return api.ReserveServerInput{Instance: api.InstanceID(order), Site: "ewr1", Plan: "c1.small", Image: "debian-12", Hostname: order}
	}
	_, err := run(p, api.ReserveServer, ask("o-1"))
	requireError(t, err, api.ErrorRefused, "no c1.small is available")
	_, err = run(p, api.FindServer, api.FindServerInput{Server: "s9"})
	requireError(t, err, api.ErrorRefused, "s9")

	// An enrolment of a server that is not there has nothing to give back.
	_, err = run(p, api.TakeServer, api.TakeServerInput{Server: "s9", State: "inspecting"})
	requireError(t, err, api.ErrorRefused, "s9")
	_, err = run(p, api.LeaveServer, api.LeaveServerInput{Server: "s9", State: "enrolled"})
	require.NoError(t, err)

	// An enrolment takes the server, and lost answers do no harm.
	for _, step := range []func() error{
		func() error {
			_, err := run(p, api.TakeServer, api.TakeServerInput{Server: "s1", State: "inspecting"})
			return err
		},
		func() error {
			_, err := run(p, api.SetServerState, api.SetServerStateInput{Server: "s1", State: "burning-in"})
			return err
		},
		func() error {
			_, err := run(p, api.LeaveServer, api.LeaveServerInput{Server: "s1", State: "available"})
			return err
		},
	} {
		require.NoError(t, step())
		require.NoError(t, step())
	}
	server, err := run(p, api.ReserveServer, ask("o-1"))
	require.NoError(t, err)
	require.Equal(t, api.Server{Name: "s1", Site: "ewr1", Plan: "c1.small", Switch: "sw1", Port: "swp1", MAC: "02:00:00:00:00:01"}, server)
	_, err = run(p, api.ReserveServer, ask("o-2"))
	requireError(t, err, api.ErrorRefused)
	again, err := run(p, api.ReserveServer, ask("o-1"))
	require.NoError(t, err)
	require.Equal(t, server, again)

	// A server that may hold a tenant's data is not freed, until an operator decides.
	_, err = run(p, api.SetInstanceState, api.SetInstanceStateInput{Instance: "instance/o-1", State: "provisioning"})
	require.NoError(t, err)
	_, err = run(p, api.FreeServer, api.FreeServerInput{Instance: "instance/o-1"})
	requireError(t, err, api.ErrorOperator, "s1")
	_, err = run(p, api.FreeServer, api.FreeServerInput{Instance: "instance/o-1", Park: "wipe was given up"})
	require.NoError(t, err)
	parked, err := p.inventory.Server(t.Context(), "s1")
	require.NoError(t, err)
	require.Equal(t, inventory.Parked, parked.State)
	require.Equal(t, "wipe was given up", fmt.Sprint(parked.StateReason))
}
