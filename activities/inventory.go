package activities

import (
	"context"
	"net/netip"
	"slices"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/switches"
	"ferrodur/workflows/api"
)

// Inventory serves the task queue lifecycle, beside the workflows.
type Inventory struct {
	Inventory *inventory.Store
}

// Register makes the activities known to a worker.
func (i *Inventory) Register(r worker.ActivityRegistry) {
	register(r, api.ListSwitches, i.ListSwitches)
	register(r, api.KeepSwitchMode, i.KeepSwitchMode)
	register(r, api.RecallSwitchMode, i.RecallSwitchMode)
	register(r, api.ListCarriers, i.ListCarriers)
	register(r, api.AwaitsBlocks, i.AwaitsBlocks)
	register(r, api.FindServer, i.FindServer)
	register(r, api.ReserveServer, i.ReserveServer)
	register(r, api.FreeServer, i.FreeServer)
	register(r, api.TakeServer, i.TakeServer)
	register(r, api.LeaveServer, i.LeaveServer)
	register(r, api.SetServerState, i.SetServerState)
	register(r, api.SetInstanceState, i.SetInstanceState)
	register(r, api.StoreHardware, i.StoreHardware)
	register(r, api.StoreBurnIn, i.StoreBurnIn)
	register(r, api.StoreWipe, i.StoreWipe)
}

// ListSwitches names the switches of a site, or of all sites.
func (i *Inventory) ListSwitches(ctx context.Context, in api.AuditInput) ([]api.SwitchRef, error) {
	all, err := i.Inventory.Switches(ctx)
	var refs []api.SwitchRef
	for _, s := range all {
		if (in.Site == "" || s.Site == in.Site) && (len(in.Switches) == 0 || slices.Contains(in.Switches, s.Name)) {
			refs = append(refs, api.SwitchRef{Switch: s.Name, Site: s.Site})
		}
	}
	return refs, fail(err)
}

// KeepSwitchMode keeps the mode that an operator has set for a switch.
func (i *Inventory) KeepSwitchMode(ctx context.Context, in api.SwitchModeInput) (api.None, error) {
	return api.None{}, fail(i.Inventory.KeepSwitchMode(ctx, in.Switch, inventory.SwitchMode{Mode: string(in.Mode), Reason: in.Reason, Since: in.Since}))
}

// RecallSwitchMode finds the mode that an operator has set; none where nobody has.
func (i *Inventory) RecallSwitchMode(ctx context.Context, in api.SwitchRef) (api.KeptMode, error) {
	kept, err := i.Inventory.SwitchMode(ctx, in.Switch)
	if is[inventory.NotFoundError](err) { // as a change of its ports will say
		err = nil
	}
	return api.KeptMode{ModeInput: api.ModeInput{Mode: api.SwitchMode(kept.Mode), Reason: kept.Reason}, Since: kept.Since}, fail(err)
}

// ListCarriers names the instances whose ports carry some blocks, as they were last asked to.
func (i *Inventory) ListCarriers(ctx context.Context, in api.ListCarriersInput) ([]string, error) {
	carriers, err := i.Inventory.Carriers(ctx, in.Blocks)
	return carriers, fail(err)
}

// AwaitsBlocks refuses an instance that has ended, or is about to. One that nobody has ordered yet may be.
func (i *Inventory) AwaitsBlocks(ctx context.Context, in api.AwaitsBlocksInput) (api.None, error) {
	instance, err := i.Inventory.Instance(ctx, in.Instance)
	if is[inventory.NotFoundError](err) {
		return api.None{}, nil
	}
	switch instance.State {
	case inventory.InstanceReturning, inventory.InstanceWiping, inventory.InstanceEnded:
		return api.None{}, temporal.NewNonRetryableApplicationError(in.Instance+" has ended, or is on its way there: it carries no block any more", api.ErrorRefused, nil)
	}
	return api.None{}, fail(err)
}

// FindServer looks a server up.
func (i *Inventory) FindServer(ctx context.Context, in api.FindServerInput) (api.Server, error) {
	server, err := i.Inventory.Server(ctx, in.Server)
	if err != nil {
		return api.Server{}, fail(err)
	}
	at, err := i.Inventory.Switch(ctx, server.Switch)
	found := reference(server)
	found.LLDP = at.LLDP
	return found, fail(err)
}

// ReserveServer gives an available server to an instance; asked again, the same one.
func (i *Inventory) ReserveServer(ctx context.Context, in api.ReserveServerInput) (api.Server, error) {
	server, err := i.Inventory.Reserve(ctx, inventory.Order{
		Instance: in.Instance, Site: in.Site, Plan: in.Plan, Image: in.Image, Hostname: in.Hostname,
		Networks: networks(in), Unfit: unfit(in),
	})
	return reference(server), fail(err)
}

