// Command worker does Ferrodur's work: it serves the task queues of one role, or of all.
// Roles that touch hardware run near it, once or more a site; see --site.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	root := &cobra.Command{
		Use:   "worker",
		Short: "Serve Ferrodur's task queues",
		Long: `Serve Ferrodur's task queues.

Temporal is reached as its environment configuration says (TEMPORAL_ADDRESS,
TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_*, TEMPORAL_PROFILE, or a
configuration file), PostgreSQL by FERRODUR_DATABASE_URL or libpq's variables (PGHOST,
PGUSER, PGPASSWORD, PGPASSFILE, …). Each role brings its tables up to date at start.

Logs are JSON lines on standard error.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	for _, role := range roles() {
		var options options
		sub := &cobra.Command{
			Use:   role.name,
			Short: role.short,
			Args:  cobra.NoArgs,
			RunE: func(command *cobra.Command, _ []string) error {
				return serve(command.Context(), log, options, role)
			},
		}
		options.addFlags(sub, role.atSite, role.boots)
		root.AddCommand(sub)
	}
	var options options
	all := &cobra.Command{
		Use:   "all",
		Short: "Serve every role in one process, for one site",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return serve(command.Context(), log, options, roles()...)
		},
	}
	options.addFlags(all, true, true)
	migrate := &cobra.Command{
		Use:   "migrate",
		Short: "Bring all tables up to date, and end",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			pool, err := connectDatabase(command.Context())
			if err != nil {
				return err
			}
			defer pool.Close()
			return migrateAll(command.Context(), pool)
		},
	}
	root.AddCommand(all, migrate)
	return root
}

// options are what the flags say.
type options struct {
	site    string
	metrics string // address; empty: none are served
	boot    bootOptions
}

// addFlags adds the flags that the roles of a command need.
func (o *options) addFlags(command *cobra.Command, atSite, boots bool) {
	flags := command.Flags()
	flags.StringVar(&o.metrics, "metrics", "", "address at which Prometheus finds /metrics, such as :9464 (default: nowhere)")
	if atSite {
		flags.StringVar(&o.site, "site", "", "the site whose hardware this worker is near")
		_ = command.MarkFlagRequired("site")
	}
	if boots {
		flags.StringVar(&o.boot.address, "address", "", "address that servers reach the boot service at; DHCP, TFTP and HTTP listen there")
		flags.Uint16Var(&o.boot.httpPort, "http-port", 8080, "port of the boot service's HTTP")
		flags.StringVar(&o.boot.bootDir, "boot-dir", "", "folder with vmlinuz, agent.img and burnin.img")
		flags.StringVar(&o.boot.imageDir, "image-dir", "", "folder with the images that the inventory names")
		flags.StringSliceVar(&o.boot.loaderDirs, "loader-dir", []string{"/usr/lib/ipxe"}, "folders with the first loaders that TFTP serves")
		for _, name := range []string{"address", "boot-dir", "image-dir"} {
			_ = command.MarkFlagRequired(name)
		}
	}
}
