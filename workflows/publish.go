package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"ferrodur/workflows/api"
)

// publish shows the state in Temporal's list (search attributes) and on the workflow's
// page (current details).
func (j *journey) publish(ctx workflow.Context) error {
	workflow.SetCurrentDetails(ctx, details(j.state))
	keyword := func(name, value string) temporal.SearchAttributeUpdate {
		return temporal.NewSearchAttributeKeyKeyword(name).ValueSet(value)
	}
	updates := []temporal.SearchAttributeUpdate{
		keyword(api.SearchStage, string(j.state.Stage)),
		temporal.NewSearchAttributeKeyBool(api.SearchNeedsAttention).ValueSet(j.state.Status == api.StatusParked),
	}
	if j.state.Server.Name != "" {
		updates = append(updates, keyword(api.SearchServer, j.state.Server.Name))
	}
	if j.state.Site != "" {
		updates = append(updates, keyword(api.SearchSite, j.state.Site))
	}
	if j.state.Plan != "" {
		updates = append(updates, keyword(api.SearchPlan, j.state.Plan))
	}
	return workflow.UpsertTypedSearchAttributes(ctx, updates...)
}

// details is what an operator sees at a glance, as Markdown.
func details(s api.State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", s.Standing())
	switch {
	case s.Status == api.StatusParked:
		fmt.Fprintf(&b, "**Needs attention.** %s\n\nMend the cause, then send the update `%s`", s.Reason, api.UpdateRetry)
		if s.MayAbort {
			fmt.Fprintf(&b, "; or send `%s` to give up", api.UpdateAbort)
		}
		b.WriteString(".\n\n")
	case s.Reason != "" && !s.Ended(): // told already
		fmt.Fprintf(&b, "%s\n\n", s.Reason)
	case s.Status == api.StatusActive:
		fmt.Fprintf(&b, "The tenant has the server. Send the update `%s` to end the tenancy.\n\n", api.UpdateReturn)
	}
	if s.WaitsFor != "" {
		fmt.Fprintf(&b, "Waits for the workflow `%s`.\n\n", s.WaitsFor)
	}
	if s.Server.Name != "" {
		fmt.Fprintf(&b, "- server: `%s` at %s", s.Server.Name, s.Server.Site)
		for _, uplink := range s.Server.Uplinks() {
			fmt.Fprintf(&b, ", port `%s` of `%s`", uplink.Port, uplink.Switch)
		}
		b.WriteString("\n")
	}
	for _, links := range append([]api.Links{s.Addresses}, s.Others...) {
		for _, link := range links.List() {
			fmt.Fprintf(&b, "- address: `%s`\n", link.Server.Addr())
		}
	}
	for _, tagged := range s.Tagged {
		for _, link := range tagged.Links.List() {
			fmt.Fprintf(&b, "- address in network `%s`, VLAN %d: `%s`\n", tagged.Network, tagged.VLAN, link.Server.Addr())
		}
	}
	for _, block := range s.Blocks {
		fmt.Fprintf(&b, "- block: `%s`\n", block)
	}
	for _, block := range s.Elastic {
		fmt.Fprintf(&b, "- elastic block: `%s`\n", block)
	}
	if s.DNSName != "" {
		fmt.Fprintf(&b, "- name: `%s`\n", s.DNSName)
	}
	if len(s.Stages) > 0 {
		b.WriteString("\n| stage | outcome | took |\n| --- | --- | --- |\n")
	}
	for _, r := range s.Stages {
		outcome := string(r.Outcome)
		if outcome == "" {
			outcome = "running"
		}
		if r.Detail != "" {
			outcome += ": " + strings.ReplaceAll(r.Detail, "|", "\\|")
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.Stage, outcome, r.Took.Round(100*time.Millisecond))
	}
	return b.String()
}
