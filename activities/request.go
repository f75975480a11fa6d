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
}

// RequestPort hands a change of a port to the switch's workflow, and starts that if there
// is none. A change that it has already is not queued again.
func (r *Requests) RequestPort(ctx context.Context, in api.RequestPortInput) (api.None, error) {
	_, err := r.Temporal.SignalWithStartWorkflow(ctx, api.SwitchID(in.Switch), api.SignalSetPort, in.PortRequest, client.StartWorkflowOptions{
		TaskQueue:             api.QueueLifecycle,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         fmt.Sprintf("ports of %s at %s", in.Switch, in.Site),
	}, api.WorkflowSwitch, api.SwitchInput{Switch: in.Switch, Site: in.Site})
	return api.None{}, fail(err)
}
