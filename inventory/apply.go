package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// applyLock is the PostgreSQL advisory lock that one Apply at a time holds; the number
// is the ASCII text "apply".
const applyLock = 0x6170706c79

// checkViolation is PostgreSQL's SQLSTATE for a CHECK constraint that does not hold.
const checkViolation = "23514"

// Declaration is what an operator says that there is. Of servers, only what is declared
// counts: state, instance and hardware are left as they are.
type Declaration struct {
	Sites    []Site
	Zones    []Zone
	Plans    []Plan
	Images   []Image
	Networks []Network
	Switches []Switch
	Servers  []Server
}

// Changes says what an Apply did, a line an object: `server srv1`.
type Changes struct {
	Added   []string
	Changed []string
}

// None says that everything was as declared already.
func (c Changes) None() bool { return len(c.Added)+len(c.Changed) == 0 }

func (c *Changes) note(kind Kind, name string, known bool) {
	line := fmt.Sprintf("%s %s", kind, name)
	if known {
		c.Changed = append(c.Changed, line)
	} else {
		c.Added = append(c.Added, line)
	}
}

// Apply makes the inventory what is declared, in one transaction: all of it or nothing.
// Objects that are not in the declaration are left alone, but a declared switch has the
// declared ports only.
//
// It returns a HeldChangeError when a held server would move, a DuplicateError when two
// servers claim one port, MAC or BMC, a PortInUseError when a port with a server on it
// would go, an InvalidError when a reference leads nowhere or a value is out of range, and
// ErrBadSecretRef when a secret stands where a reference should.
func (s *Store) Apply(ctx context.Context, d Declaration) (Changes, error) {
	var changes Changes
	err := s.inTransaction(ctx, func(tx pgx.Tx) (err error) {
		changes, err = s.ApplyIn(ctx, tx, d)
		return err
	})
	return changes, err
}

// ApplyIn is Apply within a transaction of the caller's, which is to be rolled back after
// an error. Until its end no other Apply runs.
func (s *Store) ApplyIn(ctx context.Context, tx pgx.Tx, d Declaration) (Changes, error) {
	var changes Changes
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, applyLock); err != nil {
		return changes, fmt.Errorf("apply: wait for its lock: %w", err)
	}
	a := application{tx: tx, changes: &changes}
	for _, step := range []func(context.Context, Declaration) error{
		a.sites, a.zones, a.plans, a.images, a.networks, a.switches, a.servers, a.dropPorts, a.forgetAsked, a.findDuplicates,
	} {
		if err := step(ctx, d); err != nil {
			return changes, err
		}
	}
	// Reports here, with its name, what would else be found at commit.
	_, err := tx.Exec(ctx, `SET CONSTRAINTS ALL IMMEDIATE`)
	return changes, refused("the declaration", err)
}

// application is one Apply under way.
type application struct {
	tx      pgx.Tx
	changes *Changes
}

func (a application) sites(ctx context.Context, d Declaration) error {
	return upsert(ctx, a, KindSite, siteColumns, pgx.RowToStructByPos[Site], d.Sites,
		func(s Site) string { return s.Name },
		`INSERT INTO inventory.sites VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET description = $2`,
		func(s Site) []any { return []any{s.Name, s.Description} })
}

func (a application) plans(ctx context.Context, d Declaration) error {
	return upsert(ctx, a, KindPlan, planColumns, pgx.RowToStructByPos[Plan], d.Plans,
		func(p Plan) string { return p.Name },
		`INSERT INTO inventory.plans (name, description, threads, memory_mib, disks, disk_bytes) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (name) DO UPDATE SET description = $2, threads = $3, memory_mib = $4, disks = $5, disk_bytes = $6`,
		func(p Plan) []any { return []any{p.Name, p.Description, p.Threads, p.MemoryMiB, p.Disks, p.DiskBytes} })
}

