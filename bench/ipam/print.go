package main

import (
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
)

func (b *bench) print(w io.Writer) {
	fmt.Fprintf(w, "PostgreSQL %s, fsync %s, shared_buffers %s, %d CPUs for it and for its clients\n\n", b.PostgreSQL, b.Fsync, b.Buffers, b.CPUs)
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"", "clients", "per second", "p50 ms", "p99 ms", "longest ms", "errors"})
	for _, of := range []struct {
		what  string
		rates []rate
	}{
		{"floor: pgbench, one row a transaction", b.Floor},
		{"Ferrodur: IPv4 and IPv6 link, with history", b.Links},
		{fmt.Sprintf("go-ipam: one address, %d held", heldByGoIPAM), b.GoIPAM},
	} {
		for _, r := range of.rates {
			t.AppendRow(table.Row{of.what, r.Clients, number(r.PerSecond), number(r.P50), number(r.P99), number(r.Longest), r.Errors})
		}
		t.AppendSeparator()
	}
	if t.Length() > 0 {
		fmt.Fprintln(w, t.Render())
	}
	if b.OfFloor > 0 && b.OfGoIPAM > 0 {
		fmt.Fprintf(w, "\nAt %d clients %.2f of the floor (wanted: 0.5), and %.0f times go-ipam's best (wanted: 200).\n", many, b.OfFloor, b.OfGoIPAM)
	}
	for _, g := range []struct {
		what string
		growth
	}{
		{"1 000 000 links held, against none", b.Growth},
		{"the same, owners in no order", b.Random},
		{"99.9 % of a pool held, against none", b.Full},
		{"the same, each free link apart from the others (no target)", b.Apart},
	} {
		if g.Ratio == 0 { // left out with -only
			continue
		}
		fmt.Fprintf(w, "%s: %.0f against %.0f a second, ratio of the medians %.2f (wanted: 0.9)\n", g.what, g.Much, g.Little, g.Ratio)
	}
	if b.Burst.Addresses > 0 {
		fmt.Fprintf(w, "24 calls for 10 addresses of one /24: %.3f s, %d addresses, %d given twice, %d errors\n\n", b.Burst.Seconds, b.Burst.Addresses, b.Burst.Twice, b.Burst.Errors)
	}
	if len(b.Prefixes) == 0 {
		return
	}
	t = table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"of 100 097 prefixes", "answer", "p50 ms", "p99 ms"})
	for _, p := range b.Prefixes {
		t.AppendRow(table.Row{p.Question, p.Prefixes, number(p.P50), number(p.P99)})
	}
	fmt.Fprintln(w, t.Render())
	fmt.Fprintf(w, "\nPlan of: %s (the others' are in the JSON file)\n", b.Prefixes[0].Question)
	for _, line := range b.Prefixes[0].Plan {
		fmt.Fprintln(w, "  "+line)
	}
}

// number has as many digits as mean something.
func number(n float64) string {
	if n >= 100 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.3g", n)
}
