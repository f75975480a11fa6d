package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"ferrodur/report"
	"ferrodur/workflows"
	"ferrodur/workflows/api"
)

// world stands for everything that activities touch: the inventory, the addresses, a
// switch port, a server with its disk. It knows what is held, so that a test can ask
// whether anything is held at the end.
type world struct {
	mu         sync.Mutex
	env        *testsuite.TestWorkflowEnvironment
	holder     string                   // who holds the one server
	server     string                   // its state
	instance   string                   // the instance's state
	links      map[string]bool          // owners of links
	name       string                   // the instance's name in the DNS
	routed     []netip.Prefix           // to the server, by its port
	elastic    []netip.Prefix           // blocks that are at the instance
	port       api.Profile              // the server's port
	away       bool                     // the switch
	asked      []api.PortRequest        // of the switches, and not yet done
	uplinks    []api.Uplink             // of the server, beside the one to the switch that may be away
	others     []api.ConfigurePortInput // what became of their ports
	otherTrail []api.Profile            // what they were made, one after the other
	first      api.ConfigurePortInput   // what became of the port that the server boots by
	bond       int                      // group that the server's uplinks are in for a tenant
	powered    bool                     // the server's power
	disk       string                   // "", "tenant", "clean"
	target     string                   // live boot target
	job        api.JobKind              // its job
	calls      map[string]int           // activity → runs
	faults     map[string]*fault        // activity → how it fails
	trail      []string                 // effects, in order
	wipes      int                      // proofs stored
	burnIn     report.BurnIn            // what the agent will report
	short      []string                 // hardware mismatches to report
	heard      string                   // who the switch hears on the server's port, while it is powered
	patience   time.Duration            // that the last verification had
	resolved   []string                 // cables that a switch has found the server on
}

