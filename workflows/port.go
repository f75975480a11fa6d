package workflows

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

const (
	// portReminder is how often a switch's workflow is asked again for what it has not
	// answered: it starts it again if someone has ended it.
	portReminder = 10 * time.Minute
	// portAttempts is how often a change that failed, and may work the next time, is asked
	// for before the stage has failed; portPause is between them.
	portAttempts = 3
	portPause    = 5 * time.Second
)

// configurePorts makes the ports of the server's uplinks what they should be, all at the same
// time: one whose switch is away keeps no other open. It waits for all of them.
func (j *journey) configurePorts(ctx workflow.Context, ports func(uplink int) api.ConfigurePortInput) error {
	uplinks := j.state.Server.Uplinks()
	if len(uplinks) == 1 {
		return j.configurePort(ctx, ports(0))
	}
	errs := make([]error, len(uplinks))
	all := workflow.NewWaitGroup(ctx)
	for n := range uplinks {
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer all.Done()
			port := ports(n)
			port.Uplink = n
			errs[n] = j.configurePort(ctx, port)
		})
	}
	all.Wait(ctx)
	return together(errs)
}

// together is one error of those of several ports: a rejection of one of them is what has to be seen to
// first.
func together(errs []error) error {
	failed := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	switch len(failed) {
	case 0:
		return nil
	case 1:
		return failed[0]
	}
	all := errors.Join(failed...)
	kind := typeOf(all)
	if slices.ContainsFunc(failed, func(err error) bool { return isType(err, api.ErrorRejected) }) {
		kind = api.ErrorRejected
	}
	var texts []string
	for _, err := range failed {
		texts = append(texts, explain(err))
	}
	return temporal.NewApplicationErrorWithCause(strings.Join(texts, "; "), kind, all)
}

// quarantine is what a port is that nobody is to use.
func quarantine(int) api.ConfigurePortInput {
	return api.ConfigurePortInput{Profile: api.QuarantineProfile}
}

// configurePort makes the port of one of the server's uplinks what it should be.
func (j *journey) configurePort(ctx workflow.Context, port api.ConfigurePortInput) error {
	server := j.state.Server
	port.Server = server.Name
	// Before switches had workflows, each instance configured its port itself.
	if workflow.GetVersion(ctx, "switch workflow", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		_, err := call(j.switchWork(ctx, fmt.Sprintf("%s %s: %s", server.Switch, server.Port, port.Profile)), api.ConfigurePort, port)
		return err
	}
	for attempt := 1; ; attempt++ {
		result, err := j.askForPort(ctx, port)
		switch {
		case err != nil:
			return err
		case result.Error == "":
			return nil
		case result.ErrorType != "" || attempt == portAttempts:
			return temporal.NewApplicationError(result.Error, result.ErrorType)
		}
		if err := workflow.Sleep(ctx, portPause); err != nil {
			return err
		}
	}
}

// askForPort hands a change to the switch's workflow, and waits for the answer. A switch
// that is away, or paused by an operator, is a wait and not a failure.
func (j *journey) askForPort(ctx workflow.Context, port api.ConfigurePortInput) (api.PortResult, error) {
	self := workflow.GetInfo(ctx).WorkflowExecution
	uplink := j.state.Server.Uplinks()[port.Uplink]
	writer := api.SwitchID(uplink.Switch)
	j.requests++
	request := api.PortRequest{
		// After a reset the changes that were answered before have the names that they had.
		Request: fmt.Sprintf("%s/%d", workflow.GetInfo(ctx).OriginalRunID, j.requests), Caller: api.Caller{Workflow: self.ID, Run: self.RunID}, Port: uplink.Port, ConfigurePortInput: port,
	}
	j.waiting = append(j.waiting, writer)
	j.showWaiting(ctx)
	defer func() {
		at := slices.Index(j.waiting, writer)
		j.waiting = slices.Delete(j.waiting, at, at+1)
		j.showWaiting(ctx)
	}()
	for until := workflow.Now(ctx).Add(j.limits.Switch); ; {
		err := do(j.inventory(ctx, fmt.Sprintf("ask %s for %s", writer, port.Profile)), api.RequestPort,
			api.RequestPortInput{SwitchRef: api.SwitchRef{Switch: uplink.Switch, Site: j.state.Server.Site}, PortRequest: request})
		if err != nil {
			return api.PortResult{}, err
		}
		var result api.PortResult
		reminder := workflow.AwaitOptions{Timeout: portReminder, TimerOptions: workflow.TimerOptions{Summary: "ask " + writer + " once more"}}
		answered, err := workflow.AwaitWithOptions(ctx, reminder, func() bool {
			var got bool
			result, got = j.ports[request.Request]
			return got
		})
		switch {
		case err != nil:
			return api.PortResult{}, err
		case answered:
			delete(j.ports, request.Request)
			return result, nil
		case !workflow.Now(ctx).Before(until):
			return api.PortResult{}, fmt.Errorf("workflow %s has not configured port %s of %s within %s: see its queue, and whether a switch worker of %s reaches the switch",
				writer, uplink.Port, uplink.Switch, j.limits.Switch, j.state.Server.Site)
		}
	}
}

// showWaiting shows the first of those that the journey waits for.
func (j *journey) showWaiting(ctx workflow.Context) {
	j.state.WaitsFor = ""
	if len(j.waiting) > 0 {
		j.state.WaitsFor = j.waiting[0]
	}
	workflow.SetCurrentDetails(ctx, details(j.state))
}

// hearSwitch takes the answers of switches.
func (j *journey) hearSwitch(ctx workflow.Context) {
	j.ports = map[string]api.PortResult{}
	answers := workflow.GetSignalChannel(ctx, api.SignalPort)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var answer api.PortAnswer
			answers.Receive(ctx, &answer)
			j.ports[answer.Request] = answer.Result
		}
	})
}