func (a application) images(ctx context.Context, d Declaration) error {
	return upsert(ctx, a, KindImage, imageColumns, pgx.RowToStructByPos[Image], d.Images,
		func(i Image) string { return i.Name },
		`INSERT INTO inventory.images (name, file, sha256, bytes, ssh_user) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (name) DO UPDATE SET file = $2, sha256 = $3, bytes = $4, ssh_user = $5`,
		func(i Image) []any { return []any{i.Name, i.File, i.SHA256, i.Bytes, i.SSHUser} })
}

func (a application) switches(ctx context.Context, d Declaration) error {
	declared := slices.Clone(d.Switches)
	for i := range declared {
		s := &declared[i]
		if err := checkSecrets("switch "+s.Name, s.Password, s.PrivateKey); err != nil {
			return err
		}
		s.Ports, s.Prefixes, s.VLANs = append([]string{}, s.Ports...), append([]netip.Prefix{}, s.Prefixes...), append([]int{}, s.VLANs...)
		s.Provisioning.Reach = append([]netip.Prefix{}, s.Provisioning.Reach...)
		s.Provisioning.Relay = append([]netip.Addr{}, s.Provisioning.Relay...)
		slices.Sort(s.Ports)
		if s.HostKey != "" {
			continue
		}
		err := a.tx.QueryRow(ctx, `SELECT host_key FROM inventory.switches WHERE name = $1`, s.Name).Scan(&s.HostKey)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("switch %s: %w", s.Name, err)
		}
	}
	err := upsert(ctx, a, KindSwitch, switchColumns, scanSwitch, declared,
		func(s Switch) string { return s.Name },
		`INSERT INTO inventory.switches (name, site, platform, address, login, password, private_key, host_key, dhcp_relay, prefixes, vlans, asn, heal,
			mtu, any_source, reach, relay, network, circuit_id, lldp)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, nullif($18, ''), $19, $20) ON CONFLICT (name) DO UPDATE
		SET site = $2, platform = $3, address = $4, login = $5, password = $6, private_key = $7, host_key = $8, dhcp_relay = $9, prefixes = $10,
			vlans = $11, asn = $12, heal = $13, mtu = $14, any_source = $15, reach = $16, relay = $17, network = nullif($18, ''), circuit_id = $19, lldp = $20`,
		func(s Switch) []any {
			return []any{s.Name, s.Site, s.Platform, s.Address, s.User, s.Password, s.PrivateKey, s.HostKey, s.relayText(), s.Prefixes, s.VLANs, s.ASN, s.Heal,
				s.MTU, s.AnySource, s.Provisioning.Reach, s.Provisioning.Relay, s.Provisioning.Network, s.Provisioning.CircuitID, s.LLDP}
		})
	if err != nil {
		return err
	}
	for _, s := range declared {
		_, err := a.tx.Exec(ctx, `INSERT INTO inventory.ports (switch, name) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING`,
			s.Name, s.Ports)
		if err != nil {
			return refused("switch "+s.Name, err)
		}
	}
	return nil
}

