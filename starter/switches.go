package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"ferrodur/client"
	"ferrodur/inventory"
	"ferrodur/workflows/api"
)

func (c *cli) switchCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "switch",
		Short: "See and steer what is done to switches",
		Long: `See and steer what is done to switches. Each has a workflow, "switch/NAME", which is the
only one that writes to it: changes that arrive while it works are carried out together.`,
	}
	command.AddCommand(
		c.switchListCommand(), c.switchShowCommand(), c.switchQueueCommand(),
		c.switchModeCommand("pause", "Leave a switch alone: orders that need it wait", api.ModePaused),
		c.switchModeCommand("resume", "Carry changes out again", api.ModeApply),
		c.switchModeCommand("ask", "Show what would be changed, and wait for approval", api.ModeApprove),
		c.switchModeCommand("dry-run", "Show what would be changed, and change nothing", api.ModeDryRun),
		c.switchApproveCommand(), c.switchRejectCommand(),
		c.switchTrustCommand(),
		c.switchDriftCommand(), c.switchDiffCommand(), c.switchApplyCommand(), c.switchRemoveCommand(),
	)
	return command
}

const (
	// switchesAtOnce are asked how they stand.
	switchesAtOnce = 32
	// modeUnknown is of a switch whose workflow does not answer.
	modeUnknown api.SwitchMode = "unknown"
)

// switchRow is a switch as it is listed.
type switchRow struct {
	api.SwitchRef
	Platform string         `json:"platform"`
	Address  string         `json:"address"`
	Ports    int            `json:"ports"`
	Mode     api.SwitchMode `json:"mode"`
	Reason   string         `json:"reason,omitempty"` // of the mode
	Trouble  string         `json:"trouble,omitempty"`
	Waiting  int            `json:"waiting"`
	Drift    int            `json:"drift"`
	Heal     bool           `json:"heal"`
	Audited  *time.Time     `json:"audited,omitempty"`
}

// standing is the switch's mode, and whether it is in trouble: away, or not to be logged in to.
func (r switchRow) standing() string {
	if r.Trouble == "" {
		return standing(r.Mode, r.Reason)
	}
	return standing(r.Mode, r.Reason) + ", in trouble"
}

func (c *cli) switchListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List switches, what waits for them, and how many ports have drifted",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx := command.Context()
			rows, err := c.switchRows(ctx)
			if err != nil {
				return err
			}
			return c.print(orEmpty(rows), func(t table.Writer) {
				t.AppendHeader(table.Row{"switch", "site", "platform", "address", "ports", "mode", "waiting", "drift", "compared"})
				for _, r := range rows {
					compared := "never"
					if r.Audited != nil {
						compared = since(*r.Audited)
					}
					t.AppendRow(table.Row{r.Switch, r.Site, r.Platform, r.Address, r.Ports, r.standing(), r.Waiting, r.Drift, compared})
				}
			})
		},
	}
}

func (c *cli) switchRows(ctx context.Context) ([]switchRow, error) {
	store, err := c.inventory(ctx)
	if err != nil {
		return nil, err
	}
	declared, err := store.Switches(ctx)
	if err != nil {
		return nil, err
	}
	drift, err := store.Drift(ctx, "")
	if err != nil {
		return nil, err
	}
	audited, err := store.Audited(ctx)
	if err != nil {
		return nil, err
	}
	temporal, err := c.workflows(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]switchRow, len(declared))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(switchesAtOnce)
	for i, s := range declared {
		group.Go(func() error {
			ref := api.SwitchRef{Switch: s.Name, Site: s.Site}
			state, err := switchState(ctx, store, temporal, ref)
			if errors.Is(err, client.ErrNoAnswer) { // the rest is known all the same
				state, err = api.SwitchState{Mode: modeUnknown, Trouble: err.Error()}, nil
			}
			rows[i] = switchRow{
				SwitchRef: ref, Platform: s.Platform, Address: s.Address,
				Ports: len(s.Ports), Mode: state.Mode, Reason: state.Reason, Trouble: state.Trouble, Waiting: len(state.Queue), Heal: s.Heal,
			}
			for _, d := range drift {
				if d.Switch == s.Name {
					rows[i].Drift++
				}
			}
			if at, compared := audited[s.Name]; compared {
				rows[i].Audited = &at
			}
			return err
		})
	}
	return rows, group.Wait()
}

// switchState is how a switch's workflow stands; one that has ended will begin in the mode that
// was set last.
func switchState(ctx context.Context, store *inventory.Store, temporal *client.Client, ref api.SwitchRef) (api.SwitchState, error) {
	state, err := temporal.SwitchState(ctx, ref)
	if err != nil || !state.Since.IsZero() {
		return state, err
	}
	kept, err := store.SwitchMode(ctx, ref.Switch)
	if kept.Mode != "" {
		state.Mode, state.Reason, state.Since = api.SwitchMode(kept.Mode), kept.Reason, kept.Since
	}
	return state, err
}

