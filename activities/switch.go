package activities

import (
	"context"
	"fmt"
	"strings"

	"go.temporal.io/sdk/worker"

	"ferrodur/inventory"
	"ferrodur/switches"
	"ferrodur/workflows/api"
)

// Switch serves the task queue switch@site.
type Switch struct {
	Inventory *inventory.Store
	Sessions  *switches.Sessions
}

// Register makes the activities known to a worker.
func (s *Switch) Register(r worker.ActivityRegistry) {
	register(r, api.ConfigurePort, s.ConfigurePort)
}

// ConfigurePort makes the port that a server is cabled to what its profile says, and
// reads it back.
func (s *Switch) ConfigurePort(ctx context.Context, in api.ConfigurePortInput) (api.PortChange, error) {
	return beating(ctx, func(ctx context.Context) (api.PortChange, error) {
		change, err := s.configure(ctx, in)
		return api.PortChange{Changed: change.Changed, Lines: change.Diff}, fail(err)
	})
}

func (s *Switch) configure(ctx context.Context, in api.ConfigurePortInput) (switches.Change, error) {
	server, err := s.Inventory.Server(ctx, in.Server)
	if err != nil {
		return switches.Change{}, err
	}
	device, err := s.device(ctx, server.Switch)
	if err != nil {
		return switches.Change{}, err
	}
	session, err := s.Sessions.Open(ctx, device)
	if err != nil {
		return switches.Change{}, err
	}
	defer session.Close()
	intent := switches.Intent{
		Port: server.Port, Profile: switches.Profile(in.Profile),
		Description: strings.TrimSpace(in.Server + " " + in.Instance),
	}
	for _, link := range in.Links.List() {
		intent.Addresses = append(intent.Addresses, link.Switch)
	}
	intent.Behind = in.Blocks
	// Firmware that boots over IPv6 waits for advertisements. A tenant gets none: both ends
	// of a /127 are configured by hand (RFC 6164 §5).
	intent.Advertise = intent.Profile == switches.Provisioning && in.Links.IPv6.Server.IsValid()
	results, err := session.Apply(ctx, intent)
	if err != nil {
		return switches.Change{}, err
	}
	return results[0].Change, results[0].Err
}

// device resolves the references to the switch's credentials; they go no further.
func (s *Switch) device(ctx context.Context, name string) (switches.Device, error) {
	declared, err := s.Inventory.Switch(ctx, name)
	if err != nil {
		return switches.Device{}, err
	}
	device := switches.Device{
		Name: name, Platform: declared.Platform, Address: declared.Address,
		User: declared.User, HostKey: declared.HostKey, Ports: declared.Ports, Prefixes: declared.Prefixes,
	}
	if declared.Password != "" {
		if device.Password, err = declared.Password.Resolve(); err != nil {
			return switches.Device{}, fmt.Errorf("password of switch %s: %w", name, err)
		}
	}
	if declared.PrivateKey != "" {
		key, err := declared.PrivateKey.Resolve()
		if err != nil {
			return switches.Device{}, fmt.Errorf("private key of switch %s: %w", name, err)
		}
		device.PrivateKey = []byte(key)
	}
	return device, nil
}
