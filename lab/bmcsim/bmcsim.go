// Package bmcsim runs OpenIPMI's ipmi_sim(1) as the BMC of a virtual server. It speaks
// IPMI 2.0 over UDP, cipher suite 3 (RAKP-HMAC-SHA1), and hands power and boot order to a
// program of the caller's.
package bmcsim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"ferrodur/bmc/presence"
	"ferrodur/lab/netns"
	"ferrodur/lab/process"
)

var (
	// ErrNoSimulator says that ipmi_sim is not installed.
	ErrNoSimulator = errors.New("ipmi_sim not found: install the Debian package openipmi")
	// ErrNotAnswering says that ipmi_sim was started and does not answer.
	ErrNotAnswering = errors.New("ipmi_sim does not answer")
	// ErrUnquotable says that a setting cannot be written in ipmi_sim's configuration.
	ErrUnquotable = errors.New("may hold no quote, backslash or control character, user and password no blank")
)

const (
	startTime = 10 * time.Second // until the first answer
	// startAttempts is how often it is started where it ends by itself before it answers, as it has
	// been seen to do on a busy machine, once in many runs.
	startAttempts = 3
	stopGrace     = 2 * time.Second
)

// errEnded says that ipmi_sim has ended by itself.
var errEnded = errors.New("it ended")

// Config describes one BMC.
type Config struct {
	Name      string          // of the BMC; names its PID file and its log
	Namespace netns.Namespace // network namespace to listen in; empty: the caller's
	Dir       string          // what it keeps, its configuration and log; made with mode 0700
	Address   netip.AddrPort  // UDP
	User      string          // administrator, up to 16 bytes
	Password  string          // up to 16 bytes, IPMI 1.5's limit, which ipmi_sim keeps

	// ChassisControl is the program, with its arguments, behind power and boot order.
	// ipmi_sim adds the BMC's address on the IPMB (0x20) and one of
	//
	//	get power|boot …                     answer "power:0|1", "boot:none|pxe|default", a line each
	//	set power|boot|reset|shutdown VALUE  do it
	//	check power|boot|reset|shutdown      exit status 0 if it can be set
	//
	// The program holds up the whole BMC as long as it runs.
	ChassisControl []string

	// DieWithParent has the BMC end with the caller; otherwise it outlives it.
	DieWithParent bool
}

// BMC is a running simulator.
type BMC struct {
	process *process.Process
}

// Start runs the BMC and waits until it answers, at most ten seconds. If it is running
// already, it is left as it is.
//
// Errors: ErrNoSimulator, ErrUnquotable, ErrNotAnswering; syscall.EADDRINUSE where the
// address is taken.
func Start(ctx context.Context, config Config) (*BMC, error) {
	program, err := exec.LookPath("ipmi_sim")
	if err != nil {
		return nil, ErrNoSimulator
	}
	if err := config.write(); err != nil {
		return nil, fmt.Errorf("BMC %s: %w", config.Name, err)
	}
	if _, err := process.Find(config.Dir, config.Name); errors.Is(err, process.ErrNotRunning) {
		if err := config.claim(ctx); err != nil {
			return nil, fmt.Errorf("BMC %s: %w", config.Name, err)
		}
	}
	for attempt := 1; ; attempt++ {
		bmc, err := config.run(ctx, program)
		if !errors.Is(err, errEnded) || attempt == startAttempts {
			return bmc, err
		}
	}
}

// run starts the simulator, and waits until it answers.
func (c Config) run(ctx context.Context, program string) (*BMC, error) {
	running, err := process.Start(process.Spec{
		Name:          c.Name,
		Dir:           c.Dir,
		Namespace:     c.Namespace,
		Command:       []string{program, "-n", "-c", c.lanFile(), "-f", c.emulatorFile(), "-s", c.stateDir()},
		DieWithParent: c.DieWithParent,
	})
	if err != nil {
		return nil, fmt.Errorf("BMC %s: %w", c.Name, err)
	}
	bmc := &BMC{process: running}
	if err := bmc.await(ctx, c); err != nil {
		return nil, errors.Join(err, bmc.Stop(context.WithoutCancel(ctx)))
	}
	return bmc, nil
}

// Stop ends the BMC. Its server is left as it is.
func (b *BMC) Stop(ctx context.Context) error { return b.process.Stop(ctx, stopGrace) }

// PID is that of the simulator.
func (b *BMC) PID() int { return b.process.PID }

// claim finds out whether the address is free. ipmi_sim shares it with whoever has it, and
// the two get each other's packets.
func (c Config) claim(ctx context.Context) error {
	return c.Namespace.Do(func() error {
		var listen net.ListenConfig
		conn, err := listen.ListenPacket(ctx, "udp", c.Address.String())
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// Exited returns a channel that is closed when a BMC that this process started has ended.
func (b *BMC) Exited() <-chan struct{} { return b.process.Exited() }

// Stop ends the BMC of that name and folder if it is running, whoever started it.
func Stop(ctx context.Context, dir, name string) error {
	return process.Stop(ctx, dir, name, stopGrace)
}

func (b *BMC) await(ctx context.Context, config Config) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	go func() {
		select {
		case <-b.process.Exited():
			giveUp(errEnded)
		case <-ctx.Done():
		}
	}()
	conn, err := config.Namespace.Dial(ctx, "udp", config.Address.String())
	if err != nil {
		return fmt.Errorf("BMC %s: %w", config.Name, err)
	}
	defer func() { _ = conn.Close() }()
	if err := presence.Ask(ctx, conn); err != nil {
		return fmt.Errorf("BMC %s at %s: %w: %w; see %s",
			config.Name, config.Address, ErrNotAnswering, err, filepath.Join(config.Dir, config.Name+".log"))
	}
	return nil
}

func (c Config) stateDir() string     { return filepath.Join(c.Dir, "state") }
func (c Config) lanFile() string      { return filepath.Join(c.Dir, c.Name+".lan") }
func (c Config) emulatorFile() string { return filepath.Join(c.Dir, c.Name+".emu") }

// write puts both configuration files in place, readable by the owner only: one holds the
// password.
func (c Config) write() error {
	lan, err := c.lan()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.stateDir(), 0o700); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(c.lanFile(), lan, 0o600),
		os.WriteFile(c.emulatorFile(), c.emulator(), 0o600),
	)
}
