package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"ferrodur/workflows/api"
)

func (c *cli) switchQueueCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "queue SWITCH",
		Short: "Show the changes that wait for a switch, and what they would change",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			state, err := c.switchState(command.Context(), given[0])
			if err != nil {
				return err
			}
			if state.Trouble != "" && c.format == formatTable {
				if err := c.say(nil, "%s is in trouble: %s\n", state.Switch, state.Trouble); err != nil {
					return err
				}
			}
			if state.Mode != api.ModeApply && c.format == formatTable {
				if err := c.say(nil, "%s is in mode %s\n", state.Switch, standing(state.Mode, state.Reason)); err != nil {
					return err
				}
			}
			return c.print(state, func(t table.Writer) {
				t.AppendHeader(table.Row{"request", "port", "server", "profile", "for", "state", "waits", "would change"})
				for _, q := range state.Queue {
					standing, lines := "waiting", markup("")
					switch {
					case q.Applying:
						standing = "under way"
					case q.Approved:
						standing = "approved"
					case q.Preview != nil:
						standing, lines = "shown", cmp.Or(markup(printable(q.Preview.Error)), c.coloured(q.Preview.Lines))
					}
					t.AppendRow(table.Row{q.Request, q.Port, q.Cable(), q.Profile, cmp.Or(q.Instance, q.Caller.Workflow), standing, time.Since(q.Since).Round(time.Second), lines})
				}
			})
		},
	}
}

// standing is a switch's mode in the words of the commands, with the reason that was given for it.
func standing(mode api.SwitchMode, reason string) string {
	name := string(mode)
	if mode == api.ModeApprove {
		name = "ask"
	}
	if reason == "" {
		return name
	}
	return fmt.Sprintf("%s (%s)", name, reason)
}

// counted is a number of things: "1 change", "2 changes".
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// coloured writes a diff, with its colours on a terminal.
func (c *cli) coloured(lines []string) markup {
	file, isFile := c.out.(*os.File)
	out := make([]string, len(lines))
	for i, line := range lines {
		colour := text.FgGreen
		if strings.HasPrefix(line, "-") {
			colour = text.FgRed
		}
		if out[i] = printable(line); isFile && term.IsTerminal(file.Fd()) {
			out[i] = colour.Sprint(out[i])
		}
	}
	return markup(strings.Join(out, "\n"))
}

func (c *cli) switchState(ctx context.Context, name string) (api.SwitchState, error) {
	ref, temporal, err := c.switchWorkflow(ctx, name)
	if err != nil {
		return api.SwitchState{}, err
	}
	store, err := c.inventory(ctx)
	if err != nil {
		return api.SwitchState{}, err
	}
	return switchState(ctx, store, temporal, ref)
}

func (c *cli) switchModeCommand(name, short string, mode api.SwitchMode) *cobra.Command {
	var reason string
	command := &cobra.Command{
		Use:     name + " SWITCH",
		Short:   short,
		Example: fmt.Sprintf("  starter switch %s sw1 --reason \"change 4711\"", name),
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			ctx := command.Context()
			ref, temporal, err := c.switchWorkflow(ctx, given[0])
			if err != nil {
				return err
			}
			silence := tellSilence()
			state, err := temporal.SetSwitchMode(ctx, ref, api.ModeInput{Mode: mode, Reason: oneLine(reason)})
			silence.Stop()
			if err != nil {
				return err
			}
			underWay := ""
			if n := len(state.Queue) - state.Waiting(); n > 0 {
				underWay = fmt.Sprintf("; under way: %s", counted(n, "change"))
				if mode != api.ModeApply {
					underWay += ", held back unless the switch has been written to already"
				}
			}
			return c.say(state, "%s is in mode %s; waiting: %s%s", ref.Switch, standing(state.Mode, ""), counted(state.Waiting(), "change"), underWay)
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "shown to whoever waits")
	return command
}

func (c *cli) switchApproveCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "approve SWITCH [REQUEST...]",
		Short:   "Let changes through that wait for approval; all that were shown, if none is named",
		Example: "  starter switch queue sw1\n  starter switch approve sw1",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			ctx := command.Context()
			ref, temporal, err := c.switchWorkflow(ctx, given[0])
			if err != nil {
				return err
			}
			silence := tellSilence()
			state, err := temporal.ApproveSwitch(ctx, ref, api.ApproveInput{Requests: given[1:]})
			silence.Stop()
			if err != nil {
				return err
			}
			if len(state.Queue) == 0 {
				return c.say(state, "no change waits at %s", ref.Switch)
			}
			return c.say(state, "%d of %d changes of %s are approved; one that would be another by now is shown again: starter switch queue %[3]s", countApproved(state), len(state.Queue), ref.Switch)
		},
	}
}

func countApproved(state api.SwitchState) int {
	n := 0
	for _, q := range state.Queue {
		if q.Approved {
			n++
		}
	}
	return n
}

func (c *cli) switchRejectCommand() *cobra.Command {
	var reason string
	command := &cobra.Command{
		Use:   "reject SWITCH REQUEST...",
		Short: "Refuse changes that wait; the orders they are for are parked",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(command *cobra.Command, given []string) error {
			ctx := command.Context()
			ref, temporal, err := c.switchWorkflow(ctx, given[0])
			if err != nil {
				return err
			}
			silence := tellSilence()
			state, err := temporal.RejectSwitch(ctx, ref, api.ApproveInput{Requests: given[1:], Reason: oneLine(reason)})
			silence.Stop()
			if err != nil {
				return err
			}
			return c.say(state, "rejected; waiting at %s: %s", ref.Switch, counted(state.Waiting(), "change"))
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "told to whoever asked for the changes")
	return command
}
