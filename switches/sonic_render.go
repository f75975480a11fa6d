package switches

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The filters of all ports share a table for each family, for most switches have few: the
// rules say which port they are for. What no rule matches would be let through.
const (
	sonicFilter4 = "FERRODUR_V4"
	sonicFilter6 = "FERRODUR_V6"
	// Of all rules that forward, as high as acl-loader goes; the one that drops has the lowest.
	// How many there may be is the hardware's to say.
	sonicPriority = 9999
)

// sonicRest is the rule that drops what no other lets through.
const sonicRest = "rest"

func sonicFilter(table string) bool { return table == sonicFilter4 || table == sonicFilter6 }

func (sonic) render(device Device, intent Intent) ([]statement, error) {
	lists := filterLists(intent, intent.Port)
	if err := unsupported("sonic", map[string]bool{
		"BGP that bounds what a host announces":           intent.BGP != nil,
		"a DHCP relay on a routed port":                   len(intent.Relay) > 0,
		"router advertisements on a routed port":          intent.Advertise,
		"a filter of a bond":                              intent.Bond != nil && len(lists) > 0,
		"a group that spans switches":                     intent.Bond != nil && intent.Bond.MultiChassis,
		"VLAN 1":                                          intent.VLANs != nil && slices.Contains(intent.VLANs.All(), 1),
		"a VRF whose name is longer than 12":              len(sonicVRF+intent.VRF) > 15,
		"an MTU of 9100, which is its own (leave it out)": strconv.Itoa(intent.MTU) == sonicMTU,
	}); err != nil {
		return nil, err
	}
	mtu := sonicMTU
	if intent.MTU != 0 {
		mtu = strconv.Itoa(intent.MTU)
	}
	status, carrier, interfaces, own := "up", intent.Port, "INTERFACE|", mtu
	if intent.Profile == Quarantine {
		status = "down"
	}
	if intent.Bond != nil {
		carrier, interfaces, own = sonicGroup+strconv.Itoa(intent.Bond.Group), "PORTCHANNEL_INTERFACE|", sonicMTU
	}
	want := sonicRow("PORT|"+intent.Port, "description="+intent.label(), "admin_status="+status, "mtu="+own)
	if intent.Bond != nil {
		group := "PORTCHANNEL|" + carrier
		want = append(want, sonicRow(group, "admin_status=up", "mtu="+mtu, "lacp_key=auto")...)
		if intent.Bond.Fallback {
			want = append(want, under(group, "fallback=true"))
		}
		want = append(want, statement("PORTCHANNEL_MEMBER|"+carrier+"|"+intent.Port))
	}
	if intent.VLANs != nil {
		for _, id := range intent.VLANs.All() {
			mode := "tagged"
			if id == intent.VLANs.Untagged {
				mode = "untagged"
			}
			want = append(want, under(fmt.Sprintf("VLAN_MEMBER|Vlan%d|%s", id, carrier), "tagging_mode="+mode))
		}
	}
	vrf := "default"
	if intent.VRF != "" {
		vrf = sonicVRF + intent.VRF
		want = append(want, under(interfaces+carrier, "vrf_name="+vrf))
	}
	for _, address := range intent.Addresses {
		want = append(want, statement(interfaces+carrier+"|"+address.String()))
	}
	for _, route := range intent.Routes() {
		want = append(want, under("STATIC_ROUTE|"+vrf+"|"+route.Prefix.String(), sonicVia+"="+route.Via.String()+" "+carrier))
	}
	for _, list := range lists {
		want = append(want, sonicRules(intent.Port, list)...)
	}
	return want, nil
}

func sonicRow(row string, fields ...string) []statement {
	var all []statement
	for _, field := range fields {
		all = append(all, under(row, field))
	}
	return all
}

// sonicRules are a port's filter in the words of sonic-acl.yang, and what it is part of. A rule
// that forwards is named after what it matches, and the one that drops the rest never changes:
// the updater takes a second for each step, in which a rule with another's name would be both.
func sonicRules(port string, list filterList) []statement {
	table, ipType, from, to := sonicFilter4, "IPV4ANY", "SRC_IP", "DST_IP"
	matches := []string{"MATCHES=IP_PROTOCOL", "MATCHES=L4_SRC_PORT", "MATCHES=L4_DST_PORT"}
	if list.Family == "ipv6" {
		table, ipType, from, to, matches = sonicFilter6, "IPV6ANY", "SRC_IPV6", "DST_IPV6", nil
	}
	matches = append(matches, "MATCHES=IN_PORTS", "MATCHES=IP_TYPE", "MATCHES="+from, "MATCHES="+to)
	all := sonicRow("ACL_TABLE_TYPE|"+table, append(matches, "ACTIONS=PACKET_ACTION", "BIND_POINTS=PORT")...)
	all = append(all, sonicRow("ACL_TABLE|"+table, "policy_desc="+mark, "type="+table, "stage=ingress", "ports="+port)...)
	rule := func(name string, priority int, action string, matches ...string) {
		all = append(all, sonicRow(fmt.Sprintf("ACL_RULE|%s|%s%s", table, listPrefix(port), name), append(matches,
			"PRIORITY="+strconv.Itoa(priority), "PACKET_ACTION="+action, "IN_PORTS="+port, "IP_TYPE="+ipType)...)...)
	}
	for _, entry := range list.Entries {
		var matches []string
		switch {
		case entry.DHCP:
			matches = []string{"IP_PROTOCOL=17", "L4_SRC_PORT=68", "L4_DST_PORT=67"}
		case entry.Local:
			matches = []string{from + "=fe80::/10"}
		default:
			if entry.From.Bits() > 0 {
				matches = append(matches, from+"="+entry.From.String())
			}
			if entry.To.Bits() > 0 {
				matches = append(matches, to+"="+entry.To.String())
			}
		}
		named := sha256.Sum256([]byte(strings.Join(matches, " ")))
		rule(hex.EncodeToString(named[:6]), sonicPriority, "FORWARD", matches...)
	}
	rule(sonicRest, 1, "DROP")
	return all
}

