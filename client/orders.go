package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"ferrodur/workflows/api"
)

// Provision places an order. It returns once the order is durable; see WaitActive. An
// order whose ID was used before is the same order: nothing is started anew.
func (c *Client) Provision(ctx context.Context, order api.Order) error {
	if err := Validate(order); err != nil {
		return err
	}
	summary := fmt.Sprintf("%s at %s with %s", order.Plan, order.Site, order.Image)
	err := c.start(ctx, api.InstanceID(order.ID), api.WorkflowInstance, summary,
		enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL, order)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		err = c.samePlaced(ctx, order)
	}
	if err != nil {
		return fmt.Errorf("order %s: %w", order.ID, err)
	}
	return nil
}

// samePlaced refuses an order whose ID was used for another one. Patience may differ, what
// is delivered may not.
func (c *Client) samePlaced(ctx context.Context, order api.Order) error {
	first, err := c.temporal.GetWorkflowHistory(ctx, api.InstanceID(order.ID), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT).Next()
	if err != nil {
		return fmt.Errorf("read the order that has this ID: %w", err)
	}
	var placed api.Order
	if err := c.data.FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &placed); err != nil {
		return fmt.Errorf("read the order that has this ID: %w", err)
	}
	for _, field := range []struct {
		name string
		same bool
	}{
		{"site", placed.Site == order.Site},
		{"plan", placed.Plan == order.Plan},
		{"image", placed.Image == order.Image},
		{"tenant", placed.Tenant == order.Tenant},
		{"network", placed.Network == order.Network && slices.Equal(placed.Tagged, order.Tagged)},
		{"routing domain", placed.Domain == order.Domain},
		{"blocks", placed.Blocks == order.Blocks},
		{"BGP session", (placed.BGP == nil) == (order.BGP == nil) && (order.BGP == nil || *placed.BGP == *order.BGP)},
		{"host name", placed.Hostname == order.Hostname},
		{"SSH keys", slices.Equal(placed.SSHKeys, order.SSHKeys)},
		{"user data", placed.UserData == order.UserData},
	} {
		if !field.same {
			return fmt.Errorf("%w: the ID was used for an order with another %s: choose another ID", ErrRefused, field.name)
		}
	}
	return nil
}

var (
	// orderID keeps orders to what fits into a switch's description, and into a URL.
	orderID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	// secretRef is the form of an inventory.SecretRef, which callers of this package do not link.
	secretRef = regexp.MustCompile(`^(env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\x00\n]+)$`)
	hostname  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)
)

// Validate refuses an order that cannot be meant, as Provision does, before anything is
// stored for it. The error is ErrRefused.
func Validate(order api.Order) error {
	for _, field := range []struct{ name, value string }{
		{"an ID", order.ID}, {"a site", order.Site}, {"a plan", order.Plan}, {"an image", order.Image},
	} {
		if field.value == "" {
			return fmt.Errorf("%w: the order has to name %s", ErrRefused, field.name)
		}
	}
	if err := CheckOrderID(order.ID); err != nil {
		return err
	}
	if name := cmp.Or(order.Hostname, order.ID); !hostname.MatchString(name) {
		return fmt.Errorf("%w: %q is no host name (RFC 1123 §2.1): give the order another one", ErrRefused, name)
	}
	if b := order.Blocks; b.IPv4 < 0 || b.IPv4 > 32 || b.IPv6 < 0 || b.IPv6 > 128 {
		return fmt.Errorf("%w: blocks of the lengths /%d and /%d: an IPv4 block has a length from 1 to 32, an IPv6 block from 1 to 128", ErrRefused, b.IPv4, b.IPv6)
	}
	if order.Network != "" && order.Blocks != (api.Blocks{}) {
		return fmt.Errorf("%w: blocks are routed over links: an order in network %s has none", ErrRefused, order.Network)
	}
	if order.Network != "" && order.BGP != nil {
		return fmt.Errorf("%w: BGP is spoken over links: an order in network %s has none", ErrRefused, order.Network)
	}
	if order.Network != "" && order.Domain != "" {
		return fmt.Errorf("%w: a routing domain is one of links and blocks: an order in network %s has none", ErrRefused, order.Network)
	}
	if err := checkTagged(order.Network, order.Tagged); err != nil {
		return err
	}
	if b := order.BGP; b != nil && (b.ASN == 0 || b.Password != "" && !secretRef.MatchString(b.Password)) {
		return fmt.Errorf("%w: a BGP session needs the instance's AS number, and its password as a reference: env:NAME or file:/path", ErrRefused)
	}
	if len(order.SSHKeys) == 0 && !order.UserData {
		return fmt.Errorf("%w: order %s has neither an SSH key nor user data: nobody could log in", ErrRefused, order.ID)
	}
	return nil
}

