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
	Role        Role   // of a pool
	Plan        string // of a pool
	Tenant      string // of a pool
	Tags        []string
	Description string
}

const prefixColumns = `p.prefix, p.kind, p.name, p.site, p.role, p.plan, p.tenant, p.tags, p.description`

func (p *Prefix) columns() []any {
	return []any{&p.Prefix, &p.Kind, &p.Name, &p.Site, &p.Role, &p.Plan, &p.Tenant, &p.Tags, &p.Description}
}

// describePrefix is a prefix p as the history keeps it: without what only pools have, if it
// is none.
const describePrefix = `to_jsonb(p) - CASE p.kind WHEN 'pool' THEN '{domain,id,prefix,kind}'
	ELSE '{domain,id,prefix,kind,name,role,plan,tenant,quarantine,threshold,source}' END::text[]`

// recordPrefix records what became of a prefix, and says whether anything did.
func recordPrefix(ctx context.Context, tx pgx.Tx, domain int32, id int64, before []byte, by By) (changed bool, err error) {
	done, err := tx.Exec(ctx, `INSERT INTO ipam.history (domain, prefix, action, kind, actor, workflow, before, after)
		SELECT p.domain, p.prefix, 'declare', p.kind, $3, $4, $5::jsonb, `+describePrefix+`
		FROM ipam.prefixes p WHERE p.domain = $1 AND p.id = $2 AND (`+describePrefix+`) IS DISTINCT FROM $5::jsonb`,
		domain, id, by.Actor, by.Workflow, before)
	return done.RowsAffected() > 0, err
}

// PutPrefix declares a container or a reserved prefix. Pools are declared by PutPools.
//
// Errors: *InvalidError, *NoDomainError, *OverlapError.
func (s *Store) PutPrefix(ctx context.Context, p Prefix, by By) error {
	if err := p.validate(); err != nil {
		return err
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		domain, err := domainID(ctx, tx, cmp.Or(p.Domain, DefaultDomain))
		if err != nil {
			return err
		}
		_, err = putPrefix(ctx, tx, domain, p, by)
		return err
	})
	if err != nil {
		return fmt.Errorf("declare prefix %s: %w", p.Prefix, err)
	}
	return nil
}

func (p Prefix) validate() error {
	invalid := func(reason string) error { return &InvalidError{What: "prefix " + p.Prefix.String(), Reason: reason} }
	if p.Kind != Container && p.Kind != Reserved {
		return invalid(fmt.Sprintf("%q is neither %s nor %s", p.Kind, Container, Reserved))
	}
	if err := checkPrefix(p.Prefix); err != nil {
		return &InvalidError{What: "prefix", Reason: err.Error()}
	}
	if err := checkTags(p.Tags); err != nil {
		return invalid(err.Error())
	}
	if err := checkTexts(p.Site, p.Description); err != nil {
		return invalid(err.Error())
	}
	return nil
}

func putPrefix(ctx context.Context, tx pgx.Tx, domain int32, p Prefix, by By) (changed bool, err error) {
	var before []byte
	err = tx.QueryRow(ctx, `SELECT `+describePrefix+` FROM ipam.prefixes p WHERE domain = $1 AND prefix = $2 FOR NO KEY UPDATE`, domain, p.Prefix).Scan(&before)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, err
	}
	var id int64
	err = tx.QueryRow(ctx, `INSERT INTO ipam.prefixes (domain, prefix, kind, site, tags, description)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (domain, prefix) DO UPDATE SET kind = excluded.kind, site = excluded.site, tags = excluded.tags, description = excluded.description
		WHERE prefixes.kind <> 'pool' RETURNING id`, domain, p.Prefix, p.Kind, p.Site, append([]string{}, p.Tags...), p.Description).Scan(&id)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23P01" || errors.Is(err, pgx.ErrNoRows) { // exclusion_violation, or a pool
		return false, &OverlapError{Pool: p.Prefix.String(), Prefix: p.Prefix}
	}
	if err != nil {
		return false, err
	}
	return recordPrefix(ctx, tx, domain, id, before, by)
}

// Remove takes a prefix out of the tree. What lies in it stays, one level up. A pool goes
// only when nothing of it is held or rests.
//
// Errors: *InUseError, *NoDomainError, *InvalidError where there is no such prefix.
func (s *Store) Remove(ctx context.Context, domain string, prefix netip.Prefix, by By) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		id, err := domainID(ctx, tx, cmp.Or(domain, DefaultDomain))
		if err != nil {
			return err
		}
		return removePrefix(ctx, tx, id, prefix, by)
	})
	if err != nil {
		return fmt.Errorf("remove prefix %s: %w", prefix, err)
	}
	return nil
}

func removePrefix(ctx context.Context, tx pgx.Tx, domain int32, prefix netip.Prefix, by By) error {
	var (
		p      Pool
		id     int64
		kind   PrefixKind
		before []byte
	)
	find := `SELECT p.id, p.kind, p.name, p.site, p.role, d.name, ` + describePrefix + `
		FROM ipam.prefixes p JOIN ipam.domains d ON d.id = p.domain WHERE p.domain = $1 AND p.prefix = $2 FOR UPDATE OF p`
	err := tx.QueryRow(ctx, find, domain, prefix).Scan(&id, &kind, &p.Name, &p.Site, &p.Role, &p.Domain, &before)
	if errors.Is(err, pgx.ErrNoRows) {
		return &InvalidError{What: "prefix " + prefix.String(), Reason: "it is not declared"}
	}
	if err != nil {
		return err
	}
	if kind == PoolKind {
		if err := lockUses(ctx, tx, []Pool{p}); err != nil {
			return err
		}
		if err := unused(ctx, tx, domain, id, p.Name, "declaration"); err != nil {
			return err
		}
	}
	var batch pgx.Batch
	// What has rested and was not woken yet.
	batch.Queue(`DELETE FROM ipam.allocations WHERE domain = $1 AND pool = $2`, domain, id)
	batch.Queue(`DELETE FROM ipam.free WHERE pool = $1`, id)
	batch.Queue(`DELETE FROM ipam.prefixes WHERE domain = $1 AND id = $2`, domain, id)
	batch.Queue(`INSERT INTO ipam.history (domain, prefix, action, kind, actor, workflow, before) VALUES ($1, $2, 'remove', $3, $4, $5, $6)`,
		domain, prefix, kind, by.Actor, by.Workflow, before)
	return tx.SendBatch(ctx, &batch).Close()
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
	rows, err := s.pool.Query(ctx, `SELECT `+prefixColumns+` FROM ipam.prefixes p
		WHERE domain = $1 AND prefix = ANY($2) ORDER BY masklen(prefix)`, id, above)
	if err != nil {
		return Holder{}, fmt.Errorf("look up %s: %w", of, err)
	}
	holder.Prefixes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Prefix, err error) {
		p.Domain = domain
		err = row.Scan(p.columns()...)
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

// PoolOf finds the pool that an address lies in.
//
// Errors: *InvalidError where it lies in none.
func (s *Store) PoolOf(ctx context.Context, domain string, address netip.Addr) (Pool, error) {
	holder, err := s.HolderOf(ctx, domain, netip.PrefixFrom(address, address.BitLen()))
	if err != nil {
		return Pool{}, err
	}
	for _, p := range holder.Prefixes {
		if p.Kind == PoolKind {
			return Pool{Domain: p.Domain, Name: p.Name, Site: p.Site, Role: p.Role, Prefix: p.Prefix, Plan: p.Plan, Tenant: p.Tenant}, nil
		}
	}
	return Pool{}, &InvalidError{What: "address " + address.String(), Reason: "it is of no pool"}
}