func (a application) servers(ctx context.Context, d Declaration) error {
	known, err := list(ctx, a.tx, scanServer, KindServer, serverColumns+` ORDER BY name FOR UPDATE`)
	if err != nil {
		return err
	}
	for _, server := range slices.SortedFunc(slices.Values(d.Servers), func(x, y Server) int { return cmp.Compare(x.Name, y.Name) }) {
		at := slices.IndexFunc(known, func(k Server) bool { return k.Name == server.Name })
		if at >= 0 {
			if reflect.DeepEqual(known[at].declared(), server.declared()) {
				continue
			}
			if err := checkHeld(known[at], server); err != nil {
				return err
			}
		}
		if err := checkSecrets("server "+server.Name, server.BMC.Password); err != nil {
			return err
		}
		_, err := a.tx.Exec(ctx, `INSERT INTO inventory.servers (name, site, rack, plan, switch, port, mac,
				bmc_address, bmc_login, bmc_password, disk, cpu_threads, memory_mib, disk_bytes, bond)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (name) DO UPDATE
			SET site = $2, rack = $3, plan = $4, switch = $5, port = $6, mac = $7, bmc_address = $8, bmc_login = $9,
				bmc_password = $10, disk = $11, cpu_threads = $12, memory_mib = $13, disk_bytes = $14, bond = $15`,
			server.Name, server.Site, server.Rack, server.Plan, server.Switch, server.Port, server.MAC,
			server.BMC.Address, server.BMC.User, server.BMC.Password, server.Disk,
			server.Declared.CPUThreads, server.Declared.MemoryMiB, server.Declared.DiskBytes, server.Bond)
		if err == nil {
			err = a.others(ctx, server)
		}
		if err == nil && at >= 0 && known[at].State == Available && !slices.Equal(known[at].Uplinks(), server.Uplinks()) {
			err = move(ctx, a.tx, known[at], Transition{Server: server.Name, To: Enrolled, Reason: "its cables were declared anew: enrol it again", Actor: "apply"})
		}
		if err != nil {
			return refused("server "+server.Name, err)
		}
		a.changes.note(KindServer, server.Name, at >= 0)
	}
	return nil
}

// others makes a server's further uplinks what is declared.
func (a application) others(ctx context.Context, server Server) error {
	if _, err := a.tx.Exec(ctx, `DELETE FROM inventory.uplinks WHERE server = $1`, server.Name); err != nil {
		return err
	}
	for n, u := range server.Others {
		_, err := a.tx.Exec(ctx, `INSERT INTO inventory.uplinks (server, place, switch, port, mac) VALUES ($1, $2, $3, $4, $5)`,
			server.Name, n+1, u.Switch, u.Port, u.MAC)
		if err != nil {
			return err
		}
	}
	return nil
}

// cables are all uplinks of all servers.
const cables = `(SELECT name AS server, switch, port, mac FROM inventory.servers UNION ALL SELECT server, switch, port, mac FROM inventory.uplinks) AS cables`

// dropPorts takes away the ports that a declared switch no longer has.
func (a application) dropPorts(ctx context.Context, d Declaration) error {
	for _, s := range d.Switches {
		rows, err := a.tx.Query(ctx, `SELECT switch, port, server FROM `+cables+`
			WHERE switch = $1 AND NOT port = ANY(coalesce($2::text[], '{}')) ORDER BY port LIMIT 1`, s.Name, s.Ports)
		if err != nil {
			return fmt.Errorf("look for servers on ports of switch %s: %w", s.Name, err)
		}
		inUse, err := pgx.CollectRows(rows, pgx.RowToStructByPos[PortInUseError])
		if err != nil {
			return fmt.Errorf("look for servers on ports of switch %s: %w", s.Name, err)
		}
		if len(inUse) > 0 {
			return inUse[0]
		}
		_, err = a.tx.Exec(ctx, `DELETE FROM inventory.ports WHERE switch = $1 AND NOT name = ANY(coalesce($2::text[], '{}'))`, s.Name, s.Ports)
		if err != nil {
			return refused("switch "+s.Name, err)
		}
	}
	return nil
}

// forgetAsked forgets what was asked for ports on behalf of servers that are cabled elsewhere
// by now: nobody could ask for it again.
func (a application) forgetAsked(ctx context.Context, _ Declaration) error {
	_, err := a.tx.Exec(ctx, `DELETE FROM inventory.asked_ports a
		WHERE NOT EXISTS (SELECT FROM `+cables+` WHERE cables.server = a.server AND cables.switch = a.switch AND cables.port = a.port)`)
	return refused("what was asked for ports", err)
}

