package activities

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"ferrodur/inventory"
	"ferrodur/switches"
	"ferrodur/workflows/api"
)

// ResolveHosts waits until a server answers, on a port that is routed, for its address of each
// link, and with the MAC that the inventory has there: it is the right machine, and the right one of
// its cables. The switch is left to others between two looks.
func (s *Switch) ResolveHosts(ctx context.Context, in api.ResolveHostsInput) (api.None, error) {
	server, err := s.Inventory.Server(ctx, in.Server)
	if err != nil {
		return api.None{}, fail(err)
	}
	cable := server.Uplinks()[min(in.Uplink, len(server.Others))]
	declared, err := s.Inventory.Switch(ctx, cable.Switch)
	if err != nil {
		return api.None{}, fail(err)
	}
	intent, err := s.intent(ctx, declared, cable.Port, in.ConfigurePortInput)
	if err != nil {
		return api.None{}, fail(err)
	}
	waiting := api.Progress{Phase: fmt.Sprintf("waiting for an answer on port %s of %s", cable.Port, cable.Switch)}
	for deadline := time.Now().Add(in.Patience); ; {
		found, err := beating(ctx, func(ctx context.Context) (map[netip.Addr]net.HardwareAddr, error) {
			return s.resolve(ctx, cable.Switch, intent)
		}, waiting)
		if unsupported := (*switches.UnsupportedError)(nil); errors.As(err, &unsupported) {
			activity.GetLogger(ctx).Warn("not looked for at the switch", "server", in.Server, "port", cable.Port, "error", err)
			return api.None{}, nil
		}
		if err != nil {
			return api.None{}, fail(err)
		}
		missing, err := compareHosts(in, cable, intent, found)
		if err != nil || !missing.IsValid() {
			return api.None{}, err
		}
		if time.Now().After(deadline) {
			return api.None{}, temporal.NewNonRetryableApplicationError(fmt.Sprintf(
				"nobody answers for %s on port %s of %s, where %s is cabled to: look at the link, and at what the system made of its network card %s",
				missing, cable.Port, cable.Switch, in.Cable(), cable.MAC), api.ErrorOperator, nil)
		}
		if err := pause(ctx); err != nil {
			return api.None{}, err
		}
	}
}

// resolve looks once, in a session of its own.
func (s *Switch) resolve(ctx context.Context, name string, intent switches.Intent) (map[netip.Addr]net.HardwareAddr, error) {
	session, err := s.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	return session.Resolve(ctx, intent)
}

// compareHosts returns the first address that nobody answers for, if there is one. It is an
// error that another machine answers.
func compareHosts(in api.ResolveHostsInput, cable inventory.Uplink, intent switches.Intent, found map[netip.Addr]net.HardwareAddr) (netip.Addr, error) {
	var missing netip.Addr
	for _, link := range intent.Links() {
		switch mac := found[link.Host]; {
		case mac == nil && !missing.IsValid():
			missing = link.Host
		case mac != nil && mac.String() != cable.MAC:
			return missing, temporal.NewNonRetryableApplicationError(fmt.Sprintf(
				"%s answers for %s on port %s of %s, where the network card %s of %s should: is another machine, or another card of it, cabled to the port?",
				mac, link.Host, cable.Port, cable.Switch, cable.MAC, in.Cable()), api.ErrorOperator, nil)
		}
	}
	return missing, nil
}
