package bmc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// operation is a series of commands to one BMC, while it is our turn.
type operation struct {
	options  Options
	endpoint Endpoint
	queue    *queue
	conn     conn
	protocol string
}

// command runs one command within its time, after a pause since the last one.
func (o *operation) command(ctx context.Context, do func(context.Context) error) error {
	if err := o.queue.rest(ctx, o.options.Pause); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, o.options.Command)
	defer cancel()
	err := do(limited)
	o.queue.last = time.Now()
	if err == nil || ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	if limited.Err() != nil {
		return fmt.Errorf("%w: it was there, but did not finish a command in %s", ErrUnreachable, o.options.Command)
	}
	return err
}

func (o *operation) power(ctx context.Context) (state Power, err error) {
	err = o.command(ctx, func(ctx context.Context) error {
		state, err = o.conn.power(ctx)
		return err
	})
	return state, err
}

// turn switches the server on or off unless it is so already, and waits until it is.
func (o *operation) turn(ctx context.Context, wanted Power) error {
	state, err := o.power(ctx)
	if err != nil || state == wanted {
		return err
	}
	if err := o.command(ctx, func(ctx context.Context) error { return o.conn.setPower(ctx, wanted) }); err != nil {
		return err
	}
	_, err = o.await(ctx, "power", string(wanted), func(p Power) bool { return p == wanted })
	return err
}

// await reads the power state until it is as wanted. A read that fails is not the last
// word: BMCs are busy while they switch.
func (o *operation) await(ctx context.Context, what, wanted string, good func(Power) bool) (Power, error) {
	for deadline := time.Now().Add(o.options.Settle); ; {
		state, err := o.power(ctx)
		if err == nil && good(state) {
			return state, nil
		}
		if ctx.Err() != nil || errors.Is(err, ErrCredentials) {
			return state, err
		}
		if time.Now().After(deadline) {
			if err != nil {
				return state, err
			}
			return state, o.notKept(what, wanted, string(state))
		}
	}
}

func (o *operation) notKept(what, wanted, got string) error {
	return &NotKeptError{Server: o.endpoint.Server, Address: o.endpoint.Address, What: what, Wanted: wanted, Got: got}
}

// explain adds which server it was and what to do next. The password is taken out of
// whatever the BMC said.
func explain(e Endpoint, what string, err error) error {
	var notKept *NotKeptError
	if err == nil || errors.As(err, &notKept) {
		return err
	}
	return &operationError{
		text: fmt.Sprintf("server %s: %s over BMC %s: %s%s", e.Server, what, e.Address, redact(e, err.Error()), advice(err)),
		err:  err,
	}
}

func redact(e Endpoint, text string) string {
	if e.Password == "" {
		return text
	}
	return strings.ReplaceAll(text, e.Password, "…")
}

func advice(err error) string {
	switch {
	case errors.Is(err, ErrUnreachable):
		return "; check its address and cable, and that IPMI over LAN or Redfish is switched on"
	case errors.Is(err, ErrCredentials):
		return "; check user and password, and that the user is an administrator"
	case errors.Is(err, ErrNoIpmitool):
		return "; install the Debian package ipmitool on this machine"
	case errors.Is(err, errCipherSuite):
		return "; name a cipher suite that it knows, or none"
	case errors.Is(err, ErrRefused):
		return "; try again, and reset the BMC if it persists"
	}
	return ""
}

// operationError keeps the kind of an error under a text that is fit to be shown. The
// cause's own text, which may hold what a BMC echoed, is not reachable but for its kind.
type operationError struct {
	text string
	err  error
}

func (e *operationError) Error() string        { return e.text }
func (e *operationError) Is(target error) bool { return errors.Is(e.err, target) }
