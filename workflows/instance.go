package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

// instance is one customer's tenancy of one server, from order to return.
type instance struct {
	journey
	order        api.Order
	returnWanted bool
	// Elastic blocks came or went so often, and so often the port was made to carry them.
	routesWanted, routesMade int
	routeErr                 error // of the last time
	mayHoldData              bool  // the install began: the disk is wiped before anyone else gets it
}

// Instance carries an order from its reservation to its return. What was done for it is
// undone in reverse order, after a return, an abort, or a failure that is not parked.
// Its result is the last State; an order that failed or was aborted fails the workflow,
// when nothing is held any more.
func Instance(ctx workflow.Context, order api.Order) (api.State, error) {
	i := &instance{order: order}
	i.limits = order.Limits.WithDefaults()
	i.parks = order.OnFailure != api.Undo
	i.onPark = i.parkInstance
	i.state = api.State{
		ID: workflow.GetInfo(ctx).WorkflowExecution.ID, Status: api.StatusRunning,
		Site: order.Site, Plan: order.Plan, Image: order.Image,
	}
	i.tenant = i.state.ID
	ctx = i.heedCancellation(ctx)
	if err := i.answerTenant(ctx); err != nil {
		return i.state, err
	}

	err := i.there(ctx, i.steps(ctx))
	if err == nil {
		err = i.serve(ctx)
	}
	i.back(ctx)
	return i.end(ctx, err)
}

// steps is the life of an instance: each stage, and what undoes it.
func (i *instance) steps(ctx workflow.Context) []step {
	steps := []step{
		{stage: api.StageReserve, do: i.reserveServer, undone: api.StageFree, undo: i.freeServer},
		{stage: api.StageAllocate, do: i.allocateAddresses, undone: api.StageRelease, undo: i.releaseAddresses},
		{stage: api.StageName, do: i.nameAddresses, undone: api.StageUnname, undo: i.removeNames},
		{stage: api.StagePort, do: i.openPort, undone: api.StageClosePort, undo: i.closePort},
		{stage: api.StageInstall, do: i.install, undone: api.StageWipe, undo: i.wipe, redo: api.StageInstall, skip: true},
		{stage: api.StageConnect, do: i.connectTenant, undone: api.StageDisconnect, undo: i.disconnectTenant},
		{stage: api.StageVerify, do: i.verify, redo: api.StageInstall},
		{stage: api.StageStartUsage, do: i.startUsage, undone: api.StageStopUsage, undo: i.stopUsage},
	}
	// Instances that began before there were names have none to remove.
	if workflow.GetVersion(ctx, "names", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		steps = slices.DeleteFunc(steps, func(s step) bool { return s.stage == api.StageName })
	}
	return steps
}

func (i *instance) reserveServer(ctx workflow.Context) error {
	server, err := call(i.inventory(ctx, fmt.Sprintf("a %s at %s", i.order.Plan, i.order.Site)), api.ReserveServer, api.ReserveServerInput{
		Instance: i.state.ID, Site: i.order.Site, Plan: i.order.Plan, Image: i.order.Image, Hostname: i.hostname(),
		Network: i.order.Network, BGP: i.order.BGP != nil, Domain: i.order.Domain, Tagged: i.order.Tagged,
	})
	if err != nil {
		return err
	}
	i.state.Server = server
	return nil
}

func (i *instance) freeServer(ctx workflow.Context) error {
	return do(i.inventory(ctx, "free the server"), api.FreeServer,
		api.FreeServerInput{Instance: i.state.ID, Park: i.abandoned})
}

func (i *instance) allocateAddresses(ctx workflow.Context) error {
	others := len(i.state.Server.Others)
	if i.bonded() {
		others = 0
	}
	given, err := call(i.ipam(ctx, "tenant links"), api.AllocateAddresses, api.AllocateInput{
		Owner: i.state.ID, Site: i.order.Site, Role: api.TenantPool, Plan: i.order.Plan, Tenant: i.order.Tenant, Blocks: i.order.Blocks,
		Network: i.order.Network, Tagged: i.order.Tagged, Domain: i.order.Domain, Others: others,
	})
	if err != nil {
		return err
	}
	i.state.Addresses, i.state.Others, i.state.Tagged, i.state.Blocks = given.Links, given.Others, given.Tagged, given.Blocks
	return nil
}

func (i *instance) releaseAddresses(ctx workflow.Context) error {
	return do(i.ipam(ctx, "release the tenant's links"), api.ReleaseAddresses, api.ReleaseInput{Owner: i.state.ID})
}

// nameAddresses gives the instance its name in the DNS, where its site has zones.
func (i *instance) nameAddresses(ctx workflow.Context) error {
	named, err := call(i.ipam(ctx, "names of "+i.hostname()), api.NameAddresses, i.names())
	i.state.DNSName = named.Name
	return err
}

