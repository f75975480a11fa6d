package bmc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

// conn commands one BMC over one protocol. Methods return as soon as the context ends.
// Errors: ErrUnreachable, ErrCredentials, ErrRefused.
type conn interface {
	// power returns On, Off, or the BMC's own word for a state in between.
	power(context.Context) (Power, error)
	setPower(context.Context, Power) error
	// bootDevice returns Network, Disk, or the BMC's own word. No override counts as Disk.
	bootDevice(context.Context) (BootDevice, error)
	setBootDevice(ctx context.Context, device BootDevice, uefi bool) error
	product(context.Context) (vendor, model string, err error)
}

// dialer makes a conn. It does not talk to the BMC.
type dialer func(Endpoint, target) (conn, error)

// target is an Endpoint's address, taken apart.
type target struct {
	host string
	port string // empty: the protocol's own
}

func (t target) String() string { return net.JoinHostPort(t.host, t.portOr(ipmiPort)) }

func (t target) portOr(standard string) string {
	if t.port == "" {
		return standard
	}
	return t.port
}

func (e Endpoint) target() (target, error) {
	if e.Address == "" {
		return target{}, fmt.Errorf("%w: no address", ErrEndpoint)
	}
	if net.ParseIP(e.Address) != nil || !strings.Contains(e.Address, ":") {
		return target{host: e.Address}, nil
	}
	host, port, err := net.SplitHostPort(e.Address)
	if err != nil || host == "" || port == "" {
		return target{}, fmt.Errorf("%w: address %q is not a host or host:port", ErrEndpoint, e.Address)
	}
	return target{host, port}, nil
}

// way is one way of talking to BMCs.
type way struct {
	name  string // "ipmi" or "redfish"
	suite string // the endpoint's CipherSuite that it is a way for
	greet func(context.Context, target) error
	dial  dialer
}

// ways lists what can be tried, the better first. Redfish is first because, on a BMC
// without it, its port refuses at once.
func (e Endpoint) ways() []way {
	list := []way{{"redfish", e.CipherSuite, greetRedfish, dialRedfish}}
	suites := []string{"17", "3"}
	if e.CipherSuite != "" {
		suites = []string{e.CipherSuite}
	}
	for _, suite := range suites {
		list = append(list, way{"ipmi", e.CipherSuite, greetIPMI, dialIPMI(suite)})
	}
	return list
}

// connect makes the connection in the way that worked last, or finds out which way works.
// A BMC that does not answer a greeting is ErrUnreachable; it gets no credentials.
func (o *operation) connect(ctx context.Context, t target) error {
	if known := o.queue.way; known != nil && known.suite == o.endpoint.CipherSuite {
		return o.open(ctx, t, *known)
	}
	var failures []error
	for _, way := range o.endpoint.ways() {
		err := o.open(ctx, t, way)
		if err == nil {
			// No BMC refuses the power state to a user that it accepts.
			_, err = o.power(ctx)
		}
		if err == nil {
			o.queue.way = &way
			return nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if way.name == "ipmi" && !errors.Is(err, errCipherSuite) {
			break // another cipher suite would be another wrong password
		}
	}
	return gravest(failures)
}

func (o *operation) open(ctx context.Context, t target, w way) (err error) {
	o.protocol = w.name
	greeting, cancel := context.WithTimeout(ctx, o.options.Greet)
	defer cancel()
	if err := w.greet(greeting, t); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	o.conn, err = w.dial(o.endpoint, t)
	return err
}

// gravest picks what to tell: one protocol's silence says nothing when the other spoke.
func gravest(failures []error) error {
	for _, kind := range []error{ErrCredentials, ErrNoIpmitool, ErrRefused} {
		for _, err := range slices.Backward(failures) {
			if errors.Is(err, kind) {
				return err
			}
		}
	}
	return failures[len(failures)-1]
}
