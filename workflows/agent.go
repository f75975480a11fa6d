package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

// brief is short work of the boot service that waits for nothing.
const brief = time.Minute

// bootPhases are the phases of a boot that each have their own deadline: DHCP, loader,
// kernel, agent.
const bootPhases = 4

// provisioningLinks are the addresses under which a server reaches the boot service. The
// server holds them itself for as long as it is in service, whoever its tenant is.
func (j *journey) provisioningLinks(ctx workflow.Context) (api.Links, error) {
	server := j.state.Server
	given, err := call(j.ipam(ctx, "provisioning link of "+server.Name), api.AllocateAddresses,
		api.AllocateInput{Owner: api.ServerKey(server.Name), Site: server.Site, Role: api.ProvisioningPool, Server: server.Name})
	return given.Links, err
}

// openPort lets the server reach the boot service by the cable that it boots by, and nothing
// else.
func (j *journey) openPort(ctx workflow.Context) error {
	links, err := j.provisioningLinks(ctx)
	if err != nil {
		return err
	}
	return j.configurePorts(ctx, provisioningBy(links))
}

// provisioningBy says what the ports of a server's uplinks are while it is provisioned.
func provisioningBy(links api.Links) func(uplink int) api.ConfigurePortInput {
	return func(uplink int) api.ConfigurePortInput {
		if uplink > 0 {
			return quarantine(uplink)
		}
		return api.ConfigurePortInput{Profile: api.ProvisioningProfile, Links: links}
	}
}

// closePort powers the server off, takes its boot target away and shuts its ports.
func (j *journey) closePort(ctx workflow.Context) error {
	server := j.state.Server.Name
	if err := do(j.bmcWork(ctx, "power off "+server), api.PowerOff, api.BMCInput{Server: server}); err != nil {
		return err
	}
	if err := do(j.bootWork(ctx, "no boot target for "+server, brief), api.ClearBootTarget, api.ClearBootTargetInput{Server: server, Instance: j.tenant}); err != nil {
		return err
	}
	return j.configurePorts(ctx, quarantine)
}

// bootJob is a job for the agent.
type bootJob struct {
	kind    api.JobKind
	await   api.Activity[api.AwaitJobInput, api.JobResult]
	install *api.InstallTarget
}

// runAgent boots the server into the agent and waits until it has done the job. The
// agent then waits for its release. Each run has a boot target of its own, so that
// nothing of an earlier one, a token or a result, can be taken for this one's.
func (j *journey) runAgent(ctx workflow.Context, job bootJob) (api.JobResult, string, error) {
	server := j.state.Server.Name
	j.boots++
	target := fmt.Sprintf("%s/%s/%s/%d", j.state.ID, job.kind, workflow.GetInfo(ctx).WorkflowExecution.RunID, j.boots)

	links, err := j.provisioningLinks(ctx)
	if err != nil {
		return api.JobResult{}, "", err
	}
	// An install that is done again finds the tenant's ports.
	if job.kind == api.JobInstall && len(j.state.Server.Others) > 0 && workflow.GetVersion(ctx, "install by one uplink", workflow.DefaultVersion, 1) == 1 {
		err = j.configurePorts(ctx, provisioningBy(links))
	} else {
		err = j.configurePort(ctx, provisioningBy(links)(0))
	}
	if err != nil {
		return api.JobResult{}, "", err
	}
	err = do(j.bootWork(ctx, fmt.Sprintf("%s: boot target %s", server, job.kind), brief), api.SetBootTarget, api.SetBootTargetInput{
		Target: target, Server: server, Link: links.IPv4, Job: job.kind, Install: job.install, BurnIn: j.limits.BurnIn,
	})
	if err != nil {
		return api.JobResult{}, "", err
	}
	err = do(j.bmcWork(ctx, "power "+server+" on, from the network"), api.PowerCycle,
		api.PowerCycleInput{Server: server, Device: api.BootNetwork})
	if err != nil {
		return api.JobResult{}, "", err
	}
	err = do(j.bootWork(ctx, server+" boots the agent", bootPhases*j.limits.Boot), api.AwaitAgent,
		api.AwaitAgentInput{Target: target, Phase: j.limits.Boot})
	if err != nil {
		return api.JobResult{}, "", err
	}
	result, err := call(j.bootWork(ctx, fmt.Sprintf("%s: %s", server, job.kind), j.limits.Job), job.await,
		api.AwaitJobInput{Target: target, Stall: j.limits.Stall})
	return result, target, err
}

// releaseAgent lets the agent reboot or power the server off, and waits until it obeyed.
func (j *journey) releaseAgent(ctx workflow.Context, target string, reboot bool) error {
	return do(j.bootWork(ctx, "release the agent on "+j.state.Server.Name, brief), api.ReleaseAgent,
		api.ReleaseAgentInput{Target: target, Reboot: reboot})
}

// setServerState tells the inventory where the server stands.
func (j *journey) setServerState(ctx workflow.Context, state, reason string) error {
	server := j.state.Server.Name
	return do(j.inventory(ctx, server+" is "+state), api.SetServerState,
		api.SetServerStateInput{Server: server, State: state, Reason: reason})
}
