package bootsvc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"ferrodur/bootsvc/job"
)

// Status is where a boot target stands.
type Status struct {
	Target    string
	Server    string
	Phase     job.Phase
	Done      uint64                  // of Total, in the phase's unit, see job.Progress
	Total     uint64                  // 0 where it is not known
	Message   string                  // the agent's own words
	Reached   map[job.Phase]time.Time // when each phase was first reached
	Heard     time.Time               // when the machine was last heard; zero if never
	Result    *job.Result             // set once the job has ended
	Release   job.Action              // what the agent was told to do last; empty before
	Trouble   string                  // the last thing that went wrong, e.g. DHCP from the wrong port
	TroubleAt time.Time
	Ended     bool  // cleared or replaced
	Revision  int64 // grows with every change
}

// Percent is Done in hundredths of Total, 0 where Total is not known.
func (s Status) Percent() int {
	if s.Total == 0 {
		return 0
	}
	return int(min(float64(s.Done)/float64(s.Total), 1) * 100)
}

// Status tells where a boot target stands. Ended targets are known for a month. It returns
// ErrNoTarget.
func (s *Store) Status(ctx context.Context, id string) (Status, error) {
	status := Status{Target: id}
	var done, total int64
	var heard, troubleAt *time.Time
	var release *job.Action
	err := s.pool.QueryRow(ctx, `
		SELECT server, phase, done, total, message, reached, heard_at, result, release, trouble, trouble_at,
		       ended_at IS NOT NULL, revision
		  FROM bootsvc.targets WHERE id = $1`, id).
		Scan(&status.Server, &status.Phase, &done, &total, &status.Message, &status.Reached, &heard, &status.Result,
			&release, &status.Trouble, &troubleAt, &status.Ended, &status.Revision)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNoTarget
	}
	if err != nil {
		return Status{}, fmt.Errorf("status of boot target %s: %w", id, err)
	}
	status.Done, status.Total = uint64(done), uint64(total)
	if heard != nil {
		status.Heard = *heard
	}
	if troubleAt != nil {
		status.TroubleAt = *troubleAt
	}
	if release != nil {
		status.Release = *release
	}
	return status, nil
}

// statusPoll is how often a waiter looks. Polling one row by its key costs PostgreSQL less
// than LISTEN would: that takes a connection for every waiter, for as long as it waits.
const statusPoll = 200 * time.Millisecond

// Wait returns the status of a boot target as soon as its revision is greater than after,
// or when longest is over, whichever comes first. It returns ErrNoTarget, or ctx's error.
func (s *Store) Wait(ctx context.Context, id string, after int64, longest time.Duration) (Status, error) {
	deadline := time.NewTimer(longest)
	defer deadline.Stop()
	poll := time.NewTicker(statusPoll)
	defer poll.Stop()
	for {
		status, err := s.Status(ctx, id)
		if err != nil || status.Revision > after {
			return status, err
		}
		select {
		case <-ctx.Done():
			return status, ctx.Err()
		case <-deadline.C:
			return status, nil
		case <-poll.C:
		}
	}
}
