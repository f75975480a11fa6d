package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"ferrodur/ipam"
	"ferrodur/workflows/api"
)

// FindElastic says where an elastic block is.
func (i *IPAM) FindElastic(ctx context.Context, in api.ElasticKey) (api.Elastic, error) {
	held, err := i.Addresses.Allocations(ctx, ipam.Filter{Domain: cmp.Or(in.Domain, ipam.DefaultDomain), Owner: in.Owner, Name: in.Name})
	if err == nil && len(held) == 0 {
		err = fmt.Errorf("%q of %s: %w", in.Name, in.Owner, ipam.ErrNotHeld)
	}
	var found api.Elastic
	for _, allocation := range held {
		found.Instance = allocation.Instance
		found.Prefixes = append(found.Prefixes, allocation.Prefix)
	}
	return found, fail(err)
}

// MoveElastic takes an elastic block to an instance, in the book. What is in another routing
// domain cannot be routed to an instance.
func (i *IPAM) MoveElastic(ctx context.Context, in api.MoveInput) (api.None, error) {
	domain := cmp.Or(in.Domain, ipam.DefaultDomain)
	var held []ipam.Allocation
	if in.Instance != "" {
		var err error
		if held, err = i.Addresses.Allocations(ctx, ipam.Filter{Owner: in.Instance}); err != nil {
			return api.None{}, fail(err)
		}
	}
	inDomain := func(a ipam.Allocation) bool { return a.Domain == domain }
	if len(held) > 0 && !slices.ContainsFunc(held, inDomain) {
		return api.None{}, temporal.NewNonRetryableApplicationError(fmt.Sprintf(
			"%s is in routing domain %s, and the block %q of %s in %s: order an instance there", in.Instance, held[0].Domain, in.Name, in.Owner, domain),
			api.ErrorRefused, nil)
	}
	by := by(ctx)
	by.Actor = cmp.Or(in.By, by.Actor)
	return api.None{}, fail(i.Addresses.Move(ctx, in.Domain, in.Owner, in.Name, in.Instance, by))
}

// ListElastic lists the elastic blocks that are at an instance.
func (i *IPAM) ListElastic(ctx context.Context, in api.ListElasticInput) ([]netip.Prefix, error) {
	held, err := i.Addresses.Allocations(ctx, ipam.Filter{Instance: in.Instance})
	var prefixes []netip.Prefix
	for _, allocation := range held {
		prefixes = append(prefixes, allocation.Prefix)
	}
	return prefixes, fail(err)
}

// RouteInstance has an instance's port carry the elastic blocks that are at it, and waits
// until it does. There is nothing to do for one that has ended, or that nobody ordered yet.
// An attempt after a refusal asks anew: the cause may be mended by then. What an operator has
// rejected is not asked for again.
func (r *Requests) RouteInstance(ctx context.Context, in api.RouteInput) (api.None, error) {
	return beating(ctx, func(ctx context.Context) (api.None, error) {
		handle, err := r.Temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
			UpdateID:   fmt.Sprintf("%s %d", in.Request, activity.GetInfo(ctx).Attempt),
			WorkflowID: in.Instance, UpdateName: api.UpdateRoute, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		if err == nil {
			err = handle.Get(ctx, nil)
		}
		if notFound := (*serviceerror.NotFound)(nil); errors.As(err, &notFound) {
			err = nil
		}
		if rejected := (*temporal.ApplicationError)(nil); errors.As(err, &rejected) && rejected.Type() == api.ErrorRejected {
			return api.None{}, temporal.NewNonRetryableApplicationError(rejected.Message(), api.ErrorRejected, nil)
		}
		return api.None{}, fail(err)
	})
}
