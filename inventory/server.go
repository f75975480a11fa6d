package inventory

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"ferrodur/report"
)

// Server is one physical machine.
type Server struct {
	Name   string
	Site   string
	Rack   string
	Plan   string
	Uplink          // the one that it boots by
	Others []Uplink // further ones, to the same switch or to others
	// Bond is the number of the link aggregation group (IEEE 802.1AX) that all uplinks are in
	// for a tenant, 1 to 1000, on each switch that they lead to; 0: none.
	Bond int
	BMC  BMC
	Disk string // device path that images go onto; empty means the smallest that fits

	Declared Declared

	// The rest is not declared: it is what became of the server.

	State       ServerState
	StateReason string
	Instance    string           // the tenancy that it belongs to, if any
	Holder      string           // workflow ID of the only one that may move it, if any
	Unwiped     string           // the instance whose data may be on its disks, if any
	Hardware    *report.Hardware // what the agent found; nil before the first inspection
}

// MostBond is the largest number of a group that a server can be declared with.
const MostBond = 1000

// Uplink is a cable between a NIC of a server and a port of a switch.
type Uplink struct {
	Switch string `json:"switch"`
	Port   string `json:"port"`
	MAC    string `json:"mac"` // of the NIC, lower case with colons
}

// Uplinks are all cables of a server, the one that it boots by first.
func (s Server) Uplinks() []Uplink { return append([]Uplink{s.Uplink}, s.Others...) }

// BMC is a server's out-of-band controller.
type BMC struct {
	Address  string // host, or host:port
	User     string
	Password SecretRef
}

// Declared is the hardware that this one server should have, where it has more than its
// plan asks for. Zero means that it is not checked.
type Declared struct {
	CPUThreads int
	MemoryMiB  int
	DiskBytes  uint64 // of all disks together
}

// ServerFilter selects servers. Empty fields select all.
type ServerFilter struct {
	Site  string
	Plan  string
	State ServerState
}

const serverColumns = `SELECT name, site, rack, plan, switch, port, mac, bond, bmc_address, bmc_login, bmc_password, disk,
	cpu_threads, memory_mib, disk_bytes, state, state_reason,
	coalesce(instance, ''), coalesce(holder, ''), coalesce(unwiped, ''), hardware,
	(SELECT json_agg(json_build_object('switch', u.switch, 'port', u.port, 'mac', u.mac) ORDER BY place) FROM inventory.uplinks u WHERE u.server = servers.name)
	FROM inventory.servers`

func scanServer(row pgx.CollectableRow) (Server, error) {
	var s Server
	err := row.Scan(&s.Name, &s.Site, &s.Rack, &s.Plan, &s.Switch, &s.Port, &s.MAC, &s.Bond,
		&s.BMC.Address, &s.BMC.User, &s.BMC.Password, &s.Disk,
		&s.Declared.CPUThreads, &s.Declared.MemoryMiB, &s.Declared.DiskBytes, &s.State, &s.StateReason,
		&s.Instance, &s.Holder, &s.Unwiped, &s.Hardware, &s.Others)
	return s, err
}

// Server returns one server, or a NotFoundError.
func (s *Store) Server(ctx context.Context, name string) (Server, error) {
	return one(ctx, s.pool, scanServer, KindServer, name, serverColumns+` WHERE name = $1`, name)
}

// Servers lists the servers that the filter selects, by name.
func (s *Store) Servers(ctx context.Context, filter ServerFilter) ([]Server, error) {
	return list(ctx, s.pool, scanServer, KindServer, serverColumns+
		` WHERE ($1 = '' OR site = $1) AND ($2 = '' OR plan = $2) AND ($3 = '' OR state = $3) ORDER BY name`,
		filter.Site, filter.Plan, string(filter.State))
}

// lockServer reads a server and keeps others from changing it until tx ends.
func lockServer(ctx context.Context, tx pgx.Tx, name string) (Server, error) {
	return one(ctx, tx, scanServer, KindServer, name, serverColumns+` WHERE name = $1 FOR UPDATE`, name)
}

// Next lists the states that the server can go to from where it is: those of its state,
// but a tenant's server stays with the tenant, and without one it is nobody's.
func (s Server) Next() []ServerState {
	barred := []ServerState{Reserved, Provisioning, Active}
	if s.Instance != "" {
		barred = []ServerState{Enrolled, Inspecting, BurningIn, Available, Retired}
	}
	return slices.DeleteFunc(s.State.Next(), func(to ServerState) bool { return slices.Contains(barred, to) })
}
