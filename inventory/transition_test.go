package inventory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ferrodur/inventory"
)

func TestServerTransitions(t *testing.T) {
	store, _ := stocked(t, 1)
	move := func(to inventory.ServerState, workflow string) error {
		return store.SetServerState(t.Context(), inventory.Transition{Server: "srv1", To: to, Workflow: workflow, Reason: "test", Actor: "alice"})
	}

	var refused inventory.TransitionError
	require.ErrorAs(t, move(inventory.Active, ""), &refused)
	require.EqualError(t, refused, "server srv1 is available and cannot become active: from there it can become inspecting, burning-in, wiping, enrolled, parked, maintenance, retired")

	for _, to := range []inventory.ServerState{
		inventory.Maintenance, inventory.Maintenance, inventory.Retired, inventory.Enrolled, inventory.Parked, inventory.Available,
	} {
		require.NoError(t, move(to, ""))
	}
	events, err := store.Events(t.Context(), "srv1")
	require.NoError(t, err)
	require.Len(t, events, 3+5, "the state it has already is no event")
	require.Equal(t, "alice", events[3].Actor)

	_, err = store.Reserve(t.Context(), order("instance/a"))
	require.NoError(t, err)
	held := inventory.HeldError{Server: "srv1", Holder: "instance/a", State: inventory.Reserved}
	require.ErrorIs(t, move(inventory.Maintenance, ""), held)
	require.ErrorIs(t, move(inventory.Parked, "enroll/srv1"), held)
	require.ErrorAs(t, move(inventory.Available, "instance/a"), &refused, "a tenant's server is not available")
	require.NoError(t, move(inventory.Parked, "instance/a"))
}

func TestTakeAndLeave(t *testing.T) {
	store, _ := stocked(t, 1)
	take := inventory.Transition{Server: "srv1", To: inventory.BurningIn, Workflow: "burn-in/srv1"}
	for range 2 {
		require.NoError(t, store.Take(t.Context(), take))
	}
	other := inventory.Transition{Server: "srv1", To: inventory.Available, Workflow: "enroll/srv1"}
	require.ErrorIs(t, store.Take(t.Context(), other), inventory.HeldError{Server: "srv1", Holder: "burn-in/srv1", State: inventory.BurningIn})
	require.NoError(t, store.Leave(t.Context(), other))
	_, err := store.Reserve(t.Context(), order("instance/a"))
	require.ErrorAs(t, err, &inventory.NoServerError{}, "it is still taken")

	leave := inventory.Transition{Server: "srv1", To: inventory.Available, Workflow: "burn-in/srv1"}
	require.NoError(t, store.Leave(t.Context(), leave))
	_, err = store.Reserve(t.Context(), order("instance/a"))
	require.NoError(t, err)
	require.NoError(t, store.Leave(t.Context(), leave), "a late second time changes nothing")
	server, err := store.Server(t.Context(), "srv1")
	require.NoError(t, err)
	require.Equal(t, inventory.Reserved, server.State)
}

// The database keeps its rules whoever writes to it.
func TestConstraints(t *testing.T) {
	store, pool := stocked(t, 3)
	_, err := store.Reserve(t.Context(), order("instance/a"))
	require.NoError(t, err)

	for rule, statement := range map[string]string{
		"servers_instance_key":      `UPDATE inventory.servers SET state = 'reserved', instance = 'instance/a', holder = 'instance/a' WHERE name = 'srv2'`,
		"instances_one_a_server":    `INSERT INTO inventory.instances (id, server, plan, site, image, hostname, state) VALUES ('b', 'srv1', '', '', '', '', 'reserved')`,
		"servers_let":               `UPDATE inventory.servers SET state = 'active' WHERE name = 'srv2'`,
		"servers_not_let":           `UPDATE inventory.servers SET state = 'enrolled' WHERE name = 'srv1'`,
		"servers_available_is_free": `UPDATE inventory.servers SET holder = 'x' WHERE name = 'srv2'`,
		"servers_instance_holds":    `UPDATE inventory.servers SET holder = NULL WHERE name = 'srv1'`,
		"servers_port":              `UPDATE inventory.servers SET port = 'swp1' WHERE name = 'srv2'`,
		"servers_mac":               `UPDATE inventory.servers SET mac = '02:00:00:00:00:01' WHERE name = 'srv2'`,
		"servers_mac_check":         `UPDATE inventory.servers SET mac = '02:00:00:00:00:0G' WHERE name = 'srv2'`,
		"servers_port_exists":       `UPDATE inventory.servers SET port = 'swp77' WHERE name = 'srv2'`,
		"servers_switch_at_site":    `UPDATE inventory.servers SET site = 'ams1' WHERE name = 'srv2'`,
		"servers_state_check":       `UPDATE inventory.servers SET state = 'lost' WHERE name = 'srv2'`,
		"instances_check":           `UPDATE inventory.instances SET state = 'ended'`,
		"images_sha256_check":       `UPDATE inventory.images SET sha256 = 'abc'`,
		"servers_own_instance":      `INSERT INTO inventory.instances (id, server, plan, site, image, hostname, state) VALUES ('c', 'srv3', '', '', '', '', 'reserved'); UPDATE inventory.servers SET state = 'reserved', instance = 'c', holder = 'c' WHERE name = 'srv2'`,
	} {
		t.Run(rule, func(t *testing.T) {
			_, err := pool.Exec(t.Context(), statement)
			require.ErrorContains(t, err, `constraint "`+rule)
		})
	}
}
