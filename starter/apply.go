package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/starter/rackfile"
)

func (c *cli) applyCommand() *cobra.Command {
	var (
		file          string
		check, dryRun bool
	)
	command := &cobra.Command{
		Use:   "apply -f rack.yaml",
		Short: "Declare sites, pools, images, plans, switches and servers",
		Long: `Declare sites, pools, images, plans, switches and servers.

The whole file is checked first, and every mistake is told with its line; nothing is
written before all is well. Applying a file twice changes nothing. What the file does not
name is left as it is; what it refers to, it has to name.`,
		Example: "  starter apply -f rack.yaml --check\n  starter apply -f rack.yaml --dry-run\n  starter apply -f rack.yaml",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx := command.Context()
			text, err := os.ReadFile(file)
			if err != nil {
				return usageError{err}
			}
			declared, err := rackfile.Parse(file, text)
			if err != nil {
				return err
			}
			if check {
				return c.say(map[string]bool{"valid": true}, "%s is valid", file)
			}
			database, err := c.facts(ctx)
			if err != nil {
				return err
			}
			changes, err := applyAll(ctx, database, declared, dryRun)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			type summary struct {
				Added   []string `json:"added"`
				Changed []string `json:"changed"`
			}
			if changes.None() {
				return c.say(summary{[]string{}, []string{}}, "nothing to change")
			}
			would := ""
			if dryRun {
				would = "would be "
			}
			return c.say(summary{orEmpty(changes.Added), orEmpty(changes.Changed)}, "%sadded: %s\n%[1]schanged: %[3]s", would, listed(changes.Added), listed(changes.Changed))
		},
	}
	command.Flags().StringVarP(&file, "file", "f", "", "the file, see docs/examples/rack.yaml")
	command.Flags().BoolVar(&check, "check", false, "check the file only, without a database")
	command.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be added and changed, and change nothing")
	_ = command.MarkFlagRequired("file")
	return command
}

// by is what the history of addresses keeps of who uses the program.
func by() ipam.By {
	if who, err := user.Current(); err == nil {
		return ipam.By{Actor: who.Username}
	}
	return ipam.By{Actor: "starter"}
}

// errDryRun has a transaction rolled back.
var errDryRun = errors.New("dry run")

// applyAll declares all of a file in one transaction: all of it, or nothing, as in a dry run.
func applyAll(ctx context.Context, database *pgxpool.Pool, declared *rackfile.Rack, dryRun bool) (changes inventory.Changes, err error) {
	err = pgx.BeginFunc(ctx, database, func(tx pgx.Tx) error {
		if changes, err = inventory.New(database).ApplyIn(ctx, tx, declared.Declaration); err != nil {
			return err
		}
		done, err := ipam.New(database).DeclareIn(ctx, tx, declared.Addresses, by())
		changes.Added, changes.Changed = append(changes.Added, done.Added...), append(changes.Changed, done.Changed...)
		if err == nil && dryRun {
			return errDryRun
		}
		return err
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return changes, err
}

// withoutTables says what to do where the database was never migrated: SQLSTATE 42P01, no
// such table, and 3F000, no such schema.
func withoutTables(err error) error {
	var failure *pgconn.PgError
	if errors.As(err, &failure) && (failure.Code == "42P01" || failure.Code == "3F000") {
		return fmt.Errorf("the database has no tables of Ferrodur yet; run `worker migrate`, or start a worker: %w", err)
	}
	return err
}

func listed(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
