package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

const (
	// switchBatch bounds a transaction, and with it how long its callers wait at least.
	switchBatch = 128
	// switchMemory is how many answers are kept for callers who ask again.
	switchMemory = switchBatch
	// doneLines are kept of each.
	doneLines = 20
	// mostShown are the changes whose lines the Web UI shows; starter shows those of all.
	mostShown = 10
	// switchAttempts is how often a switch that is away is tried, before what waits for it is
	// looked at again: some of it may be of no interest any more, and an operator may have
	// paused the switch, or rejected a change. switchPause is between such times,
	// switchPatience how long one takes at most, and workerPatience how long a worker near the
	// switch is waited for.
	switchAttempts = 3
	switchPause    = 15 * time.Second
	switchPatience = 10 * time.Minute
	workerPatience = time.Minute
	// auditPatience is how long a comparison waits for a switch that is away.
	auditPatience = 2 * time.Minute
)

// switchWriter is the only writer of a switch: changes that arrive while it works are
// carried out together.
type switchWriter struct {
	state    api.SwitchState
	shown    string // the search attributes, as they were last set
	recalled bool   // it is known which mode an operator wants
	// telling counts the answers that Temporal has not taken over yet: what a run that has
	// ended was about to send is lost.
	telling int
}

// Switch carries out the changes of one switch's ports, as long as there is a switch. What
// it has queued it takes with it when it continues as new.
//
// Changes come as signals, and are answered by signals: Temporal lets a workflow have few
// updates under way at a time (ten, where nobody has raised it), and a rack has more ports.
func Switch(ctx workflow.Context, input api.SwitchInput) error {
	w := &switchWriter{state: input.State}
	fresh := w.state.Switch == ""
	if fresh {
		w.state = api.SwitchState{SwitchRef: input.SwitchRef, Mode: api.ModeApply, Since: workflow.Now(ctx)}
	}
	if err := w.answer(ctx); err != nil {
		return err
	}
	requests := workflow.GetSignalChannel(ctx, api.SignalSetPort)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var request api.PortRequest
			requests.Receive(ctx, &request)
			w.enqueue(ctx, request)
			w.show(ctx)
		}
	})
	audits := workflow.GetSignalChannel(ctx, api.SignalAudit)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var request api.AuditRequest
			audits.Receive(ctx, &request)
			w.enqueueAudit(request)
			w.tellAway(ctx)
		}
	})
	if fresh {
		if err := w.recall(ctx); err != nil {
			return err
		}
	}
	w.recalled = true
	for {
		w.publish(ctx)
		// Those that arrive together are in one workflow task: all of them are queued first.
		err := workflow.Await(ctx, func() bool {
			return len(w.unseen())+len(w.ready())+len(w.state.Audits) > 0 || workflow.GetInfo(ctx).GetContinueAsNewSuggested()
		})
		if err != nil {
			return err
		}
		switch {
		case workflow.GetInfo(ctx).GetContinueAsNewSuggested():
			return w.move(ctx, requests, audits)
		case len(w.unseen()) > 0:
			err = w.preview(ctx)
		case len(w.ready()) > 0:
			err = w.carryOut(ctx)
		default:
			err = w.audit(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func (w *switchWriter) answer(ctx workflow.Context) error {
	if err := workflow.SetQueryHandler(ctx, api.QueryState, func() (api.SwitchState, error) { return w.state, nil }); err != nil {
		return err
	}
	for _, update := range []struct {
		name, description string
		handler           any
		validator         any
	}{
		{api.UpdateMode, "apply, approve, dry-run or paused.", w.setMode, w.maySetMode},
		{api.UpdateApprove, "Let changes through that wait for approval.", w.approve, w.mayApprove},
		{api.UpdateReject, "Refuse changes that wait.", w.reject, w.mayReject},
	} {
		options := workflow.UpdateHandlerOptions{Validator: update.validator, Description: update.description}
		if err := workflow.SetUpdateHandlerWithOptions(ctx, update.name, update.handler, options); err != nil {
			return err
		}
	}
	return nil
}

// recall takes over the mode that an operator has set, where somebody has ended an earlier run.
func (w *switchWriter) recall(ctx workflow.Context) error {
	if workflow.GetVersion(ctx, "recall mode", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return nil
	}
	kept, err := call(inventoryWork(ctx, "which mode it is in", 0), api.RecallSwitchMode, w.state.SwitchRef)
	if err == nil && kept.Mode != "" {
		w.state.Mode, w.state.Reason, w.state.Since = kept.Mode, kept.Reason, kept.Since
	}
	return err
}

// enqueue queues a change, once.
func (w *switchWriter) enqueue(ctx workflow.Context, request api.PortRequest) {
	w.isAt(request.SwitchSite)
	if done := slices.IndexFunc(w.state.Done, func(d api.DonePort) bool { return d.Request == request.Request }); done >= 0 {
		w.tell(ctx, request, w.state.Done[done].Result) // the answer was lost, or the caller impatient
		return
	}
	if i := w.find(request.Request); i >= 0 {
		w.state.Queue[i].Caller = request.Caller // who has been reset asks as another run
		return
	}
	queued := api.QueuedPort{PortRequest: request, Since: workflow.Now(ctx)}
	if request.Again && slices.ContainsFunc(w.state.Queue, request.SameCable) {
		w.done(ctx, queued, api.PortResult{Error: "a change of the port waits or is under way, and takes this one's place", ErrorType: api.ErrorAborted})
		return
	}
	// What the uplink's port was to be before is of no interest any more.
	for i, q := range w.state.Queue {
		if request.SameCable(q) && !q.Applying {
			w.state.Queue[i] = queued
			w.done(ctx, q, superseded)
			return
		}
	}
	w.state.Queue = append(w.state.Queue, queued)
}

func (w *switchWriter) enqueueAudit(request api.AuditRequest) {
	w.isAt(request.SwitchSite)
	w.state.Audits = append(w.state.Audits, request.Caller)
}

// isAt notes the site whose workers reach the switch: it may have been declared anew.
func (w *switchWriter) isAt(site string) { w.state.Site = cmp.Or(site, w.state.Site) }

func (w *switchWriter) maySetMode(in api.ModeInput) error {
	if !slices.Contains([]api.SwitchMode{api.ModeApply, api.ModeApprove, api.ModeDryRun, api.ModePaused}, in.Mode) {
		return fmt.Errorf("%q is none of the modes apply, approve, dry-run, paused", in.Mode)
	}
	return nil
}

func (w *switchWriter) setMode(ctx workflow.Context, in api.ModeInput) (api.SwitchState, error) {
	if err := workflow.Await(ctx, func() bool { return w.recalled }); err != nil {
		return w.state, err
	}
	w.state.Mode, w.state.Reason, w.state.Since = in.Mode, in.Reason, workflow.Now(ctx)
	approved := slices.ContainsFunc(w.state.Queue, func(q api.QueuedPort) bool { return q.Approved })
	withdraws := approved && workflow.GetVersion(ctx, "withdraw approvals", workflow.DefaultVersion, 1) == 1
	for i := range w.state.Queue {
		w.state.Queue[i].Preview = nil // the switch may have changed meanwhile
		w.state.Queue[i].Approved = w.state.Queue[i].Approved && !withdraws
	}
	w.publish(ctx)
	if workflow.GetVersion(ctx, "keep mode", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return w.state, nil
	}
	kept := api.SwitchModeInput{Switch: w.state.Switch, KeptMode: api.KeptMode{ModeInput: in, Since: w.state.Since}}
	return w.state, do(inventoryWork(ctx, fmt.Sprintf("mode %s", in.Mode), 0), api.KeepSwitchMode, kept)
}

func (w *switchWriter) mayApprove(in api.ApproveInput) error {
	if w.state.Mode != api.ModeApprove {
		return fmt.Errorf("switch %s is in mode %q: there is something to approve only while it asks: starter switch ask %[1]s", w.state.Switch, w.state.Mode)
	}
	return w.mayReject(in)
}

func (w *switchWriter) mayReject(in api.ApproveInput) error {
	for _, request := range in.Requests {
		done := slices.IndexFunc(w.state.Done, func(d api.DonePort) bool { return d.Request == request })
		switch i := w.find(request); {
		case i >= 0 && w.state.Queue[i].Applying:
			return fmt.Errorf("change %q of switch %s is under way already", request, w.state.Switch)
		case i < 0 && done >= 0 && w.state.Done[done].Result.Error == "":
			return fmt.Errorf("change %q of switch %s was carried out at %s", request, w.state.Switch, w.state.Done[done].At.UTC().Format(time.RFC3339))
		case i < 0 && done >= 0:
			return fmt.Errorf("change %q of switch %s has ended: %s", request, w.state.Switch, w.state.Done[done].Result.Error)
		case i < 0:
			return fmt.Errorf("no change %q waits at switch %s", request, w.state.Switch)
		}
	}
	return nil
}

func (w *switchWriter) approve(ctx workflow.Context, in api.ApproveInput) (api.SwitchState, error) {
	for i, q := range w.state.Queue {
		if in.Names(q) && q.Preview != nil {
			w.state.Queue[i].Approved = true
		}
	}
	w.publish(ctx)
	return w.state, nil
}

func (w *switchWriter) reject(ctx workflow.Context, in api.ApproveInput) (api.SwitchState, error) {
	w.finish(ctx, func(q api.QueuedPort) bool { return in.Names(q) && !q.Applying }, api.PortResult{
		Error: strings.TrimSuffix("the change was rejected by an operator: "+in.Reason, ": "), ErrorType: api.ErrorRejected,
	})
	w.publish(ctx)
	return w.state, nil
}

// find is the place of a request in the queue; negative: it is not there.
func (w *switchWriter) find(request string) int {
	return slices.IndexFunc(w.state.Queue, func(q api.QueuedPort) bool { return q.Request == request })
}

// unseen are the changes that have to be shown before they may be carried out.
func (w *switchWriter) unseen() []int {
	if w.state.Mode != api.ModeApprove && w.state.Mode != api.ModeDryRun {
		return nil
	}
	return w.queued(func(q api.QueuedPort) bool { return q.Preview == nil })
}

// ready are the changes that may be carried out now.
func (w *switchWriter) ready() []int {
	return w.queued(func(q api.QueuedPort) bool {
		return w.state.Mode == api.ModeApply || w.state.Mode == api.ModeApprove && q.Approved
	})
}

func (w *switchWriter) queued(which func(api.QueuedPort) bool) []int {
	var places []int
	for i, q := range w.state.Queue {
		if which(q) && len(places) < switchBatch {
			places = append(places, i)
		}
	}
	return places
}

// switchWork tries a switch that is away so often.
func (w *switchWriter) switchWork(ctx workflow.Context, summary string, attempts int32) workflow.Context {
	ctx = options(ctx, summary, workflow.ActivityOptions{
		TaskQueue:              api.SiteQueue(api.RoleSwitch, w.state.Site),
		ScheduleToStartTimeout: workerPatience,
		ScheduleToCloseTimeout: switchPatience,
		HeartbeatTimeout:       silence,
	})
	retries := *workflow.GetActivityOptions(ctx).RetryPolicy
	retries.MaximumAttempts = attempts
	return workflow.WithRetryPolicy(ctx, retries)
}

// work has the switch do, or show, the changes at some places of the queue. The results
// are nil where the switch is away.
func (w *switchWriter) work(ctx workflow.Context, places []int, dryRun bool) ([]api.PortResult, error) {
	in := api.ConfigurePortsInput{Switch: w.state.Switch, DryRun: dryRun}
	var changes []string
	for _, i := range places {
		in.Ports = append(in.Ports, w.state.Queue[i].ConfigurePortInput)
		changes = append(changes, fmt.Sprintf("%s: %s", w.state.Queue[i].Cable(), w.state.Queue[i].Profile))
		if preview := w.state.Queue[i].Preview; preview != nil && w.state.Mode == api.ModeApprove && !dryRun {
			in.Approved = append(in.Approved, preview.PortChange)
		}
	}
	summary := strings.Join(changes, ", ")
	if n := len(changes); n > 3 {
		summary = fmt.Sprintf("%s and %d more", strings.Join(changes[:3], ", "), n-3)
	}
	if dryRun {
		summary = "show " + summary
	}
	results, err := call(w.switchWork(ctx, summary, switchAttempts), api.ConfigurePorts, in)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case typeOf(err) == api.ErrorHeld:
		return nil, nil
	case err != nil && typeOf(err) != "": // nothing that waiting mends: everybody's
		w.state.Trouble = explain(err)
		results = slices.Repeat([]api.PortResult{{Error: explain(err), ErrorType: typeOf(err)}}, len(places))
	case err != nil:
		w.state.Trouble = explain(err)
		return nil, nil
	default:
		w.state.Trouble = ""
	}
	return results, nil
}

// pause lets a switch that is away rest, while operators decide on what waits for it.
func (w *switchWriter) pause(ctx workflow.Context) error {
	w.tellAway(ctx)
	w.publish(ctx)
	return workflow.Sleep(ctx, switchPause)
}

// tellAway tells those who want a switch compared that it is away, while what waits for it is tried
// again and again.
func (w *switchWriter) tellAway(ctx workflow.Context) {
	tried := len(w.ready())+len(w.unseen()) > 0 || slices.ContainsFunc(w.state.Queue, func(q api.QueuedPort) bool { return q.Applying })
	if len(w.state.Audits) == 0 || w.state.Trouble == "" || !tried ||
		workflow.GetVersion(ctx, "tell away", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return
	}
	callers := w.state.Audits
	w.state.Audits = nil
	w.tellAudited(ctx, callers, api.AuditReport{Switch: w.state.Switch, Problem: w.state.Trouble})
}

// preview finds out what would be changed.
func (w *switchWriter) preview(ctx workflow.Context) error {
	w.supersede(ctx)
	places := w.unseen()
	if len(places) == 0 {
		return nil
	}
	requests := w.requests(places)
	results, err := w.work(ctx, places, true)
	if err == nil && results == nil {
		return w.pause(ctx)
	}
	for n := range results {
		if i := w.find(requests[n]); i >= 0 { // not superseded meanwhile
			w.state.Queue[i].Preview = &results[n]
			// What changes nothing needs nobody's approval.
			if w.state.Mode == api.ModeApprove && !results[n].Changed && results[n].Error == "" {
				w.state.Queue[i].Approved = workflow.GetVersion(ctx, "approve nothing", workflow.DefaultVersion, 1) == 1
			}
		}
	}
	return err
}

// carryOut makes one transaction of what may be carried out, and answers its callers.
func (w *switchWriter) carryOut(ctx workflow.Context) error {
	w.supersede(ctx)
	places := w.ready()
	if len(places) == 0 {
		return nil
	}
	requests := w.requests(places)
	w.apply(requests, true)
	w.publish(ctx)
	results, err := w.work(ctx, places, false)
	w.apply(requests, false)
	if err == nil && results == nil {
		return w.pause(ctx)
	}
	for n := range results {
		if i := w.find(requests[n]); i >= 0 && results[n].ErrorType == api.ErrorOutdated {
			w.state.Queue[i].Preview, w.state.Queue[i].Approved = nil, false // it is shown again
			continue
		}
		w.finish(ctx, func(q api.QueuedPort) bool { return q.Request == requests[n] }, results[n])
	}
	if err == nil {
		w.state.Transactions++
		w.state.Changes += len(results)
	}
	return err
}

// supersede answers the changes of which there is a later one for the same cable: it came while
// they were under way, at a switch that was away then.
func (w *switchWriter) supersede(ctx workflow.Context) {
	early := map[string]bool{}
	for i, q := range w.state.Queue {
		early[q.Request] = slices.ContainsFunc(w.state.Queue[i+1:], q.SameCable)
	}
	twice := func(q api.QueuedPort) bool { return early[q.Request] }
	if !slices.ContainsFunc(w.state.Queue, twice) || workflow.GetVersion(ctx, "supersede", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return
	}
	w.finish(ctx, twice, superseded)
}

// superseded is what is told of a change that is of no interest any more.
var superseded = api.PortResult{Error: "a later change of the port took this one's place", ErrorType: api.ErrorAborted}

func (w *switchWriter) requests(places []int) []string {
	var requests []string
	for _, i := range places {
		requests = append(requests, w.state.Queue[i].Request)
	}
	return requests
}

// apply notes of changes whether they are under way.
func (w *switchWriter) apply(requests []string, underWay bool) {
	for i, q := range w.state.Queue {
		if slices.Contains(requests, q.Request) {
			w.state.Queue[i].Applying = underWay
		}
	}
}

// audit compares the switch with what was asked for, and heals what the operator wants
// healed, which waits while the switch is paused. It runs between transactions, when nothing
// that is under way looks like drift.
func (w *switchWriter) audit(ctx workflow.Context) error {
	callers := w.state.Audits
	w.state.Audits = nil
	report := api.AuditReport{Switch: w.state.Switch, Problem: "the switch is paused by an operator"}
	// Once a paused switch was not looked at either.
	if w.state.Mode != api.ModePaused || workflow.GetVersion(ctx, "audit while paused", workflow.DefaultVersion, 1) == 1 {
		attempts := int32(switchAttempts)
		if w.state.Trouble != "" { // it is known to be away: whether it is back is soon seen
			attempts = 1
		}
		auditCtx := workflow.WithScheduleToCloseTimeout(w.switchWork(ctx, "compare with what was asked for", attempts), auditPatience)
		var err error
		report, err = call(auditCtx, api.AuditSwitch, api.AuditSwitchInput{Switch: w.state.Switch})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.state.Trouble = ""
		if err != nil {
			report = api.AuditReport{Switch: w.state.Switch, Problem: explain(err)}
			w.state.Trouble = report.Problem
		}
		w.count(ctx, api.MetricDrift, float64(len(report.Drift)))
	}
	for _, drift := range report.Drift {
		if drift.Heal != nil {
			drift.Heal.Again = workflow.GetVersion(ctx, "heal again", workflow.DefaultVersion, 1) == 1
			w.enqueue(ctx, api.PortRequest{
				Request:            fmt.Sprintf("heal/%s/%s", drift.Port, workflow.Now(ctx).UTC().Format(time.RFC3339Nano)),
				Port:               drift.Port,
				ConfigurePortInput: *drift.Heal,
			})
		}
	}
	w.tellAudited(ctx, callers, report)
	return nil
}

func (w *switchWriter) tellAudited(ctx workflow.Context, callers []api.Caller, report api.AuditReport) {
	w.state.Audit, w.state.Audited = &report, workflow.Now(ctx)
	for _, caller := range callers {
		w.signal(ctx, caller, api.SignalAudited, report)
	}
}

// finish takes changes out of the queue, with an answer.
func (w *switchWriter) finish(ctx workflow.Context, which func(api.QueuedPort) bool, result api.PortResult) {
	w.state.Queue = slices.DeleteFunc(w.state.Queue, func(q api.QueuedPort) bool {
		if which(q) {
			w.done(ctx, q, result)
			return true
		}
		return false
	})
}

func (w *switchWriter) done(ctx workflow.Context, q api.QueuedPort, result api.PortResult) {
	now := workflow.Now(ctx)
	w.tell(ctx, q.PortRequest, result)
	result.PortChange = result.Shortened(doneLines)
	w.state.Done = append(w.state.Done, api.DonePort{
		Request: q.Request, Server: q.Server, Profile: q.Profile, Result: result, At: now, Waited: now.Sub(q.Since),
	})
	if extra := len(w.state.Done) - switchMemory; extra > 0 {
		w.state.Done = slices.Delete(w.state.Done, 0, extra)
	}
}

// tell answers a caller. One that has ended needs no answer; nor does healing.
func (w *switchWriter) tell(ctx workflow.Context, request api.PortRequest, result api.PortResult) {
	if request.Caller.Workflow == "" {
		return
	}
	w.signal(ctx, request.Caller, api.SignalPort, api.PortAnswer{Request: request.Request, Result: result})
}

// signal answers a caller, of whom it does not matter whether he is still there.
func (w *switchWriter) signal(ctx workflow.Context, caller api.Caller, name string, answer any) {
	sent := workflow.SignalExternalWorkflow(ctx, caller.Workflow, caller.Run, name, answer)
	w.telling++
	workflow.Go(ctx, func(ctx workflow.Context) {
		_ = sent.Get(ctx, nil)
		w.telling--
	})
}

// move continues as new, with all that has arrived.
func (w *switchWriter) move(ctx workflow.Context, requests, audits workflow.ReceiveChannel) error {
	// A signal of this very task may have been handed to its receiver, which has not run yet:
	// it does when this coroutine has waited once.
	waited := false
	settled := func() bool {
		ready := waited && workflow.AllHandlersFinished(ctx) && w.telling == 0
		waited = true
		return ready
	}
	var request api.PortRequest
	for {
		if err := workflow.Await(ctx, settled); err != nil {
			return err
		}
		for requests.ReceiveAsync(&request) {
			w.enqueue(ctx, request) // which may answer
		}
		if w.telling == 0 {
			break
		}
	}
	var audit api.AuditRequest
	for audits.ReceiveAsync(&audit) {
		w.enqueueAudit(audit)
	}
	return workflow.NewContinueAsNewError(ctx, api.WorkflowSwitch, api.SwitchInput{SwitchRef: w.state.SwitchRef, State: w.state})
}

// show shows the queue in the Web UI, and counts what waits.
func (w *switchWriter) show(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, switchDetails(w.state))
	away := 0.
	if w.state.Trouble != "" {
		away = 1
	}
	w.count(ctx, api.MetricWaiting, float64(w.state.Waiting()))
	w.count(ctx, api.MetricAway, away)
}

// count sets a metric of the switch.
func (w *switchWriter) count(ctx workflow.Context, metric string, value float64) {
	labels := map[string]string{"switch": w.state.Switch, "site": w.state.Site}
	workflow.GetMetricsHandler(ctx).WithTags(labels).Gauge(metric).Update(value)
}

// publish shows the queue, and has the workflow found by how it stands.
func (w *switchWriter) publish(ctx workflow.Context) {
	w.show(ctx)
	waits := w.state.Mode == api.ModeApprove && len(w.ready()) < len(w.state.Queue)
	shown := fmt.Sprint(w.state.Mode, w.state.Site, waits)
	if shown == w.shown {
		return // each setting is an event
	}
	w.shown = shown
	err := workflow.UpsertTypedSearchAttributes(ctx,
		temporal.NewSearchAttributeKeyKeyword(api.SearchStage).ValueSet(string(w.state.Mode)),
		temporal.NewSearchAttributeKeyKeyword(api.SearchSite).ValueSet(w.state.Site),
		temporal.NewSearchAttributeKeyBool(api.SearchNeedsAttention).ValueSet(waits),
	)
	if err != nil {
		workflow.GetLogger(ctx).Error("search attributes", "error", err)
	}
}

// switchDetails is what an operator sees at a glance, as Markdown.
func switchDetails(s api.SwitchState) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s: %s\n\n", s.Switch, s.Standing())
	if s.Reason != "" {
		fmt.Fprintf(&b, "`%s`\n\n", strings.ReplaceAll(s.Reason, "`", "'"))
	}
	if s.Mode == api.ModeApprove && slices.ContainsFunc(s.Queue, func(q api.QueuedPort) bool { return q.Preview != nil && !q.Approved }) {
		fmt.Fprintf(&b, "**Changes wait for approval.** Send the update `%s`, or `%s`; or: `starter switch approve %s`\n\n", api.UpdateApprove, api.UpdateReject, s.Switch)
	}
	if s.Mode == api.ModePaused {
		fmt.Fprintf(&b, "What waits is carried out after `starter switch resume %s`, or the update `%s`.\n\n", s.Switch, api.UpdateMode)
	}
	if s.Trouble != "" {
		fmt.Fprintf(&b, "**In trouble, and tried again:** %s\n\n", s.Trouble)
	}
	fmt.Fprintf(&b, "%d ports changed in %d transactions.\n", s.Changes, s.Transactions)
	at := s.Audited.UTC().Format(time.RFC3339)
	if a := s.Audit; a != nil && a.Problem != "" {
		fmt.Fprintf(&b, "\nNot compared at %s: %s\n", at, a.Problem)
	} else if a != nil {
		fmt.Fprintf(&b, "\nWhen last compared with what was asked for, at %s, %d of %d ports differed.\n", at, len(a.Drift), a.Ports)
	}
	if len(s.Queue) > 0 {
		b.WriteString("\n| port | server | profile | for | state | waits since |\n| --- | --- | --- | --- | --- | --- |\n")
	}
	for _, q := range s.Queue {
		state := "waiting"
		switch {
		case q.Applying:
			state = "under way"
		case q.Approved:
			state = "approved"
		case q.Preview != nil:
			state = "shown"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", q.Port, q.Cable(), q.Profile, cmp.Or(q.Instance, q.Caller.Workflow), state, q.Since.UTC().Format(time.RFC3339))
	}
	shown := 0
	for _, q := range s.Queue {
		if q.Preview == nil || q.Approved || shown == mostShown {
			continue
		}
		shown++
		fmt.Fprintf(&b, "\n`%s` would change on %s:\n\n```diff\n%s\n```\n", q.Request, q.Port,
			cmp.Or(q.Preview.Error, strings.Join(q.Preview.Shortened(doneLines).Lines, "\n"), "nothing"))
	}
	for i, d := range slices.Backward(s.Done) {
		later := slices.ContainsFunc(s.Done[i+1:], func(l api.DonePort) bool { return l.Server == d.Server && l.Result.Error == "" })
		if d.Result.Error != "" && d.Result.ErrorType != api.ErrorAborted && !later {
			fmt.Fprintf(&b, "\nLast failure, %s, %s: %s\n", d.Server, d.At.UTC().Format(time.RFC3339), d.Result.Error)
			break
		}
	}
	return b.String()
}
