package activities_test

import (
	"testing"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/temporal"

	"ferrodur/activities"
	"ferrodur/workflows/api"
)

// What a switch refuses is tried again; what an operator has rejected ends the move.
func TestRouteInstanceRefused(t *testing.T) {
	for kind, want := range map[string]string{api.ErrorOperator: "", api.ErrorRejected: api.ErrorRejected} {
		handle, server := new(mocks.WorkflowUpdateHandle), new(mocks.Client)
		handle.On("Get", mock.Anything, mock.Anything).Return(temporal.NewApplicationError("not tonight", kind))
		server.On("UpdateWorkflow", mock.Anything, mock.Anything).Return(handle, nil)
		p := newPlace(t)
		p.serves(&activities.Requests{Temporal: server})
		_, err := run(p, api.RouteInstance, api.RouteInput{Instance: "instance/o-1", Request: "move"})
		requireError(t, err, want, "not tonight")
	}
}
