package bmc

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"

	"github.com/bmc-toolbox/bmclib/v2/providers/ipmitool"

	"ferrodur/bmc/presence"
)

const ipmiPort = "623"

// errCipherSuite says that the BMC does not know the cipher suite.
var errCipherSuite = errors.New("it does not know the IPMI cipher suite")

// greetIPMI finds out whether an IPMI BMC is there, without credentials.
func greetIPMI(ctx context.Context, t target) error {
	var network net.Dialer
	conn, err := network.DialContext(ctx, "udp", net.JoinHostPort(t.host, t.portOr(ipmiPort)))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() { _ = conn.Close() }()
	if err := presence.Ask(ctx, conn); err != nil {
		return fmt.Errorf("%w: no answer to Redfish or IPMI", ErrUnreachable)
	}
	return nil
}

// ipmiConn is IPMI through bmclib's ipmitool provider. Both hand ipmitool the password in
// its environment (-E), which only its own user and root can read.
type ipmiConn struct {
	*ipmitool.Conn
	program     string
	endpoint    Endpoint
	target      target
	cipherSuite string
}

func dialIPMI(cipherSuite string) dialer {
	return func(e Endpoint, t target) (conn, error) {
		program, err := exec.LookPath("ipmitool")
		if err != nil {
			return nil, ErrNoIpmitool
		}
		host := t.host
		if strings.Contains(host, ":") {
			host = "[" + host + "]" // the provider appends the port
		}
		provider, err := ipmitool.New(host, e.User, e.Password,
			ipmitool.WithPort(t.portOr(ipmiPort)),
			ipmitool.WithCipherSuite(cipherSuite),
			ipmitool.WithIpmitoolPath(program))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoIpmitool, err)
		}
		return &ipmiConn{provider, program, e, t, cipherSuite}, nil
	}
}

func (c *ipmiConn) power(ctx context.Context) (Power, error) {
	text, err := c.PowerStateGet(ctx)
	if err != nil {
		return "", classifyIPMI(err.Error())
	}
	state, found := strings.CutPrefix(strings.TrimSpace(text), "Chassis Power is ")
	if !found {
		return "", classifyIPMI(text)
	}
	return Power(state), nil
}

func (c *ipmiConn) setPower(ctx context.Context, power Power) error {
	_, err := c.PowerSet(ctx, string(power))
	if err != nil {
		return classifyIPMI(err.Error())
	}
	return nil
}

func (c *ipmiConn) setBootDevice(ctx context.Context, device BootDevice, uefi bool) error {
	name := map[BootDevice]string{Network: "pxe", Disk: "disk"}[device]
	_, err := c.BootDeviceSet(ctx, name, device == Disk, uefi)
	if err != nil {
		return classifyIPMI(err.Error())
	}
	return nil
}

// bootDevice sends Get System Boot Options, parameter 5 (boot flags), which the provider
// does not offer.
func (c *ipmiConn) bootDevice(ctx context.Context) (BootDevice, error) {
	text, err := c.run(ctx, "raw", "0x00", "0x09", "0x05", "0x00", "0x00")
	if err != nil {
		return "", err
	}
	return parseBootFlags(text)
}

// product reads the product area of the BMC's first FRU.
func (c *ipmiConn) product(ctx context.Context) (vendor, model string, err error) {
	text, err := c.run(ctx, "fru", "print", "0")
	if err != nil {
		return "", "", err
	}
	vendor, model = parseFRU(text)
	return vendor, model, nil
}

func (c *ipmiConn) run(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, c.program, append([]string{
		"-I", "lanplus", "-H", c.target.host, "-p", c.target.portOr(ipmiPort),
		"-U", c.endpoint.User, "-E", "-C", c.cipherSuite, "-N", "5", // as the provider does
	}, args...)...)
	command.Env = []string{"IPMITOOL_PASSWORD=" + c.endpoint.Password}
	output, err := command.CombinedOutput()
	if err != nil {
		return "", classifyIPMI(string(output) + ": " + err.Error())
	}
	return string(output), nil
}

// classifyIPMI tells the kind of an error by ipmitool's text, which is all there is. It is
// asked only after the BMC has shown that it is there: what is left then of "unable to
// establish a session" is that it refused the password.
func classifyIPMI(text string) error {
	text = strings.Join(strings.Fields(text), " ")
	text = strings.TrimSuffix(strings.TrimPrefix(text, "Error: "), ": exit status 1")
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(strings.ToLower(text), part) {
				return true
			}
		}
		return false
	}
	switch {
	case has("invalid authentication algorithm", "invalid integrity algorithm", "invalid confidentiality algorithm", "no matching cipher suite"):
		return fmt.Errorf("%w: %w", ErrRefused, errCipherSuite)
	case has("insufficient resources"):
		return fmt.Errorf("%w: all its sessions are taken", ErrRefused)
	case has("rakp", "unable to establish ipmi v2", "privilege level", "password is longer"):
		return fmt.Errorf("%w: %s", ErrCredentials, text)
	}
	return fmt.Errorf("%w: %s", ErrRefused, text)
}

// parseBootFlags reads the answer to Get System Boot Options, parameter 5: version,
// parameter number, then five bytes of which the second has the device in bits 2 to 5
// (IPMI v2.0 table 28-14). The "valid" bit is not looked at: some BMCs never set it.
func parseBootFlags(text string) (BootDevice, error) {
	data, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil || len(data) != 7 || data[1]&0x7f != 5 {
		return "", fmt.Errorf("%w: unintelligible boot flags %q", ErrRefused, text)
	}
	switch device := data[3] >> 2 & 0x0f; device {
	case 0, 2: // no override; default hard disk
		return Disk, nil
	case 1:
		return Network, nil
	default:
		return BootDevice(fmt.Sprintf("device %d of IPMI table 28-14", device)), nil
	}
}

func parseFRU(text string) (vendor, model string) {
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		switch strings.TrimSpace(key) {
		case "Product Manufacturer":
			vendor = strings.TrimSpace(value)
		case "Product Name":
			model = strings.TrimSpace(value)
		}
	}
	return vendor, model
}
