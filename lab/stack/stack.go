// Package stack runs all of Ferrodur on one machine: Temporal with its Web UI, a private
// PostgreSQL, the workers as processes of their own, and the virtual rack that they work
// on. The demo and the end-to-end tests stand on it.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"ferrodur/client"
	"ferrodur/images"
	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/lab/machine"
	"ferrodur/lab/netns"
	"ferrodur/lab/postgres"
	"ferrodur/lab/process"
	"ferrodur/lab/rack"
	"ferrodur/lab/temporal"
)

// Config describes a stack. Zero ports mean free ones.
type Config struct {
	Dir          string // state folder
	Prefix       string // of the rack's namespaces
	Servers      []rack.Server
	PostgresPort int
	TemporalPort uint16
	UIPort       uint16
	KVM          bool
	Out          io.Writer // says what is being done
}

// Servers is the rack that demo and tests use: one server with a BIOS, whose NIC brings
// iPXE, and one with UEFI, which loads it by PXE and TFTP.
func Servers() []rack.Server {
	return []rack.Server{{Firmware: machine.BIOS}, {Firmware: machine.UEFI}}
}

// Stack is a running stack. Its Client and stores are connected from outside the rack, as
// an operator's are.
type Stack struct {
	Client    *client.Client
	Inventory *inventory.Store
	Addresses *ipam.Store
	Pool      *pgxpool.Pool
	UI        string // URL of the Web UI
	Rack      string // state folder of the rack

	config   Config
	parts    parts
	postgres *postgres.Cluster
	temporal *temporal.Server
}

// parts are what has to be built before anything runs.
type parts struct {
	programs string // folder of worker, starter and lab
	temporal string
	boot     images.Boot
	image    images.Image
}

// Start builds what is missing and starts everything. On an error, and when ctx ends, it
// leaves nothing running.
func Start(ctx context.Context, config Config) (*Stack, error) {
	var err error
	if config.Dir, err = filepath.Abs(config.Dir); err != nil {
		return nil, err
	}
	s := &Stack{config: config, Rack: filepath.Join(config.Dir, "rack")}
	if err := os.MkdirAll(config.Dir, 0o755); err != nil {
		return nil, err
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"build", s.build},
		{"start PostgreSQL", s.startPostgres},
		{"start Temporal", s.startTemporal},
		{"build the rack", s.startRack},
		{"start the workers", s.startWorkers},
		{"connect", s.connect},
		{"apply rack.yaml", s.apply},
	} {
		if err := step.do(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", step.what, err), s.Stop(context.WithoutCancel(ctx)))
		}
	}
	return s, nil
}

// Stop ends everything. The state folder stays.
func (s *Stack) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var errs []error
	if s.Client != nil {
		s.Client.Close()
	}
	if s.Pool != nil {
		s.Pool.Close()
	}
	errs = append(errs, s.stopWorkers(ctx))
	if _, err := os.Stat(s.Rack); err == nil {
		errs = append(errs, rack.Down(ctx, s.Rack))
	}
	if s.temporal != nil {
		errs = append(errs, s.temporal.Stop(ctx))
	}
	if s.postgres != nil {
		errs = append(errs, s.postgres.Stop(ctx))
	}
	return errors.Join(errs...)
}

// Dir is the state folder: of the rack, the workers' logs, PostgreSQL and Temporal.
func (s *Stack) Dir() string { return s.config.Dir }

// Site is the network namespace of the site's network, Switch that of the rack's switch.
func (s *Stack) Site() netns.Namespace   { return s.rackConfig().Site() }
func (s *Stack) Switch() netns.Namespace { return s.rackConfig().Switch() }

// Images are what servers boot, and what is installed on them.
func (s *Stack) Images() (images.Boot, images.Image) { return s.parts.boot, s.parts.image }

func (s *Stack) say(format string, args ...any) {
	fmt.Fprintf(s.config.Out, format+"\n", args...)
}

func (s *Stack) startPostgres(ctx context.Context) (err error) {
	s.postgres, err = postgres.Start(ctx, postgres.Config{Dir: filepath.Join(s.config.Dir, "postgres"), Port: s.config.PostgresPort})
	if err != nil {
		return err
	}
	return s.postgres.CreateDatabase(ctx, database)
}

func (s *Stack) startTemporal(ctx context.Context) (err error) {
	s.temporal, err = temporal.Start(ctx, temporal.Config{
		Dir: filepath.Join(s.config.Dir, "temporal"), Program: s.parts.temporal,
		Port: s.config.TemporalPort, UIPort: s.config.UIPort,
	})
	if err != nil {
		return err
	}
	s.UI = s.temporal.UIURL
	s.say("Temporal's Web UI: %s", s.UI)
	return nil
}

func (s *Stack) workerDir() string { return filepath.Join(s.config.Dir, "workers") }

func (s *Stack) stopWorkers(ctx context.Context) error {
	running, err := process.List(s.workerDir())
	if err != nil {
		return err
	}
	var group errgroup.Group
	for _, worker := range running {
		group.Go(func() error { return worker.Stop(ctx, 10*time.Second) })
	}
	return group.Wait()
}

// database is the name of the one that all rooms share.
const database = "ferrodur"
