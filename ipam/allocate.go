package ipam

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Allocate gives an owner what he wants: all of it, or nothing. The answers are in the
// order of the wants; that of a want left out (IfPooled) is the zero Allocation. Asked
// again, the answer is the same.
//
// Errors: *NoDomainError, ErrNoPool, *ExhaustedError, *TakenError, *LimitError, *InvalidError; of pools kept
// outside, *ConflictError, and *SourceError while that system is away.
func (s *Store) Allocate(ctx context.Context, r Request) ([]Allocation, error) {
	r, err := r.normal()
	if err != nil {
		return nil, err
	}
	answer, err := s.allocate(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("allocate for %s: %w", r.Owner, err)
	}
	return answer, nil
}

// AllocateLinks gives an owner one link of each family that the site has pools of the
// role for, as Allocate does. The request's wants are filled in.
func (s *Store) AllocateLinks(ctx context.Context, r Request) (Links, error) {
	uplinks, err := s.AllocateUplinks(ctx, r, 1)
	if err != nil {
		return Links{}, err
	}
	return uplinks[0], nil
}

// AllocateUplinks is AllocateLinks for a server with several uplinks, of which each has links
// of its own: all of them or none. The first one's are those of AllocateLinks.
func (s *Store) AllocateUplinks(ctx context.Context, r Request, uplinks int) ([]Links, error) {
	r.Wants = nil
	for n := range uplinks {
		name := string(r.Role)
		if n > 0 {
			name = fmt.Sprintf("%s-%d", r.Role, n+1)
		}
		r.Wants = append(r.Wants, Want{Name: name, Family: IPv4, IfPooled: true}, Want{Name: name, Family: IPv6, IfPooled: true})
	}
	answer, err := s.Allocate(ctx, r)
	if err != nil {
		return nil, err
	}
	links := make([]Links, uplinks)
	for n := range links {
		links[n] = Links{IPv4: answer[2*n].Link, IPv6: answer[2*n+1].Link}
	}
	return links, nil
}

// poolUse is what pools are chosen by, and what is locked together.
type poolUse struct {
	domain, site string
	role         Role
}

// poolRow is a pool with its free space.
type poolRow struct {
	Pool
	id   int64
	free *freeSpace
}

// serves says whether a pool is for a request and a family.
func (p poolRow) serves(r Request, family Family) bool {
	return familyOf(p.Prefix.Addr()) == family && (p.Plan == "" || p.Plan == r.Plan) && (p.Tenant == "" || p.Tenant == r.Tenant)
}

// take takes what is wanted, if it is free.
func (p poolRow) take(want Want) (netip.Prefix, bool) {
	if want.Chosen.IsValid() {
		return want.Chosen, p.free.takeChosen(want.Chosen)
	}
	return p.free.take(want.Bits)
}

// allocation is one transaction that serves a batch of requests for one use.
type allocation struct {
	conn    *pgx.Conn
	domain  int32
	use     poolUse
	calls   []*call[Request, []Allocation]
	pools   []poolRow
	held    map[key]Allocation
	limits  limits
	due     map[int64][]netip.Prefix // what has rested, by pool
	awake   bool                     // nothing is left that has rested
	fresh   []Allocation             // given in this transaction
	by      []By                     // on whose behalf, beside fresh
	outside []netip.Prefix           // given by outside systems
}

// key finds an allocation again.
type key struct {
	owner, name string
	family      Family
}

// allocateBatch serves the calls in one transaction, and two round trips where nothing has
// to be made free: one reads, the other writes.
func (s *Store) allocateBatch(ctx context.Context, use poolUse, calls []*call[Request, []Allocation]) error {
	domain, err := s.domains.id(ctx, s.pool, use.domain)
	if err != nil {
		return err
	}
	return s.pool.AcquireFunc(ctx, func(connection *pgxpool.Conn) error {
		a := &allocation{
			conn: connection.Conn(), domain: domain, use: use, calls: calls,
			held: map[key]Allocation{}, limits: limits{}, due: map[int64][]netip.Prefix{},
		}
		err := a.run(ctx)
		if err != nil {
			// A connection that cannot even do this is closed, which rolls back too.
			_, undone := a.conn.Exec(context.WithoutCancel(ctx), "rollback")
			err = errors.Join(err, undone)
		}
		return err
	})
}