// fault makes runs of an activity fail. Before: without its effect; else the effect is
// there and the answer is lost.
type fault struct {
	times  int // how many runs fail; -1: all
	before bool
	err    error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	w := &world{
		env: suite.NewTestWorkflowEnvironment(), server: "available", port: api.QuarantineProfile, heard: theServer.Name,
		links: map[string]bool{}, calls: map[string]int{}, faults: map[string]*fault{},
		burnIn: report.BurnIn{Passed: true, Tests: []report.Test{{Name: "stress-ng", Component: "cpu", Passed: true}}},
	}
	w.env.SetTestTimeout(20 * time.Second)
	workflows.Register(w.env)
	handle(w, api.FindServer, func(api.FindServerInput) (api.Server, error) { return w.found(), nil })
	handle(w, api.ReserveServer, func(in api.ReserveServerInput) (api.Server, error) {
		if w.holder != in.Instance && w.server != "available" {
			return api.Server{}, temporal.NewNonRetryableApplicationError("no c1.small is available at ewr1", api.ErrorRefused, nil)
		}
		w.holder, w.server = in.Instance, "reserved"
		return w.found(), nil
	})
	handle(w, api.FreeServer, func(in api.FreeServerInput) (api.None, error) {
		if w.holder == in.Instance {
			w.holder, w.server = "", "available"
			if in.Park != "" {
				w.server = "parked"
			}
		}
		w.instance = "ended"
		return api.None{}, nil
	})
	handle(w, api.TakeServer, func(in api.TakeServerInput) (api.None, error) {
		if w.holder != "" && w.holder != "test" {
			return api.None{}, temporal.NewNonRetryableApplicationError("s1 is held", api.ErrorRefused, nil)
		}
		w.holder, w.server = "test", in.State
		return api.None{}, nil
	})
	handle(w, api.LeaveServer, func(in api.LeaveServerInput) (api.None, error) {
		if w.holder == "test" {
			w.holder, w.server = "", in.State
		}
		return api.None{}, nil
	})
	handle(w, api.SetServerState, func(in api.SetServerStateInput) (api.None, error) {
		w.server = in.State
		return api.None{}, nil
	})
	handle(w, api.SetInstanceState, func(in api.SetInstanceStateInput) (api.None, error) {
		w.instance = in.State
		return api.None{}, nil
	})
	handle(w, api.ReadNeighbours, func(api.ReadNeighboursInput) (api.PortNeighbours, error) {
		if !w.powered {
			return api.PortNeighbours{}, nil
		}
		return api.PortNeighbours{Neighbours: []report.Neighbour{{System: w.heard}}}, nil
	})
	handle(w, api.StoreHardware, func(in api.StoreHardwareInput) (api.HardwareDiff, error) {
		if in.Port == nil || len(in.Port.Neighbours) != 1 {
			return api.HardwareDiff{}, errors.New("test: nobody looked while the agent was there")
		}
		if in.Port.Neighbours[0].System != theServer.Name {
			return api.HardwareDiff{Mismatches: []string{"port swp1 hears " + in.Port.Neighbours[0].System}}, nil
		}
		return api.HardwareDiff{Mismatches: w.short}, nil
	})
	handle(w, api.StoreBurnIn, func(api.StoreBurnInInput) (api.None, error) { return api.None{}, nil })
	handle(w, api.StoreWipe, func(in api.StoreWipeInput) (api.None, error) {
		w.wipes++
		return api.None{}, nil
	})
	handle(w, api.AllocateAddresses, func(in api.AllocateInput) (api.Allocated, error) {
		w.links[in.Owner] = true
		if in.Role == api.ProvisioningPool {
			return api.Allocated{Links: api.Links{IPv4: api.Link{Switch: netip.MustParsePrefix("203.0.113.0/31"), Server: netip.MustParsePrefix("203.0.113.1/31")}}}, nil
		}
		given := api.Allocated{Links: tenantLinks}
		for n := range in.Others {
			if in.Network != "" {
				break
			}
			given.Others = append(given.Others, api.Links{IPv4: api.Link{
				Switch: netip.MustParsePrefix(fmt.Sprintf("198.51.100.%d/31", 2*n+2)), Server: netip.MustParsePrefix(fmt.Sprintf("198.51.100.%d/31", 2*n+3)),
			}})
		}
		for n, name := range in.Tagged {
			given.Tagged = append(given.Tagged, api.Membership{Network: name, VLAN: 300 + n, Links: tenantLinks})
		}
		if in.Blocks.IPv4 > 0 {
			given.Blocks = []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("192.0.2.0/%d", in.Blocks.IPv4))}
		}
		return given, nil
	})
	handle(w, api.ReleaseAddresses, func(in api.ReleaseInput) (api.None, error) {
		delete(w.links, in.Owner)
		return api.None{}, nil
	})
	handle(w, api.NameAddresses, func(in api.NameInput) (api.Named, error) {
		w.name = in.Hostname + ".example.net"
		return api.Named{Name: w.name}, nil
	})
	handle(w, api.RemoveNames, func(in api.NameInput) (api.None, error) {
		if !w.links[in.Owner] {
			return api.None{}, errors.New("test: the addresses were released with names on them")
		}
		w.name = ""
		return api.None{}, nil
	})
	handle(w, api.ResolveHosts, func(in api.ResolveHostsInput) (api.None, error) {
		port := w.first
		if in.Uplink > 0 {
			port = w.others[in.Uplink-1]
		}
		if port.Profile != api.TenantProfile || port.Links != in.Links || !w.powered {
			return api.None{}, fmt.Errorf("test: nobody can answer on %s, which is %+v", in.Cable(), port)
		}
		w.resolved = append(w.resolved, in.Cable())
		return api.None{}, nil
	})
	handle(w, api.ListElastic, func(api.ListElasticInput) ([]netip.Prefix, error) { return w.elastic, nil })
	handle(w, api.RequestPort, func(in api.RequestPortInput) (api.None, error) {
		w.asked = append(w.asked, in.PortRequest)
		w.serveSwitch()
		return api.None{}, nil
	})
	handle(w, api.CheckBMC, func(api.BMCInput) (api.None, error) { return api.None{}, nil })
	handle(w, api.PowerCycle, func(in api.PowerCycleInput) (api.None, error) {
		w.powered = true
		return api.None{}, nil
	})
	handle(w, api.PowerOff, func(api.BMCInput) (api.None, error) {
		w.powered = false
		return api.None{}, nil
	})
	handle(w, api.SetBootDevice, func(api.SetBootDeviceInput) (api.None, error) { return api.None{}, nil })
	handle(w, api.SetBootTarget, func(in api.SetBootTargetInput) (api.None, error) {
		w.target, w.job = in.Target, in.Job
		return api.None{}, nil
	})
	handle(w, api.AwaitAgent, func(in api.AwaitAgentInput) (api.None, error) {
		if w.port != api.ProvisioningProfile || !w.powered || w.target != in.Target {
			return api.None{}, fmt.Errorf("test: no agent can come up: port %s, power %v, target %q", w.port, w.powered, w.target)
		}
		return api.None{}, nil
	})
	handle(w, api.AwaitInspect, func(api.AwaitJobInput) (api.JobResult, error) {
		return api.JobResult{Hardware: &report.Hardware{}}, nil
	})
	handle(w, api.AwaitBurnIn, func(api.AwaitJobInput) (api.JobResult, error) {
		return api.JobResult{Hardware: &report.Hardware{}, BurnIn: &w.burnIn}, nil
	})
	handle(w, api.AwaitInstall, func(api.AwaitJobInput) (api.JobResult, error) {
		w.disk = "tenant"
		return api.JobResult{Disk: "/dev/vda"}, nil
	})
	handle(w, api.AwaitWipe, func(api.AwaitJobInput) (api.JobResult, error) {
		w.disk = "clean"
		return api.JobResult{Wipe: &report.Wipe{}}, nil
	})
	handle(w, api.ReleaseAgent, func(in api.ReleaseAgentInput) (api.None, error) {
		w.powered = in.Reboot
		return api.None{}, nil
	})
	handle(w, api.ClearBootTarget, func(api.ClearBootTargetInput) (api.None, error) {
		w.target = ""
		return api.None{}, nil
	})
	handle(w, api.VerifyInstance, func(in api.VerifyInput) (api.Verified, error) {
		w.patience = in.CallHome
		if w.disk != "tenant" || w.port != api.TenantProfile {
			return api.Verified{}, fmt.Errorf("test: nothing can answer: disk %q, port %s", w.disk, w.port)
		}
		return api.Verified{}, nil
	})
	return w
}

