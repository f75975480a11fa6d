package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"ferrodur/client"
	"ferrodur/starter/progress"
	"ferrodur/workflows/api"
)

// cli is what the commands share. Connections are made when a command needs them.
type cli struct {
	out      io.Writer
	format   string
	started  bool // the command line was understood
	temporal *client.Client
	database *pgxpool.Pool
}

func (c *cli) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "starter",
		Short: "Order, watch and steer bare metal",
		Long: `Order, watch and steer bare metal.

Work is done by workflows, which go on whatever becomes of this program: Ctrl-C while
waiting harms nothing. An order or a workflow ID names them: "o-1" is "instance/o-1",
"enroll/s1" and "burn-in/s1" are the workflows of a server.

Temporal is reached as its environment configuration says (TEMPORAL_ADDRESS,
TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_*, TEMPORAL_PROFILE, or a
configuration file), PostgreSQL by FERRODUR_DATABASE_URL or libpq's variables.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 refused; 4 not found; 5 parked while it was
waited for; 6 Temporal or PostgreSQL cannot be reached; 130 interrupted.`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if c.format != formatTable && c.format != formatJSON {
				return usage("output %q is neither %s nor %s", c.format, formatTable, formatJSON)
			}
			return nil
		},
	}
	root.PersistentFlags().StringVarP(&c.format, "output", "o", formatTable, "form of the output: table or json")
	root.AddCommand(
		c.applyCommand(), c.enrollCommand(), c.burnInCommand(), c.serversCommand(), c.showCommand(),
		c.provisionCommand(), c.statusCommand(), c.listCommand(), c.returnCommand(), c.retryCommand(), c.abortCommand(),
		c.ipCommand(), c.switchCommand(),
	)
	c.noteStart(root)
	return root
}

// noteStart has every command say that it was started. What fails before that is wrong
// usage: cobra's errors have no types to tell it by.
func (c *cli) noteStart(command *cobra.Command) {
	if run := command.RunE; run != nil {
		command.RunE = func(command *cobra.Command, given []string) error {
			c.started = true
			return run(command, given)
		}
	}
	if check := command.Args; check != nil && command.RunE != nil {
		command.Args = func(command *cobra.Command, given []string) error {
			if err := check(command, given); err != nil { // which names no arguments
				return usage("%w: the command is %s", err, command.UseLine())
			}
			return nil
		}
	}
	if command.HasSubCommands() && command.HasParent() && command.RunE == nil {
		command.RunE = func(command *cobra.Command, given []string) error {
			if len(given) > 0 {
				return usage("%s has no command %q; see: %s --help", command.CommandPath(), given[0], command.CommandPath())
			}
			return command.Help()
		}
	}
	for _, sub := range command.Commands() {
		c.noteStart(sub)
	}
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// workflows is the connection to Temporal.
func (c *cli) workflows(ctx context.Context) (*client.Client, error) {
	if c.temporal == nil {
		temporal, err := client.Dial(ctx, func(o *sdk.Options) {
			o.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
		})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUnreachable, err)
		}
		c.temporal = temporal
	}
	return c.temporal, nil
}

// tellSilence tells, if it is not stopped soon, that nobody has answered yet.
func tellSilence() *time.Timer {
	const soon = 3 * time.Second
	return time.AfterFunc(soon, func() {
		fmt.Fprintln(os.Stderr, "starter: no answer yet; it waits a little for a lifecycle worker")
	})
}

// facts is the connection to PostgreSQL.
func (c *cli) facts(ctx context.Context) (*pgxpool.Pool, error) {
	if c.database == nil {
		database, err := pgxpool.New(ctx, os.Getenv("FERRODUR_DATABASE_URL"))
		if err != nil {
			return nil, usage("PostgreSQL's settings (FERRODUR_DATABASE_URL, PGHOST, …): %w", err)
		}
		if err := database.Ping(ctx); err != nil {
			database.Close()
			return nil, fmt.Errorf("PostgreSQL is %w: %w", errUnreachable, err)
		}
		c.database = database
	}
	return c.database, nil
}

func (c *cli) close() {
	if c.temporal != nil {
		c.temporal.Close()
	}
	if c.database != nil {
		c.database.Close()
	}
}

// workflowID is the workflow that an argument names.
func workflowID(argument string) string {
	if strings.Contains(argument, "/") {
		return argument
	}
	return api.InstanceID(argument)
}

// follow shows workflows until each has reached what is waited for.
func (c *cli) follow(ctx context.Context, reached func(api.State) bool, ids ...string) error {
	temporal, err := c.workflows(ctx)
	if err != nil {
		return err
	}
	out := c.out
	if c.format == formatJSON {
		out = io.Discard // one document is printed, at the end
	}
	return progress.Follow(ctx, out, temporal, reached, ids...)
}

// wait follows workflows and returns their states, also where one has parked.
func (c *cli) wait(ctx context.Context, reached func(api.State) bool, ids ...string) ([]api.State, error) {
	followed := c.follow(ctx, reached, ids...)
	var parked *progress.ParkedError
	if followed != nil && !errors.As(followed, &parked) {
		return nil, followed
	}
	var states []api.State
	for _, id := range ids {
		state, err := c.temporal.State(ctx, id)
		if err != nil {
			return nil, err
		}
		states = append(states, state)
	}
	return states, followed
}

// ended waits until workflows have ended well, and prints how.
func (c *cli) ended(ctx context.Context, ids ...string) error {
	states, err := c.wait(ctx, api.State.Ended, ids...)
	if states != nil && c.format == formatJSON {
		err = errors.Join(err, c.print(states, nil))
	}
	if err != nil {
		return err
	}
	for _, state := range states {
		if state.Status != api.StatusDone {
			return failure(state)
		}
	}
	return nil
}

// reach waits until one workflow is where it is wanted, and prints where it is.
func (c *cli) reach(ctx context.Context, wanted func(api.State) bool, id string) (api.State, error) {
	states, err := c.wait(ctx, wanted, id)
	if states == nil {
		return api.State{}, err
	}
	if c.format == formatJSON {
		err = errors.Join(err, c.print(states[0], nil))
	}
	return states[0], err
}

// gone waits until a workflow has ended, as it may.
func (c *cli) gone(ctx context.Context, id string) error {
	_, err := c.reach(ctx, api.State.Ended, id)
	return err
}

// returned waits until an order has ended well.
func (c *cli) returned(ctx context.Context, id string) error {
	state, err := c.reach(ctx, api.State.Ended, id)
	if err == nil && state.Status != api.StatusDone {
		err = failure(state)
	}
	return err
}

// settled waits until a workflow that went on has ended or, if it is an order that was not
// on its way back, is active.
func (c *cli) settled(ctx context.Context, id string) error {
	state, err := c.reach(ctx, func(s api.State) bool { return s.Status == api.StatusActive || s.Ended() }, id)
	switch {
	case err != nil:
		return err
	case state.Status == api.StatusActive && c.format != formatJSON:
		return c.say(state, "%s is active on %s: %s", api.OrderOf(id), state.Server.Name, addresses(state.Addresses))
	case state.Status == api.StatusActive, state.Status == api.StatusDone:
		return nil
	}
	return failure(state)
}
