// Package switches configures ports of switches over their command lines, through SSH. An
// Intent says what a port should be. Applying it reads what the port is, sends the
// difference, reads back, and saves; what Ferrodur did not write stays as it is. Nothing
// here knows where intents come from.
//
//	sessions := switches.NewSessions(switches.Config{})
//	session, err := sessions.Open(ctx, device)
//	…
//	defer session.Close()
//	change, err := session.Apply(ctx, intent)
package switches

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Timeouts of sessions where Config sets none.
const (
	defaultConnectTimeout = 15 * time.Second
	defaultCommandTimeout = 30 * time.Second
)

// Config sets how switches are reached. Its zero value is ready to use.
type Config struct {
	// Dial opens the connection to a switch; nil: net.Dialer.DialContext.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Connect bounds connecting and logging in, until the first prompt; 0: 15 s.
	Connect time.Duration
	// Command bounds each command's answer; 0: 30 s.
	Command time.Duration
}

// Sessions opens sessions, one at a time for each switch: many switches have few
// terminals, and all of them one running configuration.
type Sessions struct {
	config Config

	mu    sync.Mutex
	turns map[string]chan struct{} // by address; holds an element while a session is open
}

// NewSessions returns Sessions that reach switches as config says. A process has one.
func NewSessions(config Config) *Sessions {
	if config.Dial == nil {
		config.Dial = new(net.Dialer).DialContext
	}
	if config.Connect == 0 {
		config.Connect = defaultConnectTimeout
	}
	if config.Command == 0 {
		config.Command = defaultCommandTimeout
	}
	return &Sessions{config: config, turns: make(map[string]chan struct{})}
}

// Session is an open session on a switch, for one goroutine at a time. It keeps the switch
// from other sessions of the same Sessions until it is closed. After ErrUnreachable it is
// of no more use.
type Session struct {
	device Device
	driver driver
	cli    *terminal
	leave  func()
}

// Open waits until no other session is open on the switch, and logs in.
//
// Errors: *InvalidDeviceError, ErrUnknownPlatform, ErrBusy when ctx ended while waiting,
// ErrUnreachable, ErrHostKey, ErrAuth.
func (s *Sessions) Open(ctx context.Context, device Device) (*Session, error) {
	driver, err := driverFor(device.Platform)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", device, err)
	}
	leave, err := s.enter(ctx, device.Address)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", device, err)
	}
	cli, err := s.login(ctx, device, driver)
	if err != nil {
		leave()
		return nil, fmt.Errorf("open %s: %w", device, err)
	}
	return &Session{device: device, driver: driver, cli: cli, leave: leave}, nil
}

func (s *Sessions) login(ctx context.Context, device Device, driver driver) (*terminal, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.Connect)
	defer cancel()
	wire, err := connect(ctx, s.config.Dial, device)
	if err != nil {
		return nil, err
	}
	cli, err := openTerminal(ctx, wire, driver.definition(), s.config.Command)
	if err != nil {
		_ = wire.Close()
		return nil, err
	}
	return cli, nil
}

// enter waits for the switch's turn. leave gives it back; it may be called twice.
func (s *Sessions) enter(ctx context.Context, address string) (leave func(), err error) {
	s.mu.Lock()
	turn := s.turns[address]
	if turn == nil {
		turn = make(chan struct{}, 1)
		s.turns[address] = turn
	}
	s.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return sync.OnceFunc(func() { <-turn }), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
	}
}

// Close ends the session. It may be called more than once.
func (s *Session) Close() {
	s.cli.close()
	s.leave()
}

// Read returns what the port is. Errors: *InvalidIntentError for what cannot be the name of
// a port, ErrUnknownPort, ErrUnreadable, ErrUnreachable.
func (s *Session) Read(ctx context.Context, port string) (Intent, error) {
	probe := Intent{Port: port, Profile: Quarantine} // valid but for its port
	if err := probe.Validate(); err != nil {
		return Intent{}, err
	}
	section, err := s.driver.read(ctx, s.cli, port)
	if err != nil {
		return Intent{}, fmt.Errorf("read port %s of %s: %w", port, s.device, err)
	}
	return section.intent(s.driver, port)
}

