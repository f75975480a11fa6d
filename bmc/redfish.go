package bmc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	bmclib "github.com/bmc-toolbox/bmclib/v2/bmc"
	"github.com/bmc-toolbox/bmclib/v2/providers/redfish"
	"github.com/go-logr/logr"
	"github.com/stmcginnis/gofish/common"
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

// open reads the service root for one command. The provider ignores the contexts that it
// is handed, so the command's goes in by the transport.
func (c *redfishConn) open(ctx context.Context) (*redfish.Conn, error) {
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see redfishConn
	}
	host := c.target.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]" // the provider appends the port
	}
	provider := redfish.New(host, c.endpoint.User, c.endpoint.Password, logr.Discard(),
		redfish.WithPort(c.target.portOr(redfishPort)),
		redfish.WithUseBasicAuth(true),
		redfish.WithHttpClient(&http.Client{Transport: bound{ctx, transport}}))
	if err := provider.Open(ctx); err != nil {
		return nil, classifyRedfish(err)
	}
	return provider, nil
}

// bound is a transport whose requests end with a context.
type bound struct {
	ctx  context.Context
	next http.RoundTripper
}

func (b bound) RoundTrip(request *http.Request) (*http.Response, error) {
	return b.next.RoundTrip(request.WithContext(b.ctx))
}

func (c *redfishConn) power(ctx context.Context) (Power, error) {
	provider, err := c.open(ctx)
	if err != nil {
		return "", err
	}
	state, err := provider.PowerStateGet(ctx)
	if err != nil {
		return "", classifyRedfish(err)
	}
	return Power(strings.ToLower(state)), nil
}

func (c *redfishConn) setPower(ctx context.Context, power Power) error {
	provider, err := c.open(ctx)
	if err != nil {
		return err
	}
	_, err = provider.PowerSet(ctx, string(power))
	return classifyRedfish(err)
}

func (c *redfishConn) setBootDevice(ctx context.Context, device BootDevice, uefi bool) error {
	provider, err := c.open(ctx)
	if err != nil {
		return err
	}
	name := map[BootDevice]bmclib.BootDeviceType{Network: bmclib.BootDeviceTypePXE, Disk: bmclib.BootDeviceTypeDisk}[device]
	_, err = provider.BootDeviceSet(ctx, string(name), device == Disk, uefi)
	return classifyRedfish(err)
}

func (c *redfishConn) bootDevice(ctx context.Context) (BootDevice, error) {
	provider, err := c.open(ctx)
	if err != nil {
		return "", err
	}
	override, err := provider.BootDeviceOverrideGet(ctx)
	if err != nil {
		return "", classifyRedfish(err)
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

func classifyRedfish(err error) error {
	if err == nil {
		return nil
	}
	var answer *common.Error
	var network net.Error
	switch {
	case errors.As(err, &answer) && (answer.HTTPReturnedStatusCode == http.StatusUnauthorized || answer.HTTPReturnedStatusCode == http.StatusForbidden):
		return fmt.Errorf("%w: %w", ErrCredentials, err)
	case errors.As(err, &network):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}
