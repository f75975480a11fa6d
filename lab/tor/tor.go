// Package tor runs the lab's top-of-rack switches: FRRouting with nftables, or Open vSwitch,
// in a network namespace, configured over SSH, with a DHCP relay. They are Debian's frr or
// openvswitch-switch, openssh-server, isc-dhcp-relay and lldpd, behind a private view of /etc and
// /run, so that switches do not meet each other, the machine's own FRR, or its users. Root
// is needed.
package tor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"ferrodur/lab/netns"
	"ferrodur/lab/process"
)

var (
	// ErrConfig says that a Config cannot be used. The text says why.
	ErrConfig = errors.New("invalid switch configuration")
	// ErrNotReady says that the switch did not come up. Its log tells why.
	ErrNotReady = errors.New("switch is not ready")
)

// Config describes a switch.
type Config struct {
	Name      string          // host name, in the prompt
	Namespace netns.Namespace // where its interfaces are; made by the caller
	// Dir keeps its start-up configuration, host key, log and PID file. An absolute path,
	// made with mode 0700 if need be.
	Dir string
	// Address is where its SSH server listens; the caller has put it on an interface.
	Address netip.AddrPort
	// User may log in, by Password or by one of AuthorizedKeys (authorized_keys form).
	User           string
	Password       string
	AuthorizedKeys []string
	// Ports are the interfaces that servers are cabled to. LLDP is spoken there.
	Ports []string
	Relay Relay
	// Bridge makes it a switch of VLANs, with Open vSwitch; nil: a router, with FRRouting.
	Bridge *Bridge
}

// Bridge is what there is to a switch of VLANs before anybody configures its ports, which
// carry nothing until then.
type Bridge struct {
	Gateways []Gateway
}

// Gateway routes a VLAN's packets. Its interface is called after the VLAN: vlan100.
type Gateway struct {
	VLAN      int
	Addresses []netip.Prefix
}

// Relay is a DHCPv4 relay (RFC 2131 §4.1) that tells the server the name of the port in
// option 82's circuit ID (RFC 3046 §3.1). It follows the ports' addresses: a port is
// relayed from while it is up and has one. The zero Relay is none.
type Relay struct {
	Server netip.Addr
	Uplink string   // the interface towards the server
	Ports  []string // the interfaces of the clients
}

// Switch is a running switch.
type Switch struct {
	hostKey string
	process *process.Process
}

const (
	processName = "switch" // of its log and PID file
	startTime   = 30 * time.Second
	stopTime    = 5 * time.Second
)

// Start starts the switch and waits until it can be logged in to. Its configuration is
// that of its last start-up configuration. A running switch is returned as it is, whatever
// else config says. ErrConfig, ErrNotReady.
func Start(ctx context.Context, config Config) (*Switch, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	running, err := process.Find(config.Dir, processName)
	if errors.Is(err, process.ErrNotRunning) {
		running, err = launch(ctx, config)
	}
	if err != nil {
		return nil, fmt.Errorf("start switch %s: %w", config.Name, err)
	}
	if err := awaitReady(ctx, running, config.Dir); err != nil {
		return nil, fmt.Errorf("start switch %s: %w; see %s", config.Name, err, filepath.Join(config.Dir, processName+".log"))
	}
	hostKey, err := readHostKey(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("start switch %s: %w", config.Name, err)
	}
	return &Switch{hostKey: hostKey, process: running}, nil
}

func launch(ctx context.Context, config Config) (*process.Process, error) {
	if err := prepare(ctx, config); err != nil {
		return nil, err
	}
	relay := ""
	if config.Relay.Server.IsValid() {
		relay = config.Relay.Server.String()
	}
	return process.Start(process.Spec{
		Name:      processName,
		Dir:       config.Dir,
		Namespace: config.Namespace,
		Command: []string{"unshare", "--mount", "--propagation", "private", "--uts",
			"--pid", "--fork", "--kill-child", "--mount-proc", "bash", filepath.Join(config.Dir, scriptFile)},
		Env: append(config.Bridge.environment(),
			"SWITCH_DIR="+config.Dir,
			"SWITCH_NAME="+config.Name,
			fmt.Sprintf("SWITCH_SSH=%s/%d", config.Address.Addr(), config.Address.Port()),
			"SWITCH_USER="+config.User,
			"SWITCH_PORTS="+strings.Join(config.Ports, " "),
			"SWITCH_RELAYED="+strings.Join(config.Relay.Ports, " "),
			"SWITCH_RELAY="+relay,
			"SWITCH_UPLINK="+config.Relay.Uplink,
		),
	})
}

// environment tells the script of the bridge.
func (b *Bridge) environment() []string {
	if b == nil {
		return nil
	}
	var gateways []string
	for _, gateway := range b.Gateways {
		var addresses []string
		for _, address := range gateway.Addresses {
			addresses = append(addresses, address.String())
		}
		gateways = append(gateways, fmt.Sprintf("%d=%s", gateway.VLAN, strings.Join(addresses, ",")))
	}
	return []string{"SWITCH_GATEWAYS=" + strings.Join(gateways, " ")}
}

// awaitReady waits for the file that the script makes when all of the switch is up.
func awaitReady(ctx context.Context, running *process.Process, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		if _, err := os.Stat(filepath.Join(dir, readyFile)); err == nil {
			return nil
		}
		if !running.Running() {
			return fmt.Errorf("%w: it ended", ErrNotReady)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNotReady, ctx.Err())
		case <-poll.C:
		}
	}
}

// HostKey is the SSH server's public key in authorized_keys form. It stays the same for a
// folder.
func (s *Switch) HostKey() string { return s.hostKey }

// Running tells whether the switch is there.
func (s *Switch) Running() bool { return s.process.Running() }

// Stop ends the switch as a power cut does: what was not written to the start-up
// configuration is lost. The folder stays.
func (s *Switch) Stop(ctx context.Context) error { return s.process.Stop(ctx, stopTime) }

// Stop ends the switch that runs in a folder, whoever started it. None is no error.
func Stop(ctx context.Context, dir string) error {
	return process.Stop(ctx, dir, processName, stopTime)
}

func (c Config) validate() error {
	name := regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)
	interfaceName := regexp.MustCompile(`^[A-Za-z0-9._-]{1,15}$`)
	switch {
	case !name.MatchString(c.Name):
		return fmt.Errorf("%w: name %q", ErrConfig, c.Name)
	case !name.MatchString(c.User):
		return fmt.Errorf("%w: user %q", ErrConfig, c.User)
	case !filepath.IsAbs(c.Dir):
		return fmt.Errorf("%w: folder %q is not an absolute path", ErrConfig, c.Dir)
	case !c.Address.IsValid():
		return fmt.Errorf("%w: no address for its SSH server", ErrConfig)
	case c.Password == "" && len(c.AuthorizedKeys) == 0:
		return fmt.Errorf("%w: neither password nor key to log in with", ErrConfig)
	case c.Relay.Server.IsValid() && !interfaceName.MatchString(c.Relay.Uplink):
		return fmt.Errorf("%w: relay with uplink %q", ErrConfig, c.Relay.Uplink)
	}
	for _, port := range slices.Concat(c.Ports, c.Relay.Ports) {
		if !interfaceName.MatchString(port) {
			return fmt.Errorf("%w: port %q", ErrConfig, port)
		}
	}
	return nil
}
