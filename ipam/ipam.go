// Package ipam keeps addresses on PostgreSQL: pools of prefixes, and the links allocated
// from them. A double allocation is impossible by a constraint of the schema; what is
// asked again by the same owner is answered with what he holds. It knows nothing of who
// its owners are.
//
// Allocation is first-fit: the lowest free link of the first pool, in the order of the
// pools' names, that has one. A released link rests for the pool's quarantine before it
// is handed out again.
package ipam

import (
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Role says what the addresses of a pool are for.
type Role string

// The roles.
const (
	Tenant       Role = "tenant"       // links of instances
	Provisioning Role = "provisioning" // links of servers to the boot service
)

// Pool is a prefix that links are allocated from.
type Pool struct {
	Name       string
	Site       string
	Role       Role
	Prefix     netip.Prefix  // IPv4 or IPv6, no bits set behind the length
	Quarantine time.Duration // how long a released link rests; 0 for not at all
}

// Request asks for the links of one owner: one of each family that the site has pools of
// the role for.
type Request struct {
	Owner string // the caller's key, such as "instance/o-1"
	Site  string
	Role  Role
}

// Link is a point-to-point network: an IPv4 /31 (RFC 3021) or an IPv6 /127 (RFC 6164).
// Both of its addresses can be used. The zero Link is none.
type Link struct {
	Pool   string
	Prefix netip.Prefix
}

// Switch is the switch's side: the lower address, with the length of the link.
func (l Link) Switch() netip.Prefix { return l.Prefix }

// Host is the server's side: the upper address, with the length of the link.
func (l Link) Host() netip.Prefix {
	return netip.PrefixFrom(l.Prefix.Addr().Next(), l.Prefix.Bits())
}

// Links are what one Request was answered with. A family that the site has no pool for is
// the zero Link.
type Links struct {
	IPv4, IPv6 Link
}

// Allocation is a link with its owner. RestsUntil is zero while it is held; after its
// release it tells when the link may be handed out again.
type Allocation struct {
	Link
	Owner       string
	AllocatedAt time.Time
	RestsUntil  time.Time
}

// Filter selects allocations. Empty fields select all; Resting adds what was released and
// rests.
type Filter struct {
	Owner   string
	Pool    string
	Site    string
	Resting bool
}

// PoolUsage is a pool with how many of its links are held, rest and are free. Capacities
// above 2^63-1 links are cut off there.
type PoolUsage struct {
	Pool
	Capacity, Held, Resting int64
}

// Store keeps addresses in one database. It is safe for concurrent use.
type Store struct {
	pool *pgxpool.Pool
}

// New returns the store on a database that Migrate has prepared.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// linkBits is the prefix length of a link of an address's family.
func linkBits(address netip.Addr) int { return address.BitLen() - 1 }
