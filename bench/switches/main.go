// Bench measures how changes of switch ports are carried out: through the switch's
// workflow on a real Temporal server and PostgreSQL, on emulated switches whose commit
// takes five seconds, and on FRR.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// results are what is printed, and written as JSON.
type results struct {
	Date     time.Time `json:"date"`
	CPUs     int       `json:"cpus"`
	Emulated rush      `json:"emulated"` // Arista EOS, a commit takes five seconds
	FRR      rush      `json:"frr"`
	Audit    audit     `json:"audit"`
	Idle     latency   `json:"idle"` // FRR, one change at a time
}

// rush is 60 changes of one switch, that arrive together and one after the other.
type rush struct {
	Ports        int     `json:"ports"`
	Transactions int     `json:"transactions"` // of those that arrived together; wanted: at most 3
	Commits      int     `json:"commits"`      // that took effect on the device; 0 where it has none
	Together     float64 `json:"together_seconds"`
	OneByOne     float64 `json:"one_by_one_seconds"`
}

type audit struct {
	Switches int     `json:"switches"`
	Ports    int     `json:"ports"`
	Sessions int     `json:"sessions"`
	Seconds  float64 `json:"seconds"`
}

// latency is from the request of a change to its verified port.
type latency struct {
	Changes int     `json:"changes"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	file := flag.String("json", "", "write the figures to this file too")
	only := flag.String("only", "", "only the steps whose names contain this, such as \"audit\"")
	flag.Parse()
	b := &bench{}
	b.Date, b.CPUs = time.Now(), runtime.NumCPU()
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.start(ctx); err != nil {
		return err
	}
	for _, step := range []struct {
		does string
		do   func(context.Context) error
	}{
		{"60 changes of an emulated switch whose commit takes 5 s", b.emulated},
		{"60 changes of FRR, and single ones", b.frr},
		{"audit of 100 emulated switches with 48 ports each", b.audit},
	} {
		if !strings.Contains(step.does, *only) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s  %s …\n", time.Now().Format(time.TimeOnly), step.does)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.does, err)
		}
	}
	b.print(os.Stdout)
	if *file == "" {
		return nil
	}
	text, err := json.MarshalIndent(b.results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*file, append(text, '\n'), 0o644)
}
