package rack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"ferrodur/lab/netns"
	"ferrodur/lab/process"
)

// Relay lets those inside a namespace reach a TCP service on the loopback of the caller's
// own: it listens on that port of 127.0.0.1 inside and passes every connection on outside.
// It returns nil when ctx ends or when the namespace is deleted, so that no relay outlives
// its rack.
func Relay(ctx context.Context, namespace netns.Namespace, port uint16) error {
	address := loopback(port)
	listener, err := namespace.Listen(ctx, "tcp", address.String())
	if err != nil {
		return fmt.Errorf("relay for %s: %w", namespace, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var connections sync.WaitGroup
	defer connections.Wait()
	defer cancel()
	connections.Go(func() {
		awaitDeletion(ctx, namespace)
		cancel()
		_ = listener.Close()
	})
	for {
		inside, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("relay for %s: %w", namespace, err)
		}
		connections.Go(func() { pass(ctx, inside, address) })
	}
}

// awaitDeletion returns when the namespace is gone or ctx ends.
func awaitDeletion(ctx context.Context, namespace netns.Namespace) {
	poll := time.NewTicker(time.Second)
	defer poll.Stop()
	for namespace.Exists() {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		}
	}
}

// pass carries bytes both ways until both sides are done or ctx ends. When nobody listens
// outside, the connection inside ends at once.
func pass(ctx context.Context, inside net.Conn, address netip.AddrPort) {
	defer func() { _ = inside.Close() }()
	outside, err := new(net.Dialer).DialContext(ctx, "tcp", address.String())
	if err != nil {
		return
	}
	defer func() { _ = outside.Close() }()
	stop := context.AfterFunc(ctx, func() {
		_ = inside.Close()
		_ = outside.Close()
	})
	defer stop()

	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{outside, inside}, {inside, outside}} {
		to, from := way[0], way[1]
		both.Go(func() {
			_, _ = io.Copy(to, from)
			// The other way may still have something to say.
			if tcp, ok := to.(*net.TCPConn); ok {
				_ = tcp.CloseWrite()
			}
		})
	}
	both.Wait()
}

// startRelays runs a process for each port of the Config and stops those for others.
func (c Config) startRelays(ctx context.Context) error {
	running, err := process.List(c.relayDir())
	if err != nil {
		return err
	}
	for _, relay := range running {
		if slices.ContainsFunc(c.Relays, func(port uint16) bool { return relayName(port) == relay.Name }) {
			continue
		}
		if err := relay.Stop(ctx, stopGrace); err != nil {
			return err
		}
	}
	for _, port := range c.Relays {
		relay, err := process.Start(process.Spec{
			Name:    relayName(port),
			Dir:     c.relayDir(),
			Command: []string{c.Program, "relay", "--namespace", string(c.Site()), "--port", fmt.Sprint(port)},
		})
		if err != nil {
			return err
		}
		if err := c.awaitRelay(ctx, relay, loopback(port)); err != nil {
			return fmt.Errorf("relay of port %d: %w; see %s", port, err, filepath.Join(c.relayDir(), relay.Name+".log"))
		}
	}
	return nil
}

// awaitRelay returns when the relay takes connections.
func (c Config) awaitRelay(ctx context.Context, relay *process.Process, address netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		conn, err := c.Site().Dial(ctx, "tcp", address.String())
		if err == nil {
			return conn.Close()
		}
		if !relay.Running() {
			return process.ErrNotRunning
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

func (c Config) stopRelays(ctx context.Context) error {
	c.Relays = nil
	return c.startRelays(ctx)
}

func relayName(port uint16) string { return fmt.Sprintf("port-%d", port) }
