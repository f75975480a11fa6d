package activities

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"ferrodur/workflows/api"
)

// Requests hands work of one workflow to another. It serves QueueLifecycle, beside
// Inventory.
type Requests struct {
	Temporal client.Client
}

// Register makes the activities known to a worker.
func (r *Requests) Register(w worker.ActivityRegistry) {
	register(w, api.RequestPort, r.RequestPort)
	register(w, api.RequestAudit, r.RequestAudit)
	register(w, api.RouteInstance, r.RouteInstance)
}

// RequestPort hands a change of a port to the switch's workflow. A change that it has
// already is not queued again.
func (r *Requests) RequestPort(ctx context.Context, in api.RequestPortInput) (api.None, error) {
	in.SwitchSite = in.Site
	return api.None{}, fail(r.signal(ctx, in.SwitchRef, api.SignalSetPort, in.PortRequest))
}

// RequestAudit asks the switch's workflow for a comparison.
func (r *Requests) RequestAudit(ctx context.Context, in api.RequestAuditInput) (api.None, error) {
	return api.None{}, fail(r.signal(ctx, in.SwitchRef, api.SignalAudit, api.AuditRequest{Caller: in.Caller, SwitchSite: in.Site}))
}

// signal signals a switch's workflow, and starts it if there is none.
func (r *Requests) signal(ctx context.Context, ref api.SwitchRef, name string, argument any) error {
	_, err := r.Temporal.SignalWithStartWorkflow(ctx, api.SwitchID(ref.Switch), name, argument, client.StartWorkflowOptions{
		TaskQueue:             api.QueueLifecycle,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         fmt.Sprintf("ports of %s at %s", ref.Switch, ref.Site),
	}, api.WorkflowSwitch, api.SwitchInput{SwitchRef: ref})
	return err
}
