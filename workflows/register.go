// Package workflows is Ferrodur's orchestration: deterministic code that takes servers
// through their stages and back. It does no I/O; activities do. What crosses Temporal is
// in package api.
//
// A change of the commands that a workflow issues is gated with workflow.GetVersion, so
// that instances which run for months replay; testdata holds histories that prove it.
package workflows

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

// Register makes the workflows known to a worker.
func Register(w worker.WorkflowRegistry) {
	w.RegisterWorkflowWithOptions(Instance, workflow.RegisterOptions{Name: api.WorkflowInstance})
	w.RegisterWorkflowWithOptions(Enroll, workflow.RegisterOptions{Name: api.WorkflowEnroll})
	w.RegisterWorkflowWithOptions(BurnIn, workflow.RegisterOptions{Name: api.WorkflowBurnIn})
	w.RegisterWorkflowWithOptions(Audit, workflow.RegisterOptions{Name: api.WorkflowAudit})
	w.RegisterWorkflowWithOptions(HostKey, workflow.RegisterOptions{Name: api.WorkflowHostKey})
	w.RegisterWorkflowWithOptions(Move, workflow.RegisterOptions{Name: api.WorkflowMove})
	w.RegisterWorkflowWithOptions(Switch, workflow.RegisterOptions{Name: api.WorkflowSwitch})
}
