package main

import (
	"cmp"
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"ferrodur/inventory"
	"ferrodur/report"
	"ferrodur/workflows/api"
)

func (c *cli) enrollCommand() *cobra.Command {
	var (
		all, wait bool
		limits    limitFlags
	)
	command := &cobra.Command{
		Use:   "enroll SERVER...",
		Short: "Bring declared servers into service: BMC, hardware, burn-in",
		Long: `Bring declared servers into service. The BMC must answer, the hardware must be what was
declared, and a burn-in must pass. The burn-in writes to every disk.`,
		Example: "  starter enroll s1 s2 --wait\n  starter enroll --all",
		RunE: func(command *cobra.Command, servers []string) error {
			ctx := command.Context()
			if all == (len(servers) > 0) {
				return usage("name the servers to enrol, or give --all for those that are declared and not in service")
			}
			if all {
				database, err := c.facts(ctx)
				if err != nil {
					return err
				}
				found, err := inventory.New(database).Servers(ctx, inventory.ServerFilter{State: inventory.Enrolled})
				if err != nil {
					return err
				}
				for _, server := range found {
					servers = append(servers, server.Name)
				}
			}
			temporal, err := c.workflows(ctx)
			if err != nil {
				return err
			}
			ids := []string{}
			for _, server := range servers {
				if err := temporal.Enroll(ctx, api.EnrollInput{Server: server, Limits: limits.Limits}); err != nil {
					return err
				}
				ids = append(ids, api.EnrollID(server))
			}
			if wait {
				return c.ended(ctx, ids...)
			}
			return c.say(ids, "started: %s", listed(ids))
		},
	}
	command.Flags().BoolVar(&all, "all", false, "every declared server that is not yet in service")
	command.Flags().BoolVar(&wait, "wait", false, "wait until they are in service")
	limits.add(command)
	return command
}

func (c *cli) burnInCommand() *cobra.Command {
	var (
		wait   bool
		limits limitFlags
	)
	command := &cobra.Command{
		Use:     "burn-in SERVER",
		Short:   "Test a server that no order holds",
		Long:    "Test a server that no order holds. The burn-in writes to every disk.",
		Example: "  starter burn-in s1 --limit burn-in=1h --wait",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			temporal, err := c.workflows(command.Context())
			if err != nil {
				return err
			}
			if err := temporal.BurnIn(command.Context(), api.BurnInInput{Server: given[0], Limits: limits.Limits}); err != nil {
				return err
			}
			id := api.BurnInID(given[0])
			if wait {
				return c.ended(command.Context(), id)
			}
			return c.say([]string{id}, "started: %s", id)
		},
	}
	command.Flags().BoolVar(&wait, "wait", false, "wait until it has ended")
	limits.add(command)
	return command
}

// serverRow is a server as the CLI shows it: without how to log in to its BMC.
type serverRow struct {
	Name   string                `json:"name"`
	Site   string                `json:"site"`
	Rack   string                `json:"rack"`
	Plan   string                `json:"plan"`
	Switch string                `json:"switch"`
	Port   string                `json:"port"`
	MAC    string                `json:"mac"`
	Others []inventory.Uplink    `json:"others,omitempty"`
	Bond   int                   `json:"bond,omitempty"`
	State  inventory.ServerState `json:"state"`
	Reason string                `json:"reason,omitempty"`
	Holder string                `json:"holder,omitempty"`
}

func rowOf(s inventory.Server) serverRow {
	return serverRow{
		Name: s.Name, Site: s.Site, Rack: s.Rack, Plan: s.Plan, Switch: s.Switch, Port: s.Port, MAC: s.MAC, Others: s.Others, Bond: s.Bond,
		State: s.State, Reason: s.StateReason, Holder: s.Holder,
	}
}

