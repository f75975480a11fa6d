package ipam

import (
	"context"
	"net/netip"
	"slices"

	"github.com/jackc/pgx/v5"
)

// freeSpace is what of a pool's free blocks one transaction looks at and changes. The
// pool is locked.
type freeSpace struct {
	pool   int64
	prefix netip.Prefix          // of the pool
	blocks map[netip.Prefix]bool // that are free now; true: stored as such
	taken  []netip.Prefix        // stored and no longer free
	undo   []func()              // of the takes since the last settle, newest last
}

func newFreeSpace(pool int64, prefix netip.Prefix) *freeSpace {
	return &freeSpace{pool: pool, prefix: prefix, blocks: map[netip.Prefix]bool{}}
}

// take takes a block of a length: out of the smallest free one that fits, and of those
// the lowest, so that large blocks last. It returns false where none fits.
func (f *freeSpace) take(bits int) (netip.Prefix, bool) {
	var best netip.Prefix
	for block := range f.blocks {
		if block.Bits() > bits {
			continue
		}
		if !best.IsValid() || block.Bits() > best.Bits() || block.Bits() == best.Bits() && block.Addr().Less(best.Addr()) {
			best = block
		}
	}
	if !best.IsValid() {
		return netip.Prefix{}, false
	}
	block := netip.PrefixFrom(best.Addr(), bits)
	f.remove(best, cut(best, block))
	return block, true
}

// takeChosen takes one block, if it is free.
func (f *freeSpace) takeChosen(chosen netip.Prefix) bool {
	if !covers(f.prefix, chosen) {
		return false
	}
	for _, block := range supernets(chosen, f.prefix.Bits()) {
		if _, free := f.blocks[block]; free {
			f.remove(block, cut(block, chosen))
			return true
		}
	}
	return false
}

func (f *freeSpace) remove(block netip.Prefix, left []netip.Prefix) {
	stored := f.blocks[block]
	delete(f.blocks, block)
	for _, l := range left {
		f.blocks[l] = false
	}
	if stored {
		f.taken = append(f.taken, block)
	}
	f.undo = append(f.undo, func() {
		for _, l := range left {
			delete(f.blocks, l)
		}
		f.blocks[block] = stored
		if stored {
			f.taken = f.taken[:len(f.taken)-1]
		}
	})
}

// settle makes the takes so far final; revert takes them back.
func (f *freeSpace) settle() { f.undo = nil }

func (f *freeSpace) revert() {
	for i := len(f.undo) - 1; i >= 0; i-- {
		f.undo[i]()
	}
	f.undo = nil
}

// querier is a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// give makes blocks free, joined with their buddies as far up as the pool reaches.
func (f *freeSpace) give(ctx context.Context, db querier, blocks []netip.Prefix) error {
	for len(blocks) > 0 {
		var buddies []netip.Prefix
		for _, block := range blocks {
			f.blocks[block] = false
			if block.Bits() > f.prefix.Bits() {
				buddies = append(buddies, buddy(block))
			}
		}
		rows, err := db.Query(ctx, `SELECT prefix FROM ipam.free WHERE pool = $1 AND prefix = ANY($2)`, f.pool, buddies)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[netip.Prefix])
		if err != nil {
			return err
		}
		for _, block := range found {
			if !slices.Contains(f.taken, block) {
				f.blocks[block] = true
			}
		}
		var joined []netip.Prefix
		for _, block := range blocks {
			if _, free := f.blocks[block]; !free || block.Bits() == f.prefix.Bits() {
				continue // it is part of another one by now
			}
			if _, free := f.blocks[buddy(block)]; free {
				f.remove(block, nil)
				f.remove(buddy(block), nil)
				joined = append(joined, parent(block))
			}
		}
		blocks = joined
	}
	f.settle()
	return nil
}

// store queues what has changed.
func (f *freeSpace) store(batch *pgx.Batch) {
	var fresh []netip.Prefix
	for block, stored := range f.blocks {
		if !stored {
			fresh = append(fresh, block)
		}
	}
	if len(f.taken) > 0 {
		batch.Queue(`DELETE FROM ipam.free WHERE pool = $1 AND prefix = ANY($2)`, f.pool, f.taken)
	}
	if len(fresh) > 0 {
		batch.Queue(`INSERT INTO ipam.free (pool, prefix) SELECT $1, unnest($2::cidr[])`, f.pool, fresh)
	}
}
