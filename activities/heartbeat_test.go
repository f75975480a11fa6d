package activities

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	labtemporal "ferrodur/lab/temporal"
)

// What an activity does after a first piece of work is not cancelled with that: the SDK sends
// the heartbeats of a while together, by the context of the first of them. The next attempt
// finds the last one's details.
func TestBeatingTwice(t *testing.T) {
	ctx := t.Context()
	program, err := labtemporal.Build(ctx, os.Stderr)
	require.NoError(t, err)
	server, err := labtemporal.Start(ctx, labtemporal.Config{Dir: t.TempDir(), Program: program})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	connection, err := sdk.DialContext(ctx, sdk.Options{HostPort: server.Address.String()})
	require.NoError(t, err)
	t.Cleanup(connection.Close)

	const together = 500 * time.Millisecond
	twice := func(ctx context.Context) (found string, err error) {
		if activity.HasHeartbeatDetails(ctx) {
			return found, activity.GetHeartbeatDetails(ctx, &found)
		}
		quick := func(context.Context) (string, error) { return "", nil }
		slow := func(ctx context.Context) (string, error) {
			select {
			case <-ctx.Done():
				return "", errors.New("cancelled with the first piece of work")
			case <-time.After(3 * together):
				return "", errors.New("the answer is lost")
			}
		}
		if _, err := beating(ctx, quick); err != nil {
			return "", err
		}
		return beating(ctx, slow, "second")
	}
	w := worker.New(connection, "here", worker.Options{MaxHeartbeatThrottleInterval: together})
	w.RegisterActivityWithOptions(twice, activity.RegisterOptions{Name: "Twice"})
	flow := func(ctx workflow.Context) (found string, err error) {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: time.Minute, HeartbeatTimeout: 15 * time.Second, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 2},
		})
		return found, workflow.ExecuteActivity(ctx, "Twice").Get(ctx, &found)
	}
	w.RegisterWorkflowWithOptions(flow, workflow.RegisterOptions{Name: "Flow"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	run, err := connection.ExecuteWorkflow(ctx, sdk.StartWorkflowOptions{TaskQueue: "here"}, "Flow")
	require.NoError(t, err)
	var found string
	require.NoError(t, run.Get(ctx, &found))
	require.Equal(t, "second", found)
}
