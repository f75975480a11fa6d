package switches

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// sonicDB is SONiC's CONFIG_DB: tables of rows of fields, of which the values are texts or
// lists of texts. Rows are named "TABLE|KEY", where a key may have parts of its own.
type sonicDB map[string]map[string]map[string]any

// sonicInterfaces are the tables of interfaces, "Ethernet0", and of their addresses,
// "Ethernet0|198.51.100.0/31", for which the interface has to be there.
var sonicInterfaces = []string{"INTERFACE", "PORTCHANNEL_INTERFACE"}

// bare tells whether a row says something without fields. An interface that has others, or
// addresses, says nothing more by being there.
func (db sonicDB) bare(table, key string) bool {
	switch {
	case table == "PORTCHANNEL_MEMBER", slices.Contains(sonicInterfaces, table) && strings.Contains(key, "|"):
		return true
	case slices.Contains(sonicInterfaces, table):
		return len(db.row(table, key)) == 0 && !db.addressed(table, key)
	}
	return false
}

// addressed tells whether an interface has addresses.
func (db sonicDB) addressed(table, name string) bool {
	for key := range db[table] {
		if strings.HasPrefix(key, name+"|") {
			return true
		}
	}
	return false
}

// sonicLists are the fields that are lists.
var sonicLists = []string{"ports", "MATCHES", "ACTIONS", "BIND_POINTS"}

// readSonicDB reads what sonic-cfggen prints.
func readSonicDB(text string) (sonicDB, error) {
	var tables map[string]json.RawMessage
	if err := readJSON(text, &tables); err != nil {
		return nil, err
	}
	db := sonicDB{}
	for name, raw := range tables {
		var rows map[string]map[string]any
		if json.Unmarshal(raw, &rows) != nil {
			continue // not a table of CONFIG_DB
		}
		db[name] = rows
		for key, row := range rows {
			if row == nil {
				delete(rows, key)
			}
			for field, value := range row {
				row[field] = sonicValue(value)
			}
		}
	}
	if len(db["PORT"]) == 0 {
		return nil, ErrUnreadable
	}
	return db, nil
}

// sonicValue leaves texts and lists of texts.
func sonicValue(value any) any {
	switch value := value.(type) {
	case string:
		return value
	case []any:
		list := []string{}
		for _, member := range value {
			if text := fmt.Sprint(member); text != "" { // an empty list is [""]
				list = append(list, text)
			}
		}
		return list
	}
	return fmt.Sprint(value)
}

// members are a list's, or a value by itself.
func members(value any) []string {
	if list, is := value.([]string); is {
		return list
	}
	return []string{value.(string)}
}

// row takes a row's name apart.
func (s statement) row() (table, key string) {
	table, key, _ = strings.Cut(s.parts()[0], "|")
	return table, key
}

// field takes "FIELD=VALUE" of a row apart; without: the row itself is meant.
func (s statement) field() (name, value string, is bool) {
	if len(s.parts()) < 2 {
		return "", "", false
	}
	name, value, _ = strings.Cut(s.line(), "=")
	return name, value, true
}

// sonicVia is what a static route's fields together say: "via=192.0.2.1 Ethernet0" for each
// of its next hops, which are lists side by side.
const sonicVia = "via"

// hops are those of a static route; false: its fields say something else.
func hops(row map[string]any) ([]string, bool) {
	gateways, _ := row["nexthop"].(string)
	interfaces, _ := row["ifname"].(string)
	one, other := strings.Split(gateways, ","), strings.Split(interfaces, ",")
	if gateways == "" || interfaces == "" || len(row) != 2 || len(one) != len(other) {
		return nil, len(row) == 0
	}
	for i := range one {
		one[i] += " " + other[i]
	}
	return one, true
}

