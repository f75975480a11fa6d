package inventory

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

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
	// HostKey is type and key as in known_hosts: "ssh-ed25519 AAAA…". Empty: not known yet.
	// A declaration without one leaves the one that is trusted.
	HostKey string
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
	MTU  int // of its ports: the largest IP packet in bytes; 0: as the switch has it
	// AnySource lets hosts send from addresses that are not routed to them.
	AnySource bool
	// LLDP says that its ports speak LLDP (IEEE 802.1AB): where servers are cabled to is
	// compared with what was declared.
	LLDP         bool
	Provisioning ProvisioningPorts
}

// Platforms are those that there is a driver for.
func Platforms() []string {
	return []string{"frr", "ovs", "juniper_junos", "nokia_srl", "sonic", "arista_eos", "cisco_nxos", "cisco_iosxe"}
}

// The MTUs that a switch's ports may be declared with.
const (
	LeastMTU = 1280 // every IPv6 link's (RFC 8200 §5)
	MostMTU  = 9190
)

// ProvisioningPorts is what ports are like while their servers are installed, tested or
// wiped.
type ProvisioningPorts struct {
	// Reach are all that servers may send to: the boot service, and what it needs. Empty:
	// anything.
	Reach []netip.Prefix
	// Relay are the DHCP servers that the switch relays to. Empty: its relay is not
	// Ferrodur's concern.
	Relay []netip.Addr
	// Network is whose VLAN the ports are in. Empty: they are routed.
	Network string
	// CircuitID is what the relay says in option 82 (RFC 3046 §3.1). Empty: the port's name.
	CircuitID string
}

const switchColumns = `SELECT name, site, platform, address, login, password, private_key, host_key, dhcp_relay, prefixes, vlans, asn, heal,
	mtu, any_source, reach, relay, coalesce(network, ''), circuit_id, lldp,
	ARRAY(SELECT p.name FROM inventory.ports p WHERE p.switch = switches.name ORDER BY p.name COLLATE "C")
	FROM inventory.switches`

func scanSwitch(row pgx.CollectableRow) (Switch, error) {
	var (
		s     Switch
		relay string
	)
	err := row.Scan(&s.Name, &s.Site, &s.Platform, &s.Address, &s.User, &s.Password, &s.PrivateKey, &s.HostKey, &relay, &s.Prefixes, &s.VLANs, &s.ASN, &s.Heal,
		&s.MTU, &s.AnySource, &s.Provisioning.Reach, &s.Provisioning.Relay, &s.Provisioning.Network, &s.Provisioning.CircuitID, &s.LLDP, &s.Ports)
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

// RemoveSwitch forgets a switch, and what was asked for its ports. Errors: NotFoundError,
// InvalidError while servers are cabled to it.
func (s *Store) RemoveSwitch(ctx context.Context, name string) error {
	return s.inTransaction(ctx, func(tx pgx.Tx) error {
		if _, err := one(ctx, tx, scanSwitch, KindSwitch, name, switchColumns+` WHERE name = $1 FOR UPDATE`, name); err != nil {
			return err
		}
		if err := checkCabled(ctx, tx, name); err != nil {
			return err
		}
		for _, statement := range []string{`DELETE FROM inventory.ports WHERE switch = $1`, `DELETE FROM inventory.switches WHERE name = $1`} {
			if _, err := tx.Exec(ctx, statement, name); err != nil {
				return refused("switch "+name, err)
			}
		}
		return nil
	})
}

// SwitchMode is what an operator wants to be done with changes of a switch, in the words of
// whoever carries them out.
type SwitchMode struct {
	Mode   string // empty: nobody has set one
	Reason string
	Since  time.Time
}

// KeepSwitchMode keeps a switch's mode, unless a later one is kept already. Errors:
// NotFoundError.
func (s *Store) KeepSwitchMode(ctx context.Context, name string, mode SwitchMode) error {
	done, err := s.pool.Exec(ctx, `UPDATE inventory.switches SET mode = $2, mode_reason = $3, mode_since = $4 WHERE name = $1 AND mode_since <= $4`,
		name, mode.Mode, mode.Reason, mode.Since)
	if err != nil {
		return fmt.Errorf("keep the mode of switch %s: %w", name, err)
	}
	if done.RowsAffected() == 0 {
		_, err = s.SwitchMode(ctx, name)
	}
	return err
}

// SwitchMode is the mode that was kept for a switch. Errors: NotFoundError.
func (s *Store) SwitchMode(ctx context.Context, name string) (SwitchMode, error) {
	return one(ctx, s.pool, pgx.RowToStructByPos[SwitchMode], KindSwitch, name, `SELECT mode, mode_reason, mode_since FROM inventory.switches WHERE name = $1`, name)
}

func checkCabled(ctx context.Context, from querier, name string) error {
	servers, err := list(ctx, from, pgx.RowTo[string], KindServer, `SELECT DISTINCT server FROM `+cables+` WHERE switch = $1 ORDER BY 1`, name)
	if err != nil {
		return err
	}
	if len(servers) > 0 {
		return InvalidError{What: "the removal of switch " + name, Rule: "the servers that are cabled to it: " + strings.Join(servers, ", ")}
	}
	return nil
}

// TrustSwitch makes a key the one that the switch is known by, if the switch is known by
// before (empty: by none): NotFoundError, or InvalidError where somebody was quicker.
func (s *Store) TrustSwitch(ctx context.Context, name, before, key string) error {
	done, err := s.pool.Exec(ctx, `UPDATE inventory.switches SET host_key = $3 WHERE name = $1 AND host_key = $2`, name, before, key)
	if err != nil {
		return fmt.Errorf("trust switch %s: %w", name, err)
	}
	if done.RowsAffected() == 1 {
		return nil
	}
	if _, err := s.Switch(ctx, name); err != nil {
		return err
	}
	return InvalidError{What: "switch " + name, Rule: "its host key was changed meanwhile"}
}
