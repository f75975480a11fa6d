package inventory_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"ferrodur/inventory"
)

func TestApplyTwiceChangesNothing(t *testing.T) {
	store, _ := migrated(t)

	changes, err := store.Apply(t.Context(), rack(11))
	require.NoError(t, err)
	require.Len(t, changes.Added, 2+1+1+1+1+11)
	require.Empty(t, changes.Changed)

	changes, err = store.Apply(t.Context(), rack(11))
	require.NoError(t, err)
	require.True(t, changes.None(), "%v", changes)

	server, err := store.Server(t.Context(), "srv2")
	require.NoError(t, err)
	want := rack(11).Servers[1]
	want.State = inventory.Enrolled
	require.Equal(t, want, server)
}

func TestApplyLeavesAloneWhatIsNotDeclared(t *testing.T) {
	store, _ := stocked(t, 2)

	_, err := store.Apply(t.Context(), inventory.Declaration{Plans: []inventory.Plan{{Name: "m1.large"}}})
	require.NoError(t, err)

	servers, err := store.Servers(t.Context(), inventory.ServerFilter{Plan: "c1.small", State: inventory.Available})
	require.NoError(t, err)
	require.Len(t, servers, 2)
	plans, err := store.Plans(t.Context())
	require.NoError(t, err)
	require.Len(t, plans, 2)
}

func TestApplyChanges(t *testing.T) {
	store, _ := stocked(t, 2)

	d := rack(2)
	d.Servers[0].Port, d.Servers[1].Port = d.Servers[1].Port, d.Servers[0].Port
	changes, err := store.Apply(t.Context(), d)
	require.NoError(t, err, "two servers swap their ports")
	require.Equal(t, inventory.Changes{Changed: []string{"server srv1", "server srv2"}}, changes)

	server, err := store.Server(t.Context(), "srv1")
	require.NoError(t, err)
	require.Equal(t, "swp2", server.Port)
	require.Equal(t, inventory.Enrolled, server.State, "at another port it is neither shut nor proven to be there")
	require.Contains(t, server.StateReason, "cables")

	d.Servers[1].Disk = "/dev/sdb"
	for _, s := range []string{"srv1", "srv2"} {
		for _, to := range []inventory.ServerState{inventory.Inspecting, inventory.BurningIn, inventory.Available} {
			require.NoError(t, store.SetServerState(t.Context(), inventory.Transition{Server: s, To: to, Actor: "alice"}))
		}
	}
	_, err = store.Apply(t.Context(), d)
	require.NoError(t, err)
	server, err = store.Server(t.Context(), "srv2")
	require.NoError(t, err)
	require.Equal(t, inventory.Available, server.State, "what else is declared does not touch the state")
}

