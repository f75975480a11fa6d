package ipam

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Domain is a routing domain (VRF).
type Domain struct{ Name, Description string }

// Declaration is what there is to be. What it does not name stays as it is.
type Declaration struct {
	Domains  []Domain
	Prefixes []Prefix // containers and reserved ones
	Pools    []Pool
	Limits   []Limit
}

// Validate returns an *InvalidError, or nil: what can be found without a database.
func (d Declaration) Validate() error {
	for _, prefix := range d.Prefixes {
		if err := prefix.validate(); err != nil {
			return err
		}
	}
	for _, pool := range d.Pools {
		if err := pool.Validate(); err != nil {
			return err
		}
	}
	for i, l := range d.Limits {
		if err := l.validate(); err != nil {
			return err
		}
		if slices.ContainsFunc(d.Limits[:i], func(other Limit) bool { return other.Tenant == l.Tenant && other.Family == l.Family }) {
			return &InvalidError{What: "limit of " + l.Tenant, Reason: fmt.Sprintf("its %s limit is there twice", l.Family)}
		}
	}
	return nil
}

// Changes says what a declaration did, a line an object: "pool v4".
type Changes struct {
	Added, Changed []string
}

func (d *Changes) note(what string, known, changed bool) {
	switch {
	case !known:
		d.Added = append(d.Added, what)
	case changed:
		d.Changed = append(d.Changed, what)
	}
}

// DeclareIn makes the database hold what is declared, within a transaction of the
// caller's, which is to be rolled back after an error.
//
// Errors: *InvalidError, *NoDomainError, *OverlapError, *InUseError.
func (s *Store) DeclareIn(ctx context.Context, tx pgx.Tx, d Declaration, by By) (done Changes, err error) {
	if err := d.Validate(); err != nil {
		return done, err
	}
	for _, domain := range d.Domains {
		if err := declareDomain(ctx, tx, domain, &done); err != nil {
			return done, fmt.Errorf("declare routing domain %s: %w", domain.Name, err)
		}
	}
	for _, prefix := range d.Prefixes {
		if err := declarePrefix(ctx, tx, prefix, by, &done); err != nil {
			return done, fmt.Errorf("declare prefix %s: %w", prefix.Prefix, err)
		}
	}
	pools := slices.Clone(d.Pools)
	for i := range pools {
		pools[i] = pools[i].WithDefaults()
	}
	if err := lockUses(ctx, tx, pools); err != nil {
		return done, fmt.Errorf("declare pools: %w", err)
	}
	for _, pool := range pools {
		if err := declarePool(ctx, tx, pool, by, &done); err != nil {
			return done, fmt.Errorf("declare pool %s: %w", pool.Name, err)
		}
	}
	for _, limit := range d.Limits {
		if err := declareLimit(ctx, tx, limit, &done); err != nil {
			return done, fmt.Errorf("declare the limit of %s: %w", limit.Tenant, err)
		}
	}
	return done, nil
}

func exists(ctx context.Context, tx pgx.Tx, statement string, args ...any) (known bool, err error) {
	err = tx.QueryRow(ctx, "SELECT EXISTS ("+statement+")", args...).Scan(&known)
	return known, err
}

func declareDomain(ctx context.Context, tx pgx.Tx, domain Domain, done *Changes) error {
	if domain.Name == "" {
		return &InvalidError{What: "routing domain", Reason: "it needs a name"}
	}
	known, err := exists(ctx, tx, `SELECT FROM ipam.domains WHERE name = $1`, domain.Name)
	if err != nil {
		return err
	}
	if !known {
		done.note("domain "+domain.Name, false, true)
		_, err := tx.Exec(ctx, `SELECT ipam.create_domain($1, $2)`, domain.Name, domain.Description)
		return err
	}
	changed, err := tx.Exec(ctx, `UPDATE ipam.domains SET description = $2 WHERE name = $1 AND description <> $2`, domain.Name, domain.Description)
	done.note("domain "+domain.Name, true, changed.RowsAffected() > 0)
	return err
}

func declarePrefix(ctx context.Context, tx pgx.Tx, prefix Prefix, by By, done *Changes) error {
	domain, err := domainID(ctx, tx, cmp.Or(prefix.Domain, DefaultDomain))
	if err != nil {
		return err
	}
	known, err := exists(ctx, tx, `SELECT FROM ipam.prefixes WHERE domain = $1 AND prefix = $2`, domain, prefix.Prefix)
	if err != nil {
		return err
	}
	changed, err := putPrefix(ctx, tx, domain, prefix, by)
	done.note("prefix "+prefix.Prefix.String(), known, changed)
	return err
}

func declarePool(ctx context.Context, tx pgx.Tx, pool Pool, by By, done *Changes) error {
	domain, err := domainID(ctx, tx, pool.Domain)
	if err != nil {
		return err
	}
	known, err := exists(ctx, tx, `SELECT FROM ipam.prefixes WHERE domain = $1 AND name = $2 AND kind = 'pool'`, domain, pool.Name)
	if err != nil {
		return err
	}
	if err := apart(ctx, tx, domain, pool); err != nil {
		return err
	}
	changed, err := put(ctx, tx, pool, by)
	done.note("pool "+pool.Name, known, changed)
	return err
}

// apart finds what a pool would share addresses with, to name it: the schema's constraint
// only refuses.
func apart(ctx context.Context, tx pgx.Tx, domain int32, pool Pool) error {
	rows, err := tx.Query(ctx, `SELECT concat_ws(' ', kind, nullif(name, ''), prefix) FROM ipam.prefixes
		WHERE domain = $1 AND prefix && $2::inet AND (kind <> 'container' OR prefix = $2) AND NOT (kind = 'pool' AND name = $3) ORDER BY prefix LIMIT 1`,
		domain, pool.Prefix, pool.Name)
	if err != nil {
		return err
	}
	others, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err == nil && len(others) > 0 {
		err = &OverlapError{Pool: pool.Name, Prefix: pool.Prefix, Other: others[0]}
	}
	return err
}

func declareLimit(ctx context.Context, tx pgx.Tx, limit Limit, done *Changes) error {
	known, err := exists(ctx, tx, `SELECT FROM ipam.limits WHERE tenant = $1 AND family = $2`, limit.Tenant, limit.Family)
	if err != nil {
		return err
	}
	changed, err := tx.Exec(ctx, `INSERT INTO ipam.limits (tenant, family, addresses) VALUES ($1, $2, $3)
		ON CONFLICT (tenant, family) DO UPDATE SET addresses = excluded.addresses WHERE limits.addresses <> excluded.addresses`,
		limit.Tenant, limit.Family, limit.Addresses)
	done.note(fmt.Sprintf("%s limit of %s", limit.Family, limit.Tenant), known, changed.RowsAffected() > 0)
	return err
}
