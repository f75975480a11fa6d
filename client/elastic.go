package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"ferrodur/workflows/api"
)

// Move takes an elastic block to an instance, or away from any, and waits until the ports
// carry it there. The error is ErrRefused where the block is not held, or is on its way
// already.
func (c *Client) Move(ctx context.Context, in api.MoveInput) (api.Elastic, error) {
	var was api.Elastic
	id := api.MoveID(in.ElasticKey)
	err := c.start(ctx, id, api.WorkflowMove, fmt.Sprintf("%s of %s to %s", in.Name, in.Owner, cmp.Or(in.Instance, "no instance")),
		enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL, in)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return was, fmt.Errorf("%w: %s is under way already: wait for its end", ErrRefused, id)
	}
	if err != nil {
		return was, translate(id, err)
	}
	if err := c.taken(ctx, id); err != nil {
		return was, err
	}
	err = c.temporal.GetWorkflow(ctx, id, "").Get(ctx, &was)
	return was, translate(id, err)
}
