package activities

import (
	"context"
	"errors"

	"go.temporal.io/sdk/temporal"

	"ferrodur/bmc"
	"ferrodur/bootsvc"
	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/ipam/dns"
	"ferrodur/ipam/netbox"
	"ferrodur/switches"
	"ferrodur/workflows/api"
)

// fail classifies a room's error. What is not named here is worth a retry: the network, a
// busy device, a database that restarts, a worker that is stopped. The rooms' texts name the
// thing and the next step, and hold no secrets, so they go to the operator as they are.
func fail(err error) error {
	if err == nil {
		return nil
	}
	kind := errorType(err)
	options := temporal.ApplicationErrorOptions{NonRetryable: kind != ""}
	if errors.Is(err, context.Canceled) {
		options.Cause = context.Canceled // by which the SDK knows an activity that was cancelled
	}
	return temporal.NewApplicationErrorWithOptions(err.Error(), kind, options)
}

// errorType is the type of application error that a room's error is; empty: worth a retry.
func errorType(err error) string {
	switch {
	case refused(err):
		return api.ErrorRefused
	case needsOperator(err):
		return api.ErrorOperator
	case abandoned(err):
		return api.ErrorStalled
	case errors.Is(err, errOutdated):
		return api.ErrorOutdated
	case errors.Is(err, errHeld):
		return api.ErrorHeld
	}
	return ""
}

// refused says whether an order cannot be met, now or ever, as it stands.
func refused(err error) bool {
	return is[inventory.NotFoundError](err) || is[inventory.NoServerError](err) || is[inventory.HeldError](err) ||
		errors.Is(err, inventory.ErrInstanceEnded) ||
		is[*ipam.NoDomainError](err) || errors.Is(err, ipam.ErrNoPool) || errors.Is(err, ipam.ErrNotHeld) || is[*ipam.ExhaustedError](err) || is[*ipam.LimitError](err)
}

// needsOperator says whether a person must act before a retry can help.
func needsOperator(err error) bool {
	return is[bootsvc.InvalidTargetError](err) || is[bootsvc.TakenError](err) || is[inventory.TransitionError](err) || is[inventory.NotWipedError](err) ||
		errors.Is(err, switches.ErrAuth) || errors.Is(err, switches.ErrHostKey) ||
		errors.Is(err, switches.ErrUnknownPlatform) || errors.Is(err, switches.ErrUnknownPort) ||
		is[*switches.InvalidDeviceError](err) || is[*switches.InvalidIntentError](err) || is[*switches.RefusedError](err) || is[*switches.ForbiddenError](err) || is[*switches.UnsupportedError](err) ||
		is[*ipam.ConflictError](err) || is[*ipam.InvalidError](err) || errors.Is(err, netbox.ErrCredentials) || errors.Is(err, netbox.ErrNoPrefix) ||
		errors.Is(err, dns.ErrRefused) || errors.Is(err, dns.ErrNotZone) || errors.Is(err, dns.ErrTaken) ||
		errors.Is(err, bmc.ErrCredentials) || errors.Is(err, bmc.ErrNoIpmitool) || errors.Is(err, bmc.ErrEndpoint)
}

// abandoned says whether a boot target is no longer the one that was waited for, so that
// the server has to be driven again under a new one.
func abandoned(err error) bool {
	return errors.Is(err, bootsvc.ErrNoTarget) || errors.Is(err, bootsvc.ErrTargetEnded) || errors.Is(err, bootsvc.ErrReleased)
}

func is[E error](err error) bool {
	var target E
	return errors.As(err, &target)
}
