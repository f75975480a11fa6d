package activities

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"ferrodur/bootsvc"
	"ferrodur/bootsvc/job"
	"ferrodur/bootsvc/nocloud"
	"ferrodur/inventory"
	"ferrodur/workflows/api"
)

// Boot serves the task queue boot@site.
type Boot struct {
	Inventory *inventory.Store
	Targets   *bootsvc.Store
}

// Register makes the activities known to a worker.
func (b *Boot) Register(r worker.ActivityRegistry) {
	register(r, api.SetBootTarget, b.SetTarget)
	register(r, api.AwaitAgent, b.AwaitAgent)
	register(r, api.AwaitInspect, b.AwaitJob)
	register(r, api.AwaitBurnIn, b.AwaitJob)
	register(r, api.AwaitInstall, b.AwaitJob)
	register(r, api.AwaitWipe, b.AwaitJob)
	register(r, api.ReleaseAgent, b.ReleaseAgent)
	register(r, api.ClearBootTarget, b.ClearTarget)
	register(r, api.VerifyInstance, b.Verify)
}

// SetTarget says what a server gets when it network-boots. User data comes from the
// inventory and goes to the boot service; a workflow never sees it.
func (b *Boot) SetTarget(ctx context.Context, in api.SetBootTargetInput) (api.None, error) {
	server, err := b.Inventory.Server(ctx, in.Server)
	if err != nil {
		return api.None{}, fail(err)
	}
	at, err := b.Inventory.Switch(ctx, server.Switch)
	if err != nil {
		return api.None{}, fail(err)
	}
	target := bootsvc.Target{
		ID: in.Target, Server: server.Name, MAC: server.MAC,
		RelayPort: cmp.Or(at.Provisioning.CircuitID, server.Port), Relay: in.Link.Switch.Addr(), Link: in.Link.Server, Kind: job.Kind(in.Job),
	}
	switch in.Job {
	case api.JobInspect:
		if at.LLDP {
			target.Inspect = &job.InspectSpec{LLDPSeconds: lldpSeconds}
		}
	case api.JobInstall:
		if target.Install, err = b.install(ctx, server, *in.Install); err != nil {
			return api.None{}, fail(err)
		}
	case api.JobBurnIn:
		target.BurnIn = &job.BurnInSpec{Profile: "short", Seconds: int(math.Ceil(in.BurnIn.Seconds()))}
	}
	return api.None{}, fail(b.Targets.Set(ctx, target))
}

// lldpSeconds are longer than the 30 s between two announcements that are the default
// (IEEE 802.1AB-2016 §9.2.5.7). Most switches answer an agent's at once.
const lldpSeconds = 35

func (b *Boot) install(ctx context.Context, server inventory.Server, in api.InstallTarget) (*bootsvc.InstallOrder, error) {
	image, err := b.Inventory.Image(ctx, in.Image)
	if err != nil {
		return nil, err
	}
	seed := nocloud.Seed{
		InstanceID: in.Instance, Hostname: in.Hostname, MAC: server.MAC, SSHKeys: in.SSHKeys,
		IPv4: nocloudLink(in.Links.IPv4), IPv6: nocloudLink(in.Links.IPv6),
	}
	if in.Bonded {
		for _, other := range server.Others {
			seed.Bonded = append(seed.Bonded, other.MAC)
		}
	}
	for _, tagged := range in.Tagged {
		seed.VLANs = append(seed.VLANs, nocloud.VLAN{
			ID: tagged.VLAN, IPv4: nocloudLink(tagged.Links.IPv4).Address, IPv6: nocloudLink(tagged.Links.IPv6).Address,
		})
	}
	for n, links := range in.Others {
		if n < len(server.Others) {
			seed.Others = append(seed.Others, nocloud.NIC{MAC: server.Others[n].MAC, IPv4: nocloudLink(links.IPv4).Address, IPv6: nocloudLink(links.IPv6).Address})
		}
	}
	if in.UserData {
		if seed.UserData, err = b.Inventory.UserData(ctx, in.Instance); err != nil {
			return nil, err
		}
	}
	return &bootsvc.InstallOrder{
		Image: job.Image{Name: filepath.Base(image.File), SHA256: image.SHA256, Bytes: uint64(image.Bytes)},
		Disk:  server.Disk,
		Seed:  seed,
	}, nil
}

// bootPhases are passed in this order; each has a deadline of its own.
var bootPhases = []struct {
	phase job.Phase
	vain  string // what is said when nothing comes after it
}{
	{job.PhaseWaiting, "the server asked for no address after it was powered on: look at its boot order, its cable and the DHCP relay of its port"},
	{job.PhaseDHCP, "the server got an address and fetched no boot script: look at its console, and at TFTP and HTTP between it and the boot service"},
	{job.PhaseLoader, "the server fetched the boot script and no kernel: look at its console"},
	{job.PhaseKernel, "the server fetched the kernel and no agent came up: look at its console, a driver of its network card may be missing"},
}

