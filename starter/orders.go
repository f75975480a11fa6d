package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"ferrodur/client"
	"ferrodur/inventory"
	"ferrodur/workflows/api"
)

func (c *cli) provisionCommand() *cobra.Command {
	var (
		order     api.Order
		bgp       api.BGP
		keys      []string
		userData  string
		onFailure string
		wait      bool
		limits    limitFlags
	)
	command := &cobra.Command{
		Use:   "provision",
		Short: "Order an instance",
		Long: `Order an instance: a server of a plan at a site, installed with an image.

The order's ID may be chosen, and then makes the command safe to repeat: ordering twice is
ordering once. User data goes from the file into the inventory, and never through Temporal.`,
		Example: `  starter provision --plan c1.small --site ewr1 --image debian-12 --ssh-key ~/.ssh/id_ed25519.pub --wait
  starter provision --order o-42 --plan c1.small --site ewr1 --image debian-12 --ssh-key key.pub --user-data cloud-config.yaml`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx := command.Context()
			if order.ID == "" {
				order.ID = "o-" + uuid.NewString()[:13]
			}
			for _, key := range keys {
				lines, err := publicKeys(key)
				if err != nil {
					return err
				}
				order.SSHKeys = append(order.SSHKeys, lines...)
			}
			switch order.OnFailure = api.OnFailure(onFailure); order.OnFailure {
			case api.Park, api.Undo:
			default:
				return usage("--on-failure %s: write %s or %s", onFailure, api.Park, api.Undo)
			}
			if bgp != (api.BGP{}) {
				order.BGP = &bgp
			}
			order.Limits, order.UserData = limits.Limits, userData != ""
			if err := client.Validate(order); err != nil {
				return err
			}
			temporal, err := c.workflows(ctx)
			if err != nil {
				return err
			}
			if userData != "" {
				content, err := os.ReadFile(userData)
				if err != nil {
					return usageError{err}
				}
				database, err := c.facts(ctx)
				if err != nil {
					return err
				}
				if err := inventory.New(database).PutUserData(ctx, api.InstanceID(order.ID), content); err != nil {
					return err
				}
			}
			if err := temporal.Provision(ctx, order); err != nil {
				return err
			}
			if !wait {
				return c.say(map[string]string{"order": order.ID}, "ordered %s; watch it with: starter status %s", order.ID, order.ID)
			}
			return c.settled(ctx, api.InstanceID(order.ID))
		},
	}
	flags := command.Flags()
	flags.StringVar(&order.Plan, "plan", "", "class of servers")
	flags.StringVar(&order.Site, "site", "", "where it stands")
	flags.StringVar(&order.Image, "image", "", "what is installed")
	flags.StringArrayVar(&keys, "ssh-key", nil, "public key, or a file with one, that may log in; may be repeated")
	flags.StringVar(&order.ID, "order", "", "the order's ID (default: a new one)")
	flags.StringVar(&order.Hostname, "hostname", "", "the machine's name (default: the order's ID)")
	flags.StringVar(&order.Tenant, "tenant", "", "customer: for pools that are kept for tenants, and limits")
	flags.StringVar(&order.Network, "network", "", "the VLAN that the server is in (default: it has routed links)")
	flags.StringArrayVar(&order.Tagged, "tagged", nil, "a further network, whose frames come tagged; may be repeated")
	flags.StringVar(&order.Domain, "domain", "", "routing domain of links and blocks, a VRF of the switches (default: the default one)")
	flags.IntVar(&order.Blocks.IPv4, "ipv4-block", 0, "a block of this prefix length that is routed to the instance")
	flags.IntVar(&order.Blocks.IPv6, "ipv6-block", 0, "a block of this prefix length that is routed to the instance")
	flags.Uint32Var(&bgp.ASN, "bgp-asn", 0, "the instance's AS number: it announces its blocks itself, by BGP (default: they are routed to it)")
	flags.StringVar(&bgp.Password, "bgp-password", "", "where the switch worker finds the session's password: env:NAME or file:/path (default: there is none)")
	flags.StringVar(&userData, "user-data", "", "file with user data for cloud-init")
	flags.StringVar(&onFailure, "on-failure", string(api.Park), "what becomes of an order that fails: park or undo")
	flags.BoolVar(&wait, "wait", false, "wait until it is active")
	limits.add(command)
	for _, name := range []string{"plan", "site", "image"} {
		_ = command.MarkFlagRequired(name)
	}
	return command
}

