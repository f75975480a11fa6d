package activities_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ferrodur/workflows/api"
)

// The machine that the inventory has on a port answers there, or the order waits for a
// person.
func TestResolveHosts(t *testing.T) {
	p, device := newEmulated(t, false)
	port := tenantPort("s1", "198.51.100.0/31")
	_, err := run(p, api.ConfigurePorts, api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{port}})
	require.NoError(t, err)
	resolve := func(patience time.Duration) error {
		_, err := run(p, api.ResolveHosts, api.ResolveHostsInput{ConfigurePortInput: port, Patience: patience})
		return err
	}
	requireError(t, resolve(0), api.ErrorOperator, "nobody answers for 198.51.100.1 on port Ethernet1 of sw1", "02:00:00:00:00:01")
	host := netip.MustParseAddr("198.51.100.1")
	device.Answer("Ethernet2", "", host, "02:00:00:00:00:01")
	requireError(t, resolve(0), api.ErrorOperator, "nobody answers")
	time.AfterFunc(500*time.Millisecond, func() { device.Answer("Ethernet1", "", host, "02:00:00:00:00:01") })
	require.NoError(t, resolve(20*time.Second))

	p, device = newEmulated(t, false)
	_, err = run(p, api.ConfigurePorts, api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{port}})
	require.NoError(t, err)
	device.Answer("Ethernet1", "", host, "02:00:00:00:00:99")
	requireError(t, resolve(time.Minute), api.ErrorOperator, "02:00:00:00:00:99 answers for 198.51.100.1", "network card 02:00:00:00:00:01 of s1")
}
