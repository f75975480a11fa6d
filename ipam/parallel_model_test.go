package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go4.org/netipx"
	"pgregory.net/rapid"

	"ferrodur/ipam"
)

// operation is one thing that a client of the parallel model does.
type operation struct {
	release bool
	owner   int // one of the client's own
	name    string
	kind    ipam.Kind
	family  ipam.Family
	length  int // 0: the kind's own
	chosen  int // the number of an address of the pool; -1: any
	role    ipam.Role
}

const (
	fleeting = ipam.Role("fleeting") // its pools have no quarantine
	resting  = ipam.Role("resting")  // nothing of its pools is given twice in this test
)

func (o operation) want() ipam.Want {
	want := ipam.Want{Name: o.name, Kind: o.kind, Family: o.family, Bits: o.length}
	if o.chosen >= 0 {
		base := modelPools[o.role][o.family]
		address := base.Addr()
		for range o.chosen {
			address = address.Next()
		}
		length := o.length
		if length == 0 {
			length = base.Addr().BitLen()
		}
		want.Chosen = netip.PrefixFrom(address, length).Masked()
		want.Kind, want.Family, want.Bits = ipam.KindBlock, 0, 0
	}
	return want
}

var modelPools = map[ipam.Role]map[ipam.Family]netip.Prefix{
	fleeting: {ipam.IPv4: netip.MustParsePrefix("198.51.100.0/26"), ipam.IPv6: netip.MustParsePrefix("2001:db8::/122")},
	resting:  {ipam.IPv4: netip.MustParsePrefix("203.0.113.0/26"), ipam.IPv6: netip.MustParsePrefix("2001:db8:1::/122")},
}

var operations = rapid.Custom(func(t *rapid.T) operation {
	o := operation{
		release: rapid.IntRange(0, 9).Draw(t, "release") < 4,
		owner:   rapid.IntRange(0, 2).Draw(t, "owner"),
		name:    rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"),
		kind:    rapid.SampledFrom([]ipam.Kind{ipam.KindLink, ipam.KindAddress, ipam.KindBlock, ipam.KindElastic, ipam.KindReserved}).Draw(t, "kind"),
		family:  rapid.SampledFrom([]ipam.Family{ipam.IPv4, ipam.IPv6}).Draw(t, "family"),
		role:    rapid.SampledFrom([]ipam.Role{fleeting, fleeting, resting}).Draw(t, "role"),
		chosen:  rapid.SampledFrom([]int{-1, -1, -1, 0, 7, 33, 60}).Draw(t, "chosen"),
	}
	if o.kind != ipam.KindLink && o.kind != ipam.KindAddress {
		o.length = map[ipam.Family]int{ipam.IPv4: 32, ipam.IPv6: 128}[o.family] - rapid.IntRange(0, 4).Draw(t, "size")
	}
	return o
})

// modelKey is what tells an allocation apart.
type modelKey struct {
	owner, name string
	family      ipam.Family
}

// book is the model: what is held by acknowledged calls, by all clients.
type book struct {
	mu     sync.Mutex
	held   map[modelKey]ipam.Allocation
	closed []netip.Prefix // of the resting pools, what was released
}

// given notes what a call has answered, and says what is wrong with it.
func (b *book) given(k modelKey, a ipam.Allocation) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if had, has := b.held[k]; has {
		if had.Prefix != a.Prefix {
			return fmt.Errorf("%v had %s and was answered %s", k, had.Prefix, a.Prefix)
		}
		return nil
	}
	for other, has := range b.held {
		if has.Prefix.Overlaps(a.Prefix) {
			return fmt.Errorf("%v was given %s while %v holds %s", k, a.Prefix, other, has.Prefix)
		}
	}
	for _, closed := range b.closed {
		if closed.Overlaps(a.Prefix) {
			return fmt.Errorf("%v was given %s while %s rests", k, a.Prefix, closed)
		}
	}
	b.held[k] = a
	return nil
}

// releasing notes a release before it is asked for: from then on another may have it.
func (b *book) releasing(owner, name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, a := range b.held {
		if k.owner != owner || name != "" && k.name != name {
			continue
		}
		delete(b.held, k)
		if modelPools[resting][k.family].Overlaps(a.Prefix) && a.Kind != ipam.KindReserved {
			b.closed = append(b.closed, a.Prefix)
		}
	}
}

