package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"reflect"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/starter/rackfile"
)

func (c *cli) applyCommand() *cobra.Command {
	var (
		file   string
		dryRun bool
	)
	command := &cobra.Command{
		Use:   "apply -f rack.yaml",
		Short: "Declare sites, pools, images, plans, switches and servers",
		Long: `Declare sites, pools, images, plans, switches and servers.

The whole file is checked first, and every mistake is told with its line; nothing is
written before all is well. Applying a file twice changes nothing. What the file does not
name is left as it is.`,
		Example: "  starter apply -f rack.yaml\n  starter apply -f rack.yaml --dry-run",
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
			if dryRun {
				return c.say(map[string]bool{"valid": true}, "%s is valid", file)
			}
			database, err := c.facts(ctx)
			if err != nil {
				return err
			}
			before, err := ipam.New(database).Usage(ctx)
			if err != nil {
				return withoutTables(err)
			}
			if err := applyAddresses(ctx, ipam.New(database), declared); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			changes, err := inventory.New(database).Apply(ctx, declared.Declaration)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			notePools(&changes, before, declared.Pools)
			type summary struct {
				Added   []string `json:"added"`
				Changed []string `json:"changed"`
			}
			if changes.None() {
				return c.say(summary{[]string{}, []string{}}, "nothing to change")
			}
			return c.say(summary{orEmpty(changes.Added), orEmpty(changes.Changed)}, "added: %s\nchanged: %s", listed(changes.Added), listed(changes.Changed))
		},
	}
	command.Flags().StringVarP(&file, "file", "f", "", "the file, see docs/examples/rack.yaml")
	command.Flags().BoolVar(&dryRun, "dry-run", false, "check the file only")
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

// applyAddresses declares what belongs to the address management. Each step may be made
// again after the next one was refused.
func applyAddresses(ctx context.Context, addresses *ipam.Store, declared *rackfile.Rack) error {
	for _, domain := range declared.Domains {
		if err := addresses.CreateDomain(ctx, domain.Name, domain.Description); err != nil {
			return err
		}
	}
	for _, prefix := range declared.Prefixes {
		if err := addresses.PutPrefix(ctx, prefix, by()); err != nil {
			return err
		}
	}
	if err := addresses.PutPools(ctx, declared.Pools, by()); err != nil {
		return err
	}
	return addresses.PutLimits(ctx, declared.Limits)
}

// notePools adds to the changes what became of the pools.
func notePools(changes *inventory.Changes, before []ipam.PoolUsage, declared []ipam.Pool) {
	for _, pool := range declared {
		pool = pool.WithDefaults()
		i := slices.IndexFunc(before, func(u ipam.PoolUsage) bool { return u.Name == pool.Name && u.Domain == pool.Domain })
		switch {
		case i < 0:
			changes.Added = append(changes.Added, "pool "+pool.Name)
		case !reflect.DeepEqual(before[i].Pool, pool):
			changes.Changed = append(changes.Changed, "pool "+pool.Name)
		}
	}
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
