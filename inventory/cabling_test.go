package inventory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ferrodur/inventory"
	"ferrodur/report"
)

func TestCompareCabling(t *testing.T) {
	server := rack(1).Servers[0] // srv1, on swp1 of sw1
	right := report.Neighbour{System: "sw1", Chassis: "02:00:00:00:01:00", Port: server.Port}
	self := report.Neighbour{System: server.Name, Chassis: server.MAC, Port: server.MAC}
	seen := func(all ...report.Neighbour) []report.Neighbour { return all }
	tests := map[string]struct {
		heard *report.Neighbour
		seen  []report.Neighbour
		want  []inventory.Mismatch
	}{
		"both agree":                   {&right, seen(self), nil},
		"a name with its domain":       {&report.Neighbour{System: "SW1.example.net", Port: server.Port}, seen(self), nil},
		"the name as description":      {&report.Neighbour{System: "sw1", Port: "02:00:00:00:01:01", PortDescription: server.Port}, seen(self), nil},
		"a name spelled otherwise":     {&report.Neighbour{System: "sw1", Port: "517"}, seen(self), nil},
		"one who left is still listed": {&right, seen(report.Neighbour{System: "srv7", Chassis: "02:00:00:00:00:07"}, self), nil},
		"another port": {&report.Neighbour{System: "sw1", Port: "02:00:00:00:01:02", PortDescription: "swp2"}, nil,
			[]inventory.Mismatch{"NIC eth0 (02:00:00:00:00:01) is cabled to port swp2 of sw1, expected port swp1 of sw1"}},
		"another switch": {&report.Neighbour{System: "sw2", Port: "swp1"}, seen(self),
			[]inventory.Mismatch{"NIC eth0 (02:00:00:00:00:01) is cabled to port swp1 of sw2, expected port swp1 of sw1"}},
		"silence": {nil, nil,
			[]inventory.Mismatch{"NIC eth0 (02:00:00:00:00:01) hears nobody by LLDP, expected port swp1 of sw1"}},
		"the switch hears another": {&right, seen(report.Neighbour{System: "srv7", Chassis: "02:00:00:00:00:07"}),
			[]inventory.Mismatch{"port swp1 of sw1 hears srv7 (02:00:00:00:00:07) by LLDP, expected srv1 (02:00:00:00:00:01)"}},
		"the switch hears nobody": {&right, seen(),
			[]inventory.Mismatch{"port swp1 of sw1 hears nobody by LLDP, expected srv1 (02:00:00:00:00:01)"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			hardware := found()
			hardware.NICs[0].Neighbour = test.heard
			require.Equal(t, test.want, inventory.CompareCabling(server, hardware, test.seen))
		})
	}
}
