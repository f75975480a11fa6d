package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	enums "go.temporal.io/api/enums/v1"
	sdk "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows"
	"ferrodur/workflows/api"
)

// rack is a switch whose workflow is under test, and what its callers were told.
type rack struct {
	env *testsuite.TestWorkflowEnvironment

	mu      sync.Mutex
	batches []api.ConfigurePortsInput
	answers map[string][]api.PortResult // by request
	away    error                       // what transactions fail with
	kept    api.KeptMode                // the mode, in the inventory
}

func newRack(t *testing.T) *rack {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	r := &rack{env: suite.NewTestWorkflowEnvironment(), answers: map[string][]api.PortResult{}}
	r.env.SetTestTimeout(20 * time.Second)
	workflows.Register(r.env)
	r.env.RegisterActivityWithOptions(r.configure, activity.RegisterOptions{Name: string(api.ConfigurePorts)})
	r.env.RegisterActivityWithOptions(func(context.Context, api.SwitchRef) (api.KeptMode, error) { return r.kept, nil },
		activity.RegisterOptions{Name: string(api.RecallSwitchMode)})
	r.env.RegisterActivityWithOptions(func(_ context.Context, in api.SwitchModeInput) (api.None, error) {
		r.kept = in.KeptMode
		return api.None{}, nil
	}, activity.RegisterOptions{Name: string(api.KeepSwitchMode)})
	r.env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, api.SignalPort, mock.Anything).Return(
		func(_, id, _, _ string, argument any) error {
			answer := argument.(api.PortAnswer)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.answers[answer.Request] = append(r.answers[answer.Request], answer.Result)
			return nil
		})
	return r
}

// configure is the switch: it refuses what is asked for server "bad", has already what is asked
// for server "same", and changes between what is shown of server "outdated" and its turn.
func (r *rack) configure(ctx context.Context, in api.ConfigurePortsInput) ([]api.PortResult, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away != nil {
		return nil, r.away
	}
	r.batches = append(r.batches, in)
	var results []api.PortResult
	for _, port := range in.Ports {
		result := api.PortResult{Port: "swp-" + port.Server, PortChange: api.PortChange{Changed: true, Lines: []string{"+ " + string(port.Profile)}}}
		switch port.Server {
		case "bad":
			result = api.PortResult{Error: "switch refused it", ErrorType: api.ErrorOperator}
		case "same":
			result.PortChange = api.PortChange{}
		case "outdated":
			if !in.DryRun {
				result = api.PortResult{Error: "something else would be changed", ErrorType: api.ErrorOutdated}
			}
		}
		results = append(results, result)
	}
	return results, nil
}

func (r *rack) ask(after time.Duration, request, server string, profile api.Profile) {
	r.env.RegisterDelayedCallback(func() { r.signal(request, server, profile) }, after)
}

func (r *rack) signal(request, server string, profile api.Profile) {
	r.env.SignalWorkflow(api.SignalSetPort, api.PortRequest{
		Request: request, Caller: api.Caller{Workflow: "instance/" + request},
		ConfigurePortInput: api.ConfigurePortInput{Server: server, Profile: profile},
	})
}

// update sends an update; refused: it has to be.
func (r *rack) update(t *testing.T, after time.Duration, name string, argument any, refused bool) {
	r.env.RegisterDelayedCallback(func() {
		r.env.UpdateWorkflow(name, fmt.Sprint(name, after, argument), &testsuite.TestUpdateCallback{
			OnAccept: func() {
				if refused {
					t.Errorf("%s at %s was accepted", name, after)
				}
			},
			OnReject: func(err error) {
				if !refused {
					t.Errorf("%s at %s: %v", name, after, err)
				}
			},
			OnComplete: func(any, error) {},
		}, argument)
	}, after)
}

// run ends the workflow after a time of the test's clock: by itself it does not end.
func (r *rack) run(t *testing.T, length time.Duration, input api.SwitchInput) {
	t.Helper()
	r.env.RegisterDelayedCallback(r.env.CancelWorkflow, length)
	r.env.ExecuteWorkflow(api.WorkflowSwitch, input)
	if err := r.env.GetWorkflowError(); !r.env.IsWorkflowCompleted() || err != nil && !temporal.IsCanceledError(err) && !workflow.IsContinueAsNewError(err) {
		t.Fatalf("the workflow ended with %v", err)
	}
}

