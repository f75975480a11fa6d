package activities_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ferrodur/activities"
	"ferrodur/bmc"
	"ferrodur/inventory"
	"ferrodur/lab/bmcsim"
	"ferrodur/workflows/api"
)

// chassis is run by ipmi_sim: it keeps power and boot order in files, and logs what is set.
const chassis = `#!/bin/sh
dir=$(dirname "$0"); op=$2; shift 2
case $op in
get) for what; do echo $what:$(cat $dir/$what); done ;;
set) while [ $# -gt 1 ]; do echo $1 $2 >>$dir/log; echo $2 >$dir/$1; shift 2; done ;;
esac
`

func TestPower(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"chassis": chassis, "power": "0\n", "boot": "default\n", "log": ""} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700))
	}
	file := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return strings.TrimSpace(string(text))
	}
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.LocalAddr().(*net.UDPAddr).AddrPort()
	require.NoError(t, free.Close())
	sim, err := bmcsim.Start(t.Context(), bmcsim.Config{
		Name: "s1-bmc", Dir: filepath.Join(dir, "sim"), Address: address, User: "admin", Password: secret,
		ChassisControl: []string{filepath.Join(dir, "chassis")}, DieWithParent: true,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Stop(context.Background())) })

	p := newPlace(t, at(address))
	p.serves(&activities.BMC{Inventory: p.inventory, BMCs: bmc.NewController(slog.New(slog.DiscardHandler), bmc.Options{Pause: time.Millisecond, Greet: 2 * time.Second})})
	_, err = run(p, api.CheckBMC, api.BMCInput{Server: "s1"})
	require.NoError(t, err)
	_, err = run(p, api.PowerCycle, api.PowerCycleInput{Server: "s1", Device: api.BootNetwork})
	require.NoError(t, err)
	require.Equal(t, "1", file("power"))
	require.Equal(t, "pxe", file("boot"))

	// The answer to a cycle was lost; the server is in the middle of its job by now.
	before := file("log")
	p.worker.SetHeartbeatDetails(true)
	_, err = run(p, api.PowerCycle, api.PowerCycleInput{Server: "s1", Device: api.BootNetwork})
	require.NoError(t, err)
	require.Equal(t, before, file("log"), "the power was touched again")

	_, err = run(p, api.SetBootDevice, api.SetBootDeviceInput{Server: "s1", Device: api.BootDisk})
	require.NoError(t, err)
	for range 2 {
		_, err = run(p, api.PowerOff, api.BMCInput{Server: "s1"})
		require.NoError(t, err)
	}
	require.Equal(t, "0", file("power"))

	require.NoError(t, os.WriteFile(filepath.Join(p.secrets, "s1-bmc"), []byte("wrong"), 0o600))
	_, err = run(p, api.CheckBMC, api.BMCInput{Server: "s1"})
	requireError(t, err, api.ErrorOperator, "s1")
	require.NoError(t, os.Remove(filepath.Join(p.secrets, "s1-bmc")))
	_, err = run(p, api.CheckBMC, api.BMCInput{Server: "s1"})
	requireError(t, err, "", "s1", "no such file")
}

// A BMC that does not answer is worth a retry.
func TestBMCAway(t *testing.T) {
	p := newPlace(t, at(netip.MustParseAddrPort("127.0.0.1:9")))
	p.serves(&activities.BMC{Inventory: p.inventory, BMCs: bmc.NewController(slog.New(slog.DiscardHandler), bmc.Options{Greet: 300 * time.Millisecond})})
	_, err := run(p, api.PowerOff, api.BMCInput{Server: "s1"})
	requireError(t, err, "", "s1")
}

func at(bmc netip.AddrPort) func(*inventory.Declaration) {
	return func(d *inventory.Declaration) { d.Servers[0].BMC.Address = bmc.String() }
}
