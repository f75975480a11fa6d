package emulator

import (
	"regexp"
	"slices"
	"strings"
)

// letIn are the prefix lists under which routes of BGP neighbours were let in, by VRF and
// address: those of when the session came up, or when the neighbour was last asked for its routes
// (RFC 2918). A list that changes later does nothing to routes that are there: IOS-XE "IP Routing:
// BGP Configuration Guide", section "Managing Routing Policy Changes"; NX-OS "Unicast Routing",
// section "Route Policies and Resetting BGP Sessions".
type letIn map[string]string

// LetIn is the prefix list under which a neighbour's routes were let in, as it was then. An empty
// VRF is the default one.
func (d *Device) LetIn(vrf, neighbour string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch p := d.platform.(type) {
	case *iosxe:
		return p.letIn[vrf+" "+neighbour]
	case *nxos:
		return p.letIn[vrf+" "+neighbour]
	}
	return ""
}

// comeUp is called when what is configured is in effect: sessions come up, and go.
func (l letIn) comeUp(now *tree) {
	lists := listsOf(now)
	for who := range l {
		if _, is := lists[who]; !is {
			delete(l, who)
		}
	}
	for who, list := range lists {
		if _, is := l[who]; !is {
			l[who] = list
		}
	}
}

// bgpClear is as in the "BGP Command Reference", and in Cisco's genielibs for NX-OS. Without
// "soft" the session is reset.
var bgpClear = regexp.MustCompile(`^clear bgp (?:vrf (\S+) )?(?:ipv4|ipv6) unicast (\S+?)(?: soft (?:in|out))?$`)

// clear answers such a line.
func (l letIn) clear(now *tree, line string) string {
	words := bgpClear.FindStringSubmatch(line)
	list, is := listsOf(now)[words[1]+" "+words[2]]
	if !is {
		return `% BGP: Unknown neighbor - "` + words[2] + `"`
	}
	if !strings.HasSuffix(line, " soft out") {
		l[words[1]+" "+words[2]] = list
	}
	return ""
}

// listsOf are the entries that bound what neighbours announce, by VRF and address.
func listsOf(now *tree) map[string]string {
	lists := map[string]string{}
	var search func(at *tree, vrf, neighbour string)
	search = func(at *tree, vrf, neighbour string) {
		words := strings.Fields(at.line)
		if i := slices.Index(words, "vrf"); i >= 0 {
			vrf = words[i+1]
		}
		if words[0] == "neighbor" {
			neighbour = words[1]
		}
		if i := slices.Index(words, "prefix-list"); i >= 0 && words[len(words)-1] == "in" {
			var entries []string
			for _, c := range now.below {
				if begins(c.line, "ip prefix-list "+words[i+1]) || begins(c.line, "ipv6 prefix-list "+words[i+1]) {
					entries = append(entries, c.line)
				}
			}
			lists[vrf+" "+neighbour] = strings.Join(entries, "\n")
		}
		for _, c := range at.below {
			search(c, vrf, neighbour)
		}
	}
	for _, c := range now.below {
		if begins(c.line, "router bgp") {
			search(c, "", "")
		}
	}
	return lists
}
