package emulator

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// sonicTable is what a YANG model of sonic-buildimage (src/sonic-yang-models) says of a
// table. What is none of the kinds below is an expression that values match.
type sonicTable struct {
	keys      [][]string        // the kinds of a key's parts
	fields    map[string]string // their kinds
	lists     []string          // fields that are lists
	mandatory []string
}

// The kinds: those of rows that have to be there, and prefixes.
const (
	sonicPort   = "PORT"
	sonicGroup  = "PORTCHANNEL"
	sonicMember = "PORT or PORTCHANNEL"
	sonicVLAN   = "VLAN"
	sonicVRF    = "VRF"
	sonicFilter = "ACL_TABLE"
	sonicType   = "ACL_TABLE_TYPE"
	sonicPrefix = "prefix"
)

func sonicTables() map[string]sonicTable {
	interfaces := map[string]string{"vrf_name": sonicVRF, "nat_zone": `[0-3]`, "mpls": `enable|disable`, "loopback_action": `drop|forward`}
	const mtu, status, any = `\d{2,4}`, `up|down`, `.*`
	return map[string]sonicTable{
		"DEVICE_METADATA": {keys: [][]string{{`localhost`}}, fields: map[string]string{"hostname": any, "docker_routing_config_mode": any, "bgp_asn": `\d+`}},
		"NTP_SERVER":      {keys: [][]string{{any}}, fields: map[string]string{"iburst": `on|off`}},
		"PORT": {
			keys: [][]string{{`Ethernet\d+`}}, mandatory: []string{"lanes", "speed"}, fields: map[string]string{
				"alias": any, "index": `\d+`, "lanes": any, "speed": `\d+`, "mtu": mtu, "admin_status": status, "description": `.{0,255}`, "fec": `rs|fc|none|auto`,
				"autoneg": `on|off`, "tpid": `0x\d+`, "mode": `routed|access|trunk`,
			},
		},
		"INTERFACE":             {keys: [][]string{{sonicPort}, {sonicPort, sonicPrefix}}, fields: interfaces},
		"PORTCHANNEL_INTERFACE": {keys: [][]string{{sonicGroup}, {sonicGroup, sonicPrefix}}, fields: interfaces},
		"VLAN":                  {keys: [][]string{{`Vlan\d+`}}, fields: map[string]string{"vlanid": `\d+`, "description": any}},
		"VLAN_MEMBER":           {keys: [][]string{{sonicVLAN, sonicMember}}, fields: map[string]string{"tagging_mode": `tagged|untagged|priority_tagged`}, mandatory: []string{"tagging_mode"}},
		"VRF":                   {keys: [][]string{{`Vrf[a-zA-Z0-9_-]{1,12}`}}, fields: map[string]string{"vni": `\d+`}},
		"PORTCHANNEL": {
			keys: [][]string{{`PortChannel\d{1,4}`}}, mandatory: []string{"admin_status"},
			fields: map[string]string{"admin_status": status, "mtu": mtu, "lacp_key": `auto|\d+`, "fallback": `true|false`, "min_links": `\d+`, "fast_rate": `true|false`},
		},
		"PORTCHANNEL_MEMBER": {keys: [][]string{{sonicGroup, sonicPort}}},
		"STATIC_ROUTE": {
			keys:   [][]string{{sonicPrefix}, {`default|mgmt|Vrf[a-zA-Z0-9_-]+`, sonicPrefix}},
			fields: map[string]string{"nexthop": any, "ifname": any, "distance": `\d+`, "blackhole": `true|false`, "advertise": `true|false`},
		},
		"ACL_TABLE_TYPE": {keys: [][]string{{any}}, fields: map[string]string{"MATCHES": `[A-Z0-9_]+`, "ACTIONS": `[A-Z_]+`, "BIND_POINTS": `PORT|PORTCHANNEL`}, lists: []string{"MATCHES", "ACTIONS", "BIND_POINTS"}, mandatory: []string{"MATCHES", "BIND_POINTS"}},
		"ACL_TABLE": {
			keys: [][]string{{any}}, lists: []string{"ports"}, mandatory: []string{"type"},
			fields: map[string]string{"policy_desc": `.{1,255}`, "type": sonicType, "stage": `ingress|egress`, "ports": sonicMember},
		},
		"ACL_RULE": {
			keys: [][]string{{sonicFilter, `.{1,255}`}}, mandatory: []string{"PRIORITY"}, fields: map[string]string{
				"PRIORITY": `\d{1,6}`, "PACKET_ACTION": `DROP|FORWARD`, "IN_PORTS": any, "IP_TYPE": `IPV4ANY|IPV6ANY`, "IP_PROTOCOL": `\d{1,3}`,
				"L4_SRC_PORT": `\d{1,5}`, "L4_DST_PORT": `\d{1,5}`, "SRC_IP": sonicPrefix, "DST_IP": sonicPrefix, "SRC_IPV6": sonicPrefix, "DST_IPV6": sonicPrefix,
			},
		},
		"PFC_WD": {keys: [][]string{{sonicPort}}, fields: map[string]string{"action": `drop|forward|alert`, "detection_time": `\d+`}},
	}
}

