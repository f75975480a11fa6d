package client_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"ferrodur/client"
	"ferrodur/lab/temporal"
	"ferrodur/workflows/api"
)

// newClient is of a Temporal server that has no workers.
func newClient(t *testing.T) *client.Client {
	t.Helper()
	ctx := t.Context()
	program, err := temporal.Build(ctx, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	server, err := temporal.Start(ctx, temporal.Config{Dir: t.TempDir(), Program: program})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	connection, err := sdk.DialContext(ctx, sdk.Options{HostPort: server.Address.String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	return client.New(connection, "")
}

// A switch that nobody has asked for anything applies what it is asked for. Where no worker
// answers for it, that is said in time, and whatever is asked for is kept.
func TestSwitchWithoutWorkers(t *testing.T) {
	ctx, c := t.Context(), newClient(t)
	sw1 := api.SwitchRef{Switch: "sw1", Site: "ewr1"}
	if state, err := c.SwitchState(ctx, sw1); err != nil || state.Mode != api.ModeApply {
		t.Errorf("%+v, %v", state, err)
	}
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := c.SetPorts(short, sw1, api.PortRequest{Port: "swp1"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a port is to be configured without workers: %v", err)
	}
	begun := time.Now()
	if _, err := c.SwitchState(ctx, sw1); !errors.Is(err, client.ErrNoAnswer) || !strings.Contains(err.Error(), "lifecycle worker") {
		t.Errorf("got %v, want ErrNoAnswer", err)
	}
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("that was said after %s", took)
	}
	if err := c.Temporal().TerminateWorkflow(ctx, api.SwitchID(sw1.Switch), "", "by hand"); err != nil {
		t.Fatal(err)
	}
	if state, err := c.SwitchState(ctx, sw1); err != nil || state.Mode != api.ModeApply {
		t.Errorf("after its workflow was ended: %+v, %v", state, err)
	}
}

// Whoever waits for what a workflow finds, or does, hears that there is no worker for it.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), newClient(t)
	sw1 := api.SwitchRef{Switch: "sw1", Site: "ewr1"}
	var asking sync.WaitGroup
	for what, ask := range map[string]func() error{
		"audit":    func() error { _, err := c.Audit(ctx, api.AuditInput{}); return err },
		"host key": func() error { _, err := c.HostKey(ctx, sw1); return err },
		"move": func() error {
			_, err := c.Move(ctx, api.MoveInput{ElasticKey: api.ElasticKey{Owner: "acme", Name: "first"}})
			return err
		},
		"ports": func() error { _, err := c.SetPorts(ctx, sw1, api.PortRequest{Port: "swp1"}); return err },
		"mode":  func() error { _, err := c.SetSwitchMode(ctx, sw1, api.ModeInput{Mode: api.ModePaused}); return err },
	} {
		asking.Go(func() {
			begun := time.Now()
			if err := ask(); !errors.Is(err, client.ErrNoAnswer) {
				t.Errorf("%s: got %v, want ErrNoAnswer", what, err)
			}
			if took := time.Since(begun); took > time.Minute {
				t.Errorf("%s: that was said after %s", what, took)
			}
		})
	}
	asking.Wait()
}

// Ordering twice is ordering once, and an ID stays with its order. No worker is needed for
// an order to be durable.
func TestAnOrderIsPlacedOnce(t *testing.T) {
	ctx, c := t.Context(), newClient(t)
	order := api.Order{ID: "o-42", Site: "ewr1", Plan: "c1.small", Image: "debian-12", SSHKeys: []string{"ssh-ed25519 AAAA"}}
	patient := order
	patient.Limits.Attempts = 5
	for _, again := range []api.Order{order, order, patient} {
		if err := c.Provision(ctx, again); err != nil {
			t.Fatal(err)
		}
	}
	for what, change := range map[string]func(*api.Order){
		"plan":     func(o *api.Order) { o.Plan = "c1.large" },
		"SSH keys": func(o *api.Order) { o.SSHKeys = nil; o.UserData = true },
	} {
		other := order
		change(&other)
		if err := c.Provision(ctx, other); !errors.Is(err, client.ErrRefused) || !strings.Contains(err.Error(), what) {
			t.Errorf("the same ID with another %s: %v", what, err)
		}
	}
	runs := 0
	for _, err := range c.List(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		runs++
	}
	if runs != 1 {
		t.Errorf("%d workflows were started", runs)
	}
}

// A worker that cannot reach a switch is no refusal: asking again may help.
func TestHostKeyOfAnUnreachableSwitch(t *testing.T) {
	ctx, c := t.Context(), newClient(t)
	w := worker.New(c.Temporal(), api.QueueLifecycle, worker.Options{})
	w.RegisterActivityWithOptions(func(context.Context, api.SwitchRef) (api.HostKey, error) {
		return api.HostKey{}, errors.New("switch sw1 is unreachable")
	}, activity.RegisterOptions{Name: string(api.ReadHostKey)})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context, ref api.SwitchRef) (key api.HostKey, err error) {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{ScheduleToCloseTimeout: time.Second})
		return key, workflow.ExecuteActivity(ctx, string(api.ReadHostKey), ref).Get(ctx, &key)
	}, workflow.RegisterOptions{Name: api.WorkflowHostKey})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	if _, err := c.HostKey(ctx, api.SwitchRef{Switch: "sw1", Site: "ewr1"}); !errors.Is(err, client.ErrNoAnswer) || !strings.Contains(err.Error(), "sw1 is unreachable") {
		t.Errorf("got %v, want ErrNoAnswer", err)
	}
}
