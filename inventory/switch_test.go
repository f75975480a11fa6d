package inventory_test

import (
	"net/netip"
	"testing"
	"time"

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
	require.ErrorContains(t, invalid, "the removal of switch "+declared[0].Name+" is refused by the servers that are cabled to it: srv1")
	require.NoError(t, store.RemoveSwitch(ctx, "sw9"))
	require.ErrorAs(t, store.RemoveSwitch(ctx, "sw9"), new(inventory.NotFoundError))
	left, err := store.Switches(ctx)
	require.NoError(t, err)
	require.Equal(t, declared, left)
}

// The last mode that an operator has set is kept; one that arrives late does not replace it.
func TestSwitchMode(t *testing.T) {
	ctx := t.Context()
	store, _ := stocked(t, 1)
	none, err := store.SwitchMode(ctx, "sw1")
	require.NoError(t, err)
	require.Empty(t, none.Mode)
	now := time.Now().UTC().Truncate(time.Microsecond)
	paused := inventory.SwitchMode{Mode: "paused", Reason: "window 17", Since: now}
	require.NoError(t, store.KeepSwitchMode(ctx, "sw1", paused))
	require.NoError(t, store.KeepSwitchMode(ctx, "sw1", inventory.SwitchMode{Mode: "apply", Since: now.Add(-time.Second)}))
	kept, err := store.SwitchMode(ctx, "sw1")
	require.NoError(t, err)
	kept.Since = kept.Since.UTC()
	require.Equal(t, paused, kept)
	require.ErrorAs(t, store.KeepSwitchMode(ctx, "sw9", paused), new(inventory.NotFoundError))
	_, err = store.SwitchMode(ctx, "sw9")
	require.ErrorAs(t, err, new(inventory.NotFoundError))
}

// What was asked for a port is forgotten when the server that it was for is cabled elsewhere.
func TestAskedPortsOfMovedServers(t *testing.T) {
	ctx := t.Context()
	store, _ := migrated(t)
	d := rack(2)
	_, err := store.Apply(ctx, d)
	require.NoError(t, err)
	for _, server := range d.Servers {
		require.NoError(t, store.KeepAsked(ctx, []inventory.AskedPort{{Switch: server.Switch, Port: server.Port, Server: server.Name, Asked: []byte("{}")}}))
	}
	d.Switches[0].Ports = append(d.Switches[0].Ports, "swp99")
	d.Servers[0].Port = "swp99"
	_, err = store.Apply(ctx, d)
	require.NoError(t, err)
	asked, err := store.AskedPorts(ctx, "sw1")
	require.NoError(t, err)
	require.Len(t, asked, 1)
	require.Equal(t, d.Servers[1].Port, asked[0].Port)
}

// Who carries a block is known by what was asked for ports.
func TestCarriers(t *testing.T) {
	store, _ := stocked(t, 2)
	block := netip.MustParsePrefix("203.0.113.64/28")
	asked := func(port, text string) inventory.AskedPort {
		return inventory.AskedPort{Switch: "sw1", Port: port, Server: "srv1", Asked: []byte(text)}
	}
	require.NoError(t, store.KeepAsked(t.Context(), []inventory.AskedPort{
		asked("swp1", `{"profile": "tenant", "instance": "instance/a", "blocks": ["192.0.2.0/29", "203.0.113.64/28"]}`),
		asked("swp2", `{"profile": "quarantine"}`),
	}))
	carriers, err := store.Carriers(t.Context(), []netip.Prefix{block})
	require.NoError(t, err)
	require.Equal(t, []string{"instance/a"}, carriers)
	carriers, err = store.Carriers(t.Context(), []netip.Prefix{netip.MustParsePrefix("203.0.113.80/28")})
	require.NoError(t, err)
	require.Empty(t, carriers)
}
