package switches

import (
	"strings"
	"testing"

	"ferrodur/report"
)

// Ports whose names Cisco shortens.
var ciscoPorts = map[string]bool{"Ethernet1/1": true, "Ethernet1/1/1": true, "GigabitEthernet1/0/1": true, "TenGigabitEthernet1/0/1": true, "TwentyFiveGigE1/0/1": true}

func TestFullName(t *testing.T) {
	for short, want := range map[string]string{
		"Eth1/1": "Ethernet1/1", "Eth1/1/1": "Ethernet1/1/1", "Gi1/0/1": "GigabitEthernet1/0/1", "Te1/0/1": "TenGigabitEthernet1/0/1",
		"Twe1/0/1": "TwentyFiveGigE1/0/1", "Ethernet1/1": "Ethernet1/1", "mgmt0": "mgmt0", "Gi1/0/2": "Gi1/0/2", "": "",
	} {
		if got := fullName(short, ciscoPorts); got != want {
			t.Errorf("%q is %q, want %q", short, got, want)
		}
	}
}

// FuzzReadNeighbours: whatever a switch says of its neighbours, nothing panics.
func FuzzReadNeighbours(f *testing.F) {
	for _, text := range []string{
		`{"lldp":[{"interface":[{"name":"swp1","chassis":[{"id":[{"type":"mac","value":"02:00:00:00:00:09"}],"name":[{"value":"srv1"}]}],"port":[{"id":[],"descr":[{"value":"eth0"}]}]}]}]}`,
		`{"lldpNeighbors":{"Ethernet1":{"lldpNeighborInfo":[{"chassisId":"0200.0000.0009","systemName":"srv1","neighborInterfaceInfo":{"interfaceId":"\"0200.0000.0009\""}}]}}}`,
		`{"lldp-neighbors-information":[{"lldp-neighbor-information":[{"lldp-local-interface":[{"data":"xe-0/0/1.0"}],"lldp-remote-system-name":[{"data":"srv1"}]}]}]}`,
		`{"TABLE_nbor_detail":{"ROW_nbor_detail":{"l_port_id":"Eth1/1","chassis_id":"0200.0000.0009"}}}`,
		`{"TABLE_nbor_detail":{"ROW_nbor_detail":[{"l_port_id":"Eth1/1"},{"l_port_id":"mgmt0"}]}}`,
		"Local Intf: Gi1/0/1\nChassis id: 0200.0000.0009\nSystem Name: srv1\n\nTotal entries displayed: 1",
		"system lldp interface ethernet-1/1 neighbor 1 system-name \"srv 1\"\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		for _, read := range []func(string) (map[string][]report.Neighbour, error){readLLDPD, readEOSNeighbours, readJunosNeighbours} {
			_, _ = read(text)
		}
		_, _ = readNXOSNeighbours(text)
		_ = readIOSNeighbours(text, ciscoPorts)
		var lines [][]string
		for line := range strings.Lines(text) {
			lines = append(lines, strings.Fields(line))
		}
		_ = readSRLNeighbours(lines)
	})
}
