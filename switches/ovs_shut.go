package switches

import (
	"cmp"
	"fmt"
	"slices"
)

// Open vSwitch has no way to shut a port. One that is shut is on a bridge of Ferrodur's own, which
// forwards nothing: its fail mode is "secure", and without a controller nobody gives it flows
// (ovs-vswitchd.conf.db(5), table Bridge). The port's record moves there with all that others keep
// in it, and says which bridge is its own.
const (
	ovsShutBridge = "ferrodur-shut"
	ovsBridge     = "bridge="                          // stands for that bridge's column "ports"
	ovsHome       = "external_ids:ferrodur-bridge="    // the bridge of a port that is shut; no part of an intent
	ovsForwards   = ovsShutBridge + ", which forwards" // for somebody has changed it
)

// shut are the ports that are shut, or would be.
func (t ovsTables) shut() (statements []statement) {
	for _, bridge := range t["Bridge"] {
		if bridge.text("name") != ovsShutBridge {
			continue
		}
		where := ovsShutBridge
		if bridge.text("fail_mode") != "secure" || len(bridge.texts("controller")) > 0 {
			where = ovsForwards
		}
		for _, port := range t["Port"] {
			if slices.Contains(bridge.texts("ports"), port.text("_uuid")) {
				statements = append(statements, ovsPort(port.text("name")).with(ovsBridge+where))
			}
		}
	}
	return statements
}

// shut moves a record to the bridge that forwards nothing, and makes that what it should be.
func (l *ovsLayout) shut(record string) ([]string, error) {
	from := l.bridges[record]
	kind, ours := l.datapaths[from], l.datapaths[ovsShutBridge]
	if ours == "" {
		l.datapaths[ovsShutBridge], ours = kind, kind
	}
	if kind != ours {
		return nil, fmt.Errorf("bridge %s has datapath type %s, and %s has %s: ports cannot move between them", from, kind, ovsShutBridge, ours)
	}
	commands := []string{
		"--may-exist add-br " + ovsShutBridge,
		fmt.Sprintf("set Bridge %s fail_mode=secure datapath_type=%s", ovsShutBridge, ours),
		fmt.Sprintf("clear Bridge %s controller", ovsShutBridge),
	}
	if from == ovsShutBridge {
		return commands, nil
	}
	commands = append(commands, l.move(record, ovsShutBridge)...)
	l.homes[record] = from
	return append(commands, fmt.Sprintf("set Port %s %s%s", record, ovsHome, inShell(ovsQuoted(from)))), nil
}

// open moves a record back to its own bridge.
func (l *ovsLayout) open(record string) ([]string, error) {
	if l.bridges[record] != ovsShutBridge {
		return nil, nil
	}
	home := l.homes[record]
	if l.datapaths[home] == "" {
		return nil, fmt.Errorf("the port is on %s, and its own bridge, %s, is not there: move it to the right one by hand", ovsShutBridge, cmp.Or(home, "which is not known"))
	}
	return append(l.move(record, home), fmt.Sprintf("remove Port %s external_ids ferrodur-bridge", record)), nil
}
