package bmc

import (
	"context"
	"sync"
	"time"
)

// queues holds one queue for each BMC address.
type queues struct {
	mutex sync.Mutex
	byBMC map[string]*queue
}

func (q *queues) of(address string) *queue {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if q.byBMC == nil {
		q.byBMC = map[string]*queue{}
	}
	if q.byBMC[address] == nil {
		q.byBMC[address] = &queue{turn: make(chan struct{}, 1)}
	}
	return q.byBMC[address]
}

// queue lets one operation at a time to a BMC. All but turn belongs to whose turn it is.
type queue struct {
	turn chan struct{}
	last time.Time // end of the last command
	way  *way      // that worked last; nil: find out
}

// enter waits for its turn; leave must follow if there is no error.
func (q *queue) enter(ctx context.Context) error {
	select {
	case q.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *queue) leave() { <-q.turn }

// rest waits until the last command is pause ago.
func (q *queue) rest(ctx context.Context, pause time.Duration) error {
	return sleep(ctx, pause-time.Since(q.last))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
