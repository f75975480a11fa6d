package activities

import (
	"context"
	"net/netip"

	"ferrodur/ipam/dns"
	"ferrodur/workflows/api"
)

// Name gives a host its name in the DNS zones of its site: its addresses under the name,
// and the name under its addresses. A zone that the site does not have is left out.
func (i *IPAM) Name(ctx context.Context, in api.NameInput) (api.Named, error) {
	name, forward, all, err := i.zones(ctx, in)
	if err != nil || name == "" {
		return api.Named{}, fail(err)
	}
	addresses := hosts(in.Links)
	if err := forward.PutName(ctx, name, in.Owner, addresses); err != nil {
		return api.Named{}, fail(err)
	}
	for _, address := range addresses {
		if zone, found := dns.ZoneOf(all, dns.Reverse(address)); found {
			if err := zone.PutReverse(ctx, address, name); err != nil {
				return api.Named{}, fail(err)
			}
		}
	}
	return api.Named{Name: name}, nil
}

// RemoveNames takes away what Name gave.
func (i *IPAM) RemoveNames(ctx context.Context, in api.NameInput) (api.None, error) {
	name, forward, all, err := i.zones(ctx, in)
	if err != nil || name == "" {
		return api.None{}, fail(err)
	}
	for _, address := range hosts(in.Links) {
		if zone, found := dns.ZoneOf(all, dns.Reverse(address)); found {
			if err := zone.RemoveReverse(ctx, address, name); err != nil {
				return api.None{}, fail(err)
			}
		}
	}
	return api.None{}, fail(forward.RemoveName(ctx, name, in.Owner))
}

// zones reads the zones of a site with their keys. The name is that of the host in the
// first zone that is not for addresses; empty where there is none.
func (i *IPAM) zones(ctx context.Context, in api.NameInput) (name string, forward dns.Zone, all []dns.Zone, err error) {
	declared, err := i.Inventory.Zones(ctx, in.Site)
	if err != nil {
		return "", forward, nil, err
	}
	for _, d := range declared {
		secret, err := d.Secret.Resolve()
		if err != nil {
			return "", forward, nil, err
		}
		zone := dns.Zone{Name: d.Name, Server: d.Server, Key: d.Key, Algorithm: d.Algorithm, Secret: secret}
		all = append(all, zone)
		if name == "" && !zone.IsReverse() {
			name, forward = in.Hostname+"."+zone.Name, zone
		}
	}
	return name, forward, all, nil
}

// hosts are the server's addresses.
func hosts(links api.Links) (addresses []netip.Addr) {
	for _, link := range links.List() {
		addresses = append(addresses, link.Server.Addr())
	}
	return addresses
}