func (a *allocation) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{a.read, a.wake, a.serveAll, a.write} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// read locks the pools, and brings what the batch can need of them. Whoever waits for the
// lock meanwhile gathers calls for his own transaction.
func (a *allocation) read(ctx context.Context) error {
	var batch pgx.Batch
	batch.Queue("begin")
	batch.Queue(settings)
	a.use.lock(&batch)
	batch.Queue(`SELECT id, name, prefix, plan, tenant, source, quarantine FROM ipam.prefixes
		WHERE domain = $1 AND site = $2 AND role = $3 AND kind = 'pool' ORDER BY name`,
		a.domain, a.use.site, a.use.role).Query(func(rows pgx.Rows) (err error) {
		a.pools, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p poolRow, err error) {
			err = row.Scan(&p.id, &p.Name, &p.Prefix, &p.Plan, &p.Tenant, &p.Source, &p.Quarantine)
			p.Domain, p.Site, p.Role = a.use.domain, a.use.site, a.use.role
			p.free = newFreeSpace(p.id, p.Prefix)
			return p, err
		})
		return err
	})
	a.queueLimits(&batch)
	a.queueHeld(&batch)
	a.queueDue(&batch)
	a.queueFree(&batch)
	return a.conn.SendBatch(ctx, &batch).Close()
}

// settings: no plans that were made while tables were small; and a program that hangs while
// it has the pools' lock must not hang the others.
const settings = `SELECT set_config('enable_seqscan', 'off', true), set_config('idle_in_transaction_session_timeout', '10s', true)`

// lock queues the lock of all pools of a use, until the transaction ends.
func (u poolUse) lock(batch *pgx.Batch) {
	batch.Queue("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", u.key())
}

func (u poolUse) key() string { return fmt.Sprintf("ipam %q %q %q", u.domain, u.site, u.role) }

// queueHeld brings what the batch's owners hold. A release under way is waited for.
func (a *allocation) queueHeld(batch *pgx.Batch) {
	owners := make([]string, len(a.calls))
	for i, c := range a.calls {
		owners[i] = c.in.Owner
	}
	batch.Queue(inDomain(a.domain, allocationColumns)+` WHERE a.owner = ANY($1) AND a.released_at IS NULL
		ORDER BY a.owner FOR UPDATE OF a`, owners).Query(func(rows pgx.Rows) error {
		held, err := pgx.CollectRows(rows, scanAllocation)
		for _, h := range held {
			a.held[h.key()] = h
		}
		return err
	})
}

// poolsOf are the pools of a use, for statements that are sent before the answer about the
// pools is there.
const poolsOf = `SELECT id FROM ipam.prefixes WHERE domain = $1 AND site = $2 AND role = $3 AND kind = 'pool'`

// wakeAtLeast is how many blocks an allocation makes free beyond those that it takes, so
// that none stays behind for good; few, so that thousands of rests that end together do
// not hold up the orders behind this one.
const wakeAtLeast = 16

// queueDue takes away what has rested.
func (a *allocation) queueDue(batch *pgx.Batch) {
	limit := wakeAtLeast + len(a.calls)
	batch.Queue(inDomain(a.domain, `DELETE FROM ipam.allocations WHERE prefix = ANY(ARRAY(
		SELECT due.prefix FROM (`+poolsOf+`) p CROSS JOIN LATERAL (
			SELECT prefix FROM ipam.allocations
			WHERE pool = p.id AND released_at IS NOT NULL AND rests_until <= clock_timestamp()
			ORDER BY rests_until LIMIT $4) due)) RETURNING pool, prefix`),
		a.domain, a.use.site, a.use.role, limit).Query(a.collectDue)
}

func (a *allocation) collectDue(rows pgx.Rows) error {
	var (
		pool   int64
		prefix netip.Prefix
	)
	_, err := pgx.ForEachRow(rows, []any{&pool, &prefix}, func() error {
		a.due[pool] = append(a.due[pool], prefix)
		return nil
	})
	return err
}