func (r *rack) state(t *testing.T) api.SwitchState {
	t.Helper()
	value, err := r.env.QueryWorkflow(api.QueryState)
	if err != nil {
		t.Fatal(err)
	}
	var state api.SwitchState
	if err := value.Get(&state); err != nil {
		t.Fatal(err)
	}
	return state
}

// details are what the Web UI shows.
func (r *rack) details(t *testing.T) string {
	t.Helper()
	value, err := r.env.QueryWorkflow("__temporal_workflow_metadata")
	if err != nil {
		t.Fatal(err)
	}
	var shown sdk.WorkflowMetadata
	if err := value.Get(&shown); err != nil {
		t.Fatal(err)
	}
	return shown.CurrentDetails
}

var sw1 = api.SwitchInput{SwitchRef: api.SwitchRef{Switch: "sw1", Site: "ewr1"}}

// told fails unless a request was answered as often as expected, the last time so.
func (r *rack) told(t *testing.T, request string, times int, problem string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.answers[request]
	if len(got) != times || times > 0 && (problem == "" && got[times-1].Error != "" || !strings.Contains(got[times-1].Error, problem)) {
		t.Errorf("%s was told %+v, want %d times %q", request, got, times, problem)
	}
}

func TestSwitchGathersChanges(t *testing.T) {
	r := newRack(t)
	for n := range 60 {
		r.ask(time.Minute, fmt.Sprint("r", n), fmt.Sprint("s", n), api.TenantProfile)
	}
	r.ask(time.Minute, "b", "bad", api.TenantProfile)
	r.run(t, time.Hour, sw1)
	if len(r.batches) > 3 {
		t.Errorf("%d transactions", len(r.batches))
	}
	for n := range 60 {
		r.told(t, fmt.Sprint("r", n), 1, "")
	}
	r.told(t, "b", 1, "refused")
	if s := r.state(t); len(s.Queue) > 0 || s.Changes != 61 {
		t.Errorf("afterwards: %+v", s)
	}
}

func TestSwitchAskedTwiceChangesOnce(t *testing.T) {
	r := newRack(t)
	for range 3 {
		r.ask(time.Minute, "r1", "s1", api.TenantProfile)
	}
	r.ask(time.Hour, "r1", "s1", api.TenantProfile) // the answer was lost
	r.run(t, 2*time.Hour, sw1)
	if len(r.batches) != 1 || len(r.batches[0].Ports) != 1 {
		t.Errorf("carried out: %+v", r.batches)
	}
	if got := r.answers["r1"]; len(got) < 2 {
		t.Errorf("answers: %+v", got)
	}
}

// A switch that is away for a day is a wait; what cannot be mended by waiting is everybody's.
func TestSwitchAway(t *testing.T) {
	r := newRack(t)
	r.away = errors.New("switch sw1 is unreachable")
	r.ask(time.Minute, "r1", "s1", api.TenantProfile)
	r.env.RegisterDelayedCallback(func() {
		if s := r.state(t); len(s.Queue) != 1 || !strings.Contains(s.Trouble, "unreachable") {
			t.Errorf("while it is away: %+v", s)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.away = nil
	}, 24*time.Hour)
	r.env.RegisterDelayedCallback(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.away = temporal.NewNonRetryableApplicationError("switch refused the credentials", api.ErrorOperator, nil)
	}, 48*time.Hour)
	r.ask(49*time.Hour, "r2", "s2", api.TenantProfile)
	r.run(t, 50*time.Hour, sw1)
	r.told(t, "r1", 1, "")
	r.told(t, "r2", 1, "credentials")
}

