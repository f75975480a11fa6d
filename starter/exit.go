package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.temporal.io/api/serviceerror"

	"ferrodur/client"
	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/starter/progress"
	"ferrodur/starter/rackfile"
)

// The exit codes, which docs/reference.md and the help text list.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRefused     = 3
	exitNotFound    = 4
	exitParked      = 5
	exitUnreachable = 6
	exitInterrupted = 130
)

// usageError is a command line that cannot be meant.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usage(format string, arguments ...any) error {
	return usageError{fmt.Errorf(format, arguments...)}
}

// errUnreachable says that Temporal or PostgreSQL cannot be reached.
var errUnreachable = errors.New("unreachable")

func exitCode(ctx context.Context, err error) int {
	var (
		parked      *progress.ParkedError
		unavailable *serviceerror.Unavailable
		late        *serviceerror.DeadlineExceeded // no lifecycle worker answered
	)
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case is[usageError](err):
		return exitUsage
	case errors.As(err, &parked):
		return exitParked
	case errors.Is(err, client.ErrNotFound) || is[inventory.NotFoundError](err) || errors.Is(err, ipam.ErrNotHeld):
		return exitNotFound
	case errors.Is(err, client.ErrRefused) || errors.Is(err, client.ErrBusy) || is[rackfile.Problems](err) ||
		is[inventory.HeldChangeError](err) || is[inventory.HeldError](err) || is[inventory.TransitionError](err) ||
		is[inventory.DuplicateError](err) || is[inventory.PortInUseError](err) || is[inventory.InvalidError](err) ||
		errors.Is(err, inventory.ErrBadSecretRef) || errors.Is(err, inventory.ErrInstanceEnded) ||
		is[*ipam.InUseError](err) || is[*ipam.OverlapError](err) || is[*ipam.InvalidError](err) || is[ipam.ImportErrors](err) ||
		is[*ipam.NoDomainError](err) || errors.Is(err, ipam.ErrNoPool) || is[*ipam.ExhaustedError](err) || is[*ipam.TakenError](err) || is[*ipam.LimitError](err) ||
		is[*ipam.ConflictError](err):
		return exitRefused
	case errors.Is(err, errUnreachable) || errors.Is(err, client.ErrNoAnswer) || errors.As(err, &unavailable) || errors.As(err, &late) || is[*ipam.SourceError](err) || is[*serviceerror.QueryFailed](err):
		return exitUnreachable
	}
	return exitFailed
}

func is[E error](err error) bool {
	var target E
	return errors.As(err, &target)
}

// complain tells of an error in the form that the output has.
func (c *cli) complain(stderr io.Writer, err error) {
	interrupted := errors.Is(err, context.Canceled) || is[*serviceerror.Canceled](err)
	switch {
	case interrupted && c.temporal == nil && c.database != nil:
		err = errors.New("interrupted: it may have been done or not; give the command again, which does nothing twice, or look with: starter ip list, starter ip history")
	case interrupted:
		err = errors.New("interrupted: the work goes on; look at it with: starter list")
	default:
		err = withoutTables(err)
	}
	if c.format == formatJSON {
		_ = json.NewEncoder(stderr).Encode(map[string]string{"error": err.Error()})
		return
	}
	fmt.Fprintln(stderr, printable("starter: "+err.Error()))
}
