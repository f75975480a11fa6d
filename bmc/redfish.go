package bmc

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"

	bmclib "github.com/bmc-toolbox/bmclib/v2/bmc"
	"github.com/bmc-toolbox/bmclib/v2/providers/redfish"
	"github.com/go-logr/logr"
)

const redfishPort = "443"

// greetRedfish finds out whether something accepts connections at the Redfish port.
func greetRedfish(ctx context.Context, t target) error {
	var network net.Dialer
	conn, err := network.DialContext(ctx, "tcp", net.JoinHostPort(t.host, t.portOr(redfishPort)))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return conn.Close()
}

// redfishConn is Redfish through bmclib's gofish provider. It authenticates every request
// (DSP0266 §13.3.2) and opens no session: BMCs have few, and a crash would leave one open.
// Certificates are not verified, since BMCs sign their own: the management network must be
// out of reach for others.
type redfishConn struct {
	endpoint Endpoint
	target   target
}

func dialRedfish(e Endpoint, t target) (conn, error) {
	return &redfishConn{e, t}, nil
}

// exchange is the provider for the time of one command.
type exchange struct {
	*redfish.Conn
	transport *transport
}

// open reads the service root.
func (c *redfishConn) open(ctx context.Context) (exchange, error) {
	transport := &transport{ctx: ctx, next: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // see redfishConn
	}}
	host := c.target.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]" // the provider appends the port
	}
	provider := redfish.New(host, c.endpoint.User, c.endpoint.Password, logr.Discard(),
		redfish.WithPort(c.target.portOr(redfishPort)),
		redfish.WithUseBasicAuth(true),
		redfish.WithHttpClient(&http.Client{Transport: transport}))
	x := exchange{provider, transport}
	return x, x.classify(provider.Open(ctx))
}

// transport makes up for two things that the provider does: it ignores the contexts that
// it is handed, and it turns what went wrong into text.
type transport struct {
	ctx     context.Context
	next    http.RoundTripper
	refused bool  // a request was answered with 401 or 403
	failed  error // a request was not answered
}

func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request.WithContext(t.ctx))
	if err != nil {
		t.failed = err
		return nil, err
	}
	if response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden {
		t.refused = true
	}
	return response, nil
}

func (x exchange) classify(err error) error {
	switch {
	case err == nil:
		return nil
	case x.transport.refused:
		return fmt.Errorf("%w: %w", ErrCredentials, err)
	case x.transport.failed != nil:
		return fmt.Errorf("%w: %w", ErrUnreachable, x.transport.failed)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

func (c *redfishConn) power(ctx context.Context) (Power, error) {
	provider, err := c.open(ctx)
	if err != nil {
		return "", err
	}
	state, err := provider.PowerStateGet(ctx)
	if err != nil {
		return "", provider.classify(err)
	}
	return Power(strings.ToLower(state)), nil
}

func (c *redfishConn) setPower(ctx context.Context, power Power) error {
	provider, err := c.open(ctx)
	if err != nil {
		return err
	}
	_, err = provider.PowerSet(ctx, string(power))
	return provider.classify(err)
}

func (c *redfishConn) setBootDevice(ctx context.Context, device BootDevice, uefi bool) error {
	provider, err := c.open(ctx)
	if err != nil {
		return err
	}
	name := map[BootDevice]bmclib.BootDeviceType{Network: bmclib.BootDeviceTypePXE, Disk: bmclib.BootDeviceTypeDisk}[device]
	_, err = provider.BootDeviceSet(ctx, string(name), device == Disk, uefi)
	return provider.classify(err)
}

func (c *redfishConn) bootDevice(ctx context.Context) (BootDevice, error) {
	provider, err := c.open(ctx)
	if err != nil {
		return "", err
	}
	override, err := provider.BootDeviceOverrideGet(ctx)
	if err != nil {
		return "", provider.classify(err)
	}
	switch override.Device {
	case bmclib.BootDeviceTypePXE:
		return Network, nil
	case bmclib.BootDeviceTypeDisk, bmclib.BootDeviceTypeNone:
		return Disk, nil
	}
	return BootDevice(override.Device), nil
}

// product is not asked for: the provider has it only as part of a whole inventory, which
// is dozens of requests.
func (c *redfishConn) product(context.Context) (vendor, model string, err error) {
	return "", "", nil
}