// What a worker that was killed leaves is told in words that say what to look at.
func TestSwitchWithoutWorker(t *testing.T) {
	r := newRack(t)
	r.away = temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, temporal.NewHeartbeatTimeoutError())
	r.ask(time.Minute, "r1", "s1", api.TenantProfile)
	r.env.RegisterDelayedCallback(func() {
		if s := r.state(t); !strings.Contains(s.Trouble, "ConfigurePorts did not end in time (Heartbeat): is a worker for it running?") {
			t.Errorf("trouble: %s", s.Trouble)
		}
	}, time.Hour)
	r.run(t, 2*time.Hour, sw1)
}

// While a switch is away, a change can be rejected, and the switch paused, within a minute.
func TestSwitchAwayIsSteered(t *testing.T) {
	r := newRack(t)
	r.away = errors.New("switch sw1 is unreachable")
	r.ask(time.Minute, "r1", "s1", api.TenantProfile)
	r.ask(time.Minute, "r2", "s2", api.TenantProfile)
	rejected := time.Duration(0)
	for after := 2 * time.Minute; after < 3*time.Minute; after += 5 * time.Second {
		r.env.RegisterDelayedCallback(func() {
			r.env.UpdateWorkflow(api.UpdateReject, after.String(), &testsuite.TestUpdateCallback{
				OnAccept: func() { rejected = after }, OnReject: func(error) {}, OnComplete: func(any, error) {},
			}, api.ApproveInput{Requests: []string{"r1"}, Reason: "sold out"})
		}, after)
	}
	r.update(t, time.Hour, api.UpdateMode, api.ModeInput{Mode: api.ModePaused}, false)
	r.env.RegisterDelayedCallback(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.away = nil
	}, time.Hour+time.Minute)
	r.run(t, 2*time.Hour, sw1)
	if rejected == 0 {
		t.Error("the change was never rejected")
	}
	r.told(t, "r1", 1, "sold out")
	r.told(t, "r2", 0, "")
	if len(r.batches) > 0 {
		t.Errorf("carried out while paused: %+v", r.batches)
	}
}