func (sonic) parse(port string, owned []statement) Intent {
	intent := Intent{Port: port}
	for _, s := range owned {
		intent.readSonic(s)
	}
	if intent.Bond == nil { // a group's MTU is its members'
		intent.readSonicMTU(owned, statement("PORT|"+port))
	} else {
		intent.readSonicMTU(owned, statement("PORTCHANNEL|"+sonicGroup+strconv.Itoa(intent.Bond.Group)))
	}
	intent.Addresses, intent.Behind, intent.Reach = sorted(intent.Addresses), sorted(intent.Behind), sorted(intent.Reach)
	if intent.VLANs != nil {
		slices.Sort(intent.VLANs.Tagged)
	}
	return intent
}

func (i *Intent) readSonicMTU(owned []statement, row statement) {
	for _, s := range owned {
		if name, value, _ := s.field(); s.header() == row && name == "mtu" && value != sonicMTU {
			i.MTU = number(value)
		}
	}
}

func (i *Intent) readSonic(s statement) {
	table, key := s.row()
	parts := strings.Split(key, "|")
	name, value, _ := s.field()
	last, err := netip.ParsePrefix(parts[len(parts)-1])
	switch {
	case table == "PORT" && name == "description":
		i.readLabel(value)
	case table == "PORTCHANNEL_MEMBER" && name == "":
		i.bond().Group = number(strings.TrimPrefix(parts[0], sonicGroup))
	case table == "PORTCHANNEL" && name == "fallback":
		i.bond().Fallback = value == "true"
	case table == "VLAN_MEMBER" && name == "tagging_mode":
		id := number(strings.TrimPrefix(parts[0], "Vlan"))
		if value == "untagged" {
			i.vlans().Untagged = id
		} else {
			i.vlans().Tagged = append(i.vlans().Tagged, id)
		}
	case (table == "INTERFACE" || table == "PORTCHANNEL_INTERFACE") && name == "vrf_name":
		i.VRF = strings.TrimPrefix(value, sonicVRF)
	case (table == "INTERFACE" || table == "PORTCHANNEL_INTERFACE") && name == "" && err == nil:
		i.Addresses = append(i.Addresses, last)
	case table == "STATIC_ROUTE" && name == sonicVia && err == nil:
		i.Behind = append(i.Behind, last)
	case table == "ACL_RULE" && (name == "SRC_IP" || name == "SRC_IPV6"):
		i.SourceFilter = i.SourceFilter || value != "fe80::/10"
	case table == "ACL_RULE" && (name == "DST_IP" || name == "DST_IPV6"):
		if to, err := netip.ParsePrefix(value); err == nil && !slices.Contains(i.Reach, to) {
			i.Reach = append(i.Reach, to)
		}
	}
}

// filters are the rules of ports, and their tables, by their keys in STATE_DB.
func (db sonicDB) filters(ports []string) map[string]bool {
	filters := map[string]bool{}
	for key := range db["ACL_RULE"] {
		table, name, _ := strings.Cut(key, "|")
		if sonicFilter(table) && slices.ContainsFunc(ports, func(port string) bool { return isNamed(name, port) }) {
			filters["ACL_TABLE_TABLE|"+table], filters["ACL_RULE_TABLE|"+key] = true, true
		}
	}
	return filters
}

// inHardware waits until the switch has taken such filters into its hardware, which the updater
// does not: there may be no room for them. *RefusedError, of no port: which of them takes the
// room is not known.
func (d sonic) inHardware(ctx context.Context, cli *terminal, filters map[string]bool) error {
	const tries, interval = 20, 500 * time.Millisecond
	for n := 0; len(filters) > 0; n++ {
		states, err := sonicDump(ctx, cli, "STATE_DB", sonicStates)
		if err != nil {
			return err
		}
		for filter := range filters {
			switch status := states[filter]["status"]; {
			case status == sonicActive:
				delete(filters, filter)
			case status == sonicInactive || n == tries:
				return &RefusedError{Line: filter, Answer: fmt.Sprintf("the switch has not taken it into its hardware (%q): look for room with \"crm show resources acl table\"", status)}
			}
		}
		if len(filters) > 0 {
			select {
			case <-time.After(interval):
			case <-ctx.Done():
				return fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
			}
		}
	}
	return nil
}
