// Package steps runs a benchmark: its steps one after the other, or those that are asked
// for, and what they measured as a table and as JSON.
package steps

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Step measures something.
type Step struct {
	Does string
	Do   func(context.Context) error
}

// Bench is a benchmark.
type Bench struct {
	Start   func(context.Context) error // sets up what the steps measure
	Stop    func(context.Context) error // takes it down, however far Start came
	Steps   []Step
	Print   func(io.Writer)
	Results any // as JSON
}

// Run is a benchmark's main function. It parses the command line, on which a benchmark may
// have defined flags of its own, and ends the program with status 1 after an error.
func Run(b Bench) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b Bench) run(ctx context.Context) (err error) {
	file := flag.String("json", "", "write the figures to this file too")
	only := flag.String("only", "", "only the steps whose names contain this")
	flag.Parse()
	defer func() { err = errors.Join(err, b.Stop(context.WithoutCancel(ctx))) }()
	if err := b.Start(ctx); err != nil {
		return err
	}
	for _, step := range b.Steps {
		if !strings.Contains(step.Does, *only) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s  %s …\n", time.Now().Format(time.TimeOnly), step.Does)
		if err := step.Do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.Does, err)
		}
	}
	b.Print(os.Stdout)
	if *file == "" {
		return nil
	}
	text, err := json.MarshalIndent(b.Results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*file, append(text, '\n'), 0o644)
}