// A transaction that finds the switch paused by then has changed nothing, and waits.
func TestSwitchIsHeld(t *testing.T) {
	r := newRack(t)
	r.away = temporal.NewNonRetryableApplicationError("an operator holds changes back", api.ErrorHeld, nil)
	r.ask(time.Minute, "r1", "s1", api.TenantProfile)
	r.env.RegisterDelayedCallback(func() {
		if s := r.state(t); len(s.Queue) != 1 || s.Trouble != "" {
			t.Errorf("held, it is %+v", s)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.away = nil
	}, time.Hour)
	r.run(t, 2*time.Hour, sw1)
	r.told(t, "r1", 1, "")
}

// Whoever wants a switch compared does not wait for one that is away, and that changes wait for.
func TestSwitchAwayTellsAudits(t *testing.T) {
	r := newRack(t)
	r.away = errors.New("switch sw1 is unreachable")
	var told []time.Duration
	begin := r.env.Now()
	r.env.OnSignalExternalWorkflow(mock.Anything, "audit", mock.Anything, api.SignalAudited, mock.Anything).Return(
		func(_, _, _, _ string, argument any) error {
			if report := argument.(api.AuditReport); !strings.Contains(report.Problem, "unreachable") {
				t.Errorf("told %+v", report)
			}
			told = append(told, r.env.Now().Sub(begin))
			return nil
		})
	audit := func(after time.Duration) {
		r.env.RegisterDelayedCallback(func() { r.env.SignalWorkflow(api.SignalAudit, api.Caller{Workflow: "audit"}) }, after)
	}
	r.ask(time.Minute, "r1", "s1", api.TenantProfile)
	audit(time.Minute + time.Millisecond) // it is not known yet that it is away
	audit(time.Hour)
	r.run(t, 2*time.Hour, sw1)
	if len(told) != 2 || told[0] > time.Minute+10*time.Second || told[1] > time.Hour+time.Second {
		t.Errorf("told at %v", told)
	}
}

// A switch that is known to be away is looked for once by each audit, while it is paused.
func TestSwitchAwayAudited(t *testing.T) {
	r := newRack(t)
	looks := 0
	r.env.RegisterActivityWithOptions(func(context.Context, api.AuditSwitchInput) (api.AuditReport, error) {
		looks++
		return api.AuditReport{}, errors.New("switch sw1 is unreachable")
	}, activity.RegisterOptions{Name: string(api.AuditSwitch)})
	r.env.OnSignalExternalWorkflow(mock.Anything, "audit", mock.Anything, api.SignalAudited, mock.Anything).Return(nil)
	r.update(t, time.Minute, api.UpdateMode, api.ModeInput{Mode: api.ModePaused}, false)
	for n, want := range []int{3, 4, 5} {
		at := time.Duration(n+1) * time.Hour
		r.env.RegisterDelayedCallback(func() { r.env.SignalWorkflow(api.SignalAudit, api.Caller{Workflow: "audit"}) }, at)
		r.env.RegisterDelayedCallback(func() {
			if looks != want {
				t.Errorf("audit %d: looked %d times, want %d", n+1, looks, want)
			}
		}, at+30*time.Minute)
	}
	r.run(t, 5*time.Hour, sw1)
}

// The mode that an operator has set outlives the workflow, which somebody may end.
func TestSwitchRecallsMode(t *testing.T) {
	r := newRack(t)
	r.update(t, time.Minute, api.UpdateMode, api.ModeInput{Mode: api.ModePaused, Reason: "window 17"}, false)
	r.run(t, time.Hour, sw1)
	if r.kept.Mode != api.ModePaused || r.kept.Reason != "window 17" || r.kept.Since.IsZero() {
		t.Fatalf("kept: %+v", r.kept)
	}
	next := newRack(t)
	next.kept = r.kept
	next.ask(0, "r1", "s1", api.TenantProfile)
	next.env.RegisterDelayedCallback(func() {
		if s := next.state(t); s.Mode != api.ModePaused || s.Reason != "window 17" || !s.Since.Equal(r.kept.Since) || len(s.Queue) != 1 {
			t.Errorf("it began anew as %+v", s)
		}
	}, time.Hour)
	next.update(t, 2*time.Hour, api.UpdateMode, api.ModeInput{Mode: api.ModeApply}, false)
	next.run(t, 3*time.Hour, sw1)
	next.told(t, "r1", 1, "")
}

// The workers of the site that a switch is declared at by now are asked, and whoever was reset
// is answered as the run that he is by now.
func TestSwitchHearsOfItsSiteAndCallers(t *testing.T) {
	r := newRack(t)
	r.update(t, time.Second, api.UpdateMode, api.ModeInput{Mode: api.ModePaused}, false)
	request := api.PortRequest{
		Request: "r1", Caller: api.Caller{Workflow: "instance/o-1", Run: "first"}, SwitchSite: "ams1",
		ConfigurePortInput: api.ConfigurePortInput{Server: "s1", Profile: api.TenantProfile},
	}
	r.env.RegisterDelayedCallback(func() { r.env.SignalWorkflow(api.SignalSetPort, request) }, time.Minute)
	r.env.RegisterDelayedCallback(func() {
		request.Caller.Run = "second"
		r.env.SignalWorkflow(api.SignalSetPort, request)
	}, 2*time.Minute)
	queue := ""
	r.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		if info.ActivityType.Name == string(api.ConfigurePorts) {
			queue = info.TaskQueue
		}
	})
	r.env.RegisterDelayedCallback(func() {
		if s := r.state(t); len(s.Queue) != 1 || s.Queue[0].Caller.Run != "second" {
			t.Errorf("waits: %+v", s.Queue)
		}
	}, time.Hour)
	r.update(t, 2*time.Hour, api.UpdateMode, api.ModeInput{Mode: api.ModeApply}, false)
	r.run(t, 3*time.Hour, sw1)
	if r.told(t, "r1", 1, ""); queue != api.SiteQueue(api.RoleSwitch, "ams1") {
		t.Errorf("carried out by workers of %s", queue)
	}
}

