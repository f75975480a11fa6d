package main

import (
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
)

func (b *bench) print(w io.Writer) {
	fmt.Fprintf(w, "Through the switch's workflow, on Temporal and PostgreSQL; %d CPUs for all of it\n\n", b.CPUs)
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"60 changes of one switch", "transactions", "commits", "together s", "one by one s"})
	for _, of := range []struct {
		what string
		rush
	}{{"emulated Arista EOS, a commit takes 5 s", b.Emulated}, {"FRR", b.FRR}} {
		if of.rush == (rush{}) { // left out
			continue
		}
		commits := "line by line"
		if of.Commits > 0 {
			commits = fmt.Sprint(of.Commits)
		}
		t.AppendRow(table.Row{of.what, of.Transactions, commits, fmt.Sprintf("%.1f", of.Together), fmt.Sprintf("%.1f", of.OneByOne)})
	}
	if t.Length() > 0 {
		fmt.Fprintf(w, "%s\n\nWanted: at most 3 transactions.\n", t.Render())
	}
	if b.Audit.Switches > 0 {
		fmt.Fprintf(w, "Audit of %d switches with %d ports: %.1f s, %d sessions\n", b.Audit.Switches, b.Audit.Ports, b.Audit.Seconds, b.Audit.Sessions)
	}
	if b.Idle.Changes > 0 {
		fmt.Fprintf(w, "From a request to the verified port, FRR, idle, %d changes: p50 %.0f ms, p99 %.0f ms\n", b.Idle.Changes, b.Idle.P50, b.Idle.P99)
	}
}