// portRow is what a port should be, and whether it is.
type portRow struct {
	Port    string                  `json:"port"`
	Server  string                  `json:"server,omitempty"`
	Asked   *api.ConfigurePortInput `json:"asked,omitempty"`
	Since   *time.Time              `json:"since,omitempty"`
	Linked  bool                    `json:"linked"` // when it was last seen
	Drift   []string                `json:"drift,omitempty"`
	Problem string                  `json:"problem,omitempty"`
}

func (c *cli) switchShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show SWITCH",
		Short:   "Show what the ports of a switch should be",
		Example: "  starter switch show sw1",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			rows, err := c.portRows(command.Context(), given[0])
			if err != nil {
				return err
			}
			return c.print(orEmpty(rows), func(t table.Writer) {
				t.AppendHeader(table.Row{"port", "server", "profile", "for", "addresses", "blocks", "since", "link", "drift"})
				for _, r := range rows {
					row := table.Row{r.Port, r.Server, "", "", "", "", "", "", cmp.Or(r.Problem, strings.Join(r.Drift, "\n"))}
					if asked := r.Asked; asked != nil {
						var addresses []string
						for _, link := range asked.Links.List() {
							addresses = append(addresses, link.Switch.String())
						}
						row = table.Row{r.Port, r.Server, asked.Profile, asked.Instance, strings.Join(addresses, "\n"), strings.Join(texts(asked.Blocks), "\n"), since(*r.Since), link(r.Linked), row[8]}
					}
					t.AppendRow(row)
				}
			})
		},
	}
}

func link(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func (c *cli) portRows(ctx context.Context, name string) ([]portRow, error) {
	store, err := c.inventory(ctx)
	if err != nil {
		return nil, err
	}
	declared, err := store.Switch(ctx, name)
	if err != nil {
		return nil, err
	}
	asked, err := store.AskedPorts(ctx, name)
	if err != nil {
		return nil, err
	}
	drift, err := store.Drift(ctx, name)
	if err != nil {
		return nil, err
	}
	servers, err := store.Servers(ctx, inventory.ServerFilter{})
	if err != nil {
		return nil, err
	}
	var rows []portRow
	for _, port := range declared.Ports {
		row := portRow{Port: port}
		for _, server := range servers {
			if slices.ContainsFunc(server.Uplinks(), func(u inventory.Uplink) bool { return u.Switch == name && u.Port == port }) {
				row.Server = server.Name
			}
		}
		for _, a := range asked {
			if a.Port == port {
				row.Asked, row.Since, row.Linked = new(api.ConfigurePortInput), &a.At, a.Linked
				if err := json.Unmarshal(a.Asked, row.Asked); err != nil {
					return nil, fmt.Errorf("what was asked for port %s of switch %s: %w", port, name, err)
				}
			}
		}
		for _, d := range drift {
			if d.Port == port {
				row.Drift, row.Problem = d.Lines, d.Problem
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (c *cli) switchRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "remove SWITCH",
		Short:   "Forget a switch that no server is cabled to any more",
		Long:    "Forget a switch that no server is cabled to any more. Nothing is changed on the switch itself.",
		Example: "  starter switch remove sw1",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			ctx := command.Context()
			temporal, err := c.workflows(ctx)
			if err != nil {
				return err
			}
			store, err := c.inventory(ctx)
			if err != nil {
				return err
			}
			// Where an earlier attempt was cut off, the workflow is still there.
			removed := store.RemoveSwitch(ctx, given[0])
			if removed != nil && !is[inventory.NotFoundError](removed) {
				return removed
			}
			if err := errors.Join(removed, temporal.EndSwitch(ctx, given[0])); err != nil {
				return err
			}
			return c.say(map[string]string{"switch": given[0]}, "switch %s is forgotten", given[0])
		},
	}
}

// checkSite refuses a site that is not there; empty: all sites.
func (c *cli) checkSite(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	store, err := c.inventory(ctx)
	if err != nil {
		return err
	}
	_, err = store.Site(ctx, name)
	return err
}

// switchRef finds a switch in the inventory.
func (c *cli) switchRef(ctx context.Context, name string) (api.SwitchRef, error) {
	store, err := c.inventory(ctx)
	if err != nil {
		return api.SwitchRef{}, err
	}
	found, err := store.Switch(ctx, name)
	return api.SwitchRef{Switch: found.Name, Site: found.Site}, err
}

// switchWorkflow is how a switch's workflow is reached.
func (c *cli) switchWorkflow(ctx context.Context, name string) (api.SwitchRef, *client.Client, error) {
	ref, err := c.switchRef(ctx, name)
	if err != nil {
		return ref, nil, err
	}
	temporal, err := c.workflows(ctx)
	return ref, temporal, err
}

func (c *cli) inventory(ctx context.Context) (*inventory.Store, error) {
	database, err := c.facts(ctx)
	if err != nil {
		return nil, err
	}
	return inventory.New(database), nil
}
