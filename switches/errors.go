package switches

import (
	"errors"
	"fmt"
	"strings"
)

// The errors of a session. They are wrapped in a text that names the switch.
var (
	// ErrUnreachable says that the switch did not answer, or stopped answering: no
	// connection, a time-out, a session that broke off. Trying again later is right; what
	// was sent before may have taken effect.
	ErrUnreachable = errors.New("switch is unreachable")
	// ErrBusy says that another session of this process held the switch for as long as the
	// caller was willing to wait. Try again later.
	ErrBusy = errors.New("switch is in use by another session")
	// ErrAuth says that the switch refused the user, or that the user may not configure it.
	ErrAuth = errors.New("switch refused the credentials")
	// ErrHostKey says that the switch's host key is not the pinned one: it was replaced, or
	// someone stands in between. An operator has to decide.
	ErrHostKey = errors.New("host key differs from the pinned key")
	// ErrUnknownPlatform says that there is no driver for the device's platform.
	ErrUnknownPlatform = errors.New("no driver for this platform")
	// ErrUnknownPort says that the switch has no such port. Compare the inventory's port
	// name with the switch's own.
	ErrUnknownPort = errors.New("switch has no such port")
	// ErrLocked says that someone else is changing the switch's configuration and keeps
	// others out. Try again later.
	ErrLocked = errors.New("switch's configuration is locked by someone else")
	// ErrNotReady says that the switch answers, and that some of it is starting, or down: what it
	// shows and saves is not the whole. Try again later.
	ErrNotReady = errors.New("a part of the switch is starting or down")
	// ErrNotUndone says that a change failed, and that undoing it did, too: the ports are
	// neither what they were nor what they were to be, and the switch was not told to start
	// so. An operator has to look.
	ErrNotUndone = errors.New("ports could not be put back as they were")
	// ErrUnreadable says that the switch's configuration could not be read as a whole, so
	// that nothing may be concluded from it.
	ErrUnreadable = errors.New("configuration is incomplete or in an unknown form")
)

// InvalidDeviceError says what is wrong with a Device, and what to do. No connection was tried.
type InvalidDeviceError struct {
	Device string // its name
	Reason string
}

func (e *InvalidDeviceError) Error() string {
	return fmt.Sprintf("switch %s cannot be used: %s", e.Device, e.Reason)
}

// InvalidIntentError says what is wrong with an Intent. Nothing was sent.
type InvalidIntentError struct {
	Field  string // of Intent
	Reason string
}

func (e *InvalidIntentError) Error() string {
	return fmt.Sprintf("invalid intent: %s: %s", e.Field, e.Reason)
}

// ForbiddenError says that an intent leaves the bounds that a Device sets. Nothing was sent.
type ForbiddenError struct {
	Device, Reason string
}

func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("switch %s may not be configured so: %s; correct its ports, prefixes, VLANs or AS number in the inventory, or what asked for it", e.Device, e.Reason)
}

// UnsupportedError says that a platform, or Ferrodur's driver for it, cannot do what an
// intent asks for. Nothing was sent.
type UnsupportedError struct {
	Platform, What string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s cannot be configured on platform %s", e.What, e.Platform)
}

// RefusedError is a line that the switch did not accept, with its answer.
type RefusedError struct {
	Line, Answer string
	port         string // on behalf of which it was sent; empty: of all
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("switch refused %q: %s", e.Line, e.Answer)
}

// MismatchError says that the switch accepted a change and then showed something else.
// Diff leads from what it shows to what was intended.
type MismatchError struct {
	Intended, Running Intent
	Diff              []string
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("port %s reads back differently from what was configured (%s); look at the switch before trying again",
		e.Intended.Port, strings.Join(e.Diff, ", "))
}
