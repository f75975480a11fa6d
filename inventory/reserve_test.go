package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"ferrodur/inventory"
)

func TestReserveRace(t *testing.T) {
	store, _ := stocked(t, 2)

	const orders = 32
	servers, errs := make([]inventory.Server, orders), make([]error, orders)
	var together sync.WaitGroup
	for i := range orders {
		together.Go(func() {
			servers[i], errs[i] = store.Reserve(context.Background(), order(fmt.Sprintf("instance/%d", i)))
		})
	}
	together.Wait()

	got := map[string]int{}
	refused := 0
	for i := range orders {
		if errs[i] == nil {
			got[servers[i].Name]++
			continue
		}
		require.ErrorAs(t, errs[i], &inventory.NoServerError{})
		refused++
	}
	require.Equal(t, map[string]int{"srv1": 1, "srv2": 1}, got)
	require.Equal(t, orders-2, refused)

	instances, err := store.Instances(t.Context(), inventory.InstanceFilter{State: inventory.InstanceReserved})
	require.NoError(t, err)
	require.Len(t, instances, 2, "an order that got nothing leaves nothing behind")
}

func TestReserveOneOrderManyTimesAtOnce(t *testing.T) {
	store, _ := stocked(t, 4)

	names := make(chan string, 16)
	var together sync.WaitGroup
	for range cap(names) {
		together.Go(func() {
			server, err := store.Reserve(context.Background(), order("instance/a"))
			if err != nil {
				names <- err.Error()
				return
			}
			names <- server.Name + " " + server.Instance + " " + string(server.State)
		})
	}
	together.Wait()
	close(names)
	for name := range names {
		require.Equal(t, "srv1 instance/a reserved", name)
	}
}

// A server that is locked for a moment is not gone: the order waits for it.
func TestReserveWaitsForALockedServer(t *testing.T) {
	store, pool := stocked(t, 1)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(context.Background()) // closing the pool waits for it
	_, err = tx.Exec(t.Context(), `SELECT 1 FROM inventory.servers FOR UPDATE`)
	require.NoError(t, err)

	reserved := make(chan error, 1)
	go func() {
		_, err := store.Reserve(context.Background(), order("instance/a"))
		reserved <- err
	}()
	require.Eventually(t, func() bool {
		var waiting int
		err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting == 1
	}, waitLong, waitShort)
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, <-reserved)
}

// Nobody gets a server at a switch that cannot carry what he orders.
func TestReserveFits(t *testing.T) {
	store, _ := stocked(t, 1)
	d := rack(2)
	bridge := d.Switches[0]
	bridge.Name, bridge.Platform, bridge.Address, bridge.Ports = "sw2", "ovs", "192.0.2.2:22", []string{"swp2"}
	d.Switches = append(d.Switches, bridge)
	d.Servers[1].Switch = "sw2"
	_, err := store.Apply(t.Context(), d)
	require.NoError(t, err)
	enroll(t, store, "srv2")
	reserve := func(id string, change func(*inventory.Order)) (string, error) {
		o := order(id)
		change(&o)
		server, err := store.Reserve(t.Context(), o)
		return server.Name, err
	}
	routed := func(o *inventory.Order) { o.Unfit = []string{"sonic", "ovs"} }

	got, err := reserve("instance/a", routed)
	require.NoError(t, err)
	require.Equal(t, "srv1", got)
	_, err = reserve("instance/b", routed)
	require.EqualError(t, err, "no c1.small is available at ewr1: 2 in the plan (1 available, 1 reserved); switches of 1 cannot carry what is ordered")
	got, err = reserve("instance/c", func(*inventory.Order) {})
	require.NoError(t, err)
	require.Equal(t, "srv2", got)
}

func TestReserveRefuses(t *testing.T) {
	store, _ := stocked(t, 2)
	_, err := store.Reserve(t.Context(), order("instance/a"))
	require.NoError(t, err)
	require.NoError(t, store.SetServerState(t.Context(), inventory.Transition{Server: "srv2", To: inventory.Parked, Reason: "fan", Actor: "alice"}))
	require.NoError(t, store.EndInstance(t.Context(), "instance/late", inventory.Available, "undone before it was reserved"))

	tests := map[string]struct {
		change func(*inventory.Order)
		want   string
		is     any
	}{
		"unknown site":    {func(o *inventory.Order) { o.Site = "lhr1" }, `the inventory has no site "lhr1"`, &inventory.NotFoundError{}},
		"unknown plan":    {func(o *inventory.Order) { o.Plan = "c9" }, `the inventory has no plan "c9"`, &inventory.NotFoundError{}},
		"unknown image":   {func(o *inventory.Order) { o.Image = "os2" }, `the inventory has no image "os2"`, &inventory.NotFoundError{}},
		"unknown network": {func(o *inventory.Order) { o.Networks = []string{"blue", "red"} }, `the inventory has no network "red"`, &inventory.NotFoundError{}},
		"none available":  {func(*inventory.Order) {}, "no c1.small is available at ewr1: 2 in the plan (1 reserved, 1 parked)", &inventory.NoServerError{}},
		"none at all":     {func(o *inventory.Order) { o.Site = "ams1" }, "no c1.small is available at ams1: the plan has no server there", &inventory.NoServerError{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := order("instance/b")
			test.change(&o)
			_, err := store.Reserve(t.Context(), o)
			require.EqualError(t, err, test.want)
			require.True(t, errors.As(err, test.is))
		})
	}
	_, err = store.Reserve(t.Context(), order("instance/late"))
	require.ErrorIs(t, err, inventory.ErrInstanceEnded)
}
