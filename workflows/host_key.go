package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

// hostKeyPatience is how long HostKey waits for a switch, or for a worker near it.
const hostKeyPatience = 20 * time.Second

// HostKey has a worker near a switch see which key that offers. Whoever asked decides
// whether it is trusted.
func HostKey(ctx workflow.Context, ref api.SwitchRef) (api.HostKey, error) {
	ctx = options(ctx, "which host key "+ref.Switch+" offers", workflow.ActivityOptions{
		TaskQueue: api.SiteQueue(api.RoleSwitch, ref.Site), ScheduleToCloseTimeout: hostKeyPatience,
	})
	return call(ctx, api.ReadHostKey, ref)
}