func networks(in api.ReserveServerInput) []string {
	if in.Network == "" {
		return nil
	}
	return append([]string{in.Network}, in.Tagged...)
}

// unfit are the platforms whose drivers cannot configure a port as the order needs it.
func unfit(in api.ReserveServerInput) []string {
	port := switches.Intent{Port: "any", Profile: switches.Tenant}
	if in.Network != "" {
		port.VLANs = &switches.VLANs{Untagged: 2}
	} else {
		link := netip.MustParsePrefix("192.0.2.0/31") // of documentation (RFC 5737)
		port.Addresses = []netip.Prefix{link}
		if in.Domain != ipam.DefaultDomain {
			port.VRF = in.Domain
		}
		if in.BGP {
			port.BGP = &switches.BGP{ASN: 1, Accept: port.Addresses, MaxPrefixes: mostPrefixes}
		}
	}
	return slices.DeleteFunc(inventory.Platforms(), func(platform string) bool {
		return !is[*switches.UnsupportedError](switches.Supports(platform, port))
	})
}

// FreeServer ends an instance. Its server is available again, or parked.
func (i *Inventory) FreeServer(ctx context.Context, in api.FreeServerInput) (api.None, error) {
	next := inventory.Available
	if in.Park != "" {
		next = inventory.Parked
	}
	return api.None{}, fail(i.Inventory.EndInstance(ctx, in.Instance, next, in.Park))
}

// TakeServer makes the calling workflow the holder of a server.
func (i *Inventory) TakeServer(ctx context.Context, in api.TakeServerInput) (api.None, error) {
	return api.None{}, fail(i.Inventory.Take(ctx, transition(ctx, in.Server, in.State, "")))
}

// LeaveServer ends the calling workflow's hold on a server.
func (i *Inventory) LeaveServer(ctx context.Context, in api.LeaveServerInput) (api.None, error) {
	return api.None{}, fail(i.Inventory.Leave(ctx, transition(ctx, in.Server, in.State, "")))
}

// SetServerState moves a server that the calling workflow holds.
func (i *Inventory) SetServerState(ctx context.Context, in api.SetServerStateInput) (api.None, error) {
	return api.None{}, fail(i.Inventory.SetServerState(ctx, transition(ctx, in.Server, in.State, in.Reason)))
}

// SetInstanceState moves an instance, and its server with it.
func (i *Inventory) SetInstanceState(ctx context.Context, in api.SetInstanceStateInput) (api.None, error) {
	return api.None{}, fail(i.Inventory.SetInstanceState(ctx, inventory.InstanceTransition{
		Instance: in.Instance, To: inventory.InstanceState(in.State), Reason: in.Reason,
	}))
}

// StoreHardware stores what was found on a server and compares it with what was declared.
func (i *Inventory) StoreHardware(ctx context.Context, in api.StoreHardwareInput) (api.HardwareDiff, error) {
	if err := i.Inventory.StoreHardware(ctx, in.Server, in.Hardware); err != nil {
		return api.HardwareDiff{}, fail(err)
	}
	server, err := i.Inventory.Server(ctx, in.Server)
	if err != nil {
		return api.HardwareDiff{}, fail(err)
	}
	plan, err := i.Inventory.Plan(ctx, server.Plan)
	if err != nil {
		return api.HardwareDiff{}, fail(err)
	}
	mismatches := inventory.Compare(server, plan, in.Hardware)
	if in.Port != nil {
		mismatches = append(mismatches, inventory.CompareCabling(server, in.Hardware, in.Port.Neighbours)...)
	}
	var diff api.HardwareDiff
	for _, mismatch := range mismatches {
		diff.Mismatches = append(diff.Mismatches, string(mismatch))
	}
	return diff, nil
}

// StoreBurnIn stores the outcome of a burn-in.
func (i *Inventory) StoreBurnIn(ctx context.Context, in api.StoreBurnInInput) (api.None, error) {
	return api.None{}, fail(i.Inventory.StoreBurnIn(ctx, in.Server, in.Key, in.Report))
}

// StoreWipe stores the proof of a wipe.
func (i *Inventory) StoreWipe(ctx context.Context, in api.StoreWipeInput) (api.None, error) {
	return api.None{}, fail(i.Inventory.StoreWipe(ctx, in.Server, in.Instance, in.Key, in.Report))
}

func transition(ctx context.Context, server, state, reason string) inventory.Transition {
	return inventory.Transition{
		Server: server, To: inventory.ServerState(state), Reason: reason,
		Workflow: activity.GetInfo(ctx).WorkflowExecution.ID,
	}
}

func reference(s inventory.Server) api.Server {
	server := api.Server{Name: s.Name, Site: s.Site, Plan: s.Plan, Switch: s.Switch, Port: s.Port, MAC: s.MAC, Bond: s.Bond}
	for _, other := range s.Others {
		server.Others = append(server.Others, api.Uplink(other))
	}
	return server
}