// checkTagged refuses tagged networks that a port cannot carry beside the untagged one.
func checkTagged(network string, tagged []string) error {
	seen := map[string]bool{network: true}
	for _, name := range tagged {
		switch {
		case network == "":
			return fmt.Errorf("%w: a routed port carries no VLANs: name the network whose frames are untagged, too", ErrRefused)
		case name == "":
			return fmt.Errorf("%w: a tagged network has no name", ErrRefused)
		case seen[name]:
			return fmt.Errorf("%w: network %s is named twice", ErrRefused, name)
		}
		seen[name] = true
	}
	return nil
}

// CheckOrderID refuses what cannot be an order's ID. The error is ErrRefused.
func CheckOrderID(id string) error {
	if !orderID.MatchString(id) {
		return fmt.Errorf("%w: the order's ID %q is not made of letters, digits, dots, underscores and hyphens, at most 63", ErrRefused, id)
	}
	return nil
}

// Return ends the tenancy of an active order. It returns once the return is durable;
// see WaitEnded.
func (c *Client) Return(ctx context.Context, order string) (api.State, error) {
	return c.update(ctx, api.InstanceID(order), api.UpdateReturn)
}

// Enroll brings a declared server into service.
func (c *Client) Enroll(ctx context.Context, input api.EnrollInput) error {
	return c.startOnce(ctx, api.EnrollID(input.Server), api.WorkflowEnroll, "enrol "+input.Server, input)
}

// BurnIn tests a server that no order holds. It writes to every disk of the server.
func (c *Client) BurnIn(ctx context.Context, input api.BurnInInput) error {
	return c.startOnce(ctx, api.BurnInID(input.Server), api.WorkflowBurnIn, "burn "+input.Server+" in", input)
}

// startOnce starts a workflow that may run again when it has ended. ErrBusy says that it
// is under way.
func (c *Client) startOnce(ctx context.Context, id, workflow, summary string, input any) error {
	err := c.start(ctx, id, workflow, summary,
		enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL, input)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return fmt.Errorf("%s is %w", id, ErrBusy)
	}
	return err
}

// Retry tells a parked workflow to run the stage that failed again. Limits that are set
// replace those that it had.
func (c *Client) Retry(ctx context.Context, workflowID string, limits api.Limits) (api.State, error) {
	return c.update(ctx, workflowID, api.UpdateRetry, api.RetryInput{Limits: limits})
}

// Abort tells a workflow to stop, to undo everything that was done, and to end.
func (c *Client) Abort(ctx context.Context, workflowID string) (api.State, error) {
	return c.update(ctx, workflowID, api.UpdateAbort)
}

// State asks a workflow how it stands. It needs a lifecycle worker to answer.
func (c *Client) State(ctx context.Context, workflowID string) (api.State, error) {
	var state api.State
	value, err := c.temporal.QueryWorkflow(ctx, workflowID, "", api.QueryState)
	if err == nil {
		err = value.Get(&state)
	}
	if unanswered(err) {
		return state, fmt.Errorf("%s: %w: is a lifecycle worker running?", workflowID, ErrNoAnswer)
	}
	return state, translate(workflowID, err)
}

// unanswered says whether a query failed because no worker took it.
func unanswered(err error) bool {
	var late *serviceerror.DeadlineExceeded
	var nobody *serviceerror.FailedPrecondition // no worker has asked for work lately
	return errors.As(err, &late) || errors.As(err, &nobody)
}

// WaitActive waits until an order is active. ErrEnded says that it ended instead; a
// parked order goes on waiting, because an operator may yet retry it.
func (c *Client) WaitActive(ctx context.Context, order string) (api.State, error) {
	return c.wait(ctx, api.InstanceID(order), func(s api.State) bool { return s.Status == api.StatusActive })
}

// WaitEnded waits until a workflow has ended and holds nothing any more.
func (c *Client) WaitEnded(ctx context.Context, workflowID string) (api.State, error) {
	return c.wait(ctx, workflowID, func(s api.State) bool { return s.Status == api.StatusDone })
}

func (c *Client) wait(ctx context.Context, id string, reached func(api.State) bool) (api.State, error) {
	for snapshot, err := range c.Watch(ctx, id, time.Second) {
		switch state := snapshot.State; {
		case err != nil:
			return state, err
		case reached(state):
			return state, nil
		case state.Ended():
			return state, fmt.Errorf("%s %w as %s: %s", id, ErrEnded, state.Status, state.Reason)
		}
	}
	return api.State{}, ctx.Err()
}

func isApplicationError(err error) bool {
	var applicationErr *temporal.ApplicationError
	return errors.As(err, &applicationErr)
}

func applicationMessage(err error) string {
	var applicationErr *temporal.ApplicationError
	if errors.As(err, &applicationErr) {
		return applicationErr.Message()
	}
	return err.Error()
}
