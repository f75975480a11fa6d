package ipam

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// PrefixKind says what a prefix of the tree is for.
type PrefixKind string

// The kinds of prefix.
const (
	Container PrefixKind = "container" // holds other prefixes
	PoolKind  PrefixKind = "pool"      // is allocated from; see Pool
	Reserved  PrefixKind = "reserved"  // is not allocated from, nor is what lies in it
)

// Prefix is one in the tree of a routing domain.
type Prefix struct {
	Domain      string // empty: DefaultDomain
	Prefix      netip.Prefix
	Kind        PrefixKind
	Name        string // of a pool
	Site        string
	Tags        []string
	Description string
}

// Node is a prefix with its place in the tree and how full it is.
type Node struct {
	Prefix
	Depth int     // 0 at the top
	Held  float64 // addresses in allocations, here and below; exact up to 2^53
	Size  float64 // addresses
}

// CreateDomain makes a routing domain: an address space of its own, in which the prefixes
// of others may be used again. Creating it twice is creating it once.
func (s *Store) CreateDomain(ctx context.Context, name, description string) error {
	if name == "" {
		return &InvalidError{What: "routing domain", Reason: "it needs a name"}
	}
	_, err := s.pool.Exec(ctx, `SELECT ipam.create_domain($1, $2) WHERE NOT EXISTS (SELECT FROM ipam.domains WHERE name = $1)`, name, description)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23505" { // unique_violation: somebody else was quicker
		return nil
	}
	if err != nil {
		return fmt.Errorf("create routing domain %s: %w", name, err)
	}
	return nil
}

// PutPrefix declares a container or a reserved prefix. Pools are declared by PutPools.
//
// Errors: *InvalidError, *OverlapError.
func (s *Store) PutPrefix(ctx context.Context, p Prefix) error {
	if p.Kind != Container && p.Kind != Reserved {
		return &InvalidError{What: "prefix " + p.Prefix.String(), Reason: fmt.Sprintf("%q is neither %s nor %s", p.Kind, Container, Reserved)}
	}
	if err := checkPrefix(p.Prefix); err != nil {
		return &InvalidError{What: "prefix", Reason: err.Error()}
	}
	domain, err := s.domains.id(ctx, s.pool, cmp.Or(p.Domain, DefaultDomain))
	if err != nil {
		return err
	}
	tag, err := s.pool.Exec(ctx, `INSERT INTO ipam.prefixes (domain, prefix, kind, site, tags, description)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (domain, prefix) DO UPDATE SET kind = excluded.kind, site = excluded.site, tags = excluded.tags, description = excluded.description
		WHERE prefixes.kind <> 'pool'`, domain, p.Prefix, p.Kind, p.Site, append([]string{}, p.Tags...), p.Description)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23P01" || err == nil && tag.RowsAffected() == 0 {
		return &OverlapError{Pool: p.Prefix.String(), Prefix: p.Prefix}
	}
	if err != nil {
		return fmt.Errorf("declare prefix %s: %w", p.Prefix, err)
	}
	return nil
}

// Tree lists the prefixes of a routing domain, each after the one that it lies in.
func (s *Store) Tree(ctx context.Context, domain string) ([]Node, error) {
	domain = cmp.Or(domain, DefaultDomain)
	id, err := s.domains.id(ctx, s.pool, domain)
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, inDomain(id, `
		SELECT p.prefix, p.kind, p.name, p.site, p.tags, p.description, coalesce(a.held, 0)
		FROM ipam.prefixes p LEFT JOIN (
			SELECT pool, sum(2::float8 ^ (CASE family(prefix) WHEN 4 THEN 32 ELSE 128 END - masklen(prefix))) AS held
			FROM ipam.allocations WHERE released_at IS NULL GROUP BY pool) a ON a.pool = p.id
		WHERE p.domain = $1 ORDER BY p.prefix`), id)
	if err != nil {
		return nil, fmt.Errorf("list the prefixes of %s: %w", domain, err)
	}
	nodes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (n Node, err error) {
		err = row.Scan(&n.Prefix.Prefix, &n.Kind, &n.Name, &n.Site, &n.Tags, &n.Description, &n.Held)
		n.Domain, n.Size = domain, addresses(n.Prefix.Prefix)
		return n, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the prefixes of %s: %w", domain, err)
	}
	nest(nodes)
	return nodes, nil
}

// nest finds the depth of nodes in the order of their prefixes, and adds what each holds to
// all that it lies in.
func nest(nodes []Node) {
	var above []int // the nodes that the one at hand lies in, outermost first
	for i := range nodes {
		for len(above) > 0 && !covers(nodes[above[len(above)-1]].Prefix.Prefix, nodes[i].Prefix.Prefix) {
			above = above[:len(above)-1]
		}
		nodes[i].Depth = len(above)
		for _, outer := range above {
			nodes[outer].Held += nodes[i].Held
		}
		above = append(above, i)
	}
}

// Holder is what an address lies in.
type Holder struct {
	Prefixes   []Prefix    // of the tree, from the widest to the narrowest
	Allocation *Allocation // that has the address, also if it rests; nil if none has
}

// HolderOf finds what an address, or a prefix, lies in.
func (s *Store) HolderOf(ctx context.Context, domain string, of netip.Prefix) (Holder, error) {
	domain = cmp.Or(domain, DefaultDomain)
	if err := checkPrefix(of); err != nil {
		return Holder{}, &InvalidError{What: "address", Reason: err.Error()}
	}
	id, err := s.domains.id(ctx, s.pool, domain)
	if err != nil {
		return Holder{}, err
	}
	var holder Holder
	above := supernets(of, 0)
	rows, err := s.pool.Query(ctx, `SELECT prefix, kind, name, site, tags, description FROM ipam.prefixes
		WHERE domain = $1 AND prefix = ANY($2) ORDER BY masklen(prefix)`, id, above)
	if err != nil {
		return Holder{}, fmt.Errorf("look up %s: %w", of, err)
	}
	holder.Prefixes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Prefix, err error) {
		p.Domain = domain
		err = row.Scan(&p.Prefix, &p.Kind, &p.Name, &p.Site, &p.Tags, &p.Description)
		return p, err
	})
	if err != nil {
		return Holder{}, fmt.Errorf("look up %s: %w", of, err)
	}
	rows, err = s.pool.Query(ctx, inDomain(id, allocationColumns)+` WHERE a.prefix = ANY($1)`, above)
	if err != nil {
		return Holder{}, fmt.Errorf("look up %s: %w", of, err)
	}
	found, err := pgx.CollectRows(rows, scanAllocation)
	if err != nil {
		return Holder{}, fmt.Errorf("look up %s: %w", of, err)
	}
	if len(found) > 0 {
		holder.Allocation = &found[0]
	}
	return holder, nil
}