// queueFree brings the free blocks that the batch can need.
func (a *allocation) queueFree(batch *pgx.Batch) {
	type size struct {
		family Family
		bits   int
	}
	wanted := map[size]bool{}
	var chosen []netip.Prefix
	totals := map[Family]int{}
	for _, c := range a.calls {
		for _, want := range c.in.Wants {
			totals[want.Family]++
			if want.Chosen.IsValid() {
				chosen = append(chosen, supernets(want.Chosen, 0)...)
			} else {
				wanted[size{want.Family, want.Bits}] = true
			}
		}
	}
	add := func(rows pgx.Rows) error {
		var (
			pool   int64
			prefix netip.Prefix
		)
		_, err := pgx.ForEachRow(rows, []any{&pool, &prefix}, func() error {
			for _, p := range a.pools {
				if p.id == pool {
					p.free.blocks[prefix] = true
				}
			}
			return nil
		})
		return err
	}
	if len(chosen) > 0 {
		batch.Queue(`SELECT pool, prefix FROM ipam.free WHERE pool IN (`+poolsOf+`) AND prefix = ANY($4)`,
			a.domain, a.use.site, a.use.role, chosen).Query(add)
	}
	// Those that fit best and lie lowest first. A take of one size may use what was brought
	// for another: each size brings enough for all.
	for size := range wanted {
		batch.Queue(`SELECT p.id, f.prefix FROM (`+poolsOf+` AND family(prefix) = $4) p CROSS JOIN LATERAL (
				SELECT prefix FROM ipam.free WHERE pool = p.id AND bits <= $5 ORDER BY bits DESC, prefix LIMIT $6) f`,
			a.domain, a.use.site, a.use.role, size.family, size.bits, totals[size.family]).Query(add)
	}
}

// wake makes free what has been taken away of what has rested.
func (a *allocation) wake(ctx context.Context) error {
	defer clear(a.due)
	for _, pool := range a.pools {
		if pool.Source != "" {
			continue // it knows itself what is free
		}
		if err := pool.free.give(ctx, a.conn, a.due[pool.id]); err != nil {
			return err
		}
	}
	return nil
}

// wakeRest makes free all that has rested, where less was not enough.
func (a *allocation) wakeRest(ctx context.Context) error {
	a.awake = true
	rows, err := a.conn.Query(ctx, inDomain(a.domain, `DELETE FROM ipam.allocations
		WHERE pool IN (`+poolsOf+`) AND released_at IS NOT NULL AND rests_until <= clock_timestamp() RETURNING pool, prefix`),
		a.domain, a.use.site, a.use.role)
	if err != nil {
		return err
	}
	if err := a.collectDue(rows); err != nil {
		return err
	}
	return a.wake(ctx)
}

func (a *allocation) serveAll(ctx context.Context) error {
	for _, c := range a.calls {
		c.out, c.err = a.serve(ctx, c.in)
		if errors.Is(c.err, errAsleep) {
			if err := a.wakeRest(ctx); err != nil {
				return err
			}
			c.out, c.err = a.serve(ctx, c.in)
		}
		if _, own := c.err.(refusal); c.err != nil && !own {
			return c.err
		}
	}
	return nil
}

// errAsleep says that what has rested, and was not made free yet, may be what is wanted.
var errAsleep = errors.New("not all that has rested is free yet")

// refusal is an error that is one request's own.
type refusal interface{ refusal() }

// serve answers one request out of what is loaded.
func (a *allocation) serve(ctx context.Context, r Request) ([]Allocation, error) {
	before := len(a.fresh)
	answer := make([]Allocation, len(r.Wants))
	var given []key
	for i, want := range r.Wants {
		k := key{r.Owner, want.Name, want.Family}
		if held, has := a.held[k]; has {
			if err := held.fits(r, want); err != nil {
				return a.refuse(before, given, err)
			}
			answer[i] = held
			continue
		}
		allocated, err := a.take(ctx, r, i)
		if err != nil {
			return a.refuse(before, given, err)
		}
		if answer[i] = allocated; !allocated.Prefix.IsValid() {
			continue
		}
		a.held[k] = allocated
		given = append(given, k)
		a.fresh = append(a.fresh, allocated)
		a.by = append(a.by, r.By)
	}
	if !slices.ContainsFunc(answer, func(a Allocation) bool { return a.Prefix.IsValid() }) {
		return a.refuse(before, given, &NoPoolError{Domain: r.Domain, Site: r.Site, Role: r.Role})
	}
	if err := a.limits.count(r.Tenant, a.fresh[before:]); err != nil {
		return a.refuse(before, given, err)
	}
	for _, pool := range a.pools {
		pool.free.settle()
	}
	return answer, nil
}

