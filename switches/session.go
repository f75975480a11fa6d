// Package switches configures ports of switches over their command lines, through SSH. An
// Intent says what a port should be. Applying it reads what the port is, sends the
// difference, reads back, and saves; what Ferrodur did not write stays as it is. Nothing
// here knows where intents come from.
//
//	sessions := switches.NewSessions(switches.Config{})
//	session, err := sessions.Open(ctx, device)
//	…
//	defer session.Close()
//	results, err := session.Apply(ctx, intents...)
package switches

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
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
	wire, err := connect(ctx, s.config.Dial, device, driver.definition())
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

// Result is what became of one port.
type Result struct {
	Change Change
	Err    error
}

// Read returns what ports are, in their order; without names, all ports, by name. The
// whole answers of a switch are read once. A result's error is ErrUnknownPort.
// Errors: ErrUnreadable, ErrUnreachable, ErrNotReady.
func (s *Session) Read(ctx context.Context, ports ...string) ([]Result, error) {
	now, err := s.look(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.device, err)
	}
	if len(ports) == 0 {
		ports = slices.Sorted(maps.Keys(now.ports))
	}
	results := make([]Result, len(ports))
	for i, port := range ports {
		found, err := s.section(now, port)
		if err != nil {
			results[i].Err = fmt.Errorf("read port %s of %s: %w", port, s.device, err)
			continue
		}
		results[i].Change = Change{Port: port, Running: found.intent(s.driver, s.device, port), Linked: now.ports[port]}
		for _, foreign := range found.foreign {
			results[i].Change.Foreign = append(results[i].Change.Foreign, foreign.withoutSecrets())
		}
	}
	return results, nil
}

// Diff returns what Apply would change, and changes nothing. A result's error is
// *InvalidIntentError, *ForbiddenError, *UnsupportedError, ErrUnknownPort.
// Errors: Read's.
func (s *Session) Diff(ctx context.Context, intents ...Intent) ([]Result, error) {
	results, _, _, err := s.plans(ctx, intents)
	if err != nil {
		return nil, fmt.Errorf("compare ports of %s: %w", s.device, err)
	}
	return results, nil
}

// Apply makes ports what their intents say, together in one transaction where the platform
// has those, checks that they are, and saves the configuration to start-up. Where nothing
// is to be changed nothing but the saving is done: a session that broke off before it
// leaves no other trace. When the switch refuses a line or shows something else
// afterwards, the transaction is undone, and done again without the port at fault.
//
// A result's error is Diff's, *RefusedError or *MismatchError.
// Errors: Read's, ErrLocked, ErrNotUndone, after which nothing is saved. Apply may be repeated
// after each of them: ports that are done are found done.
func (s *Session) Apply(ctx context.Context, intents ...Intent) ([]Result, error) {
	results, err := s.apply(ctx, intents)
	if err != nil {
		return nil, fmt.Errorf("configure ports of %s: %w", s.device, err)
	}
	return results, nil
}

func (s *Session) apply(ctx context.Context, intents []Intent) ([]Result, error) {
	if err := s.driver.settle(ctx, s.cli); err != nil {
		return nil, fmt.Errorf("end what was left pending: %w", err)
	}
	results, plans, now, err := s.plans(ctx, intents)
	if err != nil {
		return nil, err
	}
	changed := slices.DeleteFunc(slices.Clone(plans), func(p *plan) bool { return p == nil || !p.change.Changed })
	failed := s.carryOut(ctx, now, changed)
	for i, p := range plans {
		switch err := failed[p]; {
		case p == nil:
		case err != nil && !undoable(err):
			return nil, err
		case err != nil:
			results[i] = Result{Err: fmt.Errorf("configure port %s of %s: %w", p.intent.Port, s.device, err)}
		default:
			results[i].Change = p.change
		}
	}
	if err := s.driver.save(ctx, s.cli); err != nil {
		return nil, fmt.Errorf("save to start-up: %w", err)
	}
	return results, nil
}

// plans thinks changes out. The plan of an intent that cannot be carried out is nil.
func (s *Session) plans(ctx context.Context, intents []Intent) ([]Result, []*plan, look, error) {
	now, err := s.look(ctx)
	if err != nil {
		return nil, nil, look{}, err
	}
	results := make([]Result, len(intents))
	plans := make([]*plan, len(intents))
	for i, intent := range intents {
		p, err := s.plan(now, intent)
		if err == nil && slices.ContainsFunc(intents[:i], func(other Intent) bool { return other.Port == intent.Port }) {
			err = &InvalidIntentError{"Port", intent.Port + " is there twice"}
		}
		if err != nil {
			results[i].Err = fmt.Errorf("port %s of %s: %w", intent.Port, s.device, err)
			continue
		}
		plans[i], results[i].Change = &p, p.change
	}
	return results, plans, now, nil
}