// do does one operation. Errors are what must not be.
func (b *book) do(ctx context.Context, store *ipam.Store, client int, o operation) error {
	owner := fmt.Sprintf("client-%d/%d", client, o.owner)
	if o.release {
		name := o.name
		if o.chosen >= 0 {
			name = ""
		}
		b.releasing(owner, name)
		if name == "" {
			return store.Release(ctx, owner, ipam.By{})
		}
		return store.ReleaseName(ctx, owner, name, ipam.By{})
	}
	want := o.want()
	k := modelKey{owner, o.name, o.family}
	b.mu.Lock()
	had, has := b.held[k]
	b.mu.Unlock()
	given, err := store.Allocate(ctx, ipam.Request{Owner: owner, Site: "ewr1", Role: o.role, Wants: []ipam.Want{want}})
	var (
		exhausted *ipam.ExhaustedError
		taken     *ipam.TakenError
		invalid   *ipam.InvalidError
	)
	switch {
	case has && errors.As(err, &invalid): // another thing by the same name
		same := had.Kind == want.Kind && (want.Chosen == had.Prefix || !want.Chosen.IsValid() && had.Prefix.Bits() == want.Bits)
		if same {
			return fmt.Errorf("%v holds %s, and was refused it: %w", k, had.Prefix, err)
		}
		return nil
	case has && err != nil:
		return fmt.Errorf("%v holds %s, and asking again failed: %w", k, had.Prefix, err)
	case errors.As(err, &exhausted) && !want.Chosen.IsValid(), errors.As(err, &taken) && want.Chosen.IsValid():
		return nil
	case err != nil:
		return err
	case want.Chosen.IsValid() && given[0].Prefix != want.Chosen:
		return fmt.Errorf("%s was chosen and %s given", want.Chosen, given[0].Prefix)
	case !modelPools[o.role][o.family].Contains(given[0].Prefix.Addr()) && !has:
		return fmt.Errorf("%s is of another pool", given[0].Prefix)
	}
	return b.given(k, given[0])
}

// Clients do whatever they like at the same time: nobody is given what another holds or
// what rests, what was held before is answered again, nothing is lost, and what is neither
// held nor rests is free, in the end as whole as it was.
func TestParallelModel(t *testing.T) {
	const clients = 6
	var pools []ipam.Pool
	for role, families := range modelPools {
		for family, prefix := range families {
			p := ipam.Pool{Name: fmt.Sprint(role, family), Site: "ewr1", Role: role, Prefix: prefix}
			if role == resting {
				p.Quarantine = time.Hour
			}
			pools = append(pools, p)
		}
	}
	store, database := open(t, pools...)
	// As many workers, so that transactions run beside each other.
	stores := []*ipam.Store{store, ipam.New(database), ipam.New(database)}
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		if _, err := database.Exec(ctx, `TRUNCATE ipam.allocations, ipam.free; INSERT INTO ipam.free (pool, prefix) SELECT id, prefix FROM ipam.prefixes`); err != nil {
			t.Fatal(err)
		}
		b := &book{held: map[modelKey]ipam.Allocation{}}
		var (
			wait   sync.WaitGroup
			failed = make([]error, clients)
		)
		for client := range clients {
			todo := rapid.SliceOfN(operations, 10, 40).Draw(t, fmt.Sprint("client ", client))
			wait.Go(func() {
				for _, o := range todo {
					if failed[client] = b.do(ctx, stores[client%len(stores)], client, o); failed[client] != nil {
						return
					}
				}
			})
		}
		wait.Wait()
		if err := errors.Join(failed...); err != nil {
			t.Fatal(err)
		}
		// In the end the database holds what was acknowledged.
		held, err := store.Allocations(ctx, ipam.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		if len(held) != len(b.held) {
			t.Fatalf("%d are held, want %d", len(held), len(b.held))
		}
		for _, a := range held {
			k := modelKey{a.Owner, a.Name, ipam.IPv4}
			if a.Prefix.Addr().Is6() {
				k.family = ipam.IPv6
			}
			if b.held[k].Prefix != a.Prefix {
				t.Fatalf("%v holds %s, want %s", k, a.Prefix, b.held[k].Prefix)
			}
		}
		mustBePartition(t, database)
		// When all is released, and has rested, whole pools are free again.
		for _, a := range held {
			if err := store.Release(ctx, a.Owner, ipam.By{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := database.Exec(ctx, `UPDATE ipam.allocations SET rests_until = released_at`); err != nil {
			t.Fatal(err)
		}
		for role, families := range modelPools {
			for _, prefix := range families {
				whole := ipam.Request{Owner: "all of " + prefix.String(), Site: "ewr1", Role: role, Wants: []ipam.Want{{Kind: ipam.KindBlock, Chosen: prefix}}}
				if _, err := store.Allocate(ctx, whole); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// mustBePartition checks that what is free, and what is held or rests, are each pool
// exactly, without overlap.
func mustBePartition(t interface{ Fatalf(string, ...any) }, database *pgxpool.Pool) {
	rows, err := database.Query(context.Background(), `
		SELECT p.prefix, s.prefix FROM ipam.prefixes p JOIN (
			SELECT pool, prefix FROM ipam.free UNION ALL SELECT pool, prefix FROM ipam.allocations
		) s ON s.pool = p.id WHERE p.kind = 'pool' ORDER BY 1, 2`)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var (
		pool, part netip.Prefix
		parts      = map[netip.Prefix]*netipx.IPSetBuilder{}
		last       netip.Prefix
	)
	if _, err := pgx.ForEachRow(rows, []any{&pool, &part}, func() error {
		if parts[pool] == nil {
			parts[pool], last = &netipx.IPSetBuilder{}, netip.Prefix{}
		}
		if last.IsValid() && last.Overlaps(part) {
			return fmt.Errorf("of %s, %s and %s overlap", pool, last, part)
		}
		last = part
		parts[pool].AddPrefix(part)
		return nil
	}); err != nil {
		t.Fatalf("%v", err)
	}
	for pool, builder := range parts {
		set, err := builder.IPSet()
		if err != nil {
			t.Fatalf("%v", err)
		}
		if all := set.Prefixes(); len(all) != 1 || all[0] != pool {
			t.Fatalf("of %s there is only %s", pool, all)
		}
	}
}
