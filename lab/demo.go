package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"ferrodur/lab/rack"
	"ferrodur/lab/stack"
	"ferrodur/lab/tour"
)

func demoCommand() *cobra.Command {
	var (
		config   stack.Config
		keep     bool
		jsonFile string
	)
	command := &cobra.Command{
		Use:   "demo",
		Short: "Provision a machine on a virtual rack, log in to it, return it",
		Long: `Demo starts all of Ferrodur on this machine and takes it through its main job: servers
are enrolled, one is ordered, installed with Debian, logged into over SSH, returned and
wiped. Everything can be watched in Temporal's Web UI meanwhile. At the end, and at
Ctrl-C, everything is taken down again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config.Servers, config.Out = stack.Servers(), cmd.OutOrStdout()
			return demo(cmd.Context(), config, keep, jsonFile)
		},
	}
	flags := command.Flags()
	flags.StringVar(&config.Dir, "dir", ".state/demo", "state folder")
	flags.StringVar(&config.Prefix, "prefix", "demo", "begins the names of the network namespaces")
	flags.BoolVar(&keep, "keep", false, "leave everything running until Ctrl-C")
	flags.StringVar(&jsonFile, "json", "", "write what was seen to this file")
	flags.IntVar(&config.PostgresPort, "postgres-port", 0, "port of PostgreSQL on 127.0.0.1 (default: a free one)")
	flags.Uint16Var(&config.TemporalPort, "temporal-port", 0, "port of Temporal on 127.0.0.1 (default: a free one)")
	flags.Uint16Var(&config.UIPort, "ui-port", 0, "port of Temporal's Web UI on 127.0.0.1 (default: a free one)")
	flags.BoolVar(&config.KVM, "kvm", false, "use hardware virtualisation")
	return command
}

func demo(ctx context.Context, config stack.Config, keep bool, jsonFile string) (err error) {
	out := config.Out
	if jsonFile != "" { // relative to where the command was given
		if jsonFile, err = filepath.Abs(jsonFile); err != nil {
			return err
		}
	}
	s, err := stack.Start(ctx, config)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer func() {
		fmt.Fprintln(out, "Taking everything down")
		stopped := s.Stop(context.WithoutCancel(ctx))
		if err == nil && stopped == nil {
			stopped = rack.Remove(s.Rack) // its disks; of a tour that failed the consoles are of use
		}
		err = errors.Join(err, stopped)
	}()
	if keep {
		fmt.Fprintln(out, "To use bin/starter (go tool task build) in another terminal:")
		for _, variable := range s.Environment() {
			fmt.Fprintf(out, "  export %s\n", variable)
		}
	}
	facts, err := tour.Run(ctx, s, out, true)
	if err == nil {
		printFacts(out, facts)
	}
	if jsonFile != "" {
		err = errors.Join(err, writeFacts(jsonFile, facts))
	}
	if err != nil {
		err = interrupted(ctx, err)
	}
	if keep && ctx.Err() == nil {
		if err != nil {
			fmt.Fprintf(out, "\nThe tour has failed: %v\n", err)
		}
		fmt.Fprintln(out, "\nEverything stays up until Ctrl-C; the variables that were printed at first reach it.")
		<-ctx.Done()
	}
	return err
}

// interrupted keeps an interrupt from looking like a failure of what it interrupted.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

func writeFacts(file string, facts tour.Facts) error {
	text, err := json.MarshalIndent(facts, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

func printFacts(out io.Writer, facts tour.Facts) {
	stages := table.NewWriter()
	stages.SetStyle(table.StyleRounded)
	stages.SetTitle(facts.Order + " on " + facts.Server)
	stages.AppendHeader(table.Row{"stage", "seconds", "outcome"})
	for _, stage := range facts.Stages {
		stages.AppendRow(table.Row{stage.Name, fmt.Sprintf("%.1f", stage.Seconds), stage.Outcome})
	}
	stages.AppendFooter(table.Row{"the whole tour", fmt.Sprintf("%.1f", facts.Seconds), ""})
	fmt.Fprintf(out, "\n%s\n\n", stages.Render())
	for _, disk := range facts.Wipe.Disks {
		fmt.Fprintf(out, "Wiped: %s (%s) by %s in %s; %d samples read back, all zero\n", disk.Disk.Path, disk.Disk.Serial,
			disk.Method, time.Duration(disk.Seconds*float64(time.Second)).Round(time.Millisecond), disk.Samples)
	}
	fmt.Fprintf(out, "Still held: nothing (database, switch and power were looked at)\nHistory: %d events, %s\n", facts.Events, facts.Page)
}