// setHops is the inverse of hops.
func setHops(row map[string]any, all []string) {
	clear(row)
	if len(all) == 0 {
		return
	}
	var gateways, interfaces []string
	for _, hop := range slices.Sorted(slices.Values(all)) {
		gateway, name, _ := strings.Cut(hop, " ")
		gateways, interfaces = append(gateways, gateway), append(interfaces, name)
	}
	row["nexthop"], row["ifname"] = strings.Join(gateways, ","), strings.Join(interfaces, ",")
}

func (db sonicDB) row(table, key string) map[string]any { return db[table][key] }

// copy is as deep as changes go.
func (db sonicDB) copy() sonicDB {
	all := sonicDB{}
	for table, rows := range db {
		all[table] = map[string]map[string]any{}
		for key, row := range rows {
			all[table][key] = maps.Clone(row)
		}
	}
	return all
}

func (db sonicDB) remove(table, key string) { delete(db[table], key) }

// set makes a statement true.
func (db sonicDB) set(s statement) {
	table, key := s.row()
	if db[table] == nil {
		db[table] = map[string]map[string]any{}
	}
	if db[table][key] == nil {
		db[table][key] = map[string]any{}
	}
	if above, _, is := strings.Cut(key, "|"); is && slices.Contains(sonicInterfaces, table) && db[table][above] == nil {
		db[table][above] = map[string]any{}
	}
	name, value, is := s.field()
	switch row := db[table][key]; {
	case !is:
	case table == "STATIC_ROUTE" && name == sonicVia:
		if all, are := hops(row); are && !slices.Contains(all, value) {
			setHops(row, append(all, value))
		}
	case slices.Contains(sonicLists, name):
		list, _ := row[name].([]string)
		if !slices.Contains(list, value) {
			list = append(slices.Clone(list), value)
		}
		row[name] = list
	default:
		row[name] = value
	}
}

// unset takes a statement away, where it is true.
func (db sonicDB) unset(s statement) {
	table, key := s.row()
	row := db.row(table, key)
	name, value, is := s.field()
	if !is || row == nil {
		return
	}
	if all, are := hops(row); are && table == "STATIC_ROUTE" && name == sonicVia {
		setHops(row, slices.DeleteFunc(all, func(hop string) bool { return hop == value }))
	}
	switch has := row[name].(type) {
	case []string:
		row[name] = slices.DeleteFunc(slices.Clone(has), func(member string) bool { return member == value })
	case string:
		if has == value {
			delete(row, name)
		}
	}
}

const sonicSet, sonicUnset = "set ", "unset "

// edited is the database after such commands.
func (db sonicDB) edited(commands []command) sonicDB {
	after := db.copy()
	var gone []statement
	for _, c := range commands {
		if s, is := strings.CutPrefix(c.text, sonicUnset); is {
			after.unset(statement(s))
			gone = append(gone, statement(s))
		}
	}
	for _, c := range commands {
		if s, is := strings.CutPrefix(c.text, sonicSet); is {
			after.set(statement(s))
			gone = slices.DeleteFunc(gone, func(g statement) bool { return string(g) == s })
		}
	}
	for _, s := range gone {
		after.tidy(db, s)
	}
	return after
}

// tidy takes a row away of which nothing is left.
func (db sonicDB) tidy(before sonicDB, s statement) {
	table, key := s.row()
	row := db.row(table, key)
	switch {
	case row == nil:
	case table == "ACL_TABLE":
		if list, _ := row["ports"].([]string); len(list) == 0 { // its rules have gone with the last port
			db.remove("ACL_TABLE", key)
			db.remove("ACL_TABLE_TYPE", key)
		}
	case len(row) == 0 && slices.Contains(sonicInterfaces, table):
		above, _, isAddress := strings.Cut(key, "|")
		if isAddress {
			db.remove(table, key)
		}
		if interfaceRow := db.row(table, above); len(interfaceRow) == 0 && !db.addressed(table, above) {
			db.remove(table, above)
		}
	case len(row) == 0:
		db.remove(table, key)
	case table == "PORTCHANNEL" && row["admin_status"] == nil:
		db[table][key] = maps.Clone(before.row(table, key)) // someone else's: it stays, without members
	}
}

