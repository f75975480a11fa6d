// Package tour takes a stack through its main job, from an operator's and a customer's
// seat: enrol the servers, order one, log in to it, return it, and see that nothing is
// left held.
package tour

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"ferrodur/client"
	"ferrodur/inventory"
	"ferrodur/lab/rack"
	"ferrodur/lab/stack"
	"ferrodur/report"
	"ferrodur/starter/progress"
	"ferrodur/workflows/api"
)

// Facts are what was seen on the way, in the form that --json writes.
type Facts struct {
	Order     string             `json:"order"`
	Server    string             `json:"server"`
	Addresses api.Links          `json:"addresses"`
	Stages    []Stage            `json:"stages"`
	Enrolment map[string][]Stage `json:"enrolment"` // by server
	SSHBanner string             `json:"ssh_banner"`
	Login     string             `json:"login"` // what the tenant's machine says of itself
	Wipe      *report.Wipe       `json:"wipe"`
	DiskHolds bool               `json:"disk_holds_data"` // read behind the server's back, after the wipe
	Held      []string           `json:"held"`            // at the end; empty when all is well
	Events    int                `json:"history_events"`  // of the instance
	UI        string             `json:"web_ui"`
	Seconds   float64            `json:"seconds"`
	Page      string             `json:"web_ui_page"`
}

// Stage is one run of a stage.
type Stage struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Outcome string  `json:"outcome"`
}

// Run takes the tour. The Facts are as far as it came, also on an error. Alone says that
// nothing else is under way: what is, an interrupted run has left, and has to be undone
// first; and at the end nothing at all may be held.
func Run(ctx context.Context, s *stack.Stack, out io.Writer, alone bool) (facts Facts, err error) {
	started := time.Now()
	facts = Facts{Order: "tour-" + strings.ToLower(rand.Text()[:8]), UI: s.UI, Enrolment: map[string][]Stage{}, Held: []string{}}
	defer func() { facts.Seconds = time.Since(started).Seconds() }()
	t := &tour{Stack: s, out: out, alone: alone, facts: &facts}
	if err := t.settle(ctx); err != nil {
		return facts, fmt.Errorf("undo what an interrupted run left (or begin afresh: remove %s): %w", s.Dir(), err)
	}
	for _, step := range []struct {
		says string
		do   func(context.Context) error
	}{
		{"Enrolling the servers: BMC, hardware, burn-in", t.enroll},
		{"Ordering an instance", t.provision},
		{"Logging in over SSH, from the network outside the rack", t.login},
		{"Returning the instance", t.giveBack},
		{"Looking at what is left", t.look},
	} {
		fmt.Fprintf(out, "\n%s\n", step.says)
		if err := step.do(ctx); err != nil {
			return facts, fmt.Errorf("%s: %w", strings.ToLower(step.says), err)
		}
	}
	return facts, nil
}

type tour struct {
	*stack.Stack
	out   io.Writer
	alone bool
	facts *Facts
	key   ssh.Signer
}

// settle ends what an interrupted run has left under way: nothing of it is lost, and its
// servers are needed again.
func (t *tour) settle(ctx context.Context) error {
	if !t.alone {
		return nil
	}
	var ids []string
	for left, err := range t.Client.List(ctx, fmt.Sprintf("ExecutionStatus = 'Running' AND WorkflowType IN (%q, %q, %q)", api.WorkflowInstance, api.WorkflowEnroll, api.WorkflowBurnIn)) {
		if err != nil {
			return err
		}
		ids = append(ids, left.ID)
	}
	if len(ids) == 0 {
		return nil
	}
	fmt.Fprintf(t.out, "\nUndoing what an interrupted run has left: %s\n", strings.Join(ids, ", "))
	for _, id := range ids {
		// One of these fits, unless it is on its way back already.
		_, err := t.Client.Abort(ctx, id)
		if errors.Is(err, client.ErrRefused) && id == api.InstanceID(api.OrderOf(id)) {
			_, err = t.Client.Return(ctx, api.OrderOf(id))
		}
		if err != nil && !errors.Is(err, client.ErrRefused) && !errors.Is(err, client.ErrNotFound) {
			return err
		}
	}
	return progress.Follow(ctx, t.out, t.Client, api.State.Ended, ids...)
}

// limits are those of servers that are emulated: quicker to notice one that was cut off.
var limits = api.Limits{Boot: 2 * time.Minute, Stall: time.Minute}