// A change that is asked for while an earlier one of the same port waits for a switch that is
// away takes its place when the switch is back.
func TestSwitchAwayLaterChange(t *testing.T) {
	r := newRack(t)
	r.away = errors.New("switch sw1 is unreachable")
	r.ask(time.Minute, "r1", "s1", api.TenantProfile)
	r.ask(time.Hour, "r2", "s1", api.QuarantineProfile)
	r.env.RegisterDelayedCallback(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.away = nil
	}, 3*time.Hour)
	r.run(t, 5*time.Hour, sw1)
	r.told(t, "r1", 1, "took this one's place")
	r.told(t, "r2", 1, "")
	if len(r.batches) != 1 || len(r.batches[0].Ports) != 1 || r.batches[0].Ports[0].Profile != api.QuarantineProfile {
		t.Errorf("carried out: %+v", r.batches)
	}
}

// An approval is of what was shown: it does not outlive a pause.
func TestSwitchApprovalIsWithdrawn(t *testing.T) {
	r := newRack(t)
	r.update(t, time.Minute, api.UpdateMode, api.ModeInput{Mode: api.ModeApprove}, false)
	r.ask(time.Hour, "r1", "s1", api.TenantProfile)
	r.env.RegisterDelayedCallback(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.away = errors.New("switch sw1 is unreachable")
	}, 90*time.Minute)
	r.update(t, 2*time.Hour, api.UpdateApprove, api.ApproveInput{}, false)
	r.update(t, 3*time.Hour, api.UpdateMode, api.ModeInput{Mode: api.ModePaused}, false)
	r.env.RegisterDelayedCallback(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.away = nil
		r.batches = nil
	}, 4*time.Hour)
	r.update(t, 5*time.Hour, api.UpdateMode, api.ModeInput{Mode: api.ModeApprove}, false)
	r.run(t, 6*time.Hour, sw1)
	r.told(t, "r1", 0, "")
	for _, batch := range r.batches {
		if !batch.DryRun {
			t.Errorf("carried out without approval: %+v", batch)
		}
	}
}

func TestSwitchPaused(t *testing.T) {
	r := newRack(t)
	r.update(t, time.Minute, api.UpdateMode, api.ModeInput{Mode: api.ModePaused, Reason: "window 17"}, false)
	r.update(t, time.Minute, api.UpdateMode, api.ModeInput{Mode: "no such"}, true)
	r.ask(time.Hour, "r1", "s1", api.TenantProfile)
	r.ask(2*time.Hour, "r2", "s1", api.QuarantineProfile) // takes the first one's place
	r.ask(2*time.Hour, "r3", "s3", api.TenantProfile)
	r.env.RegisterDelayedCallback(func() {
		if s := r.state(t); len(r.batches) > 0 || len(s.Queue) != 2 || s.Queue[0].Request != "r2" || s.Reason != "window 17" {
			t.Errorf("while paused: %d transactions, %+v", len(r.batches), s)
		}
		if details := r.details(t); !strings.Contains(details, "window 17") || !strings.Contains(details, "s3") {
			t.Errorf("while paused, the Web UI shows %s", details)
		}
	}, 3*time.Hour)
	r.update(t, 4*time.Hour, api.UpdateMode, api.ModeInput{Mode: api.ModeApply}, false)
	r.run(t, 5*time.Hour, sw1)
	r.told(t, "r1", 1, "took this one's place")
	r.told(t, "r2", 1, "")
	r.told(t, "r3", 1, "")
	if len(r.batches) != 1 || r.batches[0].Ports[0].Profile != api.QuarantineProfile {
		t.Errorf("carried out: %+v", r.batches)
	}
}

