package progress

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"ferrodur/client"
	"ferrodur/workflows/api"
)

// What is redrawn neither wraps nor scrolls, and what a device says does not drive the
// terminal.
func TestRedrawFits(t *testing.T) {
	const width, height = 60, 4
	var out bytes.Buffer
	v := view{out: &out, started: time.Now(), seen: map[string]string{}, size: func() (int, int, error) { return width, height, nil }}
	s := client.Snapshot{State: api.State{ID: "instance/o-1", Status: api.StatusRunning, Stage: api.StageInstall}}
	for range 5 {
		s.Stages = append(s.Stages, api.StageRecord{Stage: api.StageInstall, Started: time.Now(), Outcome: api.OutcomeFailed, Detail: strings.Repeat("long ", 50)})
	}
	s.Stages = append(s.Stages, api.StageRecord{Stage: api.StageInstall, Started: time.Now()})
	s.Activities = []client.Activity{{Name: "Install", Attempt: 2, Trouble: "boom\a\x1b[2J", Progress: api.Progress{Phase: "writing image", Percent: 42}}}
	v.redraw([]client.Snapshot{s})
	drawn := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(drawn) != height-1 || v.height != height-1 {
		t.Errorf("%d lines, counted as %d, on a screen of %d:\n%s", len(drawn), v.height, height, out.String())
	}
	for _, line := range drawn {
		if ansi.StringWidth(line) >= width || strings.Contains(line, "\a") || strings.Contains(line, "\x1b[2J") {
			t.Errorf("%q", line)
		}
	}
	// Uncut, so that the trouble is there to be looked at.
	if line := activity(s.Activities[0]); strings.Contains(line, "\a") || strings.Contains(line, "\x1b[2J") || !strings.Contains(line, "boom") {
		t.Errorf("%q", line)
	}
}