// refuse takes back what a request was given before it was found that not all can be.
func (a *allocation) refuse(before int, given []key, err error) ([]Allocation, error) {
	for _, pool := range a.pools {
		pool.free.revert()
	}
	for _, k := range given {
		delete(a.held, k)
	}
	a.fresh, a.by = a.fresh[:before], a.by[:before]
	return nil, err
}

func (a *allocation) take(ctx context.Context, r Request, index int) (Allocation, error) {
	want := r.Wants[index]
	var ids []int64
	pooled := false
	for _, pool := range a.pools {
		if !pool.serves(r, want.Family) {
			continue
		}
		pooled = true
		ids = append(ids, pool.id)
		block, free := want.Chosen, false
		switch {
		case pool.Source != "" && slices.Contains(want.outside.empty, pool.id):
		case pool.Source != "" && want.outside.pool != pool.id:
			return Allocation{}, &outside{want: index, pool: pool}
		case pool.Source != "":
			block, free = want.outside.prefix, true
			a.outside = append(a.outside, block)
		default:
			block, free = pool.take(want)
		}
		if free {
			return Allocation{
				Link: Link{Pool: pool.Name, Prefix: block}, Domain: r.Domain, Kind: want.Kind,
				Owner: r.Owner, Name: want.Name, Tenant: r.Tenant, Reason: want.Reason,
			}, nil
		}
	}
	switch {
	case !pooled && want.IfPooled:
		return Allocation{}, nil
	case !pooled:
		return Allocation{}, &NoPoolError{Domain: r.Domain, Site: r.Site, Role: r.Role, Family: want.Family}
	case !a.awake:
		return Allocation{}, errAsleep
	case want.Chosen.IsValid():
		return Allocation{}, a.taken(ctx, want.Chosen)
	}
	return Allocation{}, a.exhausted(ctx, r, want, ids)
}

func (a *allocation) exhausted(ctx context.Context, r Request, want Want, pools []int64) error {
	exhausted := &ExhaustedError{Site: r.Site, Role: r.Role, Family: want.Family, Bits: want.Bits}
	var next *time.Time
	// Smaller ones may join to what is wanted; when, only the last of them tells.
	err := a.conn.QueryRow(ctx, inDomain(a.domain, `SELECT min(rests_until) FROM ipam.allocations
		WHERE pool = ANY($1) AND released_at IS NOT NULL AND masklen(prefix) <= $2`), pools, want.Bits).Scan(&next)
	if err != nil {
		return err
	}
	if next != nil {
		exhausted.NextFree = *next
	}
	return exhausted
}

// taken says who has a chosen prefix, or a part of it.
func (a *allocation) taken(ctx context.Context, chosen netip.Prefix) error {
	rows, err := a.conn.Query(ctx, inDomain(a.domain, allocationColumns)+` WHERE a.prefix && $1::cidr ORDER BY a.prefix LIMIT 1`, chosen)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, scanAllocation)
	if err != nil {
		return err
	}
	taken := &TakenError{Prefix: chosen}
	if len(found) > 0 { // in this transaction, or before it
		taken.By = found[0]
	}
	return taken
}