// AwaitAgent waits until the agent of a boot target is up. A server that does not get from
// one phase of its boot to the next in time is stalled, and worth driving again.
func (b *Boot) AwaitAgent(ctx context.Context, in api.AwaitAgentInput) (api.None, error) {
	since := activity.GetInfo(ctx).ScheduledTime // of the first attempt
	var revision int64
	for {
		status, err := b.Targets.Wait(ctx, in.Target, revision, pulse)
		if err != nil {
			return api.None{}, fail(err)
		}
		revision = status.Revision
		if status.Ended {
			return api.None{}, stalled("boot target %s was replaced or cleared while its server booted", in.Target)
		}
		if _, up := status.Reached[job.PhaseAgent]; up {
			return api.None{}, nil
		}
		last, vain := since, bootPhases[0].vain
		for _, p := range bootPhases {
			at, reached := status.Reached[p.phase]
			if !reached {
				continue
			}
			vain = p.vain
			if at.After(last) {
				last = at
			}
		}
		activity.RecordHeartbeat(ctx, progress(status))
		if waited := time.Since(last); waited > in.Phase {
			return api.None{}, stalled("phase %s for %s: %s%s", status.Phase, waited.Round(time.Second), vain, trouble(status))
		}
	}
}

// AwaitJob waits for an agent's result, and reports its progress as its own.
func (b *Boot) AwaitJob(ctx context.Context, in api.AwaitJobInput) (api.JobResult, error) {
	since := activity.GetInfo(ctx).StartedTime
	var revision int64
	for {
		status, err := b.Targets.Wait(ctx, in.Target, revision, pulse)
		if err != nil {
			return api.JobResult{}, fail(err)
		}
		revision = status.Revision
		activity.RecordHeartbeat(ctx, progress(status))
		if status.Result != nil {
			return result(status)
		}
		if status.Ended {
			return api.JobResult{}, stalled("boot target %s was replaced or cleared while its job ran", in.Target)
		}
		if status.Heard.After(since) {
			since = status.Heard
		}
		if silent := time.Since(since); silent > in.Stall {
			return api.JobResult{}, stalled("the agent on %s was last heard %s ago, at phase %s (%s)%s: look at its console",
				status.Server, silent.Round(time.Second), status.Phase, status.Message, trouble(status))
		}
	}
}

// ReleaseAgent lets an agent go that has ended its job, and waits until it went. An agent
// that does not hear of it in time is left to the power cycle that comes next.
func (b *Boot) ReleaseAgent(ctx context.Context, in api.ReleaseAgentInput) (api.None, error) {
	then := job.PowerOff
	if in.Reboot {
		then = job.Reboot
	}
	if err := b.Targets.Release(ctx, in.Target, then); err != nil {
		return api.None{}, fail(err)
	}
	var revision int64
	for {
		status, err := b.Targets.Wait(ctx, in.Target, revision, pulse)
		if err != nil {
			return api.None{}, fail(err)
		}
		revision = status.Revision
		activity.RecordHeartbeat(ctx, progress(status))
		if _, left := status.Reached[job.PhaseLeaving]; left || status.Ended {
			return api.None{}, nil
		}
	}
}

// ClearTarget takes a server's boot target away, and forgets its last tenant.
func (b *Boot) ClearTarget(ctx context.Context, in api.ClearBootTargetInput) (api.None, error) {
	if err := b.Targets.Clear(ctx, in.Server); err != nil {
		return api.None{}, fail(err)
	}
	if in.Instance == "" {
		return api.None{}, nil
	}
	return api.None{}, fail(b.Targets.ForgetInstance(ctx, in.Instance))
}

func progress(s bootsvc.Status) api.Progress {
	return api.Progress{
		Phase: string(s.Phase), Percent: float64(s.Percent()), Done: s.Done, Total: s.Total, Message: s.Message,
	}
}

// result turns an agent's result into the activity's. A job that failed on the server is
// not worth the same attempt again; the workflow may drive the server anew.
func result(s bootsvc.Status) (api.JobResult, error) {
	r := s.Result
	if r.Error != "" {
		return api.JobResult{}, stalled("the agent on %s failed: %s", s.Server, r.Error)
	}
	result := api.JobResult{Hardware: r.Hardware, BurnIn: r.BurnIn, Wipe: r.Wipe}
	if r.Installed != nil {
		result.Disk, result.Written = r.Installed.Disk.Path, r.Installed.Bytes
	}
	return result, nil
}

func trouble(s bootsvc.Status) string {
	if s.Trouble == "" {
		return ""
	}
	return fmt.Sprintf(" (last trouble, %s ago: %s)", time.Since(s.TroubleAt).Round(time.Second), s.Trouble)
}

func stalled(format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), api.ErrorStalled, nil)
}

func nocloudLink(l api.Link) nocloud.Link {
	if !l.Server.IsValid() {
		return nocloud.Link{}
	}
	return nocloud.Link{Address: l.Server, Gateway: l.Switch.Addr()}
}
