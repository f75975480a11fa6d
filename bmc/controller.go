package bmc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Options are a Controller's times. Zero means the default.
type Options struct {
	Pause   time.Duration // between two commands to one BMC; default 250 ms
	Greet   time.Duration // until a BMC has shown that it is there; default 3 s
	Command time.Duration // for one command; default 20 s, at most 45 s
	Settle  time.Duration // until a setting reads back as asked for; default 30 s
}

func (o Options) withDefaults() Options {
	fill := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	fill(&o.Pause, 250*time.Millisecond)
	fill(&o.Greet, 3*time.Second)
	fill(&o.Command, 20*time.Second)
	fill(&o.Settle, 30*time.Second)
	// ipmitool gives up on a silent BMC after 52 s and says what it says of a wrong password.
	o.Command = min(o.Command, 45*time.Second)
	return o
}

// Controller commands BMCs. Its methods may be called from many goroutines; operations on
// one BMC wait for each other.
//
// Unless said otherwise they return ErrUnreachable, ErrCredentials, ErrRefused,
// ErrNoIpmitool, ErrEndpoint, or the context's error while they waited for their turn.
type Controller struct {
	log     *slog.Logger
	options Options
	queues  queues
}

// NewController returns a Controller.
func NewController(log *slog.Logger, options Options) *Controller {
	return &Controller{log: log, options: options.withDefaults()}
}

// Probe finds out whether the BMC is there and accepts the credentials.
func (c *Controller) Probe(ctx context.Context, e Endpoint) (info Info, err error) {
	err = c.operate(ctx, e, "probe", func(ctx context.Context, o *operation) error {
		if info.Power, err = o.power(ctx); err != nil {
			return err
		}
		info.Provider = o.protocol
		// Many BMCs do not know what they are in: no error.
		_ = o.command(ctx, func(ctx context.Context) (err error) {
			info.Vendor, info.Model, err = o.conn.product(ctx)
			return err
		})
		return nil
	})
	return info, err
}

// PowerState reads whether the server is on. A state between the two (Redfish's
// "PoweringOn") is waited out: NotKeptError if it does not end.
func (c *Controller) PowerState(ctx context.Context, e Endpoint) (state Power, err error) {
	err = c.operate(ctx, e, "read power", func(ctx context.Context, o *operation) error {
		state, err = o.await(ctx, "power", "on or off", func(p Power) bool { return p == On || p == Off })
		return err
	})
	return state, err
}

// PowerOn turns the server on and reads that back. A server that is on is left alone.
// NotKeptError if the server does not come on.
func (c *Controller) PowerOn(ctx context.Context, e Endpoint) error {
	return c.operate(ctx, e, "power on", func(ctx context.Context, o *operation) error {
		return o.turn(ctx, On)
	})
}

// PowerOff turns the server off hard, without asking its operating system, and reads that
// back. NotKeptError if the server stays on.
func (c *Controller) PowerOff(ctx context.Context, e Endpoint) error {
	return c.operate(ctx, e, "power off", func(ctx context.Context, o *operation) error {
		return o.turn(ctx, Off)
	})
}

// Cycle turns the server off hard, if it is on, and then on. Off and on are two commands,
// each read back: of the BMC's own "cycle" nobody can tell afterwards whether it was done.
// NotKeptError if one of the two does not happen.
func (c *Controller) Cycle(ctx context.Context, e Endpoint) error {
	return c.operate(ctx, e, "power cycle", func(ctx context.Context, o *operation) error {
		if err := o.turn(ctx, Off); err != nil {
			return err
		}
		// The specification wants a second without power at least (IPMI v2.0 §28.3).
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
		return o.turn(ctx, On)
	})
}

// SetBootDevice sets what the server starts from (see BootDevice) and reads it back.
// With uefi the firmware is asked to boot in UEFI mode, else in legacy mode; that part is
// not read back: many BMCs do not keep it and boot in the right mode nevertheless.
// NotKeptError if another device reads back.
func (c *Controller) SetBootDevice(ctx context.Context, e Endpoint, device BootDevice, uefi bool) error {
	if device != Network && device != Disk {
		return fmt.Errorf("server %s: %w: boot device %q; use %q or %q", e.Server, ErrEndpoint, device, Network, Disk)
	}
	return c.operate(ctx, e, "set boot device", func(ctx context.Context, o *operation) error {
		if err := o.command(ctx, func(ctx context.Context) error {
			return o.conn.setBootDevice(ctx, device, uefi)
		}); err != nil {
			return err
		}
		var got BootDevice
		if err := o.command(ctx, func(ctx context.Context) (err error) {
			got, err = o.conn.bootDevice(ctx)
			return err
		}); err != nil {
			return err
		}
		if got != device {
			return o.notKept("boot device", string(device), string(got))
		}
		return nil
	})
}

// operate runs one operation on a BMC when it is its turn.
func (c *Controller) operate(ctx context.Context, e Endpoint, what string, do func(context.Context, *operation) error) error {
	target, err := e.target()
	if err != nil {
		return fmt.Errorf("server %s: %s: %w", e.Server, what, err)
	}
	queue := c.queues.of(target.String())
	if err := queue.enter(ctx); err != nil {
		return fmt.Errorf("server %s: %s: waiting for other commands to BMC %s: %w", e.Server, what, e.Address, err)
	}
	defer queue.leave()

	started := time.Now()
	o := &operation{options: c.options, endpoint: e, queue: queue}
	err = o.connect(ctx, target)
	if err == nil {
		err = do(ctx, o)
	}
	if errors.Is(err, ErrUnreachable) {
		queue.way = nil // perhaps it was replaced by one that speaks something else
	}
	err = explain(e, what, err)
	c.log.DebugContext(ctx, "BMC operation", "server", e.Server, "address", e.Address,
		"operation", what, "took", time.Since(started), "error", err)
	return err
}