// findDuplicates names the servers, switches and networks that the schema's unique constraints would refuse.
func (a application) findDuplicates(ctx context.Context, _ Declaration) error {
	rows, err := a.tx.Query(ctx, `SELECT claim, min(server), max(server) FROM (
			SELECT server, unnest(ARRAY['port ' || switch || ' ' || port, 'MAC ' || mac]) AS claim FROM `+cables+`
			UNION ALL SELECT name, 'BMC ' || bmc_address || ' at ' || site FROM inventory.servers
			UNION ALL SELECT name, 'address ' || address || ' at ' || site FROM inventory.switches
			UNION ALL SELECT name, 'VLAN ' || vlan || ' at ' || site FROM inventory.networks) AS claims
		GROUP BY claim HAVING count(*) > 1 ORDER BY claim LIMIT 1`)
	if err != nil {
		return fmt.Errorf("look for servers with the same port, MAC or BMC: %w", err)
	}
	twice, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DuplicateError])
	if err != nil {
		return fmt.Errorf("look for servers with the same port, MAC or BMC: %w", err)
	}
	if len(twice) > 0 {
		return twice[0]
	}
	return nil
}

// upsert writes those of the declared objects that are not in the database as declared.
func upsert[T any](ctx context.Context, a application, kind Kind, query string, scan pgx.RowToFunc[T], declared []T,
	name func(T) string, insert string, values func(T) []any) error {
	known, err := list(ctx, a.tx, scan, kind, query)
	if err != nil {
		return err
	}
	for _, object := range declared {
		at := slices.IndexFunc(known, func(k T) bool { return name(k) == name(object) })
		if at >= 0 && reflect.DeepEqual(known[at], object) {
			continue
		}
		if _, err := a.tx.Exec(ctx, insert, values(object)...); err != nil {
			return refused(fmt.Sprintf("%s %s", kind, name(object)), err)
		}
		a.changes.note(kind, name(object), at >= 0)
	}
	return nil
}

// declared is the server without what became of it, fit to be compared.
func (s Server) declared() Server {
	s.State, s.StateReason, s.Instance, s.Holder, s.Unwiped, s.Hardware = "", "", "", "", "", nil
	return s
}

// checkHeld refuses to move a server while someone relies on where it is.
func checkHeld(known, declared Server) error {
	if known.Holder == "" {
		return nil
	}
	for _, field := range []struct{ name, from, to string }{
		{"site", known.Site, declared.Site},
		{"plan", known.Plan, declared.Plan},
		{"switch", known.Switch, declared.Switch},
		{"port", known.Port, declared.Port},
		{"mac", known.MAC, declared.MAC},
		{"bond", strconv.Itoa(known.Bond), strconv.Itoa(declared.Bond)},
	} {
		if field.from != field.to {
			return HeldChangeError{Server: known.Name, Holder: known.Holder, Field: field.name, From: field.from, To: field.to}
		}
	}
	if !slices.Equal(known.Others, declared.Others) {
		return HeldChangeError{Server: known.Name, Holder: known.Holder, Field: "uplinks", From: places(known.Others), To: places(declared.Others)}
	}
	return nil
}

// places are where cables lead to.
func places(uplinks []Uplink) string {
	var all []string
	for _, u := range uplinks {
		all = append(all, fmt.Sprintf("%s of %s", u.Port, u.Switch))
	}
	return cmp.Or(strings.Join(all, ", "), "none")
}

// checkSecrets keeps a secret that was given in place of a reference out of the database.
func checkSecrets(what string, refs ...SecretRef) error {
	for _, ref := range refs {
		if ref == "" {
			continue
		}
		if _, err := ParseSecretRef(string(ref)); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// refused turns the violation of a constraint (SQLSTATE class 23) into an InvalidError.
func refused(what string, err error) error {
	var violation *pgconn.PgError
	if errors.As(err, &violation) && len(violation.Code) == 5 && violation.Code[:2] == "23" {
		rule := violation.Message
		if violation.Code != checkViolation { // its detail is the whole row
			rule += ": " + violation.Detail
		}
		return InvalidError{What: what, Rule: rule}
	}
	if err != nil {
		return fmt.Errorf("apply %s: %w", what, err)
	}
	return nil
}