// sonicConfig is CONFIG_DB, while it is checked.
type sonicConfig map[string]any

func (c sonicConfig) rows(table string) map[string]any {
	rows, _ := c[table].(map[string]any)
	return rows
}

func (c sonicConfig) has(table, key string) bool { return c.rows(table)[key] != nil }

// is tells whether a value is of a kind.
func (c sonicConfig) is(kind, value string) bool {
	switch kind {
	case sonicPort, sonicGroup, sonicVLAN, sonicVRF, sonicFilter, sonicType:
		return c.has(kind, value)
	case sonicMember:
		return c.has(sonicPort, value) || c.has(sonicGroup, value)
	case sonicPrefix:
		_, err := netip.ParsePrefix(value)
		return err == nil
	}
	return whole(kind).MatchString(value)
}

// checkSonic is what the YANG models demand of a configuration.
func checkSonic(document map[string]any) error {
	c := sonicConfig(document)
	models := sonicTables()
	for table := range c {
		model, known := models[table]
		if !known {
			return fmt.Errorf("given patch is not valid because it has changes to tables without YANG models: %s", table)
		}
		for key, row := range c.rows(table) {
			fields, is := row.(map[string]any)
			if !is {
				return fmt.Errorf("%s|%s is not a row", table, key)
			}
			if err := c.checkRow(model, key, fields); err != nil {
				return fmt.Errorf("data loading failed: %s|%s: %w", table, key, err)
			}
			if complaint := c.must(table, key, fields); complaint != "" {
				return fmt.Errorf("data loading failed: %s|%s: %s", table, key, complaint)
			}
		}
	}
	return nil
}

func (c sonicConfig) checkRow(model sonicTable, key string, fields map[string]any) error {
	parts := strings.Split(key, "|")
	if !slices.ContainsFunc(model.keys, func(kinds []string) bool {
		for i, part := range parts {
			if len(kinds) != len(parts) || !c.is(kinds[i], part) {
				return false
			}
		}
		return true
	}) {
		return errors.New("leafref or pattern not satisfied by the key")
	}
	for field, value := range fields {
		kind, known := model.fields[field]
		if !known {
			return fmt.Errorf("unexpected data node %q", field)
		}
		list, isList := value.([]any)
		if isList != slices.Contains(model.lists, field) {
			return fmt.Errorf("%q is a list, or none", field)
		}
		if !isList {
			list = []any{value}
		}
		for _, member := range list {
			if text, isText := member.(string); !isText || !c.is(kind, text) {
				return fmt.Errorf("invalid value %q in %q", fmt.Sprint(member), field)
			}
		}
	}
	for _, field := range model.mandatory {
		if fields[field] == nil {
			return fmt.Errorf("missing required element %q", field)
		}
	}
	return nil
}

// must are the must statements of the models.
func (c sonicConfig) must(table, key string, fields map[string]any) string {
	parts := strings.Split(key, "|")
	last := parts[len(parts)-1]
	switch table {
	case "INTERFACE":
		if len(parts) == 2 && !c.has(table, parts[0]) {
			return "Must condition not satisfied, Try adding PORT"
		}
	case "VLAN":
		id, err := strconv.Atoi(strings.TrimPrefix(key, "Vlan"))
		if err != nil || id < 2 || id > 4094 || fields["vlanid"] != nil && fields["vlanid"] != strconv.Itoa(id) {
			return "The vlanid must correspond to the VLAN name"
		}
	case "VLAN_MEMBER":
		untagged := 0
		for other, row := range c.rows(table) {
			if row, is := row.(map[string]any); is && strings.HasSuffix(other, "|"+last) && row["tagging_mode"] == "untagged" {
				untagged++
			}
		}
		for member := range c.rows("PORTCHANNEL_MEMBER") {
			if strings.HasSuffix(member, "|"+last) {
				return "Port is a member of a port channel."
			}
		}
		switch {
		case c.has("INTERFACE", last):
			return "Port is a router interface."
		case untagged > 1:
			return "Port can be untagged in at most one VLAN."
		}
	}
	return ""
}