func (i *instance) removeNames(ctx workflow.Context) error {
	return do(i.ipam(ctx, "remove the names of "+i.hostname()), api.RemoveNames, i.names())
}

func (i *instance) names() api.NameInput {
	return api.NameInput{Owner: i.state.ID, Site: i.order.Site, Hostname: i.hostname(), Links: i.state.Addresses}
}

// install writes the image, and lets the agent reboot only when its result is stored and
// the server will start from its disk.
func (i *instance) install(ctx workflow.Context) error {
	// The inventory takes the disk for the tenant's from here on, even if its answer is lost.
	i.mayHoldData = true
	if err := i.setInstanceState(ctx, "provisioning", ""); err != nil {
		return err
	}
	_, target, err := i.runAgent(ctx, bootJob{kind: api.JobInstall, await: api.AwaitInstall, install: &api.InstallTarget{
		Instance: i.state.ID, Image: i.order.Image, Hostname: i.hostname(), SSHKeys: i.order.SSHKeys,
		Links: i.state.Addresses, Others: i.state.Others, Tagged: i.state.Tagged, Bonded: i.bonded(), UserData: i.order.UserData,
	}})
	if err != nil {
		return err
	}
	server := i.state.Server.Name
	err = do(i.bmcWork(ctx, server+" starts from its disk"), api.SetBootDevice,
		api.SetBootDeviceInput{Server: server, Device: api.BootDisk})
	if err != nil {
		return err
	}
	return i.releaseAgent(ctx, target, true)
}

// wipe empties every disk and has the proof stored. Without a proof the server goes to
// nobody.
func (i *instance) wipe(ctx workflow.Context) error {
	if !i.mayHoldData {
		return nil
	}
	if err := i.setInstanceState(ctx, "wiping", ""); err != nil {
		return err
	}
	result, target, err := i.runAgent(ctx, bootJob{kind: api.JobWipe, await: api.AwaitWipe})
	if err != nil {
		return err
	}
	err = do(i.inventory(ctx, "store the proof"), api.StoreWipe, api.StoreWipeInput{
		Server: i.state.Server.Name, Instance: i.state.ID, Key: target, Report: *result.Wipe,
	})
	if err != nil {
		return err
	}
	return i.releaseAgent(ctx, target, false)
}

func (i *instance) connectTenant(ctx workflow.Context) error {
	// Elastic blocks did not move before.
	if workflow.GetVersion(ctx, "elastic blocks", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return i.connect(ctx)
	}
	return i.route(ctx)
}

// route has the port carry the elastic blocks that are at the instance, besides its own.
func (i *instance) route(ctx workflow.Context) (err error) {
	i.state.Elastic, err = call(i.ipam(ctx, "elastic blocks"), api.ListElastic, api.ListElasticInput{Instance: i.state.ID})
	if err != nil {
		return err
	}
	return i.connect(ctx)
}

func (i *instance) connect(ctx workflow.Context) error { return i.configurePorts(ctx, i.tenantPort) }

// tenantPort is what the port of an uplink is while the tenant has the server.
func (i *instance) tenantPort(uplink int) api.ConfigurePortInput {
	port := api.ConfigurePortInput{
		Profile: api.TenantProfile, Links: i.state.Addresses, Blocks: slices.Concat(i.state.Blocks, i.state.Elastic),
		BGP: i.order.BGP, Domain: i.order.Domain, Instance: i.state.ID, Network: i.order.Network, Tagged: i.order.Tagged,
	}
	switch {
	case i.bonded():
		port.Bond, port.MultiChassis = i.state.Server.Bond, i.state.Server.Spread()
	case uplink == 0:
	case len(i.state.Others) < uplink: // in a network the server is by one uplink
		return quarantine(uplink)
	default:
		port.Links = i.state.Others[uplink-1]
	}
	return port
}

// bonded tells whether the server's uplinks are one for the tenant.
func (i *instance) bonded() bool { return i.state.Server.Bonds(i.order.Network == "") }

// disconnectTenant cuts the tenant off at once, before anything that takes time.
func (i *instance) disconnectTenant(ctx workflow.Context) error {
	i.state.Elastic = nil
	return i.configurePorts(ctx, quarantine)
}

func (i *instance) verify(ctx workflow.Context) error {
	_, err := call(i.bootWork(ctx, "the installed system calls home and answers", i.limits.CallHome), api.VerifyInstance,
		api.VerifyInput{Instance: i.state.ID, Links: i.state.Addresses, CallHome: i.limits.CallHome})
	if err != nil {
		return err
	}
	if err := i.resolve(ctx); err != nil {
		return err
	}
	server := i.state.Server.Name
	return do(i.bootWork(ctx, "no boot target for "+server, brief), api.ClearBootTarget, api.ClearBootTargetInput{Server: server})
}

