package ipam

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"
)

const networks = "network/"

// NetworkRole is the role of the pools of a network: a VLAN whose hosts share a prefix.
func NetworkRole(name string) Role { return Role(networks + name) }

// known tells whether a role is one of Roles, or a network's.
func (r Role) known() bool {
	return slices.Contains(Roles, r) || strings.HasPrefix(string(r), networks)
}

// NetworkPools are the pools of a network, one for each of its prefixes.
func NetworkPools(name, site string, prefixes []netip.Prefix) (pools []Pool) {
	for _, prefix := range prefixes {
		family := strings.ToLower(familyOf(prefix.Addr()).String())
		pools = append(pools, Pool{
			Name: name + "-" + family, Site: site, Role: NetworkRole(name), Prefix: prefix,
			Description: "network " + name,
		})
	}
	return pools
}

// AllocateHosts gives an owner an address in each of a network's pools, with the pool's
// length, as Allocate does. What hosts of a network cannot have is not handed out: its own
// address (IPv4), or its routers' (RFC 4291 §2.6.1), the first address, which is the
// gateway's, and IPv4's broadcast address.
func (s *Store) AllocateHosts(ctx context.Context, r Request, pools []Pool) ([]netip.Prefix, error) {
	for _, pool := range pools {
		lowest := pool.Prefix.Masked().Addr()
		if err := s.Reserve(ctx, pool, lowest, lowest.Next(), "gateway", r.By); err != nil {
			return nil, err
		}
		if last := netipx.PrefixLastIP(pool.Prefix); last.Is4() {
			if err := s.Reserve(ctx, pool, last, last, "broadcast", r.By); err != nil {
				return nil, err
			}
		}
		r.Role = pool.Role
		r.Wants = append(r.Wants, Want{Name: string(pool.Role), Kind: KindAddress, Family: familyOf(lowest)})
	}
	answer, err := s.Allocate(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	hosts := make([]netip.Prefix, len(answer))
	for i, allocation := range answer {
		hosts[i] = netip.PrefixFrom(allocation.Prefix.Addr(), pools[i].Prefix.Bits())
	}
	return hosts, nil
}