// Diff returns what Apply would change, and changes nothing. Its errors are Read's, and
// *ForbiddenError.
func (s *Session) Diff(ctx context.Context, intent Intent) (Change, error) {
	plan, err := s.plan(ctx, intent)
	if err != nil {
		return Change{}, fmt.Errorf("compare port %s of %s: %w", intent.Port, s.device, err)
	}
	return plan.change, nil
}

// Apply makes the port what the intent says, checks that it is, and saves the
// configuration to start-up. Where nothing is to be changed nothing but the saving is
// done: a session that broke off before it leaves no other trace. When the switch refuses
// a line or shows something else afterwards, the port is put back as it was and nothing
// is saved.
//
// Errors: Diff's, *RefusedError, *MismatchError. Apply may be repeated after each of them.
func (s *Session) Apply(ctx context.Context, intent Intent) (Change, error) {
	change, err := s.apply(ctx, intent)
	if err != nil {
		return Change{}, fmt.Errorf("configure port %s of %s: %w", intent.Port, s.device, err)
	}
	return change, nil
}

func (s *Session) apply(ctx context.Context, intent Intent) (Change, error) {
	plan, err := s.plan(ctx, intent)
	if err != nil {
		return Change{}, err
	}
	if plan.change.Changed {
		running, err := s.move(ctx, plan)
		if err != nil {
			return Change{}, errors.Join(err, s.putBack(ctx, plan, err))
		}
		plan.change.Running = running
	}
	if err := s.driver.save(ctx, s.cli); err != nil {
		return Change{}, fmt.Errorf("save to start-up: %w", err)
	}
	return plan.change, nil
}

// plan is a change that was thought out and not begun.
type plan struct {
	intent Intent
	have   []string // owned lines before
	want   []string // owned lines after
	change Change
}

func (s *Session) plan(ctx context.Context, intent Intent) (plan, error) {
	if err := intent.Validate(); err != nil {
		return plan{}, err
	}
	if err := s.device.allows(intent); err != nil {
		return plan{}, err
	}
	want, err := s.driver.render(intent)
	if err != nil {
		return plan{}, err
	}
	have, err := s.driver.read(ctx, s.cli, intent.Port)
	if err != nil {
		return plan{}, err
	}
	running, err := have.intent(s.driver, intent.Port)
	if err != nil {
		return plan{}, err
	}
	diff := difference(have.owned, want)
	return plan{intent: intent, have: have.owned, want: want, change: Change{
		Port:    intent.Port,
		Changed: len(diff) > 0,
		Diff:    diff,
		Foreign: have.foreign,
		Running: running,
	}}, nil
}

// move sends the difference and reads the port back.
func (s *Session) move(ctx context.Context, p plan) (Intent, error) {
	port := p.intent.Port
	commands := s.driver.edit(port, p.have, p.want)
	if err := s.cli.configure(ctx, commands, s.driver.refused); err != nil {
		return Intent{}, err
	}
	now, err := s.driver.read(ctx, s.cli, port)
	if err != nil {
		return Intent{}, err
	}
	running, err := now.intent(s.driver, port)
	if err != nil {
		return Intent{}, err
	}
	if diff := difference(now.owned, p.want); len(diff) > 0 {
		return Intent{}, &MismatchError{Intended: p.intent, Running: running, Diff: diff}
	}
	return running, nil
}

// putBack restores the port after a switch has refused a line or shown something else.
// After other failures there is no session to do it in; the next Apply reads afresh.
func (s *Session) putBack(ctx context.Context, p plan, cause error) error {
	var refusal *RefusedError
	var mismatch *MismatchError
	if !errors.As(cause, &refusal) && !errors.As(cause, &mismatch) {
		return nil
	}
	now, err := s.driver.read(ctx, s.cli, p.intent.Port)
	if err == nil && len(difference(now.owned, p.have)) > 0 {
		commands := s.driver.edit(p.intent.Port, now.owned, p.have)
		err = s.cli.configure(ctx, commands, s.driver.refused)
	}
	if err != nil {
		return fmt.Errorf("the port could not be put back as it was either: %w", err)
	}
	return nil
}