func TestSwitchApproved(t *testing.T) {
	r := newRack(t)
	r.update(t, time.Minute, api.UpdateApprove, api.ApproveInput{}, true) // nothing to approve
	r.update(t, time.Minute, api.UpdateMode, api.ModeInput{Mode: api.ModeApprove}, false)
	for _, n := range []string{"1", "2", "3"} {
		r.ask(time.Hour, "r"+n, "s"+n, api.TenantProfile)
	}
	r.env.RegisterDelayedCallback(func() {
		for _, b := range r.batches {
			if !b.DryRun {
				t.Errorf("before the approval: %+v", b)
			}
		}
		for _, q := range r.state(t).Queue {
			if q.Preview == nil || !slices.Equal(q.Preview.Lines, []string{"+ tenant"}) {
				t.Errorf("not shown: %+v", q)
			}
		}
		if details := r.details(t); !strings.Contains(details, "`r1` would change on ") || !strings.Contains(details, "\n+ tenant\n") {
			t.Errorf("the Web UI shows %s", details)
		}
	}, 2*time.Hour)
	r.update(t, 3*time.Hour, api.UpdateApprove, api.ApproveInput{Requests: []string{"r9"}}, true)
	r.update(t, 3*time.Hour, api.UpdateApprove, api.ApproveInput{Requests: []string{"r1"}}, false)
	r.update(t, 4*time.Hour, api.UpdateReject, api.ApproveInput{Requests: []string{"r2"}, Reason: "not today"}, false)
	r.env.RegisterDelayedCallback(func() {
		r.told(t, "r1", 1, "")
		r.told(t, "r2", 1, "not today")
		if kind := r.answers["r2"][0].ErrorType; kind != api.ErrorRejected {
			t.Errorf("r2 was rejected with the type %q", kind)
		}
		r.told(t, "r3", 0, "")
	}, 5*time.Hour)
	r.update(t, 6*time.Hour, api.UpdateApprove, api.ApproveInput{}, false)
	r.run(t, 7*time.Hour, sw1)
	r.told(t, "r3", 1, "")
}

// A change is carried out as it was approved; what would change something else by then is shown again.
func TestSwitchApprovesWhatWasShown(t *testing.T) {
	r := newRack(t)
	r.update(t, time.Minute, api.UpdateMode, api.ModeInput{Mode: api.ModeApprove}, false)
	r.ask(time.Hour, "r1", "outdated", api.TenantProfile)
	r.ask(time.Hour, "r2", "s2", api.TenantProfile)
	r.update(t, 2*time.Hour, api.UpdateApprove, api.ApproveInput{}, false)
	r.env.RegisterDelayedCallback(func() {
		if s := r.state(t); len(s.Queue) != 1 || s.Queue[0].Request != "r1" || s.Queue[0].Approved || s.Queue[0].Preview == nil {
			t.Errorf("waits: %+v", s.Queue)
		}
	}, 3*time.Hour)
	r.run(t, 4*time.Hour, sw1)
	r.told(t, "r1", 0, "")
	r.told(t, "r2", 1, "")
	for _, batch := range r.batches {
		if !batch.DryRun && (len(batch.Approved) != len(batch.Ports) || !slices.Equal(batch.Approved[0].Lines, []string{"+ tenant"})) {
			t.Errorf("carried out: %+v", batch)
		}
	}
}

// Nobody is asked to approve what changes nothing.
func TestSwitchApprovesNothing(t *testing.T) {
	r := newRack(t)
	r.update(t, time.Minute, api.UpdateMode, api.ModeInput{Mode: api.ModeApprove}, false)
	r.ask(time.Hour, "r1", "same", api.TenantProfile)
	r.ask(time.Hour, "r2", "s2", api.TenantProfile)
	r.run(t, 2*time.Hour, sw1)
	r.told(t, "r1", 1, "")
	r.told(t, "r2", 0, "")
}

// Who wants to reject what has ended, or is under way, hears what became of it.
func TestSwitchRejectsTooLate(t *testing.T) {
	r := newRack(t)
	r.ask(time.Hour, "r1", "s1", api.TenantProfile)
	r.ask(time.Hour, "r2", "bad", api.TenantProfile)
	refusals := map[string]string{}
	r.env.RegisterDelayedCallback(func() {
		for _, request := range []string{"r1", "r2", "r3"} {
			r.env.UpdateWorkflow(api.UpdateReject, "late "+request, &testsuite.TestUpdateCallback{
				OnAccept:   func() { t.Errorf("%s was rejected", request) },
				OnReject:   func(err error) { refusals[request] = err.Error() },
				OnComplete: func(any, error) {},
			}, api.ApproveInput{Requests: []string{request}})
		}
	}, 2*time.Hour)
	r.run(t, 3*time.Hour, sw1)
	for request, want := range map[string]string{"r1": "was carried out at", "r2": "has ended: switch refused it", "r3": "no change"} {
		if !strings.Contains(refusals[request], want) {
			t.Errorf("%s: %q, want %q", request, refusals[request], want)
		}
	}
}

