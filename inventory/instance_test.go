package inventory_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ferrodur/inventory"
)

const (
	waitLong  = 10 * time.Second
	waitShort = 10 * time.Millisecond
)

func TestTenancy(t *testing.T) {
	store, _ := stocked(t, 1)
	const id = "instance/a"
	require.NoError(t, store.PutUserData(t.Context(), id, []byte("#cloud-config")))

	_, err := store.Reserve(t.Context(), order(id))
	require.NoError(t, err)
	set(t, store, id, inventory.InstanceProvisioning, inventory.InstanceActive)
	active, err := store.Instance(t.Context(), id)
	require.NoError(t, err)
	require.False(t, active.UsageStarted.IsZero())

	set(t, store, id, inventory.InstanceActive)
	again, err := store.Instance(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, active, again, "usage starts once")

	data, err := store.UserData(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "#cloud-config", string(data))

	set(t, store, id, inventory.InstanceReturning)
	returning, err := store.Instance(t.Context(), id)
	require.NoError(t, err)
	require.False(t, returning.UsageStopped.IsZero())
	set(t, store, id, inventory.InstanceWiping)

	require.NoError(t, store.StoreWipe(t.Context(), "srv1", id, "wipe-1", wipe(true)))
	for range 2 {
		require.NoError(t, store.EndInstance(t.Context(), id, inventory.Available, ""))
	}
	ended, err := store.Instance(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, inventory.InstanceEnded, ended.State)
	require.Equal(t, returning.UsageStopped, ended.UsageStopped, "usage stops once")
	require.Equal(t, "srv1", ended.Server)

	_, err = store.UserData(t.Context(), id)
	require.ErrorAs(t, err, &inventory.NotFoundError{})
	require.ErrorIs(t, store.PutUserData(t.Context(), id, []byte("x")), inventory.ErrInstanceEnded)
	_, err = store.Reserve(t.Context(), order(id))
	require.ErrorIs(t, err, inventory.ErrInstanceEnded)
	err = store.SetInstanceState(t.Context(), inventory.InstanceTransition{Instance: id, To: inventory.InstanceActive})
	require.ErrorIs(t, err, inventory.ErrInstanceEnded)

	events, err := store.Events(t.Context(), "srv1")
	require.NoError(t, err)
	var story []inventory.ServerState
	for _, event := range events {
		story = append(story, event.To)
	}
	require.Equal(t, []inventory.ServerState{
		inventory.Inspecting, inventory.BurningIn, inventory.Available,
		inventory.Reserved, inventory.Provisioning, inventory.Active, inventory.Wiping, inventory.Available,
	}, story)
	require.Equal(t, id, events[3].Workflow)
	require.Equal(t, inventory.Available, events[3].From)

	next, err := store.Reserve(t.Context(), order("instance/b"))
	require.NoError(t, err)
	require.Equal(t, "srv1", next.Name)
}

// Nobody gets a server whose disks may hold what another tenant left.
func TestNoServerIsAvailableBeforeItsWipeIsProven(t *testing.T) {
	store, pool := stocked(t, 1)
	const id = "instance/a"
	notWiped := inventory.NotWipedError{Server: "srv1", Instance: id}
	_, err := store.Reserve(t.Context(), order(id))
	require.NoError(t, err)
	set(t, store, id, inventory.InstanceProvisioning, inventory.InstanceWiping)

	require.ErrorIs(t, store.EndInstance(t.Context(), id, inventory.Available, ""), notWiped)
	require.NoError(t, store.StoreWipe(t.Context(), "srv1", id, "unclean", wipe(true, false)))
	require.NoError(t, store.StoreWipe(t.Context(), "srv1", id, "no disk", wipe()))
	require.NoError(t, store.StoreWipe(t.Context(), "srv1", "instance/other", "other", wipe(true)))
	require.ErrorIs(t, store.EndInstance(t.Context(), id, inventory.Available, ""), notWiped)
	_, err = pool.Exec(t.Context(), `UPDATE inventory.servers SET state = 'available', instance = NULL, holder = NULL`)
	require.ErrorContains(t, err, "servers_available_is_wiped", "the database refuses it too")

	require.NoError(t, store.EndInstance(t.Context(), id, inventory.Parked, "wipe was given up"))
	to := func(state inventory.ServerState, reason string) inventory.Transition {
		return inventory.Transition{Server: "srv1", To: state, Reason: reason, Actor: "alice"}
	}
	require.ErrorIs(t, store.SetServerState(t.Context(), to(inventory.Available, "")), notWiped)
	require.ErrorIs(t, store.Take(t.Context(), inventory.Transition{Server: "srv1", To: inventory.Inspecting, Workflow: "enroll/srv1"}), notWiped)
	require.ErrorIs(t, store.SetServerState(t.Context(), to(inventory.Enrolled, "")), inventory.ReasonError{Server: "srv1", To: inventory.Enrolled})
	require.NoError(t, store.SetServerState(t.Context(), to(inventory.Enrolled, "disk replaced")))
	enroll(t, store, "srv1")

	wipes, err := store.Wipes(t.Context(), "srv1")
	require.NoError(t, err)
	require.Len(t, wipes, 3)
}

func TestInstanceTransitions(t *testing.T) {
	store, _ := stocked(t, 2)
	_, err := store.Reserve(t.Context(), order("instance/a"))
	require.NoError(t, err)
	set(t, store, "instance/a", inventory.InstanceProvisioning, inventory.InstanceParked, inventory.InstanceProvisioning,
		inventory.InstanceActive)

	back := func(to inventory.InstanceState) error {
		return store.SetInstanceState(t.Context(), inventory.InstanceTransition{Instance: "instance/a", To: to})
	}
	var refused inventory.TransitionError
	require.ErrorAs(t, back(inventory.InstanceProvisioning), &refused)
	require.Equal(t, []string{"returning", "wiping", "parked"}, refused.Legal)
	require.ErrorAs(t, store.EndInstance(t.Context(), "instance/a", inventory.Available, ""), &refused, "still in use")

	set(t, store, "instance/a", inventory.InstanceReturning, inventory.InstanceParked)
	require.ErrorAs(t, back(inventory.InstanceActive), &refused, "its usage was stopped")
	require.ErrorAs(t, store.SetInstanceState(t.Context(), inventory.InstanceTransition{Instance: "instance/z", To: inventory.InstanceActive}),
		&inventory.NotFoundError{})

	_, err = store.Reserve(t.Context(), order("instance/unused"))
	require.NoError(t, err)
	require.NoError(t, store.EndInstance(t.Context(), "instance/unused", inventory.Available, "no address"),
		"a server that was never written to needs no wipe")
}