// enroll brings every server into service that is not there yet.
func (t *tour) enroll(ctx context.Context) error {
	servers, err := t.Inventory.Servers(ctx, inventory.ServerFilter{})
	if err != nil {
		return err
	}
	var ids []string
	for _, server := range servers {
		if server.State == inventory.Available || server.Holder != "" && !t.alone {
			fmt.Fprintf(t.out, "%s is in service already\n", server.Name)
			continue
		}
		if err := t.Client.Enroll(ctx, api.EnrollInput{Server: server.Name, Limits: limits}); err != nil {
			return err
		}
		ids = append(ids, api.EnrollID(server.Name))
	}
	if len(ids) == 0 {
		return nil
	}
	if err := progress.Follow(ctx, t.out, t.Client, api.State.Ended, ids...); err != nil {
		return err
	}
	for _, id := range ids {
		state, err := t.Client.WaitEnded(ctx, id)
		if err != nil {
			return err
		}
		t.facts.Enrolment[state.Server.Name] = stages(state)
	}
	return nil
}

func (t *tour) provision(ctx context.Context) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if t.key, err = ssh.NewSignerFromKey(private); err != nil {
		return err
	}
	err = t.Client.Provision(ctx, api.Order{
		ID: t.facts.Order, Site: rack.SiteName, Plan: rack.PlanName, Image: stack.Image, Limits: limits,
		SSHKeys: []string{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(t.key.PublicKey())))},
	})
	if err != nil {
		return err
	}
	active := func(s api.State) bool { return s.Status == api.StatusActive || s.Ended() }
	if err := progress.Follow(ctx, t.out, t.Client, active, api.InstanceID(t.facts.Order)); err != nil {
		return err
	}
	state, err := t.Client.WaitActive(ctx, t.facts.Order)
	t.facts.Server, t.facts.Addresses = state.Server.Name, state.Addresses
	t.facts.Stages = stages(state)
	return err
}

func (t *tour) login(ctx context.Context) error {
	image, err := t.Inventory.Image(ctx, stack.Image)
	if err != nil {
		return err
	}
	output, err := t.Login(ctx, t.facts.Addresses, image.SSHUser, t.key,
		`. /etc/os-release; echo "$(hostname): $PRETTY_NAME, Linux $(uname -r)"; ip -brief address show scope global`)
	if err != nil {
		return err
	}
	t.facts.Login = strings.TrimSpace(output)
	t.facts.SSHBanner, err = t.Banner(ctx, t.facts.Addresses)
	fmt.Fprintf(t.out, "%s@%s: %s\n%s\n", image.SSHUser, t.facts.Addresses.IPv4.Server.Addr(), t.facts.SSHBanner, t.facts.Login)
	return err
}

func (t *tour) giveBack(ctx context.Context) error {
	if _, err := t.Client.Return(ctx, t.facts.Order); err != nil {
		return err
	}
	id := api.InstanceID(t.facts.Order)
	if err := progress.Follow(ctx, t.out, t.Client, api.State.Ended, id); err != nil {
		return err
	}
	state, err := t.Client.WaitEnded(ctx, id)
	t.facts.Stages = stages(state)
	return err
}

// look reads the proof of the wipe, the disk itself, and all that could still be held.
func (t *tour) look(ctx context.Context) error {
	wipes, err := t.Inventory.Wipes(ctx, t.facts.Server)
	if err != nil {
		return err
	}
	if len(wipes) > 0 {
		t.facts.Wipe = &wipes[len(wipes)-1].Report
	}
	if t.facts.DiskHolds, err = t.DiskHolds(t.facts.Server); err != nil {
		return err
	}
	held, err := t.Held(ctx)
	if err != nil {
		return err
	}
	t.facts.Held = append(t.facts.Held, held...) // an empty list, not none, in JSON
	id := api.InstanceID(t.facts.Order)
	description, err := t.Client.Temporal().DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return err
	}
	t.facts.Events = int(description.GetWorkflowExecutionInfo().GetHistoryLength())
	t.facts.Page = t.UI + "/namespaces/default/workflows/" + strings.ReplaceAll(id, "/", "%2F")
	switch {
	case t.facts.Wipe == nil:
		return fmt.Errorf("the inventory has no proof that %s was wiped", t.facts.Server)
	case t.facts.DiskHolds:
		return fmt.Errorf("the disk of %s holds data after the wipe", t.facts.Server)
	case t.alone && len(t.facts.Held) > 0:
		return fmt.Errorf("still held: %s", strings.Join(t.facts.Held, "; "))
	}
	return nil
}

// stages leaves the wait of the tenancy itself out.
func stages(state api.State) []Stage {
	var all []Stage
	for _, record := range state.Stages {
		if record.Stage == api.StageActive {
			continue
		}
		all = append(all, Stage{Name: string(record.Stage), Seconds: record.Took.Seconds(), Outcome: string(record.Outcome)})
	}
	return all
}