// sonicOperation is one of a JSON patch (RFC 6902).
type sonicOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// sonicPointer is a JSON pointer (RFC 6901).
func sonicPointer(parts ...string) string {
	var path strings.Builder
	for _, part := range parts {
		path.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	return path.String()
}

// patch leads from a database to another. There are no tables without rows.
func (db sonicDB) patch(after sonicDB) []sonicOperation {
	var patch []sonicOperation
	add := func(op string, value any, path ...string) {
		patch = append(patch, sonicOperation{op, sonicPointer(path...), value})
	}
	both := maps.Clone(db)
	maps.Copy(both, after)
	for _, table := range slices.Sorted(maps.Keys(both)) {
		if len(after[table]) == 0 {
			if len(db[table]) > 0 {
				add("remove", nil, table)
			}
			continue
		}
		if len(db[table]) == 0 {
			add("add", map[string]any{}, table)
		}
		keys := maps.Clone(db[table])
		if keys == nil {
			keys = map[string]map[string]any{}
		}
		maps.Copy(keys, after[table])
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			had, has := db.row(table, key), after.row(table, key)
			switch {
			case has == nil:
				add("remove", nil, table, key)
			case had == nil:
				add("add", has, table, key)
			default:
				patch = append(patch, rowPatch(table, key, had, has)...)
			}
		}
	}
	return patch
}

func rowPatch(table, key string, had, has map[string]any) []sonicOperation {
	var patch []sonicOperation
	both := maps.Clone(had)
	maps.Copy(both, has)
	for _, field := range slices.Sorted(maps.Keys(both)) {
		path := sonicPointer(table, key, field)
		was, is := had[field], has[field]
		switch {
		case is == nil:
			patch = append(patch, sonicOperation{"remove", path, nil})
		case was == nil:
			patch = append(patch, sonicOperation{"add", path, is})
		case !slices.Equal(members(was), members(is)):
			patch = append(patch, sonicOperation{"replace", path, is})
		}
	}
	return patch
}

// stages are what lies between a database and another, for the updater puts the steps of one
// patch in an order of its own. In the first, ports are shut that are to be; in the second all is
// done, but ports that are opened are still shut. One whose filter comes or goes is shut
// meanwhile: it would be open with what is behind the filter, and without it.
func (db sonicDB) stages(after sonicDB) (shut, done sonicDB) {
	shut, done = db.withoutMoved(after), after.copy()
	for port := range after["PORT"] {
		was, is := db.open(port), after.open(port)
		remade := db.filtered(port) != after.filtered(port)
		if was && (!is || remade) {
			shut.shut(port)
		}
		if is && (!was || remade) {
			done.shut(port)
		}
	}
	return shut, done
}

func (db sonicDB) open(port string) bool { return db.row("PORT", port)["admin_status"] == "up" }

func (db sonicDB) shut(port string) {
	if row := db.row("PORT", port); row != nil {
		row["admin_status"] = "down"
	}
}

// filtered tells, for each family, whether something drops what a port's filter lets not through.
func (db sonicDB) filtered(port string) (families [2]bool) {
	for i, table := range []string{sonicFilter4, sonicFilter6} {
		families[i] = db.row("ACL_RULE", table+"|"+listPrefix(port)+sonicRest) != nil
	}
	return families
}

// withoutMoved is the database without the interfaces that come to another VRF: intfmgrd
// passes over a change of the VRF of one that is there.
func (db sonicDB) withoutMoved(after sonicDB) sonicDB {
	rest := db.copy()
	for _, table := range sonicInterfaces {
		for key, row := range after[table] {
			had := db.row(table, key)
			if had == nil || had["vrf_name"] == row["vrf_name"] {
				continue
			}
			for other := range db[table] {
				if other == key || strings.HasPrefix(other, key+"|") {
					rest.remove(table, other)
				}
			}
		}
	}
	return rest
}
