package inventory

import (
	"context"
	"net/netip"

	"github.com/jackc/pgx/v5"
)

// Switch is a top-of-rack device and how to reach it.
type Switch struct {
	Name     string
	Site     string
	Platform string // name of the driver: "frr"
	Address  string // host:port of its SSH service
	User     string
	// At least one of the two is set.
	Password   SecretRef
	PrivateKey SecretRef
	HostKey    string // type and key as in known_hosts: "ssh-ed25519 AAAA…"
	// DHCPRelay is the address its relay puts into giaddr; invalid where not declared.
	DHCPRelay netip.Addr
	Ports     []string // sorted by name
	// Prefixes are those that its ports may have addresses of, and VLANs those that they may
	// be in; empty: any.
	Prefixes []netip.Prefix
	VLANs    []int
	ASN      uint32 // of its BGP; 0: none
	// Heal undoes drift of its ports, and does not only show it.
	Heal bool
}

const switchColumns = `SELECT name, site, platform, address, login, password, private_key, host_key, dhcp_relay, prefixes, vlans, asn, heal,
	ARRAY(SELECT p.name FROM inventory.ports p WHERE p.switch = switches.name ORDER BY p.name COLLATE "C")
	FROM inventory.switches`

func scanSwitch(row pgx.CollectableRow) (Switch, error) {
	var (
		s     Switch
		relay string
	)
	err := row.Scan(&s.Name, &s.Site, &s.Platform, &s.Address, &s.User, &s.Password, &s.PrivateKey, &s.HostKey, &relay, &s.Prefixes, &s.VLANs, &s.ASN, &s.Heal, &s.Ports)
	if err == nil && relay != "" {
		s.DHCPRelay, err = netip.ParseAddr(relay)
	}
	return s, err
}

// relayText is how the database has DHCPRelay; "" for none.
func (s Switch) relayText() string {
	if !s.DHCPRelay.IsValid() {
		return ""
	}
	return s.DHCPRelay.String()
}

// Switches lists the switches by name.
func (s *Store) Switches(ctx context.Context) ([]Switch, error) {
	return list(ctx, s.pool, scanSwitch, KindSwitch, switchColumns+` ORDER BY name`)
}

// Switch returns one switch, or a NotFoundError.
func (s *Store) Switch(ctx context.Context, name string) (Switch, error) {
	return one(ctx, s.pool, scanSwitch, KindSwitch, name, switchColumns+` WHERE name = $1`, name)
}
