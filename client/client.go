// Package client is Ferrodur's Go SDK: what a billing system, or any other automation,
// imports to order instances, to watch them, and to steer them. It needs Temporal and
// nothing else.
//
//	c, err := client.Dial(ctx)
//	order := api.Order{ID: "o-42", Site: "ewr1", Plan: "c1.small", Image: "debian-12", SSHKeys: keys}
//	err = c.Provision(ctx, order)
//	state, err := c.WaitActive(ctx, order.ID)
//	…
//	err = c.Return(ctx, order.ID)
//
// Ordering twice is ordering once: the order's ID is the caller's own, and a call whose
// answer was lost can simply be made again.
package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"ferrodur/workflows/api"
)

// Errors. They can be told apart with errors.Is.
var (
	// ErrNotFound says that there is no such workflow.
	ErrNotFound = errors.New("not found")
	// ErrRefused says that the workflow is not in a state for what was asked.
	ErrRefused = errors.New("refused")
	// ErrBusy says that a workflow of that ID is already under way.
	ErrBusy = errors.New("already under way")
	// ErrNoAnswer says that no worker took an update in time, which may yet be taken; or that
	// what a worker asked did not answer.
	ErrNoAnswer = errors.New("no answer")
	// ErrEnded says that an order ended without, or before, becoming active.
	ErrEnded = errors.New("ended")
)

// Client calls Ferrodur over Temporal. It is safe for concurrent use.
type Client struct {
	temporal  client.Client
	namespace string
	data      converter.DataConverter
}

// Dial connects as Temporal's environment configuration says: TEMPORAL_ADDRESS,
// TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_*, TEMPORAL_PROFILE and the
// configuration file they name. The same settings reach a local server, a cluster, and
// Temporal Cloud. The callers' adjustments come last: a logger, metrics, a codec.
func Dial(ctx context.Context, adjust ...func(*client.Options)) (*Client, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, fmt.Errorf("read Temporal's environment configuration: %w", err)
	}
	for _, a := range adjust {
		a(&options)
	}
	temporal, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("reach Temporal at %s (see TEMPORAL_ADDRESS): %w", options.HostPort, err)
	}
	c := New(temporal, options.Namespace)
	if options.DataConverter != nil {
		c.data = options.DataConverter
	}
	return c, nil
}

// New makes a Client of a connection that the caller has, and keeps.
func New(temporal client.Client, namespace string) *Client {
	if namespace == "" {
		namespace = client.DefaultNamespace
	}
	return &Client{temporal: temporal, namespace: namespace, data: converter.GetDefaultDataConverter()}
}

// Close ends the connection.
func (c *Client) Close() { c.temporal.Close() }

// Temporal is the connection itself, for workers and for what this package has no call for.
func (c *Client) Temporal() client.Client { return c.temporal }

// start starts a workflow, or finds the one of that ID that is already under way.
func (c *Client) start(ctx context.Context, id, workflow, summary string, reuse enumspb.WorkflowIdReusePolicy,
	conflict enumspb.WorkflowIdConflictPolicy, input any,
) error {
	_, err := c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       id,
		TaskQueue:                api.QueueLifecycle,
		WorkflowIDReusePolicy:    reuse,
		WorkflowIDConflictPolicy: conflict,
		StaticSummary:            summary,

		WorkflowExecutionErrorWhenAlreadyStarted: true,
	}, workflow, input)
	return err
}

// updatePatience is how long an update waits for a lifecycle worker to take it.
const updatePatience = 30 * time.Second

// update sends an update and answers with the workflow's state.
func (c *Client) update(ctx context.Context, id, name string, input ...any) (api.State, error) {
	var state api.State
	asking, cancel := context.WithTimeout(ctx, updatePatience)
	defer cancel()
	handle, err := c.temporal.UpdateWorkflow(asking, client.UpdateWorkflowOptions{
		WorkflowID: id, UpdateName: name, Args: input, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(asking, &state)
	}
	if nobodyTook(ctx, err) {
		return state, lateUpdate(id, name)
	}
	return state, translate(id, err)
}

// nobodyTook says whether an update failed because its time was over, and not its caller's.
func nobodyTook(caller context.Context, err error) bool {
	var late *client.WorkflowUpdateServiceTimeoutOrCanceledError
	return caller.Err() == nil && (errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded))
}

// lateUpdate is told of an update that nobody has taken yet.
func lateUpdate(id, name string) error {
	return fmt.Errorf("%s: %w to %q within %s, which may be heeded later: is a lifecycle worker running?", id, ErrNoAnswer, name, updatePatience)
}

// triedInVain says whether an activity that failed was worth a retry, as one is whose device
// is away, until its time was over.
func triedInVain(state enumspb.RetryState) bool {
	return state == enumspb.RETRY_STATE_TIMEOUT || state == enumspb.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED
}

// translate turns Temporal's errors into this package's.
func translate(id string, err error) error {
	var notFound *serviceerror.NotFound
	var activity *temporal.ActivityError
	var late *temporal.TimeoutError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &activity) && errors.As(err, &late) && late.TimeoutType() == enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START:
		return fmt.Errorf("%s: %w to %s: is a worker for it running?", id, ErrNoAnswer, activity.ActivityType().GetName())
	case errors.As(err, &activity) && triedInVain(activity.RetryState()):
		return fmt.Errorf("%w: %s", ErrNoAnswer, applicationMessage(err))
	case errors.As(err, &notFound):
		return fmt.Errorf("%s: %w, or ended", id, ErrNotFound)
	case isApplicationError(err):
		return fmt.Errorf("%w: %s", ErrRefused, applicationMessage(err))
	}
	return fmt.Errorf("%s: %w", id, err)
}
