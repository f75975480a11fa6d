// Package ipam keeps addresses on PostgreSQL: routing domains, a tree of prefixes in each,
// and what is allocated out of those prefixes that are pools. A double allocation is
// impossible by a constraint of the schema; what is asked again by the same owner is
// answered with what he holds. It knows nothing of who its owners are.
//
// Free space is kept as aligned blocks. An allocation takes the smallest block that fits,
// of those the lowest, from the first pool in the order of names that has one. What is
// released rests for the pool's quarantine before it is handed out again. Requests for
// the same pools that wait together are served by one transaction.
package ipam

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// DefaultDomain is the routing domain of who names none.
const DefaultDomain = "default"

// Role says what the addresses of a pool are for.
type Role string

// The roles. Ferrodur asks by itself for links only.
const (
	Tenant       Role = "tenant"       // links of instances
	Provisioning Role = "provisioning" // links of servers to the boot service
	Routed       Role = "routed"       // blocks that are routed to their owners
	Elastic      Role = "elastic"      // blocks that customers keep and move
	Service      Role = "service"      // single addresses: of a service, a loopback, a person
)

// Pool is a prefix that is allocated from.
type Pool struct {
	Domain      string // empty: DefaultDomain
	Name        string
	Site        string
	Role        Role
	Prefix      netip.Prefix // IPv4 or IPv6, no bits set behind the length
	Plan        string       // if set, for this plan only
	Tenant      string       // if set, for this tenant only
	Quarantine  time.Duration
	Threshold   int    // percent in use from which it is reported, 1 to 100; 0: DefaultThreshold
	Source      string // the outside system that is the truth for it; empty: this database
	Tags        []string
	Description string
}

// DefaultThreshold is the threshold of a pool that names none, in percent.
const DefaultThreshold = 90

// WithDefaults fills in what is left out.
func (p Pool) WithDefaults() Pool {
	p.Domain = cmp.Or(p.Domain, DefaultDomain)
	p.Threshold = cmp.Or(p.Threshold, DefaultThreshold)
	p.Tags = append([]string{}, p.Tags...)
	return p
}

// Roles are all of them.
var Roles = []Role{Tenant, Provisioning, Routed, Elastic, Service}

// Kind says what an allocation is.
type Kind string

// The kinds of allocation.
const (
	KindLink     Kind = "link"     // point to point: /31 (RFC 3021) or /127 (RFC 6164), unless a length is asked for
	KindAddress  Kind = "address"  // one address: /32 or /128
	KindBlock    Kind = "block"    // a prefix of a length, routed to the owner
	KindElastic  Kind = "elastic"  // a block that its owner keeps and moves between instances
	KindReserved Kind = "reserved" // never handed out
)

// Request asks for allocations of one owner out of the pools of one role at a site. All of
// it is given, or nothing.
type Request struct {
	Owner  string // the caller's key, such as "instance/o-1"
	Domain string // empty: DefaultDomain
	Site   string
	Role   Role
	Plan   string // of the instance, where pools are kept for plans
	Tenant string // where pools are kept for tenants, and whose limit counts
	Wants  []Want
	By     By
}

// Want is one allocation of a Request. With its owner, name and family it is the key: asked
// again, it is answered with the same prefix.
type Want struct {
	Name   string // tells the owner's allocations apart; may be empty
	Kind   Kind   // empty: KindLink
	Family Family
	Bits   int          // prefix length; 0: the kind's own, none for blocks
	Chosen netip.Prefix // this very one, or none; its length goes before Bits
	Reason string       // of a reservation
	// IfPooled leaves the want out where the site has no pool of the family for the role.
	IfPooled bool

	outside outcome
}

// By says on whose behalf something is changed. It is kept in the history.
type By struct {
	Actor    string // a person or a program
	Workflow string // workflow ID, if there is one
}

// Family is an address family: 4 or 6.
type Family int

// The families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

func (f Family) String() string {
	if f == IPv4 {
		return "IPv4"
	}
	return "IPv6"
}

// bits is the length of an address.
func (f Family) bits() int {
	if f == IPv4 {
		return 32
	}
	return 128
}

func familyOf(address netip.Addr) Family {
	if address.Is4() {
		return IPv4
	}
	return IPv6
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

// Links are what AllocateLinks answers. A family that the site has no pool for is the zero
// Link.
type Links struct {
	IPv4, IPv6 Link
}

// Allocation is a prefix with its owner. RestsUntil is zero while it is held; after its
// release it tells when the prefix may be handed out again.
type Allocation struct {
	Link
	Domain      string
	Kind        Kind
	Owner       string
	Name        string
	Tenant      string
	Instance    string // of an elastic block: where it is now
	Reason      string // of a reservation
	AllocatedAt time.Time
	RestsUntil  time.Time
}

// Filter selects allocations. Empty fields select all; Resting adds what was released and
// rests.
type Filter struct {
	Owner    string
	Pool     string
	Site     string
	Domain   string
	Name     string
	Instance string // that an elastic block is at
	Resting  bool
}

// Store keeps addresses in one database. It is safe for concurrent use.
type Store struct {
	pool    *pgxpool.Pool
	desks   desks
	domains domains
	sources map[string]Source
}

// New returns the store on a database that Migrate has prepared.
func New(pool *pgxpool.Pool, options ...Option) *Store {
	s := &Store{pool: pool, sources: map[string]Source{}}
	for _, option := range options {
		option(s)
	}
	return s
}
