package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"ferrodur/client"
	"ferrodur/workflows/api"
)

func (c *cli) switchDriftCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "drift [SWITCH]",
		Short: "Show the ports that were not what was asked for when they were last compared",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			ctx := command.Context()
			store, err := c.inventory(ctx)
			if err != nil {
				return err
			}
			name := strings.Join(given, "")
			if name != "" {
				if _, err := store.Switch(ctx, name); err != nil {
					return err
				}
			}
			drift, err := store.Drift(ctx, name)
			if err != nil {
				return err
			}
			return c.print(orEmpty(drift), func(t table.Writer) {
				t.AppendHeader(table.Row{"switch", "port", "server", "since", "would change"})
				for _, d := range drift {
					t.AppendRow(table.Row{d.Switch, d.Port, d.Server, since(d.Since), cmp.Or(markup(printable(d.Problem)), c.coloured(d.Lines))})
				}
			})
		},
	}
}

func (c *cli) switchDiffCommand() *cobra.Command {
	var site string
	var exitCode bool
	command := &cobra.Command{
		Use:     "diff [SWITCH...]",
		Short:   "Compare switches with what was asked for, now",
		Long:    "Compare switches with what was asked for, now. Nothing is changed, unless the switch is declared to heal.",
		Example: "  starter switch diff sw1\n  starter switch diff --site ewr1",
		RunE: func(command *cobra.Command, given []string) error {
			ctx := command.Context()
			for _, name := range given {
				if _, err := c.switchRef(ctx, name); err != nil {
					return err
				}
			}
			if err := c.checkSite(ctx, site); err != nil {
				return err
			}
			temporal, err := c.workflows(ctx)
			if err != nil {
				return err
			}
			result, err := temporal.Audit(ctx, api.AuditInput{Site: site, Switches: given})
			if err != nil {
				return err
			}
			differ := 0
			for _, r := range result.Reports {
				if r.Problem != "" || len(r.Drift) > 0 {
					differ++
				}
			}
			if err := c.print(orEmpty(result.Reports), func(t table.Writer) {
				t.AppendHeader(table.Row{"switch", "port", "server", "would change"})
				for _, r := range result.Reports {
					switch {
					case r.Problem != "":
						t.AppendRow(table.Row{r.Switch, "", "", "not compared: " + r.Problem})
					case len(r.Drift) == 0:
						t.AppendRow(table.Row{r.Switch, "", "", fmt.Sprintf("nothing: %s compared", counted(r.Ports, "port"))})
					}
					for _, d := range r.Drift {
						t.AppendRow(table.Row{r.Switch, d.Port, d.Server, cmp.Or(markup(printable(d.Problem)), c.coloured(d.Lines))})
					}
					for _, port := range slices.Sorted(maps.Keys(r.Foreign)) {
						t.AppendRow(table.Row{r.Switch, port, "", "foreign, and left alone:\n" + strings.Join(r.Foreign[port], "\n")})
					}
				}
			}); err != nil || !exitCode || differ == 0 {
				return err
			}
			return fmt.Errorf("%d of %d switches differ from what was asked for, or could not be compared", differ, len(result.Reports))
		},
	}
	command.Flags().StringVar(&site, "site", "", "those of one site")
	command.Flags().BoolVar(&exitCode, "exit-code", false, "end with 1 where a switch differs, or could not be compared")
	return command
}

func (c *cli) switchApplyCommand() *cobra.Command {
	var wait time.Duration
	command := &cobra.Command{
		Use:     "apply SWITCH [PORT...]",
		Short:   "Make ports what was asked for again; all that have drifted, if none is named",
		Example: "  starter switch drift sw1\n  starter switch apply sw1 swp7",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			ctx := command.Context()
			if wait <= 0 {
				return usage("--wait %s: write a duration such as 90s or 10m", wait)
			}
			rows, err := c.portRows(ctx, given[0])
			if err != nil {
				return err
			}
			var ports []api.PortRequest
			for _, port := range slices.Compact(slices.Sorted(slices.Values(given[1:]))) {
				i := slices.IndexFunc(rows, func(r portRow) bool { return r.Port == port })
				switch {
				case i < 0:
					return fmt.Errorf("port %q of switch %s: %w", port, given[0], client.ErrNotFound)
				case rows[i].Asked == nil:
					return fmt.Errorf("%w: nothing was asked for port %s of switch %s yet", client.ErrRefused, port, given[0])
				}
				request := api.PortRequest{Port: port, ConfigurePortInput: *rows[i].Asked}
				request.Renew = true
				ports = append(ports, request)
			}
			for _, r := range rows {
				if len(given) == 1 && r.Asked != nil && (len(r.Drift) > 0 || r.Problem != "") {
					ports = append(ports, api.PortRequest{Port: r.Port, ConfigurePortInput: *r.Asked})
				}
			}
			if len(ports) == 0 {
				return c.say([]api.PortResult{}, "no port of %s has drifted: starter switch diff %s compares now", given[0], given[0])
			}
			ref, temporal, err := c.switchWorkflow(ctx, given[0])
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("waited %s for it: starter switch queue %s", wait, given[0]))
			defer cancel()
			results, err := temporal.SetPorts(ctx, ref, ports...)
			if err != nil {
				return err
			}
			if err := c.print(results, func(t table.Writer) {
				t.AppendHeader(table.Row{"port", "changed", "problem"})
				for _, r := range results {
					t.AppendRow(table.Row{r.Port, c.coloured(r.Lines), r.Error})
				}
			}); err != nil {
				return err
			}
			failed := slices.DeleteFunc(results, func(r api.PortResult) bool { return r.Error == "" })
			if len(failed) > 0 {
				return fmt.Errorf("%d of %s of %s not made what was asked for: %s", len(failed), counted(len(ports), "port"), ref.Switch, failed[0].Error)
			}
			return nil
		},
	}
	command.Flags().DurationVar(&wait, "wait", 5*time.Minute, "how long to wait for the answers")
	return command
}
