package client

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"

	"ferrodur/workflows/api"
)

// EnsureSearchAttributes creates the search attributes that Ferrodur's workflows set,
// where they are missing. Temporal Cloud refuses this call to most keys: create them
// there once, with the names and types of package api.
func (c *Client) EnsureSearchAttributes(ctx context.Context) error {
	wanted := map[string]enumspb.IndexedValueType{
		api.SearchServer:         enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		api.SearchSite:           enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		api.SearchPlan:           enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		api.SearchStage:          enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		api.SearchNeedsAttention: enumspb.INDEXED_VALUE_TYPE_BOOL,
	}
	operator := c.temporal.OperatorService()
	present, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: c.namespace})
	if err != nil {
		return fmt.Errorf("list Temporal's search attributes: %w", err)
	}
	for name, have := range present.GetCustomAttributes() {
		if want, ours := wanted[name]; ours && want != have {
			return fmt.Errorf("search attribute %s is a %s in namespace %s, not a %s: remove it there first", name, have, c.namespace, want)
		}
		delete(wanted, name)
	}
	if len(wanted) == 0 {
		return nil
	}
	_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: c.namespace, SearchAttributes: wanted,
	})
	if err != nil {
		return fmt.Errorf("create Temporal's search attributes: %w", err)
	}
	return nil
}
