package ipam

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Imported says what an import changed.
type Imported struct {
	Prefixes    int // added
	Allocations int // added
	Unchanged   int
}

// Import makes the database hold what records say, all of it or nothing. What it holds
// already is left as it is; a record that contradicts it is an error. Prefixes may come in
// any order, and before or after what lies in them. Its error is ImportErrors where records
// are wrong: all that can be found at once.
func (s *Store) Import(ctx context.Context, records []Record, by By) (Imported, error) {
	return s.importRecords(ctx, records, by, nil)
}

// CheckImport says what Import would do, and changes nothing.
func (s *Store) CheckImport(ctx context.Context, records []Record, by By) (Imported, error) {
	return s.importRecords(ctx, records, by, errCheckOnly)
}

// errCheckOnly ends the transaction of a check.
var errCheckOnly = errors.New("only checked")

func (s *Store) importRecords(ctx context.Context, records []Record, by By, end error) (Imported, error) {
	var (
		wrong ImportErrors
		all   []parsed
	)
	for _, record := range records {
		p, err := record.parse()
		if err != nil {
			wrong = append(wrong, &LineError{Line: record.Line, Err: err})
			continue
		}
		all = append(all, p)
	}
	if wrong = append(wrong, contradictions(all)...); len(wrong) > 0 {
		return Imported{}, wrong.sorted()
	}
	i := importing{by: by, domains: map[string]int32{}}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		i.tx = tx
		return cmp.Or(i.run(ctx, all), end)
	})
	if wrong := (ImportErrors)(nil); errors.As(err, &wrong) {
		return Imported{}, wrong.sorted()
	}
	if err != nil && !errors.Is(err, errCheckOnly) {
		return Imported{}, fmt.Errorf("import: %w", err)
	}
	return i.done, nil
}

func (e ImportErrors) sorted() ImportErrors {
	slices.SortStableFunc(e, func(a, b *LineError) int { return cmp.Compare(a.Line, b.Line) })
	return e
}

// contradictions finds lines of a file that cannot both be.
func contradictions(all []parsed) (wrong ImportErrors) {
	first := map[any]int{}
	claim := func(line int, what string, key any) {
		if at, taken := first[key]; taken {
			wrong = append(wrong, &LineError{Line: line, Err: fmt.Errorf("%s is on line %d already", what, at)})
			return
		}
		first[key] = line
	}
	type place struct {
		domain string
		prefix netip.Prefix
	}
	type name struct{ domain, pool string }
	type owned struct {
		domain string
		key    key
	}
	var allocations []parsed
	for _, p := range all {
		if a := p.allocation; a != nil {
			allocations = append(allocations, p)
			if a.ReleasedAt.IsZero() {
				claim(p.line, fmt.Sprintf("what %s holds by the name %q", a.Owner, a.Name), owned{a.Domain, a.key()})
			}
			continue
		}
		claim(p.line, p.prefix.Prefix.String(), place{p.prefix.Domain, p.prefix.Prefix})
		if p.pool != nil {
			claim(p.line, "pool "+p.pool.Name, name{p.pool.Domain, p.pool.Name})
		}
	}
	// In this order, what lies in a prefix comes right behind it.
	slices.SortFunc(allocations, func(a, b parsed) int {
		return cmp.Or(cmp.Compare(a.allocation.Domain, b.allocation.Domain), a.allocation.Prefix.Compare(b.allocation.Prefix), cmp.Compare(a.line, b.line))
	})
	for i := 1; i < len(allocations); i++ {
		outer, inner := allocations[i-1], allocations[i]
		if outer.allocation.Domain != inner.allocation.Domain || !covers(outer.allocation.Prefix, inner.allocation.Prefix) {
			continue
		}
		at, other := inner, outer
		if at.line < other.line {
			at, other = outer, inner
		}
		wrong = append(wrong, &LineError{Line: at.line, Err: fmt.Errorf("%s overlaps %s on line %d", at.allocation.Prefix, other.allocation.Prefix, other.line)})
		allocations[i] = outer // what comes behind may lie in it too
	}
	return wrong
}

// importing is one import under way.
type importing struct {
	tx      pgx.Tx
	by      By
	domains map[string]int32
	done    Imported
}

func (i *importing) run(ctx context.Context, all []parsed) error {
	wrong := i.findDomains(ctx, all)
	if len(wrong) > 0 {
		return wrong
	}
	var (
		prefixes, allocations []parsed
		pools                 []Pool
	)
	for _, p := range all {
		if p.allocation != nil {
			allocations = append(allocations, p)
			continue
		}
		prefixes = append(prefixes, p)
		if p.pool != nil {
			pools = append(pools, *p.pool)
		}
	}
	// Nobody allocates meanwhile: neither from these pools, nor from those that are there.
	if err := i.lockAll(ctx, pools); err != nil {
		return err
	}
	if err := i.wake(ctx); err != nil {
		return err
	}
	for _, p := range prefixes {
		if err := i.putPrefix(ctx, p); err != nil {
			return err
		}
	}
	return i.putAllocations(ctx, allocations)
}

func (i *importing) findDomains(ctx context.Context, all []parsed) (wrong ImportErrors) {
	for _, p := range all {
		domain := ""
		if p.allocation != nil {
			domain = p.allocation.Domain
		} else {
			domain = p.prefix.Domain
		}
		if _, known := i.domains[domain]; known {
			continue
		}
		id, err := domainID(ctx, i.tx, domain)
		if err != nil {
			wrong = append(wrong, &LineError{Line: p.line, Err: fmt.Errorf("vrf: %w", err)})
			continue
		}
		i.domains[domain] = id
	}
	return wrong
}