// write writes what the batch was given, and commits.
func (a *allocation) write(ctx context.Context) error {
	var batch pgx.Batch
	ids := map[string]int64{}
	for _, pool := range a.pools {
		pool.free.store(&batch)
		ids[pool.Name] = pool.id
	}
	if len(a.outside) > 0 { // what rests here no longer rests there
		batch.Queue(inDomain(a.domain, `DELETE FROM ipam.allocations WHERE prefix && ANY($1::inet[]) AND released_at IS NOT NULL`), a.outside)
	}
	if n := len(a.fresh); n > 0 {
		pools, prefixes := make([]int64, n), make([]netip.Prefix, n)
		kinds, owners, names, tenants := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		actors, workflows, reasons := make([]string, n), make([]string, n), make([]string, n)
		for i, f := range a.fresh {
			pools[i], prefixes[i], kinds[i] = ids[f.Pool], f.Prefix, string(f.Kind)
			owners[i], names[i], tenants[i] = f.Owner, f.Name, f.Tenant
			actors[i], workflows[i], reasons[i] = a.by[i].Actor, a.by[i].Workflow, f.Reason
		}
		batch.Queue(inDomain(a.domain, `INSERT INTO ipam.allocations (domain, pool, prefix, kind, owner, name, tenant, reason)
			SELECT $1, * FROM unnest($2::bigint[], $3::cidr[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])`),
			a.domain, pools, prefixes, kinds, owners, names, tenants, reasons)
		batch.Queue(`INSERT INTO ipam.history (domain, prefix, action, kind, owner, name, tenant, actor, workflow)
			SELECT $1, prefix, 'allocate', kind, owner, name, tenant, actor, workflow
			FROM unnest($2::cidr[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
			  AS t (prefix, kind, owner, name, tenant, actor, workflow)`,
			a.domain, prefixes, kinds, owners, names, tenants, actors, workflows)
	}
	batch.Queue("commit")
	return a.conn.SendBatch(ctx, &batch).Close()
}

// normal fills in what is left out, and refuses what cannot be meant.
func (r Request) normal() (Request, error) {
	invalid := func(format string, args ...any) (Request, error) {
		return r, &InvalidError{What: "request", Reason: fmt.Sprintf(format, args...)}
	}
	if err := checkOwner(r.Owner); err != nil {
		return r, err
	}
	if len(r.Wants) == 0 {
		return invalid("%s wants nothing", r.Owner)
	}
	if err := checkTexts(r.Tenant, r.Plan, r.By.Actor, r.By.Workflow); err != nil {
		return invalid("%v", err)
	}
	r.Domain = cmp.Or(r.Domain, DefaultDomain)
	wants := make([]Want, len(r.Wants))
	seen := map[key]bool{}
	for i, want := range r.Wants {
		want.Kind = cmp.Or(want.Kind, KindLink)
		if err := checkTexts(want.Name, want.Reason); err != nil {
			return invalid("%v", err)
		}
		if chosen := want.Chosen; chosen.IsValid() {
			switch {
			case chosen.Addr().Is4In6():
				return invalid("%s is an IPv4 address in IPv6 form: write it as IPv4", chosen)
			case chosen.Masked() != chosen:
				return invalid("%s has bits set behind its length: write %s", chosen, chosen.Masked())
			case want.Family != 0 && want.Family != familyOf(chosen.Addr()):
				return invalid("%s is not %s", chosen, want.Family)
			}
			want.Family, want.Bits = familyOf(chosen.Addr()), chosen.Bits()
		}
		if want.Family != IPv4 && want.Family != IPv6 {
			return invalid("family %d is neither 4 nor 6", want.Family)
		}
		if strings.HasPrefix(r.Owner, reservations) && want.Kind != KindReserved {
			return invalid("%s: owners that begin with %s are those of reservations", r.Owner, reservations)
		}
		full := want.Family.bits()
		if want.Bits == 0 && !want.Chosen.IsValid() {
			switch want.Kind {
			case KindLink:
				want.Bits = full - 1
			case KindAddress:
				want.Bits = full
			default:
				return invalid("a %s needs a prefix length", want.Kind)
			}
		}
		if want.Bits < 0 || want.Bits > full || want.Kind == KindAddress && want.Bits != full || want.Kind == KindLink && (want.Bits >= full || want.Bits < full-2) {
			return invalid("/%d is no length of an %s %s", want.Bits, want.Family, want.Kind)
		}
		k := key{r.Owner, want.Name, want.Family}
		if seen[k] {
			return invalid("two wants of %s have the name %q and the family %s", r.Owner, want.Name, want.Family)
		}
		seen[k] = true
		wants[i] = want
	}
	r.Wants = wants
	return r, nil
}