// resolvePatience is how long a system that has called home may take to answer on all its
// uplinks.
const resolvePatience = 2 * time.Minute

// resolve has the switches find the server at the other end of each routed uplink. In a network
// they have no addresses to ask from, and a bond has one answer for all.
func (i *instance) resolve(ctx workflow.Context) error {
	if i.order.Network != "" || workflow.GetVersion(ctx, "resolve hosts", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return nil
	}
	uplinks := i.state.Server.Uplinks()
	if i.bonded() {
		uplinks = uplinks[:1]
	}
	for n, uplink := range uplinks {
		port := i.tenantPort(n)
		port.Server, port.Uplink = i.state.Server.Name, n
		err := do(i.switchWork(ctx, fmt.Sprintf("%s answers on port %s of %s", port.Cable(), uplink.Port, uplink.Switch)), api.ResolveHosts,
			api.ResolveHostsInput{ConfigurePortInput: port, Patience: resolvePatience})
		if err != nil {
			return err
		}
	}
	return nil
}

// startUsage begins the tenancy in the books.
func (i *instance) startUsage(ctx workflow.Context) error {
	return i.setInstanceState(ctx, "active", "")
}

func (i *instance) stopUsage(ctx workflow.Context) error {
	return i.setInstanceState(ctx, "returning", "")
}

// serve leaves the server to the tenant until it is returned.
func (i *instance) serve(ctx workflow.Context) error {
	i.state.Status = api.StatusActive
	return i.run(ctx, api.StageActive, func(ctx workflow.Context) error {
		for {
			err := workflow.Await(ctx, func() bool { return i.returnWanted || i.routesWanted > i.routesMade })
			if err != nil || i.returnWanted {
				return err
			}
			wanted := i.routesWanted
			i.routeErr = i.routeUntilReturn(ctx)
			i.routesMade = wanted
			workflow.SetCurrentDetails(ctx, details(i.state))
		}
	}, false)
}

// routeUntilReturn routes, but lets no switch that is away hold up a return. The context ends
// with the route: the timers of several would be cancelled in no certain order.
func (i *instance) routeUntilReturn(ctx workflow.Context) error {
	if workflow.GetVersion(ctx, "return while routing", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return i.route(ctx)
	}
	routing, cancel := workflow.WithCancel(ctx)
	defer cancel()
	done := false
	workflow.Go(ctx, func(ctx workflow.Context) {
		if err := workflow.Await(ctx, func() bool { return i.returnWanted || done }); err == nil && !done {
			cancel()
		}
	})
	err := i.route(routing)
	done = true
	return err
}

// answerRoute waits until the port of an active instance carries its blocks. One that is not
// active yet will carry them when it is, and one that is on its way back carries none.
func (i *instance) answerRoute(ctx workflow.Context) (api.State, error) {
	i.routesWanted++
	wanted := i.routesWanted
	if i.state.Status != api.StatusActive {
		return i.state, nil
	}
	err := workflow.Await(ctx, func() bool { return i.routesMade >= wanted || i.state.Status != api.StatusActive || i.returnWanted })
	if err == nil && i.routesMade >= wanted {
		err = i.routeErr
	}
	return i.state, err
}

// answerTenant adds the update that ends a tenancy to what every journey answers to.
func (i *instance) answerTenant(ctx workflow.Context) error {
	if err := i.answer(ctx); err != nil {
		return err
	}
	err := workflow.SetUpdateHandlerWithOptions(ctx, api.UpdateRoute, i.answerRoute,
		workflow.UpdateHandlerOptions{Description: "An elastic block came or went: carry those that are here."})
	if err != nil {
		return err
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, api.UpdateReturn, func(workflow.Context) (api.State, error) {
		i.returnWanted = true
		return i.state, nil
	}, workflow.UpdateHandlerOptions{Validator: i.mayReturn, Description: "End the tenancy: wipe the server, give everything back."})
}

func (i *instance) mayReturn() error {
	if i.state.Status != api.StatusActive {
		return fmt.Errorf("%s is %s at stage %q: only an active instance can be returned; %s stops one that is not yet active",
			i.state.ID, i.state.Status, i.state.Stage, api.UpdateAbort)
	}
	return nil
}

func (i *instance) parkInstance(ctx workflow.Context, reason string) error {
	return i.setInstanceState(ctx, "parked", reason)
}

func (i *instance) setInstanceState(ctx workflow.Context, state, reason string) error {
	return do(i.inventory(ctx, "instance is "+state), api.SetInstanceState,
		api.SetInstanceStateInput{Instance: i.state.ID, State: state, Reason: reason})
}

func (i *instance) hostname() string {
	if i.order.Hostname != "" {
		return i.order.Hostname
	}
	return i.order.ID
}
