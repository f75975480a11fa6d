package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"ferrodur/activities"
	"ferrodur/client"
	"ferrodur/lab/temporal"
	"ferrodur/workflows"
	"ferrodur/workflows/api"
)

const (
	stormServers = 40
	stormChanges = 5 // of each server's port, one after the other
)

// A switch's workflow that is asked by a rack full of servers at once goes on as a new run
// again and again, on a real Temporal: every caller is answered, once, and no port is ever
// configured by two transactions at a time.
func TestSwitchInAStorm(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	connection := startTemporal(t, "limit.historyCount.suggestContinueAsNew=300")
	lifecycle := worker.New(connection, api.QueueLifecycle, worker.Options{})
	workflows.Register(lifecycle)
	(&activities.Requests{Temporal: connection}).Register(lifecycle)
	lifecycle.RegisterActivityWithOptions(noMode, activity.RegisterOptions{Name: string(api.RecallSwitchMode)})
	lifecycle.RegisterWorkflowWithOptions(asker, workflow.RegisterOptions{Name: "asker"})
	check(t, lifecycle.Start())
	defer lifecycle.Stop()
	ports := &portCounter{}
	site := worker.New(connection, api.SiteQueue(api.RoleSwitch, "ewr1"), worker.Options{})
	site.RegisterActivityWithOptions(ports.configure, activity.RegisterOptions{Name: string(api.ConfigurePorts)})
	check(t, site.Start())
	defer site.Stop()

	var runs []sdk.WorkflowRun
	for n := range stormServers {
		run, err := connection.ExecuteWorkflow(ctx, sdk.StartWorkflowOptions{TaskQueue: api.QueueLifecycle}, "asker", fmt.Sprint("s", n))
		check(t, err)
		runs = append(runs, run)
	}
	for _, run := range runs {
		var answers map[string]int
		check(t, run.Get(ctx, &answers))
		if len(answers) != stormChanges {
			t.Errorf("%s was answered for %d changes of %d", run.GetID(), len(answers), stormChanges)
		}
		for request, times := range answers {
			if times != 1 {
				t.Errorf("%s was answered %d times", request, times)
			}
		}
	}
	if ports.overlaps.Load() > 0 {
		t.Errorf("%d transactions began while another was under way", ports.overlaps.Load())
	}
	history := connection.GetWorkflowHistory(ctx, api.SwitchID("sw1"), "", false, 0)
	first, err := history.Next()
	check(t, err)
	if first.GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId() == "" {
		t.Error("the switch's workflow is still its first run: the storm was too small to show anything")
	}
	t.Logf("%d changes in %d transactions", stormServers*stormChanges, ports.transactions.Load())
}

// noMode is what the inventory knows of a switch that no operator has paused.
func noMode(context.Context, api.SwitchRef) (api.KeptMode, error) { return api.KeptMode{}, nil }

// startTemporal returns a connection to a Temporal of the test's own.
func startTemporal(t *testing.T, limits ...string) sdk.Client {
	t.Helper()
	program, err := temporal.Build(t.Context(), os.Stderr)
	check(t, err)
	server, err := temporal.Start(t.Context(), temporal.Config{Dir: t.TempDir(), Program: program, Limits: limits})
	check(t, err)
	t.Cleanup(func() { check(t, server.Stop(context.Background())) })
	connection, err := sdk.DialContext(t.Context(), sdk.Options{HostPort: server.Address.String()})
	check(t, err)
	t.Cleanup(connection.Close)
	check(t, client.New(connection, "").EnsureSearchAttributes(t.Context()))
	return connection
}

// asker is an instance that has nothing but a port: it asks for changes of it, and counts
// the answers.
func asker(ctx workflow.Context, name string) (map[string]int, error) {
	answers := map[string]int{}
	heard := workflow.GetSignalChannel(ctx, api.SignalPort)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var answer api.PortAnswer
			heard.Receive(ctx, &answer)
			answers[answer.Request]++
		}
	})
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	self := workflow.GetInfo(ctx).WorkflowExecution
	for n := range stormChanges {
		in := api.RequestPortInput{
			SwitchRef: api.SwitchRef{Switch: "sw1", Site: "ewr1"},
			PortRequest: api.PortRequest{
				Request: fmt.Sprintf("%s/%d", name, n), Caller: api.Caller{Workflow: self.ID, Run: self.RunID},
				ConfigurePortInput: api.ConfigurePortInput{Server: name, Profile: api.QuarantineProfile},
			},
		}
		if err := workflow.ExecuteActivity(ctx, string(api.RequestPort), in).Get(ctx, nil); err != nil {
			return nil, err
		}
		if err := workflow.Await(ctx, func() bool { return answers[in.Request] > 0 }); err != nil {
			return nil, err
		}
	}
	// Time for a second answer to one of them.
	return answers, workflow.Sleep(ctx, time.Second)
}

// portCounter stands for the switch.
type portCounter struct {
	busy                   atomic.Bool
	transactions, overlaps atomic.Int64
}

func (p *portCounter) configure(_ context.Context, in api.ConfigurePortsInput) ([]api.PortResult, error) {
	if !p.busy.CompareAndSwap(false, true) {
		p.overlaps.Add(1)
	}
	defer p.busy.Store(false)
	p.transactions.Add(1)
	time.Sleep(rand.N(30 * time.Millisecond))
	var results []api.PortResult
	for _, port := range in.Ports {
		results = append(results, api.PortResult{Port: port.Server, PortChange: api.PortChange{Changed: true}})
	}
	return results, nil
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
