package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.temporal.io/sdk/client"

	ferrodur "ferrodur/client"
	"ferrodur/inventory"
	"ferrodur/lab/netns"
	"ferrodur/lab/tor"
	"ferrodur/switches/emulator"
	"ferrodur/workflows/api"
)

const (
	rushPorts  = 60
	commitTime = 5 * time.Second
	idleTimes  = 60
)

// tenant is what a port is to be: a link of its own, which differs in each round.
func tenant(name string, n, round int) api.ConfigurePortInput {
	address := netip.AddrFrom4([4]byte{198, 51, byte(100 + round), byte(2 * n)}) // round 0: TEST-NET-2
	link := netip.PrefixFrom(address, 31)
	return api.ConfigurePortInput{
		Server: server(name, n), Profile: api.TenantProfile, Instance: fmt.Sprintf("instance/o-%d", n),
		Links: api.Links{IPv4: api.Link{Switch: link, Server: netip.PrefixFrom(address.Next(), 31)}},
	}
}

func quarantine(name string, n int) api.ConfigurePortInput {
	return api.ConfigurePortInput{Server: server(name, n), Profile: api.QuarantineProfile}
}

// poll is how often a switch's workflow is asked whether it is done: more often would take time
// from what is measured.
const poll = 25 * time.Millisecond

// set asks for ports as orders do, and waits until each is what was asked for.
func (b *bench) set(ctx context.Context, name string, ports ...api.ConfigurePortInput) error {
	ref := api.SwitchRef{Switch: name, Site: site}
	start := client.StartWorkflowOptions{ID: api.SwitchID(name), TaskQueue: api.QueueLifecycle}
	waiting := map[string]bool{}
	for n, port := range ports {
		request := api.PortRequest{Request: fmt.Sprintf("%s/%d/%d", port.Server, n, time.Now().UnixNano()), ConfigurePortInput: port}
		_, err := b.client.Temporal().SignalWithStartWorkflow(ctx, start.ID, api.SignalSetPort, request,
			start, api.WorkflowSwitch, api.SwitchInput{SwitchRef: ref})
		if err != nil {
			return err
		}
		waiting[request.Request] = true
	}
	for len(waiting) > 0 {
		state, err := b.client.SwitchState(ctx, ref)
		if err != nil && (ctx.Err() != nil || !errors.Is(err, ferrodur.ErrNoAnswer)) { // which a busy machine gives late
			return err
		}
		for _, done := range state.Done {
			if waiting[done.Request] && done.Result.Error != "" {
				return errors.New(done.Result.Error)
			}
			delete(waiting, done.Request)
		}
		time.Sleep(poll)
	}
	return nil
}

// rush sets ports together, and, back in quarantine, one by one.
func (b *bench) rush(ctx context.Context, name string, commits func() int) (r rush, err error) {
	var tenants, shut []api.ConfigurePortInput
	for n := range rushPorts {
		tenants, shut = append(tenants, tenant(name, n, 0)), append(shut, quarantine(name, n))
	}
	if err := b.set(ctx, name, shut...); err != nil {
		return r, err
	}
	ref := api.SwitchRef{Switch: name, Site: site}
	before, err := b.client.SwitchState(ctx, ref)
	if err != nil {
		return r, err
	}
	r.Ports, r.Commits = rushPorts, -commits()
	begun := time.Now()
	if err := b.set(ctx, name, tenants...); err != nil {
		return r, err
	}
	r.Together, r.Commits = time.Since(begun).Seconds(), r.Commits+commits()
	after, err := b.client.SwitchState(ctx, ref)
	if err != nil {
		return r, err
	}
	r.Transactions = after.Transactions - before.Transactions
	if err := b.set(ctx, name, shut...); err != nil {
		return r, err
	}
	begun = time.Now()
	for _, port := range tenants {
		if err := b.set(ctx, name, port); err != nil {
			return r, err
		}
	}
	r.OneByOne = time.Since(begun).Seconds()
	return r, nil
}

// emulate starts an emulated switch.
func (b *bench) emulate(name string, ports int, faults emulator.Faults) (*emulator.Device, inventory.Switch, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, inventory.Switch{}, err
	}
	config := emulator.Config{Platform: "arista_eos", Name: name, User: "operator", Password: password}
	for n := range ports {
		config.Ports = append(config.Ports, fmt.Sprintf("Ethernet%d", n+1))
	}
	device, err := emulator.Start(listener, config)
	if err != nil {
		return nil, inventory.Switch{}, err
	}
	device.Fail(faults)
	b.ends = append(b.ends, func(context.Context) error { device.Close(); return nil })
	return device, inventory.Switch{
		Name: name, Platform: config.Platform, Address: device.Address(), HostKey: device.HostKey(), Ports: config.Ports,
	}, nil
}

func (b *bench) emulated(ctx context.Context) error {
	device, declared, err := b.emulate("emulated", rushPorts, emulator.Faults{CommitTime: commitTime})
	if err != nil {
		return err
	}
	if err := b.declare(ctx, declared); err != nil {
		return err
	}
	b.Emulated, err = b.rush(ctx, "emulated", func() int { return device.Counts().Commits })
	return err
}

func (b *bench) frr(ctx context.Context) error {
	b.namespace = netns.Namespace(fmt.Sprintf("bench%d", os.Getpid()))
	b.ends = append(b.ends, func(context.Context) error { return b.namespace.Delete() })
	if err := b.namespace.Create(); err != nil {
		return err
	}
	address := netip.MustParseAddrPort("192.0.2.2:22")
	if err := b.namespace.AddAddress("lo", netip.PrefixFrom(address.Addr(), 32)); err != nil {
		return err
	}
	declared := inventory.Switch{Name: "frr", Platform: "frr", Address: address.String()}
	for n := range rushPorts {
		port := fmt.Sprintf("swp%d", n+1)
		declared.Ports = append(declared.Ports, port)
		if err := netns.Connect(netns.End{Namespace: b.namespace, Interface: port}, netns.End{Namespace: b.namespace, Interface: "far" + port}); err != nil {
			return err
		}
	}
	dir := filepath.Join(b.dir, "frr")
	b.ends = append(b.ends, func(ctx context.Context) error { return tor.Stop(ctx, dir) })
	running, err := tor.Start(ctx, tor.Config{
		Name: "frr", Namespace: b.namespace, Dir: dir, Address: address, User: "operator", Password: password,
	})
	if err != nil {
		return err
	}
	declared.HostKey = running.HostKey()
	if err := b.declare(ctx, declared); err != nil {
		return err
	}
	if b.FRR, err = b.rush(ctx, "frr", func() int { return 0 }); err != nil {
		return err
	}
	return b.idle(ctx)
}

// idle sets one port at a time, and takes the time that the workflow has noted.
func (b *bench) idle(ctx context.Context) error {
	var took []time.Duration
	for i := range idleTimes {
		port := tenant("frr", i%rushPorts, 0)
		if i%2 == 0 {
			port = quarantine("frr", i%rushPorts)
		}
		if err := b.set(ctx, "frr", port); err != nil {
			return err
		}
		state, err := b.client.SwitchState(ctx, api.SwitchRef{Switch: "frr", Site: site})
		if err != nil {
			return err
		}
		took = append(took, state.Done[len(state.Done)-1].Waited)
	}
	slices.Sort(took)
	at := func(percent int) float64 { return float64(took[(len(took)-1)*percent/100].Microseconds()) / 1000 }
	b.Idle = latency{Changes: len(took), P50: at(50), P99: at(99)}
	return nil
}