func (i *importing) lockAll(ctx context.Context, pools []Pool) error {
	rows, err := i.tx.Query(ctx, `SELECT d.name, p.site, p.role FROM ipam.prefixes p JOIN ipam.domains d ON d.id = p.domain WHERE p.kind = 'pool'`)
	if err != nil {
		return err
	}
	there, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Pool, err error) {
		err = row.Scan(&p.Domain, &p.Site, &p.Role)
		return p, err
	})
	if err != nil {
		return err
	}
	return lockUses(ctx, i.tx, append(pools, there...))
}

// wake makes free what has rested, so that it is in nobody's way.
func (i *importing) wake(ctx context.Context) error {
	rows, err := i.tx.Query(ctx, `
		WITH rested AS (DELETE FROM ipam.allocations WHERE released_at IS NOT NULL AND rests_until <= clock_timestamp() RETURNING domain, pool, prefix)
		SELECT r.prefix, p.id, p.prefix FROM rested r JOIN ipam.prefixes p ON p.domain = r.domain AND p.id = r.pool WHERE p.source = ''`)
	if err != nil {
		return err
	}
	var (
		prefix netip.Prefix
		pool   freeSpace
		pools  = map[int64]*freeSpace{}
		rested = map[int64][]netip.Prefix{}
	)
	if _, err := pgx.ForEachRow(rows, []any{&prefix, &pool.pool, &pool.prefix}, func() error {
		if pools[pool.pool] == nil {
			pools[pool.pool] = newFreeSpace(pool.pool, pool.prefix)
		}
		rested[pool.pool] = append(rested[pool.pool], prefix)
		return nil
	}); err != nil {
		return err
	}
	var batch pgx.Batch
	for id, free := range pools {
		if err := free.give(ctx, i.tx, rested[id]); err != nil {
			return err
		}
		free.store(&batch)
	}
	return i.tx.SendBatch(ctx, &batch).Close()
}

// putPrefix declares a prefix of the tree that is not there. A refusal of the database ends
// its transaction, so that it is the last error that is found.
func (i *importing) putPrefix(ctx context.Context, p parsed) (err error) {
	there, err := i.there(ctx, p)
	if err != nil {
		return err
	}
	if there != nil {
		if err := p.contradicts(*there); err != nil {
			return ImportErrors{{Line: p.line, Err: err}}
		}
		i.done.Unchanged++
		return nil
	}
	changed := false
	if p.pool != nil {
		err = apart(ctx, i.tx, i.domains[p.prefix.Domain], *p.pool)
		if err == nil {
			changed, err = put(ctx, i.tx, *p.pool, i.by)
		}
	} else {
		changed, err = putPrefix(ctx, i.tx, i.domains[p.prefix.Domain], *p.prefix, i.by)
	}
	overlap, inUse, invalid := new(OverlapError), new(InUseError), new(InvalidError)
	switch {
	case errors.As(err, &overlap), errors.As(err, &inUse), errors.As(err, &invalid):
		return ImportErrors{{Line: p.line, Err: err}}
	case err != nil:
		return err
	case changed:
		i.done.Prefixes++
	default:
		i.done.Unchanged++
	}
	return nil
}

// there is the record of what is declared already in the place of another one: of the same
// prefix, or a pool of the same name; nil: nothing.
func (i *importing) there(ctx context.Context, p parsed) (*Record, error) {
	name := ""
	if p.pool != nil {
		name = p.pool.Name
	}
	rows, err := i.tx.Query(ctx, `SELECT p.quarantine, p.threshold, p.source, `+prefixColumns+` FROM ipam.prefixes p
		WHERE p.domain = $1 AND (p.prefix = $2 OR p.kind = 'pool' AND p.name = $3) ORDER BY p.prefix = $2 DESC LIMIT 1`,
		i.domains[p.prefix.Domain], p.prefix.Prefix, name)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Record, error) {
		prefix, pool := Prefix{Domain: p.prefix.Domain}, Pool{}
		err := row.Scan(append([]any{&pool.Quarantine, &pool.Threshold, &pool.Source}, prefix.columns()...)...)
		return recordOf(prefix, pool), err
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// contradicts says where a record says other than what is there. What it does not say, it
// does not contradict.
func (p parsed) contradicts(there Record) error {
	is := p.record
	if is.Pool == "" && p.pool != nil && there.Pool == there.Prefix {
		is.Pool = there.Pool
	}
	quarantine := ""
	if is.Quarantine != "" {
		quarantine = p.pool.Quarantine.String()
	}
	for _, field := range []struct{ name, is, there string }{
		{"prefix", p.prefix.Prefix.String(), there.Prefix},
		{"is_pool", strconv.FormatBool(is.IsPool), strconv.FormatBool(there.IsPool)},
		{"status", is.Status, there.Status},
		{"site", is.ScopeName, there.ScopeName},
		{"role", is.Role, there.Role},
		{"tenant", is.Tenant, there.Tenant},
		{"description", is.Description, there.Description},
		{"tags", strings.Join(splitTags(is.Tags), ","), there.Tags},
		{"cf_ferrodur_pool", is.Pool, there.Pool},
		{"cf_ferrodur_plan", is.Plan, there.Plan},
		{"cf_ferrodur_source", is.Source, there.Source},
		{"cf_ferrodur_quarantine", quarantine, there.Quarantine},
		{"cf_ferrodur_threshold", strings.TrimPrefix(strconv.Itoa(is.Threshold), "0"), strconv.Itoa(there.Threshold)},
	} {
		if field.is != "" && field.is != field.there {
			return fmt.Errorf("%s is declared already, with the %s %q and not %q: change it with starter apply, or leave the line out",
				there.Prefix, field.name, field.there, field.is)
		}
	}
	return nil
}
