package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"ferrodur/activities"
	"ferrodur/client"
	"ferrodur/workflows"
	"ferrodur/workflows/api"
)

// A block that an instance's switch refuses at first is asked for again until it is routed;
// an instance that has ended does not keep a block from moving.
func TestMoveUntilItIsRouted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	connection := startTemporal(t)
	w := worker.New(connection, api.QueueLifecycle, worker.Options{})
	(&activities.Requests{Temporal: connection}).Register(w)
	w.RegisterActivityWithOptions(func(context.Context, api.AwaitsBlocksInput) (api.None, error) {
		return api.None{}, nil
	}, activity.RegisterOptions{Name: string(api.AwaitsBlocks)})
	w.RegisterActivityWithOptions(func(context.Context, api.ListCarriersInput) ([]string, error) {
		return []string{api.InstanceID("o-1")}, nil // an earlier move reached it
	}, activity.RegisterOptions{Name: string(api.ListCarriers)})
	w.RegisterWorkflowWithOptions(workflows.Move, workflow.RegisterOptions{Name: api.WorkflowMove})
	w.RegisterWorkflowWithOptions(reluctant, workflow.RegisterOptions{Name: api.WorkflowInstance})
	check(t, w.Start())
	defer w.Stop()
	book := worker.New(connection, api.QueueIPAM, worker.Options{})
	book.RegisterActivityWithOptions(func(context.Context, api.ElasticKey) (api.Elastic, error) {
		return api.Elastic{Instance: api.InstanceID("ended")}, nil
	}, activity.RegisterOptions{Name: string(api.FindElastic)})
	book.RegisterActivityWithOptions(func(context.Context, api.MoveInput) (api.None, error) {
		return api.None{}, nil
	}, activity.RegisterOptions{Name: string(api.MoveElastic)})
	check(t, book.Start())
	defer book.Stop()

	c := client.New(connection, "")
	check(t, c.Provision(ctx, api.Order{ID: "o-1", Site: "ewr1", Plan: "c1.small", Image: "debian-12", SSHKeys: []string{"ssh-ed25519 AAAA"}}))
	move := api.MoveInput{ElasticKey: api.ElasticKey{Owner: "customer/acme", Name: "first"}, Instance: api.InstanceID("o-1")}
	was, err := c.Move(ctx, move)
	check(t, err)
	if was.Instance != api.InstanceID("ended") {
		t.Errorf("it was at %q", was.Instance)
	}
	var asked int
	check(t, connection.GetWorkflow(ctx, api.InstanceID("o-1"), "").Get(ctx, &asked))
	if asked != 2 {
		t.Errorf("the instance was asked %d times, want 2", asked)
	}
}

// reluctant is an instance whose switch refuses the first time. It ends when it has carried
// a block.
func reluctant(ctx workflow.Context, _ api.Order) (int, error) {
	asked, carries := 0, false
	err := workflow.SetUpdateHandler(ctx, api.UpdateRoute, func(workflow.Context) error {
		if asked++; asked == 1 {
			return errors.New("refused by the switch")
		}
		carries = true
		return nil
	})
	if err != nil {
		return asked, err
	}
	err = workflow.Await(ctx, func() bool { return carries && workflow.AllHandlersFinished(ctx) })
	return asked, err
}