func TestSwitchDryRun(t *testing.T) {
	r := newRack(t)
	r.update(t, time.Minute, api.UpdateMode, api.ModeInput{Mode: api.ModeDryRun}, false)
	r.ask(time.Hour, "r1", "s1", api.TenantProfile)
	r.update(t, 2*time.Hour, api.UpdateApprove, api.ApproveInput{}, true)
	r.run(t, 3*time.Hour, sw1)
	r.told(t, "r1", 0, "")
	if len(r.batches) != 1 || !r.batches[0].DryRun {
		t.Errorf("carried out: %+v", r.batches)
	}
}

// What waits when the workflow continues as new goes with it, and is answered there.
func TestSwitchContinuesAsNew(t *testing.T) {
	r := newRack(t)
	r.update(t, time.Minute, api.UpdateMode, api.ModeInput{Mode: api.ModePaused}, false)
	r.ask(time.Hour, "r1", "s1", api.TenantProfile)
	r.ask(90*time.Minute, "r2", "s2", api.TenantProfile)
	r.env.RegisterDelayedCallback(func() { r.env.SetContinueAsNewSuggested(true) }, 2*time.Hour)
	r.run(t, 3*time.Hour, sw1)
	var again *workflow.ContinueAsNewError
	if !errors.As(r.env.GetWorkflowError(), &again) {
		t.Fatalf("it did not continue as new: %v", r.env.GetWorkflowError())
	}
	var input api.SwitchInput
	if err := converter.GetDefaultDataConverter().FromPayloads(again.Input, &input); err != nil {
		t.Fatal(err)
	}
	if len(input.State.Queue) != 2 || input.State.Mode != api.ModePaused {
		t.Fatalf("it continues with %+v", input)
	}
	next := newRack(t)
	next.update(t, time.Minute, api.UpdateMode, api.ModeInput{Mode: api.ModeApply}, false)
	next.run(t, time.Hour, input)
	next.told(t, "r1", 1, "")
	next.told(t, "r2", 1, "")
}

// An audit runs between transactions; what it finds is healed where the operator wants
// that, and told to whoever asked. A paused switch is looked at, and healed later.
func TestSwitchAudits(t *testing.T) {
	r := newRack(t)
	found := api.AuditReport{Switch: "sw1", Ports: 2, Drift: []api.Drift{
		{Port: "swp1", Server: "s1", Lines: []string{"- shutdown"}, Heal: &api.ConfigurePortInput{Server: "s1", Profile: api.TenantProfile}},
		{Port: "swp2", Server: "s2", Lines: []string{"+ mtu 9000"}},
	}}
	r.env.RegisterActivityWithOptions(func(context.Context, api.AuditSwitchInput) (api.AuditReport, error) { return found, nil },
		activity.RegisterOptions{Name: string(api.AuditSwitch)})
	var told []api.AuditReport
	r.env.OnSignalExternalWorkflow(mock.Anything, "audit", mock.Anything, api.SignalAudited, mock.Anything).Return(
		func(_, _, _, _ string, argument any) error {
			told = append(told, argument.(api.AuditReport))
			return nil
		})
	audit := func(after time.Duration) {
		r.env.RegisterDelayedCallback(func() { r.env.SignalWorkflow(api.SignalAudit, api.Caller{Workflow: "audit"}) }, after)
	}
	audit(time.Hour)
	r.update(t, 2*time.Hour, api.UpdateMode, api.ModeInput{Mode: api.ModePaused}, false)
	audit(3 * time.Hour)
	r.env.RegisterDelayedCallback(func() {
		if s := r.state(t); len(s.Queue) != 1 || s.Queue[0].Server != "s1" {
			t.Errorf("waits: %+v", s.Queue)
		}
	}, 3*time.Hour+time.Minute)
	r.run(t, 4*time.Hour, sw1)
	if len(told) != 2 || len(told[0].Drift) != 2 || len(told[1].Drift) != 2 {
		t.Errorf("told: %+v", told)
	}
	if len(r.batches) != 1 || len(r.batches[0].Ports) != 1 || r.batches[0].Ports[0].Server != "s1" {
		t.Errorf("healed: %+v", r.batches)
	}
}

