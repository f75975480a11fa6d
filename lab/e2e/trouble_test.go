package e2e

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"ferrodur/client"
	"ferrodur/lab/rack"
	"ferrodur/lab/stack"
	"ferrodur/lab/tour"
	"ferrodur/workflows/api"
)

// A server at the switch of VLANs is installed while all workers are killed in the midst of another order.
func TestWorkersAreKilled(t *testing.T) {
	ctx := within(t, 15*time.Minute)
	enrolled(ctx, t)
	t.Run("servers", func(t *testing.T) {
		t.Run("WorkersKilledAndSwitchAway", workersKilledAndSwitchAway)
		t.Run("InANetwork", inANetwork)
	})
	mustHoldNothing(ctx, t)
}

// takesTheTour, which is the demo's: enrol, order, log in, return; the disk is empty.
func takesTheTour(t *testing.T) {
	ctx := within(t, 12*time.Minute)
	facts, err := tour.Run(ctx, world, t.Output(), false)
	must(t, err)
	if facts.SSHBanner == "" || facts.Login == "" || facts.Wipe == nil {
		t.Errorf("the tour saw too little: %+v", facts)
	}
	mustBeWiped(t, facts.Server)
	for _, stage := range facts.Stages {
		t.Logf("%-20s %6.1f s  %s", stage.Name, stage.Seconds, stage.Outcome)
	}
	t.Logf("%d history events", facts.Events)
}

// workersKilledAndSwitchAway: every worker is killed in the middle of an install: the work
// goes on where it was, and nobody cycles the power again. The switch is away when the
// tenant's port is due, for longer than one attempt takes, and comes back.
func workersKilledAndSwitchAway(t *testing.T) {
	t.Parallel()
	ctx := within(t, 12*time.Minute)
	c := newTenant(t)
	order := c.asks()
	order.UserData, order.Blocks.IPv4 = true, 29
	must(t, world.Inventory.PutUserData(ctx, c.id(), []byte("#cloud-config\nwrite_files: [{path: /etc/tenant, content: "+secret+"}]\n")))
	must(t, world.Client.Provision(ctx, order))
	state := await(ctx, t, c.id(), "the install", func(s api.State, p api.Progress) bool {
		return p.Phase == "writing" && p.Percent > 5
	})
	ons := powerOns(t, state.Server.Name)
	must(t, world.SilenceSwitch(ctx))
	for _, role := range stack.WorkerRoles() {
		must(t, world.KillWorker(ctx, role))
	}
	for _, role := range stack.WorkerRoles() {
		must(t, world.StartWorker(role))
	}
	// The install ends, and the next stage finds no switch.
	for snapshot, err := range world.Client.Watch(ctx, c.id(), 500*time.Millisecond) {
		must(t, err)
		if snapshot.Stage == api.StageConnect && len(snapshot.Activities) > 0 && strings.Contains(snapshot.Activities[0].Trouble, "unreachable") {
			break
		}
		if snapshot.Ended() || snapshot.Status == api.StatusParked {
			t.Fatalf("%s while the switch was away: %s", snapshot.Status, snapshot.Reason)
		}
	}
	must(t, world.HearSwitch(ctx))
	state, err := world.Client.WaitActive(ctx, c.order)
	must(t, err)
	if got := powerOns(t, state.Server.Name); got != ons {
		t.Errorf("the server was powered on %d more times after the workers were killed", got-ons)
	}
	for _, record := range state.Stages {
		if record.Outcome == api.OutcomeFailed {
			t.Errorf("stage %s failed: %s", record.Stage, record.Detail)
		}
	}
	if seen := c.login(ctx, t, state); !strings.Contains(seen, secret) {
		t.Errorf("the user data did not reach the machine, which says: %s", seen)
	}
	mustCarryWhatIsRouted(ctx, t, c, state)
	c.giveBack(ctx, t)
	mustBeWiped(t, state.Server.Name)
	if content, err := world.Inventory.UserData(ctx, c.id()); err == nil {
		t.Errorf("%d bytes of user data are kept after the end", len(content))
	}
}

// What goes on at two servers at the same time: while one is installed again and again, the other has
// one order after the other. At the end nothing is held.
func TestServersSideBySide(t *testing.T) {
	ctx := within(t, 20*time.Minute)
	enrolled(ctx, t)
	t.Run("servers", func(t *testing.T) {
		t.Run("NeverCallsHome", neverCallsHome)
		t.Run("OneAfterTheOther", func(t *testing.T) {
			t.Parallel()
			t.Run("AbortDuringInstall", abortDuringInstall)
			t.Run("Tour", takesTheTour)
		})
	})
	mustHoldNothing(ctx, t)
}

