package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ferrodur/report"
)

// CompareCabling lists where a server's cable leads to something else than the port that
// was declared, by what the agent heard on its NIC and who the switch hears on the port.
// Where the switch hears the server's MAC on the port, a port's name that is spelled
// otherwise in the switch's announcements is no mismatch.
func CompareCabling(server Server, found report.Hardware, seen []report.Neighbour) []Mismatch {
	var wrong []Mismatch
	miss := func(format string, args ...any) { wrong = append(wrong, Mismatch(fmt.Sprintf(format, args...))) }

	expected := fmt.Sprintf("expected port %s of %s", server.Port, server.Switch)
	confirmed := slices.ContainsFunc(seen, func(n report.Neighbour) bool {
		return strings.EqualFold(n.Chassis, server.MAC) || strings.EqualFold(n.Port, server.MAC)
	})
	for _, nic := range found.NICs {
		if nic.MAC != server.MAC {
			continue
		}
		switch heard := nic.Neighbour; {
		case heard == nil:
			miss("NIC %s (%s) hears nobody by LLDP, %s", nic.Name, nic.MAC, expected)
		case !isCalled(heard.System, server.Switch), !confirmed && heard.Port != server.Port && heard.PortDescription != server.Port:
			miss("NIC %s (%s) is cabled to port %s of %s, %s", nic.Name, nic.MAC, heard.PortName(), cmp.Or(heard.System, heard.Chassis), expected)
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
	miss("port %s of %s hears %s by LLDP, expected %s (%s)", server.Port, server.Switch, who, server.Name, server.MAC)
	return wrong
}

// isCalled tells whether a system's name is the switch's, with or without its domain.
func isCalled(system, name string) bool {
	host, _, _ := strings.Cut(system, ".")
	return strings.EqualFold(system, name) || strings.EqualFold(host, name)
}