// publicKeys are the key that an argument is, or those of the file that it names.
func publicKeys(argument string) ([]string, error) {
	text := argument
	if !strings.Contains(argument, " ") {
		content, err := os.ReadFile(argument)
		if err != nil {
			return nil, usage("--ssh-key: %w", err)
		}
		text = string(content)
	}
	var keys []string
	for line := range strings.Lines(text) {
		if _, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil { // comments are none
			keys = append(keys, strings.TrimSpace(line))
		}
	}
	if len(keys) == 0 {
		return nil, usage("--ssh-key: %s holds no public key in the form of authorized_keys (a private key is never given)", shortened(argument))
	}
	return keys, nil
}

// shortened keeps what may be a key that was given by mistake out of messages.
func shortened(text string) string {
	const most = 24
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// failure says why a workflow ended without having done its work.
func failure(s api.State) error {
	err := fmt.Errorf("%s %s: %s", s.ID, s.Status, s.Reason)
	if s.ErrorType == api.ErrorRefused {
		return fmt.Errorf("%w: %w", client.ErrRefused, err)
	}
	return err
}

func addresses(links api.Links) string {
	var all []string
	for _, link := range links.List() {
		all = append(all, link.Server.Addr().String())
	}
	return strings.Join(all, ", ")
}

// doing is what an activity is at.
func doing(a client.Activity) string {
	said := []string{a.Name}
	if a.Attempt > 0 {
		said[0] += fmt.Sprintf(", attempt %d", a.Attempt)
	}
	if a.Progress.Percent > 0 {
		a.Progress.Phase = strings.TrimSpace(fmt.Sprintf("%s %.0f %%", a.Progress.Phase, a.Progress.Percent))
	}
	for _, text := range []string{a.Progress.Phase, a.Trouble} {
		if text != "" {
			said = append(said, text)
		}
	}
	return strings.Join(said, ": ")
}

// checkJourney refuses workflows that have no stages to show or to steer.
func checkJourney(id string) error {
	if kind, name, _ := strings.Cut(id, "/"); kind == "switch" {
		return usage("%s is the workflow of a switch: starter switch queue %s", id, name)
	} else if !slices.Contains([]string{"instance", "enroll", "burn-in", "move"}, kind) {
		return usage("%s is neither an order nor an enrolment nor a burn-in nor a move: see it in Temporal's Web UI", id)
	}
	return nil
}

func (c *cli) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status ORDER",
		Short:   "Show how an order, or a workflow, stands",
		Example: "  starter status o-42\n  starter status enroll/s1 -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			id := workflowID(given[0])
			if err := checkJourney(id); err != nil {
				return err
			}
			temporal, err := c.workflows(command.Context())
			if err != nil {
				return err
			}
			snapshot, err := temporal.Snapshot(command.Context(), id)
			if err != nil {
				return err
			}
			return c.print(snapshot, func(t table.Writer) {
				t.AppendRow(table.Row{"workflow", snapshot.ID})
				t.AppendRow(table.Row{"status", snapshot.Standing()})
				if !snapshot.Ended() && snapshot.Reason != "" {
					t.AppendRow(table.Row{"reason", snapshot.Reason})
				}
				if name, is := strings.CutPrefix(snapshot.WaitsFor, api.SwitchID("")); !is && snapshot.WaitsFor != "" {
					t.AppendRow(table.Row{"waits for", fmt.Sprintf("%s: starter status %[1]s", snapshot.WaitsFor)})
				} else if is && !snapshot.Ended() {
					mode := ""
					if snapshot.SwitchMode.Mode != "" && snapshot.SwitchMode.Mode != api.ModeApply {
						mode = ", in mode " + standing(snapshot.SwitchMode.Mode, snapshot.SwitchMode.Reason)
					}
					t.AppendRow(table.Row{"waits for", fmt.Sprintf("switch %s%s: starter switch queue %s", name, mode, name)})
				}
				if s := snapshot.Server; s.Name != "" {
					t.AppendRow(table.Row{"server", fmt.Sprintf("%s at %s, %s %s", s.Name, s.Site, s.Switch, s.Port)})
				}
				if list := addresses(snapshot.Addresses); list != "" {
					t.AppendRow(table.Row{"addresses", list})
				}
				for _, tagged := range snapshot.Tagged {
					t.AppendRow(table.Row{"tagged", fmt.Sprintf("%s, VLAN %d: %s", tagged.Network, tagged.VLAN, addresses(tagged.Links))})
				}
				for _, block := range slices.Concat(snapshot.Blocks, snapshot.Elastic) {
					t.AppendRow(table.Row{"block", block})
				}
				if snapshot.DNSName != "" {
					t.AppendRow(table.Row{"name", snapshot.DNSName})
				}
				for _, r := range snapshot.Stages {
					took := r.Took
					if r.Outcome == "" {
						took = time.Since(r.Started)
					}
					t.AppendRow(table.Row{r.Stage, fmt.Sprintf("%-8s %6.1f s  %s", r.Outcome, took.Seconds(), r.Detail)})
				}
				for _, a := range snapshot.Activities {
					t.AppendRow(table.Row{"now", doing(a)})
				}
			})
		},
	}
}