// neverCallsHome: an install that never calls home is waited for, tried again, and parked with
// the reason; an operator mends the cause, and a retry succeeds.
func neverCallsHome(t *testing.T) {
	t.Parallel()
	ctx := within(t, 15*time.Minute)
	must(t, world.BlockCallHome(ctx))
	unblocked := false
	t.Cleanup(func() {
		if !unblocked {
			must(t, world.AllowCallHome(context.WithoutCancel(ctx)))
		}
	})
	c := newTenant(t)
	order := c.asks()
	order.Limits.CallHome = 10 * time.Second
	must(t, world.Client.Provision(ctx, order))
	state := await(ctx, t, c.id(), "parking", func(s api.State, _ api.Progress) bool { return s.Status == api.StatusParked })
	if !strings.Contains(state.Reason, "did not call home") {
		t.Errorf("parked for another reason: %s", state.Reason)
	}
	installs := 0
	for _, record := range state.Stages {
		if record.Stage == api.StageInstall {
			installs++
		}
	}
	if installs != 2 {
		t.Errorf("installed %d times before it parked, want 2", installs)
	}
	// The workflow says that it is parked, and then tells the inventory.
	server, err := world.Inventory.Server(ctx, state.Server.Name)
	for tries := 0; err == nil && server.State != "parked" && tries < 10; tries++ {
		time.Sleep(time.Second)
		server, err = world.Inventory.Server(ctx, state.Server.Name)
	}
	must(t, err)
	if server.State != "parked" || server.StateReason == "" {
		t.Errorf("the inventory says %s (%s)", server.State, server.StateReason)
	}
	found := false
	for listed, err := range world.Client.List(ctx, api.SearchNeedsAttention+" = true AND "+api.SearchServer+" = '"+state.Server.Name+"'") {
		must(t, err)
		found = found || listed.ID == c.id()
	}
	if !found {
		t.Error("a search for what needs attention does not find it")
	}
	must(t, world.AllowCallHome(ctx))
	unblocked = true
	if _, err := world.Client.Return(ctx, c.order); !errors.Is(err, client.ErrRefused) {
		t.Errorf("a parked order could be returned: %v", err)
	}
	if output, err := world.Starter(ctx, "retry", c.order, "--limit", "call-home=5m", "--wait"); err != nil {
		t.Fatalf("starter retry: %v\n%s", err, output)
	}
	state, err = world.Client.State(ctx, c.id())
	must(t, err)
	if state.Status != api.StatusActive {
		t.Errorf("after the retry was waited for, the order is %s", state.Status)
	}
	c.login(ctx, t, state)
	c.giveBack(ctx, t)
	mustBeWiped(t, state.Server.Name)
}

// abortDuringInstall: an abort in the middle of an install leaves no tenant's data.
func abortDuringInstall(t *testing.T) {
	ctx := within(t, 8*time.Minute)
	c := newTenant(t)
	must(t, world.Client.Provision(ctx, c.asks()))
	state := await(ctx, t, c.id(), "the install", func(s api.State, p api.Progress) bool {
		return p.Phase == "writing" && p.Percent > 30
	})
	if holds, err := world.DiskHolds(state.Server.Name); err != nil || !holds {
		t.Errorf("nothing was written before the abort (%v)", err)
	}
	if output, err := world.Starter(ctx, "abort", c.order); err != nil {
		t.Fatalf("starter abort: %v\n%s", err, output)
	}
	_, err := world.Client.WaitEnded(ctx, c.id())
	if !errors.Is(err, client.ErrEnded) {
		t.Errorf("the aborted order ended with %v", err)
	}
	mustBeWiped(t, state.Server.Name)
}

// 32 orders race for two servers, while the pool has links for the uplinks of one of them
// only: one order gets a server and addresses, all others end with a clear reason, holding
// nothing.
func TestRaceForServersAndAddresses(t *testing.T) {
	ctx := within(t, 8*time.Minute)
	enrolled(ctx, t)
	must(t, world.LeaveLinks(ctx, 2))
	t.Cleanup(func() { must(t, world.FreeLinks(context.WithoutCancel(ctx))) })

	const orders = 32
	tenants := make([]tenant, orders)
	reasons := make([]string, orders)
	var wait sync.WaitGroup
	for n := range tenants {
		tenants[n] = newTenant(t)
		wait.Go(func() {
			order := tenants[n].asks()
			order.OnFailure = api.Undo
			if err := world.Client.Provision(ctx, order); err != nil {
				t.Error(err)
				return
			}
			for snapshot, err := range world.Client.Watch(ctx, tenants[n].id(), time.Second) {
				if err != nil {
					t.Error(err)
					return
				}
				// The winner is not waited for: that it is on its way to an install is enough.
				if snapshot.Ended() || snapshot.Stage == api.StageInstall {
					reasons[n] = snapshot.Reason
					return
				}
			}
		})
	}
	wait.Wait()
	var winners []tenant
	for n, reason := range reasons {
		switch {
		case reason == "":
			winners = append(winners, tenants[n])
		case !strings.Contains(reason, "no "+rack.PlanName+" is available") && !strings.Contains(reason, "have no free /31"):
			t.Errorf("an order ended for another reason: %s", reason)
		}
	}
	if len(winners) != 1 {
		t.Fatalf("%d orders got a server and addresses, want 1", len(winners))
	}
	for _, winner := range winners {
		_, err := world.Client.Abort(ctx, winner.id())
		must(t, err)
		_, err = world.Client.WaitEnded(ctx, winner.id())
		if !errors.Is(err, client.ErrEnded) {
			t.Errorf("the aborted order ended with %v", err)
		}
	}
	must(t, world.FreeLinks(ctx))
	mustHoldNothing(ctx, t)
}