func TestApplyRefuses(t *testing.T) {
	store, _ := stocked(t, 2)
	reserved, err := store.Reserve(t.Context(), order("instance/a"))
	require.NoError(t, err)
	require.Equal(t, "srv1", reserved.Name)

	const secret = "correct horse"
	tests := map[string]struct {
		change func(*inventory.Declaration)
		want   error
	}{
		"another port for a held server": {
			func(d *inventory.Declaration) {
				d.Switches[0].Ports = append(d.Switches[0].Ports, "swp9")
				d.Servers[0].Port = "swp9"
			},
			inventory.HeldChangeError{Server: "srv1", Holder: "instance/a", Field: "port", From: "swp1", To: "swp9"},
		},
		"another plan for a held server": {
			func(d *inventory.Declaration) {
				d.Plans = append(d.Plans, inventory.Plan{Name: "m1.large"})
				d.Servers[0].Plan = "m1.large"
			},
			inventory.HeldChangeError{Server: "srv1", Holder: "instance/a", Field: "plan", From: "c1.small", To: "m1.large"},
		},
		"two servers on one port": {
			func(d *inventory.Declaration) { d.Servers[1].Port = "swp1" },
			inventory.DuplicateError{What: "port sw1 swp1", First: "srv1", Second: "srv2"},
		},
		"two switches at one address": {
			func(d *inventory.Declaration) {
				second := d.Switches[0]
				second.Name, second.Ports = "sw9", nil
				d.Switches = append(d.Switches, second)
			},
			inventory.DuplicateError{What: "address 192.0.2.1:22 at ewr1", First: "sw1", Second: "sw9"},
		},
		"an uplink on another server's port": {
			func(d *inventory.Declaration) {
				d.Servers[1].Others = []inventory.Uplink{{Switch: "sw1", Port: "swp1", MAC: "02:00:00:00:01:01"}}
			},
			inventory.DuplicateError{What: "port sw1 swp1", First: "srv1", Second: "srv2"},
		},
		"an uplink with another server's MAC": {
			func(d *inventory.Declaration) {
				d.Switches[0].Ports = append(d.Switches[0].Ports, "swp9")
				d.Servers[1].Others = []inventory.Uplink{{Switch: "sw1", Port: "swp9", MAC: d.Servers[0].MAC}}
			},
			inventory.DuplicateError{What: "MAC 02:00:00:00:00:01", First: "srv1", Second: "srv2"},
		},
		"another bond for a held server": {
			func(d *inventory.Declaration) { d.Servers[0].Bond = 17 },
			inventory.HeldChangeError{Server: "srv1", Holder: "instance/a", Field: "bond", From: "0", To: "17"},
		},
		"another uplink for a held server": {
			func(d *inventory.Declaration) {
				d.Switches[0].Ports = append(d.Switches[0].Ports, "swp9")
				d.Servers[0].Others = []inventory.Uplink{{Switch: "sw1", Port: "swp9", MAC: "02:00:00:00:01:01"}}
			},
			inventory.HeldChangeError{Server: "srv1", Holder: "instance/a", Field: "uplinks", From: "none", To: "swp9 of sw1"},
		},
		"a MAC that a server not declared here has": {
			func(d *inventory.Declaration) {
				d.Servers[1].MAC = d.Servers[0].MAC
				d.Servers = d.Servers[1:]
			},
			inventory.DuplicateError{What: "MAC 02:00:00:00:00:01", First: "srv1", Second: "srv2"},
		},
		"two networks that are one VLAN": {
			func(d *inventory.Declaration) {
				d.Networks = []inventory.Network{{Name: "red", Site: "ewr1", VLAN: 100, Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.64/26")}}}
			},
			inventory.DuplicateError{What: "VLAN 100 at ewr1", First: "blue", Second: "red"},
		},
		"two servers with one BMC": {
			func(d *inventory.Declaration) { d.Servers[1].BMC.Address = d.Servers[0].BMC.Address },
			inventory.DuplicateError{What: "BMC 192.0.2.101 at ewr1", First: "srv1", Second: "srv2"},
		},
		"a port less, with a server on it": {
			func(d *inventory.Declaration) { d.Switches[0].Ports = []string{"swp1"} },
			inventory.PortInUseError{Switch: "sw1", Port: "swp2", Server: "srv2"},
		},
		"a server at another site than its switch": {
			func(d *inventory.Declaration) { d.Servers[1].Site = "ams1" },
			inventory.InvalidError{What: "the declaration", Rule: `insert or update on table "servers" violates foreign key constraint "servers_switch_at_site": Key (switch, site)=(sw1, ams1) is not present in table "switches".`},
		},
		"a plan that is not there": {
			func(d *inventory.Declaration) { d.Servers[1].Plan = "c9" },
			inventory.InvalidError{What: "server srv2", Rule: `insert or update on table "servers" violates foreign key constraint "servers_plan_fkey": Key (plan)=(c9) is not present in table "plans".`},
		},
		"a negative number": {
			func(d *inventory.Declaration) { d.Plans[0].Threads = -1 },
			inventory.InvalidError{What: "plan c1.small", Rule: `new row for relation "plans" violates check constraint "plans_threads_check"`},
		},
		"a secret in place of a reference": {
			func(d *inventory.Declaration) { d.Servers[1].BMC.Password = secret },
			inventory.ErrBadSecretRef,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := rack(2)
			d.Sites[1].Description = "not stored, if the rest is refused"
			test.change(&d)

			_, err := store.Apply(t.Context(), d)
			require.ErrorIs(t, err, test.want)
			require.NotContains(t, err.Error(), secret)

			site, err := store.Site(t.Context(), "ams1")
			require.NoError(t, err)
			require.Empty(t, site.Description)
		})
	}
}

// Uplinks come, change places between servers, and go.
func TestUplinks(t *testing.T) {
	store, _ := migrated(t)
	d := rack(2)
	d.Switches[0].Ports = append(d.Switches[0].Ports, "swp8", "swp9")
	further := func(port, mac string) []inventory.Uplink {
		return []inventory.Uplink{{Switch: "sw1", Port: port, MAC: mac}}
	}
	d.Servers[0].Others, d.Servers[1].Others = further("swp8", "02:00:00:00:01:01"), further("swp9", "02:00:00:00:01:02")
	for _, change := range []func(){
		func() {},
		func() { d.Servers[0].Others[0].Port, d.Servers[1].Others[0].Port = "swp9", "swp8" },
		func() { d.Servers[0].Uplink, d.Servers[0].Others[0] = d.Servers[0].Others[0], d.Servers[0].Uplink },
		func() { d.Servers[1].Others = nil },
	} {
		change()
		_, err := store.Apply(t.Context(), d)
		require.NoError(t, err)
		again, err := store.Apply(t.Context(), d)
		require.NoError(t, err)
		require.True(t, again.None(), "%v", again)
		for _, want := range d.Servers {
			found, err := store.Server(t.Context(), want.Name)
			require.NoError(t, err)
			require.Equal(t, want.Uplinks(), found.Uplinks())
		}
	}
	d.Servers = nil
	d.Switches[0].Ports = []string{"swp1", "swp2"}
	_, err := store.Apply(t.Context(), d)
	require.ErrorIs(t, err, inventory.PortInUseError{Switch: "sw1", Port: "swp9", Server: "srv1"})
}

// A host key that was accepted stays when the switch is declared again without one, and is
// replaced by who saw the one that is there.
func TestTrustSwitch(t *testing.T) {
	store, _ := migrated(t)
	declared := rack(1)
	declared.Switches[0].HostKey = ""
	_, err := store.Apply(t.Context(), declared)
	require.NoError(t, err)
	require.NoError(t, store.TrustSwitch(t.Context(), "sw1", "", "ssh-ed25519 BBBB"))
	require.ErrorAs(t, store.TrustSwitch(t.Context(), "sw1", "", "ssh-ed25519 CCCC"), new(inventory.InvalidError))
	require.ErrorAs(t, store.TrustSwitch(t.Context(), "sw9", "", "ssh-ed25519 CCCC"), new(inventory.NotFoundError))
	changes, err := store.Apply(t.Context(), declared)
	require.NoError(t, err)
	require.True(t, changes.None(), "%v", changes)
	sw1, err := store.Switch(t.Context(), "sw1")
	require.NoError(t, err)
	require.Equal(t, "ssh-ed25519 BBBB", sw1.HostKey)
}
