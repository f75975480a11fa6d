package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ferrodur/report"
)

// CompareCabling lists where a server's cables lead to something else than the ports that
// were declared, by what the agent heard on its NICs and who the switch hears on the port
// that it boots by. Where the switch hears the server's MAC there, a port's name that is
// spelled otherwise in the switch's announcements is no mismatch. On a further NIC silence
// is none: its port is shut while the agent is there.
func CompareCabling(server Server, found report.Hardware, seen []report.Neighbour) []Mismatch {
	confirmed := slices.ContainsFunc(seen, func(n report.Neighbour) bool {
		return strings.EqualFold(n.Chassis, server.MAC) || strings.EqualFold(n.Port, server.MAC)
	})
	var wrong []Mismatch
	for n, uplink := range server.Uplinks() {
		for _, nic := range found.NICs {
			if nic.MAC == uplink.MAC && (nic.Neighbour != nil || n == 0) {
				wrong = append(wrong, uplink.compare(nic, confirmed && n == 0)...)
			}
		}
	}
	if confirmed || len(wrong) > 0 {
		return wrong
	}
	who := "nobody"
	if n := len(seen); n > 0 {
		last := seen[n-1]
		who = fmt.Sprintf("%s (%s)", cmp.Or(last.System, "somebody"), last.Chassis)
	}
	return []Mismatch{Mismatch(fmt.Sprintf("port %s of %s hears %s by LLDP, expected %s (%s)", server.Port, server.Switch, who, server.Name, server.MAC))}
}

// compare tells where a NIC's cable does not lead to its port.
func (u Uplink) compare(nic report.NIC, confirmed bool) []Mismatch {
	expected := fmt.Sprintf("expected port %s of %s", u.Port, u.Switch)
	switch heard := nic.Neighbour; {
	case heard == nil:
		return []Mismatch{Mismatch(fmt.Sprintf("NIC %s (%s) hears nobody by LLDP, %s", nic.Name, nic.MAC, expected))}
	case !isCalled(heard.System, u.Switch), !confirmed && heard.Port != u.Port && heard.PortDescription != u.Port:
		return []Mismatch{Mismatch(fmt.Sprintf("NIC %s (%s) is cabled to port %s of %s, %s", nic.Name, nic.MAC, heard.PortName(), cmp.Or(heard.System, heard.Chassis), expected))}
	}
	return nil
}

// isCalled tells whether a system's name is the switch's, with or without its domain.
func isCalled(system, name string) bool {
	host, _, _ := strings.Cut(system, ".")
	return strings.EqualFold(system, name) || strings.EqualFold(host, name)
}