func (c *cli) returnCommand() *cobra.Command {
	return c.steerCommand(steering{
		use: "return ORDER", short: "End the tenancy of an active order", example: "  starter return o-42 --wait",
		send: func(ctx context.Context, id string, _ api.Limits) (api.State, error) {
			if id != api.InstanceID(api.OrderOf(id)) {
				return api.State{}, usage("%s is no order", id)
			}
			return c.temporal.Return(ctx, api.OrderOf(id))
		},
		wait: c.returned, until: "it has ended",
	})
}

func (c *cli) retryCommand() *cobra.Command {
	return c.steerCommand(steering{
		use: "retry ORDER", short: "Run the stage again that a parked order, or workflow, failed at",
		example: "  starter retry o-42 --wait\n  starter retry o-42 --limit call-home=30m\n  starter retry enroll/s1 --wait",
		send: func(ctx context.Context, id string, limits api.Limits) (api.State, error) {
			return c.temporal.Retry(ctx, id, limits)
		},
		hasLimits: true,
		wait:      c.settled, until: "the order is active, or the workflow has ended",
	})
}

func (c *cli) abortCommand() *cobra.Command {
	return c.steerCommand(steering{
		use: "abort ORDER", short: "Stop an order, or a workflow, and undo what it did", example: "  starter abort o-42 --wait",
		send: func(ctx context.Context, id string, _ api.Limits) (api.State, error) {
			return c.temporal.Abort(ctx, id)
		},
		wait: c.gone, until: "all is undone",
	})
}

// steering is a command that sends one update to a workflow.
type steering struct {
	use, short, example string
	send                func(context.Context, string, api.Limits) (api.State, error)
	hasLimits           bool
	wait                func(context.Context, string) error
	until               string // what wait waits for
}

func (c *cli) steerCommand(s steering) *cobra.Command {
	var (
		wait   bool
		limits limitFlags
	)
	command := &cobra.Command{
		Use: s.use, Short: s.short, Example: s.example,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			ctx, id := command.Context(), workflowID(given[0])
			if err := checkJourney(id); err != nil {
				return err
			}
			if _, err := c.workflows(ctx); err != nil {
				return err
			}
			silence := tellSilence()
			state, err := s.send(ctx, id, limits.Limits)
			silence.Stop()
			if err != nil {
				return err
			}
			if wait {
				return s.wait(ctx, id)
			}
			return c.say(state, "%s: %s is under way; watch it with: starter status %s", id, command.Name(), given[0])
		},
	}
	command.Flags().BoolVar(&wait, "wait", false, "wait until "+s.until)
	if s.hasLimits {
		limits.add(command)
	}
	return command
}