func TestAudit(t *testing.T) {
	r := newRack(t)
	asked := 0
	r.env.RegisterActivityWithOptions(func(context.Context, api.AuditInput) ([]api.SwitchRef, error) {
		return []api.SwitchRef{{Switch: "sw1"}, {Switch: "sw2"}, {Switch: "sw3"}}, nil
	}, activity.RegisterOptions{Name: string(api.ListSwitches)})
	r.env.RegisterActivityWithOptions(func(context.Context, api.RequestAuditInput) (api.None, error) {
		asked++
		return api.None{}, nil
	}, activity.RegisterOptions{Name: string(api.RequestAudit)})
	for i, name := range []string{"sw3", "sw1"} {
		r.env.RegisterDelayedCallback(func() { r.env.SignalWorkflow(api.SignalAudited, api.AuditReport{Switch: name, Ports: 48}) }, time.Duration(i+1)*time.Minute)
	}
	r.env.ExecuteWorkflow(api.WorkflowAudit, api.AuditInput{})
	var result api.AuditResult
	if err := r.env.GetWorkflowResult(&result); err != nil {
		t.Fatal(err)
	}
	if asked != 3 || len(result.Reports) != 3 || result.Reports[0].Ports != 48 || !strings.Contains(result.Reports[1].Problem, "did not answer") || result.Reports[2].Ports != 48 {
		t.Errorf("asked %d: %+v", asked, result)
	}
}

// What is asked for one of a server's uplinks does not take the place of what is asked for
// another.
func TestSwitchTellsUplinksApart(t *testing.T) {
	r := newRack(t)
	r.update(t, time.Second, api.UpdateMode, api.ModeInput{Mode: api.ModePaused}, false)
	r.env.RegisterDelayedCallback(func() {
		for n, request := range []string{"r1", "r2"} {
			r.env.SignalWorkflow(api.SignalSetPort, api.PortRequest{
				Request: request, Caller: api.Caller{Workflow: "instance/o-1"},
				ConfigurePortInput: api.ConfigurePortInput{Server: "s1", Uplink: n, Profile: api.TenantProfile},
			})
		}
	}, time.Minute)
	r.update(t, time.Hour, api.UpdateMode, api.ModeInput{Mode: api.ModeApply}, false)
	r.run(t, 2*time.Hour, sw1)
	r.told(t, "r1", 1, "")
	r.told(t, "r2", 1, "")
}

// Making a port again what it was asked to be takes no order's place, and waits behind none.
func TestSwitchLeavesPortsToOrders(t *testing.T) {
	r := newRack(t)
	r.update(t, time.Second, api.UpdateMode, api.ModeInput{Mode: api.ModePaused}, false)
	r.ask(time.Minute, "order", "s1", api.QuarantineProfile)
	for request, server := range map[string]string{"by hand 1": "s1", "by hand 2": "s2"} {
		r.env.RegisterDelayedCallback(func() {
			r.env.SignalWorkflow(api.SignalSetPort, api.PortRequest{
				Request: request, Caller: api.Caller{Workflow: "by hand"},
				ConfigurePortInput: api.ConfigurePortInput{Server: server, Profile: api.TenantProfile, Again: true},
			})
		}, 2*time.Minute)
	}
	r.ask(3*time.Minute, "later", "s2", api.QuarantineProfile)
	r.update(t, time.Hour, api.UpdateMode, api.ModeInput{Mode: api.ModeApply}, false)
	r.run(t, 2*time.Hour, sw1)
	r.told(t, "order", 1, "")
	r.told(t, "by hand 1", 1, "takes this one's place")
	r.told(t, "by hand 2", 1, "took this one's place")
	r.told(t, "later", 1, "")
}