// handle registers an activity with its effect on the world and the faults of the test.
func handle[In, Out any](w *world, name api.Activity[In, Out], effect func(In) (Out, error)) {
	run := func(_ context.Context, in In) (Out, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls[string(name)]++
		fault := w.faults[string(name)]
		fails := fault != nil && fault.times != 0
		if fails && fault.times > 0 {
			fault.times--
		}
		var none Out
		if fails && fault.before {
			return none, fault.err
		}
		w.trail = append(w.trail, string(name))
		out, err := effect(in)
		if fails {
			return none, fault.err
		}
		return out, err
	}
	w.env.RegisterActivityWithOptions(run, activity.RegisterOptions{Name: string(name)})
}

// configurePort names the switch's own work among the faults and the calls.
const configurePort = "ConfigurePort"

// serveSwitch does what the switches' workflows were asked for, but the one that is away.
func (w *world) serveSwitch() {
	asked := w.asked
	w.asked = nil
	for _, in := range asked {
		if w.away && in.Uplink == 0 {
			w.asked = append(w.asked, in)
		} else {
			w.carryOut(in)
		}
	}
}

func (w *world) carryOut(in api.PortRequest) {
	w.calls[configurePort]++
	answer := api.PortAnswer{Request: in.Request}
	fault := w.faults[configurePort]
	fails := fault != nil && fault.times != 0
	if fails {
		fault.times--
		answer.Result.Error = fault.err.Error()
		var typed *temporal.ApplicationError
		if errors.As(fault.err, &typed) {
			answer.Result.Error, answer.Result.ErrorType = typed.Message(), typed.Type()
		}
	}
	if !fails || !fault.before {
		if in.Profile == api.TenantProfile && w.disk != "tenant" {
			answer.Result.Error = "test: the tenant's port is opened before the install"
		}
		if in.Uplink > 0 {
			w.others[in.Uplink-1] = in.ConfigurePortInput
			w.otherTrail = append(w.otherTrail, in.Profile)
		} else {
			w.trail = append(w.trail, configurePort)
			w.port, w.routed, w.first = in.Profile, in.Blocks, in.ConfigurePortInput
		}
	}
	w.env.SignalWorkflow(api.SignalPort, answer)
}

