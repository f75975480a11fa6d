package inventory

import (
	"context"
	"net/netip"

	"github.com/jackc/pgx/v5"
)

// Network is a VLAN that servers can be in, instead of having routed links. Its gateways
// are the operator's.
type Network struct {
	Name string
	Site string
	VLAN int // 1 to 4094
	// Prefixes are those of its servers' addresses, at most one of each family. The gateway
	// has the first address of each.
	Prefixes []netip.Prefix
}

const networkColumns = `SELECT name, site, vlan, prefixes FROM inventory.networks`

// Network returns one network, or a NotFoundError.
func (s *Store) Network(ctx context.Context, name string) (Network, error) {
	return one(ctx, s.pool, pgx.RowToStructByPos[Network], KindNetwork, name, networkColumns+` WHERE name = $1`, name)
}

// Gateway is the first address that a host of a prefix can have.
func (n Network) Gateway(prefix netip.Prefix) netip.Addr { return prefix.Masked().Addr().Next() }

func (a application) networks(ctx context.Context, d Declaration) error {
	return upsert(ctx, a, KindNetwork, networkColumns, pgx.RowToStructByPos[Network], d.Networks,
		func(n Network) string { return n.Name },
		`INSERT INTO inventory.networks (name, site, vlan, prefixes) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET site = $2, vlan = $3, prefixes = $4`,
		func(n Network) []any { return []any{n.Name, n.Site, n.VLAN, n.Prefixes} })
}
