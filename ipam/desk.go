package ipam

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// A desk serves the calls that want the same pools. While a transaction is under way the
// next calls gather, and then share one: with many callers that is many times as quick as
// a transaction for each, and a single caller waits for nobody.
type desk[In, Out any] struct {
	mu      sync.Mutex
	waiting []*call[In, Out]
	working bool // a transaction is under way
	// serve answers every call of a batch, or none: its error is everybody's.
	serve func(ctx context.Context, batch []*call[In, Out]) error
}

// call is one caller at a desk.
type call[In, Out any] struct {
	in   In
	out  Out
	err  error
	done chan struct{}
}

const (
	// batchLimit bounds a transaction.
	batchLimit = 256
	// batchPatience bounds it in time: a database that hangs must not hang everyone.
	batchPatience = 30 * time.Second
	// gatherFor is how long a transaction waits for those who were just answered.
	gatherFor = 100 * time.Microsecond
)

// ask waits for the answer. When ctx ends first, the work may still be done; whoever asks
// again finds it.
func (d *desk[In, Out]) ask(ctx context.Context, in In) (Out, error) {
	c := &call[In, Out]{in: in, done: make(chan struct{})}
	if err := ctx.Err(); err != nil {
		return c.out, err
	}
	d.mu.Lock()
	d.waiting = append(d.waiting, c)
	if !d.working {
		d.working = true
		go d.work()
	}
	d.mu.Unlock()
	select {
	case <-c.done:
		return c.out, c.err
	case <-ctx.Done():
		var none Out
		return none, ctx.Err()
	}
}

// work serves until nobody waits.
func (d *desk[In, Out]) work() {
	for {
		d.mu.Lock()
		batch := d.waiting[:min(len(d.waiting), batchLimit)]
		d.waiting = d.waiting[len(batch):]
		d.working = len(batch) > 0
		d.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		d.serveAll(batch)
		d.answer(batch)
	}
}

// answer answers the calls of a batch, and where they were several gives their callers a
// moment to come back: they share the next transaction with those who came meanwhile. Else
// they fall apart into two groups that take turns, at two thirds of the rate.
func (d *desk[In, Out]) answer(batch []*call[In, Out]) {
	all := len(batch) + d.waitingNow()
	for _, c := range batch {
		close(c.done)
	}
	if len(batch) == 1 {
		return
	}
	// It yields and does not sleep: the shortest sleep is ten times as long.
	for end := time.Now().Add(gatherFor); d.waitingNow() < all && time.Now().Before(end); {
		runtime.Gosched()
	}
}

func (d *desk[In, Out]) waitingNow() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.waiting)
}

// serveAll serves a batch, or, if it fails, each of its calls alone: what is wrong with
// one is not to be the others' harm.
func (d *desk[In, Out]) serveAll(batch []*call[In, Out]) {
	err := d.serveOnce(batch)
	if err == nil {
		return
	}
	for _, c := range batch {
		if len(batch) > 1 {
			err = d.serveOnce([]*call[In, Out]{c})
		}
		if err != nil {
			c.err = err
		}
	}
}

func (d *desk[In, Out]) serveOnce(batch []*call[In, Out]) error {
	ctx, cancel := context.WithTimeout(context.Background(), batchPatience)
	defer cancel()
	for _, c := range batch { // what an attempt before this one answered was not kept
		var none Out
		c.out, c.err = none, nil
	}
	return d.serve(ctx, batch)
}

// desks are where callers wait: one for each use of pools, one for releases.
type desks struct {
	mu       sync.Mutex
	uses     map[poolUse]*desk[Request, []Allocation]
	releases *desk[release, bool]
}

func (d *desks) allocate(s *Store, use poolUse) *desk[Request, []Allocation] {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.uses == nil {
		d.uses = map[poolUse]*desk[Request, []Allocation]{}
	}
	if d.uses[use] == nil {
		d.uses[use] = &desk[Request, []Allocation]{serve: func(ctx context.Context, batch []*call[Request, []Allocation]) error {
			return s.allocateBatch(ctx, use, batch)
		}}
	}
	return d.uses[use]
}

func (d *desks) release(s *Store) *desk[release, bool] {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.releases == nil {
		d.releases = &desk[release, bool]{serve: s.releaseBatch}
	}
	return d.releases
}
