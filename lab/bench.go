package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"ferrodur/lab/byhand"
	"ferrodur/lab/debian"
	"ferrodur/lab/machine"
	"ferrodur/lab/rack"
	"ferrodur/lab/stack"
	"ferrodur/workflows/api"
)

// comparison is an install by Ferrodur, from the order to the tenant's SSH, and the same by
// hand, from the power-on.
type comparison struct {
	Ferrodur []byhand.Step `json:"ferrodur"`
	ByHand   []byhand.Step `json:"by_hand"`
	Ratio    float64       `json:"ratio"`
}

func benchCommand() *cobra.Command {
	var jsonFile string
	config := stack.Config{Servers: []rack.Server{{Firmware: machine.BIOS}}}
	command := &cobra.Command{
		Use:   "bench",
		Short: "Time an install by Ferrodur against the same one scripted by hand",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			config.Out = out
			if jsonFile != "" { // relative to where the command was given
				if jsonFile, err = filepath.Abs(jsonFile); err != nil {
					return err
				}
			}
			if err := debian.Install(ctx, out, byhand.Packages...); err != nil {
				return err
			}
			s, err := stack.Start(ctx, config)
			if err != nil {
				return interrupted(ctx, err)
			}
			defer func() { err = errors.Join(err, s.Stop(context.WithoutCancel(ctx))) }()
			result, err := compare(ctx, s)
			if err != nil {
				return interrupted(ctx, err)
			}
			t := table.NewWriter()
			t.SetStyle(table.StyleRounded)
			t.AppendHeader(table.Row{"", "step", "seconds since the start"})
			for _, step := range result.ByHand {
				t.AppendRow(table.Row{"by hand", step.Name, fmt.Sprintf("%.1f", step.Seconds)})
			}
			for _, step := range result.Ferrodur {
				t.AppendRow(table.Row{"Ferrodur", step.Name, fmt.Sprintf("%.1f", step.Seconds)})
			}
			t.AppendFooter(table.Row{"ratio", "", fmt.Sprintf("%.2f", result.Ratio)})
			fmt.Fprintln(out, t.Render())
			if jsonFile == "" {
				return nil
			}
			text, err := json.MarshalIndent(result, "", "  ")
			return errors.Join(err, os.WriteFile(jsonFile, append(text, '\n'), 0o644))
		},
	}
	flags := command.Flags()
	flags.StringVar(&config.Dir, "dir", ".state/bench", "state folder")
	flags.StringVar(&config.Prefix, "prefix", "bench", "begins the names of the network namespaces")
	flags.StringVar(&jsonFile, "json", "", "write the figures to this file")
	flags.BoolVar(&config.KVM, "kvm", false, "use hardware virtualisation")
	return command
}

func compare(ctx context.Context, s *stack.Stack) (result comparison, err error) {
	const server = "s1"
	fmt.Fprintln(os.Stdout, "Enrolling", server)
	if err := s.Client.Enroll(ctx, api.EnrollInput{Server: server, Limits: api.Limits{BurnIn: time.Second}}); err != nil {
		return result, err
	}
	if _, err := s.Client.WaitEnded(ctx, api.EnrollID(server)); err != nil {
		return result, err
	}
	fmt.Fprintln(os.Stdout, "Installing with Ferrodur")
	order := "bench-" + strings.ToLower(rand.Text()[:8])
	begin := time.Now()
	if err := s.Client.Provision(ctx, api.Order{
		ID: order, Site: rack.SiteName, Plan: rack.PlanName, Image: stack.Image, SSHKeys: []string{"ssh-ed25519 AAAA nobody"},
	}); err != nil {
		return result, err
	}
	state, err := s.Client.WaitActive(ctx, order)
	if err != nil {
		return result, err
	}
	for _, stage := range state.Stages {
		if stage.Stage != api.StageActive {
			result.Ferrodur = append(result.Ferrodur, byhand.Step{Name: string(stage.Stage), Seconds: stage.Started.Add(stage.Took).Sub(begin).Seconds()})
		}
	}
	fmt.Fprintln(os.Stdout, "Returning it")
	if _, err := s.Client.Return(ctx, order); err != nil {
		return result, err
	}
	if _, err := s.Client.WaitEnded(ctx, api.InstanceID(order)); err != nil {
		return result, err
	}
	fmt.Fprintln(os.Stdout, "Installing by hand")
	if result.ByHand, err = byhand.Install(ctx, s, server); err != nil {
		return result, err
	}
	result.Ratio = result.Ferrodur[len(result.Ferrodur)-1].Seconds / result.ByHand[len(result.ByHand)-1].Seconds
	return result, nil
}