// found is the server as the inventory has it.
func (w *world) found() api.Server {
	server := theServer
	server.Others, server.Bond = w.uplinks, w.bond
	return server
}

// awayFrom takes the switch away for a time of the test's clock.
func (w *world) awayFrom(start, length time.Duration) {
	w.env.RegisterDelayedCallback(func() { w.setAway(true) }, start)
	w.env.RegisterDelayedCallback(func() { w.setAway(false) }, start+length)
}

func (w *world) setAway(away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
	w.serveSwitch()
}

// held lists what somebody holds that nobody should hold once an order has ended.
func (w *world) held() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var held []string
	note := func(bad bool, format string, args ...any) {
		if bad {
			held = append(held, fmt.Sprintf(format, args...))
		}
	}
	note(w.holder != "", "the server is held by %s", w.holder)
	note(w.port != api.QuarantineProfile, "the port is %s", w.port)
	for n, other := range w.others {
		note(other.Profile != api.QuarantineProfile, "port %d is %s", n+2, other.Profile)
	}
	note(w.powered, "the server is on")
	note(w.name != "", "the DNS knows %s", w.name)
	note(w.disk == "tenant", "the disk holds the tenant's data")
	note(w.target != "", "boot target %s is live", w.target)
	for owner := range w.links {
		note(owner != api.ServerKey(theServer.Name), "%s holds addresses", owner)
	}
	sort.Strings(held)
	return held
}

func (w *world) mustHoldNothing(t *testing.T) {
	t.Helper()
	if held := w.held(); len(held) > 0 {
		t.Errorf("still held: %s", strings.Join(held, "; "))
	}
}

// update sends an update at a time of the test's clock and reports a refusal.
func (w *world) update(t *testing.T, name string, after time.Duration, refused func(error)) {
	var arguments []any
	if name == api.UpdateRetry {
		arguments = []any{api.RetryInput{Limits: api.Limits{CallHome: time.Hour}}}
	}
	w.env.RegisterDelayedCallback(func() {
		w.env.UpdateWorkflow(name, fmt.Sprintf("%s@%s", name, after), &testsuite.TestUpdateCallback{
			OnAccept: func() {
				if refused != nil {
					t.Errorf("update %s at %s was accepted", name, after)
				}
			},
			OnReject: func(err error) {
				if refused == nil {
					t.Errorf("update %s at %s was refused: %v", name, after, err)
					return
				}
				refused(err)
			},
			OnComplete: func(any, error) {},
		}, arguments...)
	}, after)
}

func (w *world) state(t *testing.T) api.State {
	t.Helper()
	value, err := w.env.QueryWorkflow(api.QueryState)
	if err != nil {
		t.Fatal(err)
	}
	var state api.State
	if err := value.Get(&state); err != nil {
		t.Fatal(err)
	}
	return state
}

var (
	theServer   = api.Server{Name: "s1", Site: "ewr1", Plan: "c1.small", Switch: "sw1", Port: "swp1", MAC: "52:54:00:00:00:01", LLDP: true}
	tenantLinks = api.Links{
		IPv4: api.Link{Switch: netip.MustParsePrefix("198.51.100.0/31"), Server: netip.MustParsePrefix("198.51.100.1/31")},
		IPv6: api.Link{Switch: netip.MustParsePrefix("2001:db8::/127"), Server: netip.MustParsePrefix("2001:db8::1/127")},
	}
)
