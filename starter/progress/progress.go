// Package progress shows workflows while they run: their stages, how long each took, and
// how far the one under way has come. On a terminal the view is redrawn in place;
// elsewhere every change is a line.
package progress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/bubbles/progress"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"

	"ferrodur/client"
	_ "ferrodur/starter/progress/background" // asks no terminal
	"ferrodur/workflows/api"
)

// Source is where workflows' snapshots come from: a *client.Client.
type Source interface {
	Snapshot(ctx context.Context, workflowID string) (client.Snapshot, error)
}

// ParkedError says that a workflow waits for an operator.
type ParkedError struct {
	ID, Reason string
	MayAbort   bool // an operator may give up on it
}

func (e *ParkedError) Error() string {
	text := fmt.Sprintf("%s is parked: %s; mend the cause and run: starter retry %s", e.ID, e.Reason, e.ID)
	if e.MayAbort {
		text += ", or give up with: starter abort " + e.ID
	}
	return text
}

// interval is how often the workflows are looked at.
const interval = 500 * time.Millisecond

// patience is how long it may go on that nobody answers for a workflow.
const patience = 2 * time.Minute

// Follow shows workflows on out until each has reached what is waited for, or has parked.
// The error joins a *ParkedError for each that parked; or it is ctx's, client.ErrNotFound,
// or what kept a workflow from being asked for two minutes.
func Follow(ctx context.Context, out io.Writer, source Source, reached func(api.State) bool, ids ...string) error {
	var show func([]client.Snapshot)
	view := view{out: out, started: time.Now(), seen: map[string]string{}}
	if file, ok := out.(*os.File); ok && term.IsTerminal(file.Fd()) {
		view.size = func() (int, int, error) { return term.GetSize(file.Fd()) }
		show = view.redraw
	} else {
		show = view.lines
	}
	answered := time.Now()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		found, err := look(ctx, source, ids)
		show(found)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, client.ErrNotFound) || err != nil && time.Since(answered) > patience:
			return err
		case err == nil:
			answered = time.Now()
			if parked, waiting := judge(found, reached); !waiting {
				return parked
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// look takes a snapshot of every workflow; of those that do not answer, the error tells.
func look(ctx context.Context, source Source, ids []string) ([]client.Snapshot, error) {
	var found []client.Snapshot
	var errs []error
	for _, id := range ids {
		snapshot, err := source.Snapshot(ctx, id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, snapshot)
	}
	return found, errors.Join(errs...)
}

// judge says which workflows have parked, and whether others are to be waited for.
func judge(found []client.Snapshot, reached func(api.State) bool) (parked error, waiting bool) {
	for _, snapshot := range found {
		switch {
		case snapshot.Status == api.StatusParked:
			parked = errors.Join(parked, &ParkedError{ID: snapshot.ID, Reason: snapshot.Reason, MayAbort: snapshot.MayAbort})
		case !reached(snapshot.State):
			waiting = true
		}
	}
	return parked, waiting
}

type view struct {
	out     io.Writer
	started time.Time
	seen    map[string]string // what was last said of a workflow
	height  int               // lines that are redrawn

	size func() (width, height int, err error) // of the terminal; nil where there is none
}

// lines prints a line for every workflow of which there is something new to say.
func (v *view) lines(snapshots []client.Snapshot) {
	for _, s := range snapshots {
		news := shorten(s.Standing())
		for _, a := range s.Activities {
			news += ": " + a.Name
			if a.Progress.Phase != "" {
				news += ", " + a.Progress.Phase
			}
			if a.Progress.Percent > 0 {
				const step = 10 // in the long run of a log, every tenth is enough
				news += fmt.Sprintf(" %d %%", int(a.Progress.Percent)/step*step)
			}
			news += trouble(a)
		}
		if v.seen[s.ID] != news {
			v.seen[s.ID] = news
			fmt.Fprintf(v.out, "%7s  %-26s %s\n", elapsed(time.Since(v.started)), s.ID, news)
		}
	}
}

// redraw draws everything over what was drawn before.
func (v *view) redraw(snapshots []client.Snapshot) {
	var b strings.Builder
	if v.height > 0 {
		fmt.Fprintf(&b, "\x1b[%dF\x1b[J", v.height) // up, and clear to the end (ECMA-48 CPL, ED)
	}
	var text strings.Builder
	for _, s := range snapshots {
		draw(&text, s)
	}
	fmt.Fprintf(&text, "%s elapsed\n", elapsed(time.Since(v.started)))
	drawn := v.fit(text.String())
	v.height = strings.Count(drawn, "\n")
	b.WriteString(drawn)
	_, _ = io.WriteString(v.out, b.String())
}

// fit cuts what would wrap or scroll, because neither can be drawn over: lines at the
// width, and the first lines at the height. A bar's colours count for nothing.
func (v *view) fit(drawn string) string {
	if v.size == nil {
		return drawn
	}
	width, height, err := v.size()
	if err != nil || width < 2 || height < 2 {
		return drawn
	}
	rows := strings.SplitAfter(strings.TrimSuffix(drawn, "\n"), "\n")
	var b strings.Builder
	for _, row := range rows[max(0, len(rows)-height+1):] {
		b.WriteString(ansi.Truncate(strings.TrimSuffix(row, "\n"), width-1, "…") + "\n")
	}
	return b.String()
}

// draw draws one workflow: what it is about, and its stages.
func draw(b *strings.Builder, s client.Snapshot) {
	fmt.Fprintf(b, "%s  %s", s.ID, s.Status)
	if s.Server.Name != "" {
		fmt.Fprintf(b, "  %s", s.Server.Name)
	}
	for _, link := range s.Addresses.List() {
		fmt.Fprintf(b, "  %s", link.Server.Addr())
	}
	b.WriteString("\n")
	for _, record := range s.Stages {
		mark, took := "…", record.Took
		switch record.Outcome {
		case api.OutcomeDone:
			mark = "✓"
		case api.OutcomeFailed, api.OutcomeAborted:
			mark = "✗"
		default:
			took = time.Since(record.Started)
		}
		fmt.Fprintf(b, "  %s %-20s %8s", mark, record.Stage, elapsed(took))
		if record.Detail != "" {
			fmt.Fprintf(b, "  %s", shorten(record.Detail))
		}
		if record.Outcome == "" {
			for _, a := range s.Activities {
				fmt.Fprintf(b, "  %s", activity(a))
			}
		}
		b.WriteString("\n")
	}
}

func activity(a client.Activity) string {
	text := a.Name
	if a.Progress.Percent > 0 {
		bar := progress.New(progress.WithWidth(24), progress.WithoutPercentage())
		text = fmt.Sprintf("%s %3.0f %%", bar.ViewAs(a.Progress.Percent/100), a.Progress.Percent)
	}
	if a.Progress.Phase != "" {
		text += " " + shorten(a.Progress.Phase)
	}
	return text + trouble(a)
}

func trouble(a client.Activity) string {
	if a.Attempt < 2 || a.Trouble == "" {
		return ""
	}
	return fmt.Sprintf(" (attempt %d: %s)", a.Attempt, shorten(a.Trouble))
}

// shorten keeps a text from a device or an agent on one line, without what would drive a
// terminal.
func shorten(text string) string {
	const most = 90
	text, _, _ = strings.Cut(text, "\n")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

func elapsed(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
