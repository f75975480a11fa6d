package main

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"golang.org/x/sync/errgroup"

	"ferrodur/activities"
	"ferrodur/bmc"
	"ferrodur/bootsvc"
	ferrodur "ferrodur/client"
	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/ipam/netbox"
	"ferrodur/switches"
	"ferrodur/workflows"
	"ferrodur/workflows/api"
)

// role is one kind of worker: the queue that it serves, and what it registers there.
type role struct {
	name   string
	short  string
	atSite bool
	boots  bool
	queue  string // for a role at a site: the part before the @
	// wire registers the role's work. A role that also serves a network returns what runs
	// that service until ctx ends.
	wire func(w worker.Worker, rooms rooms) (service func(context.Context) error, err error)
}

// rooms are what the roles' activities stand on.
type rooms struct {
	log      *slog.Logger
	pool     *pgxpool.Pool
	ferrodur *ferrodur.Client
	options  options
	meter    metric.Meter
}

type bootOptions struct {
	address           string
	httpPort          uint16
	bootDir, imageDir string
	loaderDirs        []string
}

func roles() []role {
	return []role{
		{
			name: "lifecycle", short: "Run the workflows, and keep the inventory", queue: api.QueueLifecycle,
			wire: func(w worker.Worker, r rooms) (func(context.Context) error, error) {
				workflows.Register(w)
				(&activities.Inventory{Inventory: inventory.New(r.pool)}).Register(w)
				(&activities.Requests{Temporal: r.ferrodur.Temporal()}).Register(w)
				return func(ctx context.Context) error { return r.ferrodur.ScheduleAudits(ctx) }, nil
			},
		},
		{
			name: "ipam", short: "Allocate and release addresses", queue: api.QueueIPAM,
			wire: func(w worker.Worker, r rooms) (func(context.Context) error, error) {
				outside, err := netbox.FromEnvironment()
				if err != nil {
					return nil, err
				}
				addresses := ipam.New(r.pool, outside...)
				(&activities.IPAM{Addresses: addresses, Inventory: inventory.New(r.pool)}).Register(w)
				return watchPools(addresses, r), nil
			},
		},
		{
			name: api.RoleSwitch, short: "Configure the switch ports of a site", atSite: true, queue: api.RoleSwitch,
			wire: func(w worker.Worker, r rooms) (func(context.Context) error, error) {
				(&activities.Switch{Inventory: inventory.New(r.pool), Sessions: switches.NewSessions(switches.Config{})}).Register(w)
				return nil, nil
			},
		},
		{
			name: api.RoleBMC, short: "Control the servers of a site through their BMCs", atSite: true, queue: api.RoleBMC,
			wire: func(w worker.Worker, r rooms) (func(context.Context) error, error) {
				(&activities.BMC{Inventory: inventory.New(r.pool), BMCs: bmc.NewController(r.log, bmc.Options{})}).Register(w)
				return nil, nil
			},
		},
		{
			name: api.RoleBoot, short: "Boot the servers of a site: DHCP, TFTP, HTTP, and the agent's API", atSite: true, boots: true, queue: api.RoleBoot,
			wire: wireBoot,
		},
	}
}

func wireBoot(w worker.Worker, r rooms) (func(context.Context) error, error) {
	address, err := netip.ParseAddr(r.options.boot.address)
	if err != nil {
		return nil, err
	}
	targets := bootsvc.NewStore(r.pool)
	service, err := bootsvc.New(bootsvc.Config{
		Store: targets, Address: address, HTTPPort: r.options.boot.httpPort,
		BootDir: r.options.boot.bootDir, ImageDir: r.options.boot.imageDir, LoaderDirs: r.options.boot.loaderDirs, Log: r.log,
	})
	if err != nil {
		return nil, err
	}
	(&activities.Boot{Inventory: inventory.New(r.pool), Targets: targets}).Register(w)
	return service.Run, nil
}

// serve runs the workers of the roles until ctx ends.
func serve(ctx context.Context, logger *slog.Logger, options options, serving ...role) error {
	pool, err := connectDatabase(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrateAll(ctx, pool); err != nil {
		return err
	}
	metrics, err := newMetrics()
	if err != nil {
		return err
	}
	temporal, err := connectTemporal(ctx, func(o *client.Options) {
		o.Logger = log.NewStructuredLogger(logger)
		o.MetricsHandler = metrics.temporal(func(err error) { logger.Error("metrics", "error", err) })
	})
	if err != nil {
		return err
	}
	defer temporal.Close()

	group, ctx := errgroup.WithContext(ctx)
	if options.metrics != "" {
		group.Go(func() error { return metrics.serve(ctx, logger, options.metrics) })
	}
	for _, role := range serving {
		queue := role.queue
		if role.atSite {
			queue = api.SiteQueue(role.queue, options.site)
		}
		// An activity that is cut off is taken over by another worker, so there is no point
		// in waiting long for it.
		w := worker.New(temporal.Temporal(), queue, worker.Options{
			WorkerStopTimeout: 5 * time.Second,
			// Progress is worth showing as it is made.
			MaxHeartbeatThrottleInterval: time.Second,
		})
		service, err := role.wire(w, rooms{log: logger, pool: pool, ferrodur: temporal, options: options, meter: metrics.meter})
		if err != nil {
			return err
		}
		if service != nil {
			group.Go(func() error { return service(ctx) })
		}
		if err := w.Start(); err != nil {
			return err
		}
		defer w.Stop()
		logger.Info("serving", "role", role.name, "queue", queue)
	}
	group.Go(func() error { <-ctx.Done(); return nil })
	return group.Wait()
}
