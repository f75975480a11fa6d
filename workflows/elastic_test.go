package workflows_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"ferrodur/workflows"
	"ferrodur/workflows/api"
)

var elastic = netip.MustParsePrefix("203.0.113.64/28")

// An elastic block that comes to an active instance is routed to it besides its own, and
// goes again; one that came before is there from the start.
func TestInstanceWithElasticBlocks(t *testing.T) {
	own := netip.MustParsePrefix("192.0.2.0/29")
	for name, test := range map[string]struct {
		at   []netip.Prefix // from the start
		come []netip.Prefix // an hour before the return
		want []netip.Prefix // from then on
	}{
		"comes while active": {nil, []netip.Prefix{elastic}, []netip.Prefix{own, elastic}},
		"was there":          {[]netip.Prefix{elastic}, []netip.Prefix{elastic}, []netip.Prefix{own, elastic}},
		"goes":               {[]netip.Prefix{elastic}, nil, []netip.Prefix{own}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.elastic = test.at
			ordered := order
			ordered.Blocks.IPv4 = 29
			w.env.RegisterDelayedCallback(func() {
				if want := slices.Concat([]netip.Prefix{own}, test.at); !slices.Equal(w.routed, want) {
					t.Errorf("at first %v is routed, want %v", w.routed, want)
				}
				w.elastic = test.come
			}, returnAfter-2*time.Hour)
			w.update(t, api.UpdateRoute, returnAfter-time.Hour, nil)
			w.env.RegisterDelayedCallback(func() {
				if state := w.state(t); !slices.Equal(w.routed, test.want) || !slices.Equal(state.Elastic, test.come) {
					t.Errorf("then %v is routed, want %v: %+v", w.routed, test.want, state)
				}
			}, returnAfter-time.Minute)
			w.update(t, api.UpdateReturn, returnAfter, nil)
			if err := w.provision(ordered); err != nil {
				t.Fatal(err)
			}
			w.mustHoldNothing(t)
			if len(w.routed) > 0 {
				t.Errorf("after the return %v is routed", w.routed)
			}
		})
	}
}

// A route that the switch refuses is the caller's to hear of: the tenancy goes on, and the
// next time it may work.
func TestRouteRefused(t *testing.T) {
	w := newWorld(t)
	w.env.RegisterDelayedCallback(func() {
		w.elastic = []netip.Prefix{elastic}
		w.faults[configurePort] = &fault{times: 1, before: true, err: temporal.NewNonRetryableApplicationError("refused by the switch", api.ErrorOperator, nil)}
	}, returnAfter-3*time.Hour)
	var answers []error
	route := func() {
		w.env.UpdateWorkflow(api.UpdateRoute, "", &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: func(err error) { t.Error(err) }, OnComplete: func(_ any, err error) { answers = append(answers, err) },
		})
	}
	w.env.RegisterDelayedCallback(route, returnAfter-2*time.Hour)
	w.env.RegisterDelayedCallback(route, returnAfter-time.Hour)
	w.update(t, api.UpdateReturn, returnAfter, nil)
	if err := w.provision(order); err != nil {
		t.Fatal(err)
	}
	if len(answers) != 2 || answers[0] == nil || answers[1] != nil {
		t.Errorf("the callers heard %v", answers)
	}
	w.mustHoldNothing(t)
}

// Whoever asks for a route hears that an operator has rejected the change of one of its ports, or of both.
func TestRouteRejected(t *testing.T) {
	for times, want := range map[int]string{1: "not tonight", 2: "not tonight; not tonight"} {
		w := newWorld(t)
		w.uplinks = []api.Uplink{{Switch: "sw2", Port: "swp1", MAC: "52:54:00:00:00:02"}}
		w.others = make([]api.ConfigurePortInput, 1)
		w.env.RegisterDelayedCallback(func() {
			w.faults[configurePort] = &fault{times: times, before: true, err: temporal.NewApplicationError("not tonight", api.ErrorRejected)}
			w.env.UpdateWorkflow(api.UpdateRoute, "", &testsuite.TestUpdateCallback{
				OnAccept: func() {}, OnReject: func(err error) { t.Error(err) }, OnComplete: func(_ any, err error) {
					if rejected := (*temporal.ApplicationError)(nil); !errors.As(err, &rejected) || rejected.Type() != api.ErrorRejected || rejected.Message() != want {
						t.Errorf("%d: the caller heard %v", times, err)
					}
				},
			})
		}, returnAfter-time.Hour)
		w.update(t, api.UpdateReturn, returnAfter, nil)
		if err := w.provision(order); err != nil {
			t.Fatal(err)
		}
		w.mustHoldNothing(t)
	}
}

