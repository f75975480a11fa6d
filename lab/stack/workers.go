package stack

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/log"

	sdk "go.temporal.io/sdk/client"

	"ferrodur/client"
	"ferrodur/images"
	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/lab/netns"
	"ferrodur/lab/process"
	"ferrodur/lab/rack"
	"ferrodur/workflows/api"
)

// WorkerRoles are the roles that run, a process each.
func WorkerRoles() []string {
	return []string{"lifecycle", "ipam", api.RoleBoot, api.RoleSwitch, api.RoleBMC}
}

func (s *Stack) rackConfig() rack.Config {
	return rack.Config{
		Dir: s.Rack, Prefix: s.config.Prefix, Program: s.program("lab"), Servers: s.config.Servers, KVM: s.config.KVM,
		Relays: []uint16{uint16(s.postgres.Port()), s.temporal.Address.Port()},
		Image: &rack.Image{
			Name: Image, File: s.parts.image.File, SHA256: s.parts.image.SHA256, Bytes: s.parts.image.Bytes, SSHUser: images.User,
		},
	}
}

// Image is the name of the image that the rack offers.
const Image = "debian-12"

func (s *Stack) startRack(ctx context.Context) error {
	if err := rack.Up(ctx, s.rackConfig()); err != nil {
		return err
	}
	return rack.StartGuard(s.Rack, s.program("lab"))
}

func (s *Stack) startWorkers(ctx context.Context) error {
	migrate := exec.CommandContext(ctx, s.program("worker"), "migrate")
	migrate.Env = append(os.Environ(), s.Environment()...)
	if output, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", migrate, err, output)
	}
	for _, role := range WorkerRoles() {
		if err := s.StartWorker(role); err != nil {
			return err
		}
	}
	return nil
}

// StartWorker starts the worker of a role. Those that need hardware run in the site's
// network, where the hardware is.
func (s *Stack) StartWorker(role string) error {
	command := []string{s.program("worker"), role, "--metrics", "127.0.0.1:0"}
	var namespace netns.Namespace
	if slices.Contains([]string{api.RoleBoot, api.RoleSwitch, api.RoleBMC}, role) {
		namespace = s.Site()
		command = append(command, "--site", rack.SiteName)
	}
	if role == api.RoleBoot {
		command = append(command, "--address", rack.Layout().Boot.String(),
			"--boot-dir", s.parts.boot.Dir, "--image-dir", filepath.Dir(s.parts.image.File))
	}
	_, err := process.Start(process.Spec{
		Name: role, Dir: s.workerDir(), Namespace: namespace, Command: command,
		Env: append(s.Environment(), "GOTRACEBACK=all"), DieWithParent: true,
	})
	return err
}

// WorkerLog is the file with the log of a role's worker.
func (s *Stack) WorkerLog(role string) string { return filepath.Join(s.workerDir(), role+".log") }

// KillWorker ends the worker of a role with SIGKILL, as a crash would.
func (s *Stack) KillWorker(ctx context.Context, role string) error {
	worker, err := process.Find(s.workerDir(), role)
	if err != nil {
		return err
	}
	if err := syscall.Kill(worker.PID, syscall.SIGKILL); err != nil {
		return err
	}
	return worker.Stop(ctx, time.Second)
}

// Environment is what a program needs to reach this stack.
func (s *Stack) Environment() []string {
	return []string{
		"TEMPORAL_ADDRESS=" + s.temporal.Address.String(),
		"FERRODUR_DATABASE_URL=" + s.postgres.DSN(database),
	}
}

// program is the path of one of the programs: worker, starter or lab.
func (s *Stack) program(name string) string { return filepath.Join(s.parts.programs, name) }

// Starter runs the operators' CLI against this stack.
func (s *Stack) Starter(ctx context.Context, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, s.program("starter"), arguments...)
	command.Env = append(os.Environ(), s.Environment()...)
	return command.CombinedOutput()
}

func (s *Stack) connect(ctx context.Context) error {
	temporal, err := sdk.DialContext(ctx, sdk.Options{HostPort: s.temporal.Address.String(), Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return err
	}
	s.Client = client.New(temporal, "")
	if s.Pool, err = pgxpool.New(ctx, s.postgres.DSN(database)); err != nil {
		return err
	}
	s.Inventory, s.Addresses = inventory.New(s.Pool), ipam.New(s.Pool)
	return nil
}

func (s *Stack) apply(ctx context.Context) error {
	output, err := s.Starter(ctx, "apply", "-f", filepath.Join(s.Rack, "rack.yaml"))
	if err != nil {
		return fmt.Errorf("starter apply: %w\n%s", err, output)
	}
	return nil
}
