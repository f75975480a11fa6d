package tour

import (
	"context"
	"fmt"
	"io"
	"time"

	"ferrodur/client"
	"ferrodur/workflows/api"
)

// follow prints what workflows do, a line for every change, until each has reached what
// is waited for. A workflow that parks is an error: nobody is there to retry it.
func follow(ctx context.Context, out io.Writer, c *client.Client, reached func(api.State) bool, ids ...string) error {
	seen := map[string]string{}
	started := time.Now()
	for waiting := ids; len(waiting) > 0; {
		var still []string
		for _, id := range waiting {
			snapshot, err := c.Snapshot(ctx, id)
			if err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				still = append(still, id) // a worker that was just started, or killed
				continue
			}
			if line := describe(snapshot); line != seen[id] {
				seen[id] = line
				fmt.Fprintf(out, "%6.1fs  %-24s %s\n", time.Since(started).Seconds(), id, line)
			}
			switch {
			case snapshot.Status == api.StatusParked:
				return fmt.Errorf("%s is parked: %s", id, snapshot.Reason)
			case !reached(snapshot.State):
				still = append(still, id)
			}
		}
		waiting = still
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
	return nil
}

// describe is one line about a workflow: its stage, and what its activity reports.
func describe(s client.Snapshot) string {
	line := string(s.Stage)
	if s.Status != api.StatusRunning {
		line = fmt.Sprintf("%s (%s)", s.Stage, s.Status)
	}
	for _, a := range s.Activities {
		line += ": " + a.Name
		if a.Progress.Phase != "" {
			line += ", " + a.Progress.Phase
		}
		if a.Progress.Percent > 0 {
			line += fmt.Sprintf(" %.0f %%", a.Progress.Percent)
		}
		if a.Attempt > 1 && a.Trouble != "" {
			line += fmt.Sprintf(" (attempt %d: %s)", a.Attempt, a.Trouble)
		}
	}
	return line
}
