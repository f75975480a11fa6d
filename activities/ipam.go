package activities

import (
	"context"
	"net/netip"

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
	register(r, api.FindElastic, i.FindElastic)
	register(r, api.MoveElastic, i.MoveElastic)
	register(r, api.ListElastic, i.ListElastic)
}

// Allocate gives an owner a link of each family for each uplink, and the blocks that he
// wants, or an address of each family in each of the networks; asked again, the same ones.
// Where there are links and no blocks, the links are his until a release.
func (i *IPAM) Allocate(ctx context.Context, in api.AllocateInput) (api.Allocated, error) {
	request := ipam.Request{Owner: in.Owner, Site: in.Site, Role: ipam.Role(in.Role), Plan: in.Plan, Tenant: in.Tenant, Domain: in.Domain, By: by(ctx)}
	network, err := i.network(ctx, in)
	if err != nil {
		return api.Allocated{}, fail(err)
	}
	if network != "" {
		given, err := i.joinAll(ctx, network, in.Tagged, request)
		return given, fail(err)
	}
	uplinks, err := i.Addresses.AllocateUplinks(ctx, request, 1+in.Others)
	if err != nil {
		return api.Allocated{}, fail(err)
	}
	given := api.Allocated{Links: linksOf(uplinks[0])}
	for _, other := range uplinks[1:] {
		given.Others = append(given.Others, linksOf(other))
	}
	request.Role, request.Wants = ipam.Routed, blocks(in.Blocks)
	if len(request.Wants) == 0 {
		return given, nil
	}
	allocations, err := i.Addresses.Allocate(ctx, request)
	if err != nil {
		return api.Allocated{}, fail(err)
	}
	for _, a := range allocations {
		given.Blocks = append(given.Blocks, a.Prefix)
	}
	return given, nil
}

// network is the name of the network that addresses are wanted in; empty: none.
func (i *IPAM) network(ctx context.Context, in api.AllocateInput) (string, error) {
	if in.Server == "" || in.Role != api.ProvisioningPool {
		return in.Network, nil
	}
	server, err := i.Inventory.Server(ctx, in.Server)
	if err != nil {
		return "", err
	}
	at, err := i.Inventory.Switch(ctx, server.Switch)
	return at.Provisioning.Network, err
}

// joinAll gives an owner addresses in a network, and in those whose frames come tagged.
func (i *IPAM) joinAll(ctx context.Context, name string, tagged []string, request ipam.Request) (given api.Allocated, err error) {
	own, err := i.join(ctx, name, request)
	if err != nil {
		return given, err
	}
	given.Links = own.Links
	for _, name := range tagged {
		further, err := i.join(ctx, name, request)
		if err != nil {
			return given, err
		}
		given.Tagged = append(given.Tagged, further)
	}
	return given, nil
}

// join gives an owner addresses in a network.
func (i *IPAM) join(ctx context.Context, name string, request ipam.Request) (api.Membership, error) {
	network, err := i.Inventory.Network(ctx, name)
	if err != nil {
		return api.Membership{}, err
	}
	if network.Site != request.Site {
		return api.Membership{}, inventory.NotFoundError{Kind: inventory.KindNetwork, Name: name + " at " + request.Site}
	}
	hosts, err := i.Addresses.AllocateHosts(ctx, request, ipam.NetworkPools(network.Name, network.Site, network.Prefixes))
	if err != nil {
		return api.Membership{}, err
	}
	var links api.Links
	for _, host := range hosts {
		member := api.Link{Switch: netip.PrefixFrom(network.Gateway(host), host.Bits()), Server: host}
		if host.Addr().Is4() {
			links.IPv4 = member
		} else {
			links.IPv6 = member
		}
	}
	return api.Membership{Network: name, VLAN: network.VLAN, Links: links}, nil
}

func blocks(asked api.Blocks) (wants []ipam.Want) {
	for _, want := range []ipam.Want{{Family: ipam.IPv4, Bits: asked.IPv4}, {Family: ipam.IPv6, Bits: asked.IPv6}} {
		if want.Bits > 0 {
			want.Name, want.Kind = "block", ipam.KindBlock
			wants = append(wants, want)
		}
	}
	return wants
}

// Release sends what an owner holds into quarantine.
func (i *IPAM) Release(ctx context.Context, in api.ReleaseInput) (api.None, error) {
	return api.None{}, fail(i.Addresses.Release(ctx, in.Owner, by(ctx)))
}

// by is what the history of addresses keeps of who asked.
func by(ctx context.Context) ipam.By {
	return ipam.By{Actor: "ferrodur", Workflow: activity.GetInfo(ctx).WorkflowExecution.ID}
}

func linksOf(l ipam.Links) api.Links { return api.Links{IPv4: link(l.IPv4), IPv6: link(l.IPv6)} }

func link(l ipam.Link) api.Link {
	if !l.Prefix.IsValid() {
		return api.Link{}
	}
	return api.Link{Switch: l.Switch(), Server: l.Host()}
}
