package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Source is an outside system that is the truth for the addresses of pools, such as NetBox.
// Every method may be called again after its answer was lost, and changes nothing then. An
// error that is none of this package's says that the system is away: who asks again later
// is served.
type Source interface {
	// Take gives an owner a block of a pool: that which he holds by the name already, or the
	// chosen one, or any free one of the length. Errors: ErrSourceEmpty.
	Take(ctx context.Context, pool Pool, block Block) (netip.Prefix, error)
	// Release sends what an owner holds of a pool by a name into quarantine; all that he
	// holds of it where the name is empty.
	Release(ctx context.Context, pool Pool, owner, name string) error
	// Free lists what is free of a pool.
	Free(ctx context.Context, pool Pool) ([]netip.Prefix, error)
}

// Block is what a Source is asked for.
type Block struct {
	Owner, Name string
	Kind        Kind
	Bits        int          // prefix length
	Chosen      netip.Prefix // this very one, or none
}

// ErrSourceEmpty says that an outside system has no free block of the length, or that the
// chosen one is not free there.
var ErrSourceEmpty = errors.New("nothing free in the outside system")

// Option sets up a Store.
type Option func(*Store)

// WithSource makes an outside system known by the name that pools give as their source.
func WithSource(name string, source Source) Option {
	return func(s *Store) { s.sources[name] = source }
}

func (s *Store) source(pool Pool) (Source, error) {
	source, known := s.sources[pool.Source]
	if !known {
		return nil, &SourceError{Pool: pool.Name, Source: pool.Source, Err: errors.New("this program was not set up for it")}
	}
	return source, nil
}

// outside answers that a want has to be asked for outside, from a pool.
type outside struct {
	want int
	pool poolRow
}

func (*outside) Error() string { return "it is kept outside" }
func (*outside) refusal()      {}

// outcome is what came of asking outside for one want.
type outcome struct {
	pool   int64        // that gave
	prefix netip.Prefix // what it gave
	empty  []int64      // pools that had nothing
}

// allocate serves a request. Where pools that are kept outside come first, it asks there,
// want by want, before one transaction writes all that was given. A refusal gives back what
// was taken outside for it.
func (s *Store) allocate(ctx context.Context, r Request) ([]Allocation, error) {
	var taken []Pool
	for {
		answer, err := s.desks.allocate(s, poolUse{r.Domain, r.Site, r.Role}).ask(ctx, r)
		var ask *outside
		switch {
		case errors.As(err, &ask):
			pool := ask.pool.Pool
			taken = append(taken, pool)
			if err := s.askOutside(ctx, r, ask); err != nil {
				return nil, errors.Join(err, s.giveBack(ctx, r.Owner, taken, err))
			}
			continue
		case err != nil && len(taken) > 0:
			err = conflict(err, r)
			return nil, errors.Join(err, s.giveBack(ctx, r.Owner, taken, err))
		}
		return answer, err
	}
}

// askOutside asks for one want, and notes in it what came of that. That it was asked is
// written down first, so that a release finds what a lost answer has left.
func (s *Store) askOutside(ctx context.Context, r Request, ask *outside) error {
	pool, want := ask.pool.Pool, &r.Wants[ask.want]
	source, err := s.source(pool)
	if err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, `INSERT INTO ipam.asked (owner, pool) VALUES ($1, $2) ON CONFLICT DO NOTHING`, r.Owner, ask.pool.id); err != nil {
		return err
	}
	prefix, err := source.Take(ctx, pool, Block{Owner: r.Owner, Name: want.Name, Kind: want.Kind, Bits: want.Bits, Chosen: want.Chosen})
	switch {
	case errors.Is(err, ErrSourceEmpty):
		want.outside.empty = append(want.outside.empty, ask.pool.id)
		return nil
	case err != nil:
		return &SourceError{Pool: pool.Name, Source: pool.Source, Err: err}
	case !covers(pool.Prefix, prefix):
		return &SourceError{Pool: pool.Name, Source: pool.Source, Err: fmt.Errorf("it gave %s, which is not of %s", prefix, pool.Prefix)}
	}
	want.outside.pool, want.outside.prefix = ask.pool.id, prefix
	return nil
}

// giveBack releases what a refused request has taken outside, unless it is to be asked
// again, or the owner holds addresses there from before.
func (s *Store) giveBack(ctx context.Context, owner string, pools []Pool, err error) error {
	own, held := error(nil), false
	if refused := refusal(nil); !errors.As(err, &refused) {
		return nil
	}
	if own = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ipam.allocations a JOIN ipam.asked USING (owner, pool)
		WHERE a.owner = $1 AND a.released_at IS NULL)`, owner).Scan(&held); own != nil || held {
		return own
	}
	for _, pool := range pools {
		if err := s.releaseOutside(ctx, owner, "", pool); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) releaseOutside(ctx context.Context, owner, name string, pool Pool) error {
	source, err := s.source(pool)
	if err != nil {
		return err
	}
	if err := source.Release(ctx, pool, owner, name); err != nil {
		return &SourceError{Pool: pool.Name, Source: pool.Source, Err: err}
	}
	_, err = s.pool.Exec(ctx, `DELETE FROM ipam.asked USING ipam.prefixes p, ipam.domains d
		WHERE owner = $1 AND p.id = asked.pool AND p.name = $2 AND d.id = p.domain AND d.name = $3
		  AND ($4 = '' OR NOT EXISTS (SELECT FROM ipam.allocations a WHERE a.pool = p.id AND a.owner = $1 AND a.released_at IS NULL))`,
		owner, pool.Name, pool.Domain, name)
	return err
}

// askedOutside are the pools that an owner asked outside systems for.
func (s *Store) askedOutside(ctx context.Context, owner string) ([]Pool, error) {
	rows, err := s.pool.Query(ctx, `SELECT d.name, p.name, p.prefix, p.quarantine, p.source
		FROM ipam.asked JOIN ipam.prefixes p ON p.id = pool JOIN ipam.domains d ON d.id = p.domain WHERE owner = $1 ORDER BY p.name`, owner)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Pool, err error) {
		err = row.Scan(&p.Domain, &p.Name, &p.Prefix, &p.Quarantine, &p.Source)
		return p, err
	})
}

// conflict tells a refusal of the database about what came from outside.
func conflict(err error, r Request) error {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "23P01" { // exclusion_violation
		return err
	}
	var given []netip.Prefix
	for _, want := range r.Wants {
		if want.outside.prefix.IsValid() {
			given = append(given, want.outside.prefix)
		}
	}
	return &ConflictError{Owner: r.Owner, Given: given}
}

// askSource asks an outside system how much of its pool is free.
func (s *Store) askSource(ctx context.Context, u *PoolUsage) {
	source, err := s.source(u.Pool)
	if err != nil {
		u.Unknown = err
		return
	}
	free, err := source.Free(ctx, u.Pool)
	if err != nil {
		u.Unknown = &SourceError{Pool: u.Name, Source: u.Source, Err: err}
		return
	}
	var counts spaces
	for _, block := range free {
		counts.free[block.Bits()]++
	}
	whole := PoolUsage{Pool: u.Pool}
	whole.Source = ""
	counts.fill(&whole)
	u.Free, u.Held = whole.Free, whole.Held-u.Resting-u.Reserved
}