// A move tells how it stands. Aborted, it waits for no port any more; what the book says stays.
func TestMoveAborted(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	workflows.Register(env)
	env.RegisterActivityWithOptions(func(context.Context, api.ElasticKey) (api.Elastic, error) {
		return api.Elastic{Prefixes: []netip.Prefix{elastic}, Instance: "instance/o-1"}, nil
	}, activity.RegisterOptions{Name: string(api.FindElastic)})
	env.RegisterActivityWithOptions(func(context.Context, api.MoveInput) (api.None, error) { return api.None{}, nil },
		activity.RegisterOptions{Name: string(api.MoveElastic)})
	env.RegisterActivityWithOptions(func(context.Context, api.AwaitsBlocksInput) (api.None, error) { return api.None{}, nil },
		activity.RegisterOptions{Name: string(api.AwaitsBlocks)})
	env.RegisterActivityWithOptions(func(context.Context, api.ListCarriersInput) ([]string, error) { return nil, nil },
		activity.RegisterOptions{Name: string(api.ListCarriers)})
	env.RegisterActivityWithOptions(func(_ context.Context, in api.RouteInput) (api.None, error) {
		if in.Instance == "instance/o-2" {
			return api.None{}, errors.New("switch sw1 is away")
		}
		return api.None{}, nil
	}, activity.RegisterOptions{Name: string(api.RouteInstance)})
	state := func() (state api.State) {
		answer, err := env.QueryWorkflow(api.QueryState)
		if err == nil {
			err = answer.Get(&state)
		}
		if err != nil {
			t.Fatal(err)
		}
		return state
	}
	env.RegisterDelayedCallback(func() {
		if s := state(); s.Status != api.StatusRunning || s.Stage != api.StageRoute || len(s.Stages) != 3 || s.Stages[1].Outcome != api.OutcomeDone {
			t.Errorf("under way it says %+v", s)
		}
		env.UpdateWorkflow(api.UpdateAbort, "", &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: func(err error) { t.Error(err) }, OnComplete: func(_ any, err error) {
				if err != nil {
					t.Error(err)
				}
			},
		})
	}, 5*time.Minute)
	env.ExecuteWorkflow(api.WorkflowMove, api.MoveInput{ElasticKey: api.ElasticKey{Owner: "customer/acme", Name: "first"}, Instance: "instance/o-2"})
	var ended *temporal.ApplicationError
	if err := env.GetWorkflowError(); !errors.As(err, &ended) || ended.Type() != api.ErrorAborted {
		t.Errorf("it ended with %v", err)
	}
	if s := state(); s.Status != api.StatusFailed || !strings.Contains(s.Reason, "in the book the block has moved") {
		t.Errorf("then it says %+v", s)
	}
}

// A move is written into the book, then taken from the one and given to the other, whatever
// is run twice; a block that nobody holds goes nowhere.
func TestMove(t *testing.T) {
	key := api.ElasticKey{Owner: "customer/acme", Name: "first"}
	for name, test := range map[string]struct {
		from, to string
		lost     bool   // the answer of the move in the book
		refuses  string // an instance that does not let the block go, or does not take it
		carries  string // has the block on its port
		want     []string
	}{
		"from one to another":              {"instance/o-1", "instance/o-2", false, "", "instance/o-1", []string{"book instance/o-2", "instance/o-1", "instance/o-2"}},
		"to its first":                     {"", "instance/o-2", false, "", "", []string{"book instance/o-2", "instance/o-2"}},
		"away":                             {"instance/o-1", "", false, "", "instance/o-1", []string{"book ", "instance/o-1"}},
		"with a lost answer":               {"instance/o-1", "instance/o-2", true, "", "instance/o-1", []string{"book instance/o-2", "book instance/o-2", "instance/o-1", "instance/o-2"}},
		"once more, after one that failed": {"instance/o-2", "instance/o-2", false, "", "instance/o-1", []string{"book instance/o-2", "instance/o-1", "instance/o-2"}},
		"from one that is not to change":   {"instance/o-1", "instance/o-2", false, "instance/o-1 rejected", "instance/o-1", []string{"book instance/o-2", "instance/o-1"}},
		"from one that fails":              {"instance/o-1", "instance/o-2", false, "instance/o-1", "instance/o-1", []string{"book instance/o-2", "instance/o-1", "instance/o-2"}},
	} {
		t.Run(name, func(t *testing.T) {
			var suite testsuite.WorkflowTestSuite
			env := suite.NewTestWorkflowEnvironment()
			workflows.Register(env)
			at, lost := test.from, test.lost
			var done []string
			env.RegisterActivityWithOptions(func(_ context.Context, in api.ElasticKey) (api.Elastic, error) {
				return api.Elastic{Prefixes: []netip.Prefix{elastic}, Instance: at}, nil
			}, activity.RegisterOptions{Name: string(api.FindElastic)})
			env.RegisterActivityWithOptions(func(_ context.Context, in api.MoveInput) (api.None, error) {
				at = in.Instance
				done = append(done, "book "+at)
				if lost {
					lost = false
					return api.None{}, errors.New("the connection broke off")
				}
				return api.None{}, nil
			}, activity.RegisterOptions{Name: string(api.MoveElastic)})
			env.RegisterActivityWithOptions(func(context.Context, api.AwaitsBlocksInput) (api.None, error) { return api.None{}, nil },
				activity.RegisterOptions{Name: string(api.AwaitsBlocks)})
			env.RegisterActivityWithOptions(func(_ context.Context, in api.ListCarriersInput) ([]string, error) {
				if !slices.Equal(in.Blocks, []netip.Prefix{elastic}) || test.carries == "" {
					return nil, nil
				}
				return []string{test.carries}, nil
			}, activity.RegisterOptions{Name: string(api.ListCarriers)})
			env.RegisterActivityWithOptions(func(_ context.Context, in api.RouteInput) (api.None, error) {
				done = append(done, in.Instance)
				switch test.refuses {
				case in.Instance:
					return api.None{}, temporal.NewNonRetryableApplicationError(in.Instance+" refuses", api.ErrorOperator, nil)
				case in.Instance + " rejected":
					return api.None{}, temporal.NewNonRetryableApplicationError(test.refuses, api.ErrorRejected, nil)
				}
				return api.None{}, nil
			}, activity.RegisterOptions{Name: string(api.RouteInstance)})
			env.ExecuteWorkflow(api.WorkflowMove, api.MoveInput{ElasticKey: key, Instance: test.to})
			if err := env.GetWorkflowError(); (err != nil) != (test.refuses != "") || err != nil && !strings.Contains(err.Error(), test.refuses) {
				t.Fatal(err)
			}
			if !slices.Equal(done, test.want) || at != test.to {
				t.Errorf("done were %q, want %q; the block is at %q", done, test.want, at)
			}
		})
	}
}
