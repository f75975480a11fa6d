package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"ferrodur/activities"
	ferrodur "ferrodur/client"
	"ferrodur/inventory"
	"ferrodur/lab/netns"
	"ferrodur/lab/postgres"
	"ferrodur/lab/temporal"
	"ferrodur/switches"
	"ferrodur/workflows"
	"ferrodur/workflows/api"
)

// site is where all switches of the bench stand.
const site = "bench"

const password = "correct-horse"

// bench is a run under way: Temporal, PostgreSQL, and the workers in this process.
type bench struct {
	results
	dir       string
	client    *ferrodur.Client
	inventory *inventory.Store
	namespace netns.Namespace // of the FRR switch, while there is one
	numbered  int             // servers so far
	ends      []func(context.Context) error
}

func (b *bench) start(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "ferrodur-bench-"); err != nil {
		return err
	}
	b.ends = append(b.ends, func(context.Context) error { return os.RemoveAll(b.dir) })
	if err := os.Chmod(b.dir, 0o755); err != nil { // PostgreSQL's user must reach its folder
		return err
	}
	if err := os.WriteFile(b.secret(), []byte(password), 0o600); err != nil {
		return err
	}
	program, err := temporal.Build(ctx, os.Stderr)
	if err != nil {
		return err
	}
	server, err := temporal.Start(ctx, temporal.Config{Dir: filepath.Join(b.dir, "temporal"), Program: program})
	if err != nil {
		return err
	}
	b.ends = append(b.ends, server.Stop)
	cluster, err := postgres.Start(ctx, postgres.Config{Dir: filepath.Join(b.dir, "postgres")})
	if err != nil {
		return err
	}
	b.ends = append(b.ends, cluster.Stop)
	if err := cluster.CreateDatabase(ctx, "bench"); err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, cluster.DSN("bench"))
	if err != nil {
		return err
	}
	b.ends = append(b.ends, func(context.Context) error { pool.Close(); return nil })
	if err := inventory.Migrate(ctx, pool); err != nil {
		return err
	}
	b.inventory = inventory.New(pool)
	connection, err := client.DialContext(ctx, client.Options{
		HostPort: server.Address.String(), Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return err
	}
	b.client = ferrodur.New(connection, "")
	b.ends = append(b.ends, func(context.Context) error { b.client.Close(); return nil })
	if err := b.client.EnsureSearchAttributes(ctx); err != nil {
		return err
	}
	return b.serve(connection)
}

// serve runs the workers of the queues that a change of a port goes through.
func (b *bench) serve(connection client.Client) error {
	lifecycle := worker.New(connection, api.QueueLifecycle, worker.Options{})
	workflows.Register(lifecycle)
	(&activities.Inventory{Inventory: b.inventory}).Register(lifecycle)
	(&activities.Requests{Temporal: connection}).Register(lifecycle)
	near := worker.New(connection, api.SiteQueue(api.RoleSwitch, site), worker.Options{})
	(&activities.Switch{Inventory: b.inventory, Sessions: switches.NewSessions(switches.Config{Dial: b.dial})}).Register(near)
	for _, w := range []worker.Worker{lifecycle, near} {
		if err := w.Start(); err != nil {
			return err
		}
		b.ends = append(b.ends, func(context.Context) error { w.Stop(); return nil })
	}
	return nil
}

// dial reaches emulated switches on the loopback, and FRR in its namespace.
func (b *bench) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if host, _, _ := net.SplitHostPort(address); host != "127.0.0.1" {
		return b.namespace.Dial(ctx, network, address)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

func (b *bench) secret() string { return filepath.Join(b.dir, "password") }

// stop ends everything, newest first.
func (b *bench) stop(ctx context.Context) error {
	var errs []error
	for i := len(b.ends) - 1; i >= 0; i-- {
		errs = append(errs, b.ends[i](ctx))
	}
	return errors.Join(errs...)
}

// declare puts switches into the inventory, with a server on each of their ports.
func (b *bench) declare(ctx context.Context, declared ...inventory.Switch) error {
	d := inventory.Declaration{
		Sites: []inventory.Site{{Name: site}},
		Plans: []inventory.Plan{{Name: "plan", Threads: 1, MemoryMiB: 512, Disks: 1, DiskBytes: 1 << 30}},
	}
	for _, s := range declared {
		s.Site, s.User, s.Password = site, "operator", inventory.SecretRef("file:"+b.secret())
		d.Switches = append(d.Switches, s)
		for n, port := range s.Ports {
			b.numbered++
			d.Servers = append(d.Servers, inventory.Server{
				Name: server(s.Name, n), Site: site, Rack: "r1", Plan: "plan",
				Uplink: inventory.Uplink{
					Switch: s.Name, Port: port,
					MAC: fmt.Sprintf("02:00:00:%02x:%02x:%02x", b.numbered>>16&0xff, b.numbered>>8&0xff, b.numbered&0xff),
				},
				BMC: inventory.BMC{Address: fmt.Sprintf("127.0.0.1:%d", b.numbered), User: "admin", Password: inventory.SecretRef("file:" + b.secret())},
			})
		}
	}
	_, err := b.inventory.Apply(ctx, d)
	return err
}

func server(name string, n int) string { return fmt.Sprintf("%s-s%d", name, n+1) }