func (c *cli) serversCommand() *cobra.Command {
	var (
		filter inventory.ServerFilter
		state  string
	)
	command := &cobra.Command{
		Use:     "servers",
		Short:   "List the servers of the inventory",
		Example: "  starter servers --site ewr1 --state available",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			database, err := c.facts(command.Context())
			if err != nil {
				return err
			}
			filter.State = inventory.ServerState(state)
			if err := c.checkSite(command.Context(), filter.Site); err != nil {
				return err
			}
			found, err := inventory.New(database).Servers(command.Context(), filter)
			if err != nil {
				return err
			}
			rows := []serverRow{}
			for _, server := range found {
				rows = append(rows, rowOf(server))
			}
			return c.print(rows, func(t table.Writer) {
				t.AppendHeader(table.Row{"server", "site", "rack", "plan", "port", "state", "holder", "reason"})
				for _, r := range rows {
					t.AppendRow(table.Row{r.Name, r.Site, r.Rack, r.Plan, r.Switch + " " + r.Port, r.State, r.Holder, r.Reason})
				}
			})
		},
	}
	command.Flags().StringVar(&filter.Site, "site", "", "of one site")
	command.Flags().StringVar(&filter.Plan, "plan", "", "of one plan")
	command.Flags().StringVar(&state, "state", "", "in one state")
	return command
}

func (c *cli) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show SERVER",
		Short:   "Show a server: hardware, burn-ins, wipes, history",
		Example: "  starter show s1 -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			ctx, name := command.Context(), given[0]
			database, err := c.facts(ctx)
			if err != nil {
				return err
			}
			store := inventory.New(database)
			server, err := store.Server(ctx, name)
			if err != nil {
				return err
			}
			burnIns, err := store.BurnIns(ctx, name)
			if err != nil {
				return err
			}
			wipes, err := store.Wipes(ctx, name)
			if err != nil {
				return err
			}
			events, err := store.Events(ctx, name)
			if err != nil {
				return err
			}
			document := map[string]any{
				"server": rowOf(server), "hardware": server.Hardware, "burn_ins": orEmpty(burnIns), "wipes": orEmpty(wipes), "events": orEmpty(events),
			}
			return c.print(document, func(t table.Writer) {
				for _, uplink := range server.Uplinks() {
					t.AppendRow(table.Row{"uplink", fmt.Sprintf("%s to port %s of %s", uplink.MAC, uplink.Port, uplink.Switch)})
				}
				if server.Bond > 0 {
					t.AppendRow(table.Row{"bond", server.Bond})
				}
				t.AppendRow(table.Row{"state", fmt.Sprintf("%s %s", server.State, server.StateReason)})
				if h := server.Hardware; h != nil {
					t.AppendRow(table.Row{"processor", fmt.Sprintf("%s, %d threads", h.CPU.Model, h.CPU.Threads)})
					t.AppendRow(table.Row{"memory", fmt.Sprintf("%d MiB", h.Memory>>20)})
					for _, disk := range h.Disks {
						t.AppendRow(table.Row{"disk", fmt.Sprintf("%s %s, %d GiB", disk.Path, disk.Serial, disk.Bytes>>30)})
					}
					for _, nic := range h.NICs {
						t.AppendRow(table.Row{"NIC", fmt.Sprintf("%s %s (%s)", nic.Name, nic.MAC, nic.Driver) + cabledTo(nic.Neighbour)})
					}
					t.AppendRow(table.Row{"firmware", fmt.Sprintf("%s, %s %s", h.Firmware.Mode, h.Firmware.Vendor, h.Firmware.Version)})
				}
				for _, b := range burnIns {
					t.AppendRow(table.Row{"burn-in", fmt.Sprintf("%s: passed %v, %.0f s", b.Stored.Format("2006-01-02 15:04"), b.Report.Passed, b.Report.Seconds)})
				}
				for _, w := range wipes {
					t.AppendRow(table.Row{"wipe", fmt.Sprintf("%s: after %s, %.0f s", w.Stored.Format("2006-01-02 15:04"), w.Instance, w.Report.Seconds)})
				}
				for _, e := range events {
					t.AppendRow(table.Row{e.At.Format("2006-01-02 15:04:05"), fmt.Sprintf("%s → %s %s (%s%s)", e.From, e.To, e.Reason, e.Workflow, e.Actor)})
				}
			})
		},
	}
}

// cabledTo says who was heard at the other end of a NIC's cable, if anybody was.
func cabledTo(heard *report.Neighbour) string {
	if heard == nil {
		return ""
	}
	return fmt.Sprintf(", cabled to %s of %s", heard.PortName(), cmp.Or(heard.System, heard.Chassis))
}
