package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

const (
	// auditAnswers is how long an audit waits for the switches' workflows.
	auditAnswers = 15 * time.Minute
	// Of more switches than a few an audit's result has few lines for each port: all of them
	// are in the inventory.
	auditFew, auditLines = 4, 3
)

// Audit has every switch compared with what was asked for, each by its own workflow, and
// says what differs. A Temporal Schedule runs it.
func Audit(ctx workflow.Context, input api.AuditInput) (api.AuditResult, error) {
	switches, err := call(inventoryWork(ctx, "which switches there are", auditAnswers), api.ListSwitches, input)
	if err != nil {
		return api.AuditResult{}, err
	}
	self := workflow.GetInfo(ctx).WorkflowExecution
	for _, ref := range switches {
		err := do(inventoryWork(ctx, "ask "+api.SwitchID(ref.Switch), auditAnswers), api.RequestAudit, api.RequestAuditInput{SwitchRef: ref, Caller: api.Caller{Workflow: self.ID, Run: self.RunID}})
		if err != nil {
			return api.AuditResult{}, err
		}
	}
	var result api.AuditResult
	answers := workflow.GetSignalChannel(ctx, api.SignalAudited)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var report api.AuditReport
			answers.Receive(ctx, &report)
			if !reported(result, report.Switch) { // one that was asked twice answers twice
				if len(switches) > auditFew {
					report = report.Shortened(auditLines)
				}
				result.Reports = append(result.Reports, report)
			}
		}
	})
	patience := workflow.AwaitOptions{Timeout: auditAnswers, TimerOptions: workflow.TimerOptions{Summary: "wait for no switch any more"}}
	_, err = workflow.AwaitWithOptions(ctx, patience, func() bool { return len(result.Reports) == len(switches) })
	for _, ref := range switches {
		if !reported(result, ref.Switch) {
			result.Reports = append(result.Reports, api.AuditReport{Switch: ref.Switch, Problem: fmt.Sprintf("workflow %s did not answer within %s", api.SwitchID(ref.Switch), auditAnswers)})
		}
	}
	slices.SortFunc(result.Reports, func(a, b api.AuditReport) int { return cmp.Compare(a.Switch, b.Switch) })
	workflow.SetCurrentDetails(ctx, auditDetails(result))
	return result, err
}

func reported(result api.AuditResult, name string) bool {
	return slices.ContainsFunc(result.Reports, func(r api.AuditReport) bool { return r.Switch == name })
}

// auditDetails is what an operator sees at a glance, as Markdown.
func auditDetails(result api.AuditResult) string {
	var b strings.Builder
	b.WriteString("| switch | ports | differ | which | problem |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range result.Reports {
		var differ []string
		for _, drift := range r.Drift {
			differ = append(differ, drift.Port)
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %s | %s |\n", r.Switch, r.Ports, len(differ), strings.Join(differ, " "), r.Problem)
	}
	return b.String()
}
