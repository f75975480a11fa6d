package inventory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ferrodur/inventory"
)

// A switch is forgotten with all that was asked for its ports, and not while a server is cabled
// to it.
func TestRemoveSwitch(t *testing.T) {
	ctx := t.Context()
	store, _ := stocked(t, 1)
	declared, err := store.Switches(ctx)
	require.NoError(t, err)
	other := declared[0]
	other.Name, other.Address, other.Ports = "sw9", "192.0.2.99:22", []string{"swp1"}
	_, err = store.Apply(ctx, inventory.Declaration{Switches: []inventory.Switch{other}})
	require.NoError(t, err)
	require.NoError(t, store.KeepAsked(ctx, []inventory.AskedPort{{Switch: "sw9", Port: "swp1", Server: "srv1", Asked: []byte("{}")}}))

	var invalid inventory.InvalidError
	require.ErrorAs(t, store.RemoveSwitch(ctx, declared[0].Name), &invalid)
	require.ErrorContains(t, invalid, "servers are cabled to it: srv1")
	require.NoError(t, store.RemoveSwitch(ctx, "sw9"))
	require.ErrorAs(t, store.RemoveSwitch(ctx, "sw9"), new(inventory.NotFoundError))
	left, err := store.Switches(ctx)
	require.NoError(t, err)
	require.Equal(t, declared, left)
}
