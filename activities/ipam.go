package activities

import (
	"context"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/workflows/api"
)

// IPAM serves the task queue ipam.
type IPAM struct {
	Addresses *ipam.Store
	Inventory *inventory.Store
}

// Register makes the activities known to a worker.
func (i *IPAM) Register(r worker.ActivityRegistry) {
	register(r, api.AllocateAddresses, i.Allocate)
	register(r, api.ReleaseAddresses, i.Release)
	register(r, api.NameAddresses, i.Name)
	register(r, api.RemoveNames, i.RemoveNames)
}

// Allocate gives an owner a link of each family; asked again, the same ones.
func (i *IPAM) Allocate(ctx context.Context, in api.AllocateInput) (api.Links, error) {
	links, err := i.Addresses.AllocateLinks(ctx, ipam.Request{
		Owner: in.Owner, Site: in.Site, Role: ipam.Role(in.Role), Plan: in.Plan, Tenant: in.Tenant, By: by(ctx),
	})
	if err != nil {
		return api.Links{}, fail(err)
	}
	return api.Links{IPv4: link(links.IPv4), IPv6: link(links.IPv6)}, nil
}

// Release sends what an owner holds into quarantine.
func (i *IPAM) Release(ctx context.Context, in api.ReleaseInput) (api.None, error) {
	return api.None{}, fail(i.Addresses.Release(ctx, in.Owner, by(ctx)))
}

// by is what the history of addresses keeps of who asked.
func by(ctx context.Context) ipam.By {
	return ipam.By{Actor: "ferrodur", Workflow: activity.GetInfo(ctx).WorkflowExecution.ID}
}

func link(l ipam.Link) api.Link {
	if !l.Prefix.IsValid() {
		return api.Link{}
	}
	return api.Link{Switch: l.Switch(), Server: l.Host()}
}
