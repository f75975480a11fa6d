package activities

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"ferrodur/bmc"
	"ferrodur/inventory"
	"ferrodur/workflows/api"
)

// BMC serves the task queue bmc@site.
type BMC struct {
	Inventory *inventory.Store
	BMCs      *bmc.Controller
}

// Register makes the activities known to a worker.
func (b *BMC) Register(r worker.ActivityRegistry) {
	register(r, api.CheckBMC, b.Check)
	register(r, api.PowerCycle, b.PowerCycle)
	register(r, api.PowerOff, b.PowerOff)
	register(r, api.SetBootDevice, b.SetBootDevice)
}

// Check finds out whether a BMC answers and accepts the credentials.
func (b *BMC) Check(ctx context.Context, in api.BMCInput) (api.None, error) {
	return b.command(ctx, in.Server, func(ctx context.Context, endpoint bmc.Endpoint) error {
		_, err := b.BMCs.Probe(ctx, endpoint)
		return err
	})
}

// PowerOff turns a server off.
func (b *BMC) PowerOff(ctx context.Context, in api.BMCInput) (api.None, error) {
	return b.command(ctx, in.Server, b.BMCs.PowerOff)
}

// SetBootDevice sets what a server starts from.
func (b *BMC) SetBootDevice(ctx context.Context, in api.SetBootDeviceInput) (api.None, error) {
	return b.command(ctx, in.Server, func(ctx context.Context, endpoint bmc.Endpoint) error {
		return b.setBootDevice(ctx, endpoint, in.Device)
	})
}

// PowerCycle starts a server afresh from a boot device. An attempt that comes after one
// which got as far as the cycle, and lost its answer, only makes sure that the server is
// on: by now it may be half-way through its job.
func (b *BMC) PowerCycle(ctx context.Context, in api.PowerCycleInput) (api.None, error) {
	var cycled bool
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &cycled); err != nil {
			return api.None{}, fmt.Errorf("read the last attempt's heartbeat: %w", err)
		}
	}
	if !cycled {
		if _, err := b.command(ctx, in.Server, func(ctx context.Context, endpoint bmc.Endpoint) error {
			if err := b.setBootDevice(ctx, endpoint, in.Device); err != nil {
				return err
			}
			return b.BMCs.Cycle(ctx, endpoint)
		}); err != nil {
			return api.None{}, err
		}
	}
	return b.command(ctx, in.Server, b.BMCs.PowerOn, true)
}

func (b *BMC) setBootDevice(ctx context.Context, endpoint bmc.Endpoint, device api.BootDevice) error {
	return b.BMCs.SetBootDevice(ctx, endpoint, bmc.BootDevice(device), false)
}

// command runs one or more commands on a server's BMC, with details as the heartbeat.
func (b *BMC) command(ctx context.Context, server string, run func(context.Context, bmc.Endpoint) error, details ...any) (api.None, error) {
	return beating(ctx, func(ctx context.Context) (api.None, error) {
		endpoint, err := b.endpoint(ctx, server)
		if err == nil {
			err = run(ctx, endpoint)
		}
		return api.None{}, fail(err)
	}, details...)
}

// endpoint resolves the reference to the BMC's password; the password goes no further.
func (b *BMC) endpoint(ctx context.Context, name string) (bmc.Endpoint, error) {
	server, err := b.Inventory.Server(ctx, name)
	if err != nil {
		return bmc.Endpoint{}, err
	}
	password, err := server.BMC.Password.Resolve()
	if err != nil {
		return bmc.Endpoint{}, fmt.Errorf("BMC of server %s: %w", name, err)
	}
	return bmc.Endpoint{Server: name, Address: server.BMC.Address, User: server.BMC.User, Password: password}, nil
}
