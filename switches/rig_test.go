package switches_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"ferrodur/lab/netns"
	"ferrodur/lab/tor"
	"ferrodur/switches"
)

// rig is a real switch in a network namespace, with ports that are cables to nowhere.
type rig struct {
	namespace netns.Namespace
	config    tor.Config
	device    switches.Device
	sessions  *switches.Sessions

	privateKey []byte // of the device's user, who has a password, too
}

// newRig has FRR on the switch, and newBridgeRig Open vSwitch.
func newRig(t *testing.T) *rig       { return startRig(t, "frr", nil) }
func newBridgeRig(t *testing.T) *rig { return startRig(t, "ovs", new(tor.Bridge)) }

var rigs atomic.Int32

const (
	rigPorts    = 14
	rigPassword = "correct-horse"
)

func startRig(t *testing.T, platform string, bridge *tor.Bridge) *rig {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: a switch in a network namespace needs root")
	}
	ctx := t.Context()
	namespace := netns.Namespace(fmt.Sprintf("sswt%d-%d", os.Getpid(), rigs.Add(1)))
	t.Cleanup(func() { check(t, namespace.Delete()) })
	check(t, namespace.Create())
	address := netip.MustParseAddrPort("192.0.2.2:22")
	check(t, namespace.AddAddress("lo", netip.PrefixFrom(address.Addr(), 32)))
	var ports []string
	for n := 1; n <= rigPorts; n++ {
		ports = append(ports, port(n))
		port := netns.End{Namespace: namespace, Interface: port(n)}
		check(t, netns.Connect(port, netns.End{Namespace: namespace, Interface: "far" + port.Interface}))
	}
	check(t, namespace.AddTap("tap1"))

	_, key, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	private, err := ssh.MarshalPrivateKey(key, "")
	check(t, err)
	public, err := ssh.NewPublicKey(key.Public())
	check(t, err)
	config := tor.Config{
		Name: "sw1", Namespace: namespace, Dir: filepath.Join(t.TempDir(), "sw1"),
		Address: address, User: "operator", Password: rigPassword, Ports: ports, Bridge: bridge,
		AuthorizedKeys: []string{string(ssh.MarshalAuthorizedKey(public))},
	}
	t.Cleanup(func() { check(t, tor.Stop(context.Background(), config.Dir)) })
	started, err := tor.Start(ctx, config)
	check(t, err)
	return &rig{
		namespace: namespace,
		config:    config,
		device: switches.Device{
			Name: "sw1", Platform: platform, Address: address.String(),
			User: config.User, Password: rigPassword, HostKey: started.HostKey(),
		},
		privateKey: pem.EncodeToMemory(private),
		sessions:   switches.NewSessions(switches.Config{Dial: namespace.Dial, Connect: 10 * time.Second, Command: 10 * time.Second}),
	}
}

// port names a port. Each test has its own.
func port(n int) string { return fmt.Sprintf("swp%d", n) }

func (r *rig) open(t *testing.T) *switches.Session {
	t.Helper()
	session, err := r.sessions.Open(t.Context(), r.device)
	check(t, err)
	t.Cleanup(session.Close)
	return session
}

// apply opens a session for one change, as an activity does.
func (r *rig) apply(t *testing.T, intent switches.Intent) switches.Change {
	t.Helper()
	session, err := r.sessions.Open(t.Context(), r.device)
	check(t, err)
	defer session.Close()
	change, err := applyOne(t, session, intent)
	check(t, err)
	return change
}

// applyOne applies one intent.
func applyOne(t *testing.T, session *switches.Session, intent switches.Intent) (switches.Change, error) {
	t.Helper()
	results, err := session.Apply(t.Context(), intent)
	if err != nil {
		return switches.Change{}, err
	}
	return results[0].Change, results[0].Err
}

func diffOne(t *testing.T, session *switches.Session, intent switches.Intent) (switches.Change, error) {
	t.Helper()
	results, err := session.Diff(t.Context(), intent)
	if err != nil {
		return switches.Change{}, err
	}
	return results[0].Change, results[0].Err
}

func readOne(t *testing.T, session *switches.Session, port string) (switches.Intent, error) {
	t.Helper()
	results, err := session.Read(t.Context(), port)
	if err != nil {
		return switches.Intent{}, err
	}
	return results[0].Change.Running, results[0].Err
}

// vtysh configures the switch by hand, past Ferrodur.
func (r *rig) vtysh(t *testing.T, lines ...string) string {
	t.Helper()
	return showByHand(t, r.namespace, lines...)
}

func configureByHand(t *testing.T, namespace netns.Namespace, lines ...string) {
	t.Helper()
	showByHand(t, namespace, append([]string{"configure terminal"}, lines...)...)
}

// showByHand runs commands in the vtysh of the FRR in a namespace.
func showByHand(t *testing.T, namespace netns.Namespace, lines ...string) string {
	t.Helper()
	var arguments []string
	for _, line := range lines {
		arguments = append(arguments, "-c", line)
	}
	return besides(t, namespace, "zebra", "vtysh", arguments...)
}

// onSwitch runs a program on the Open vSwitch.
func (r *rig) onSwitch(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	return besides(t, r.namespace, "ovs-vswitchd", program, arguments...)
}

// besides runs a program in all namespaces of another one, which runs on a switch.
func besides(t *testing.T, namespace netns.Namespace, other, program string, arguments ...string) string {
	t.Helper()
	pid := fmt.Sprint(pidOf(t, namespace, other))
	output, err := namespace.Run(t.Context(), "nsenter", append([]string{"--target", pid, "--all", program}, arguments...)...)
	check(t, err)
	return string(output)
}

// pidOf is the process of a program in a namespace.
func pidOf(t *testing.T, namespace netns.Namespace, program string) int {
	t.Helper()
	pids, err := namespace.PIDs()
	check(t, err)
	for _, pid := range pids {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if strings.TrimSpace(string(name)) == program {
			return pid
		}
	}
	t.Fatalf("no %s in %s", program, namespace)
	return 0
}

// filters are the rules of Ferrodur's ports.
func (r *rig) filters(t *testing.T) string {
	t.Helper()
	output, err := r.namespace.Run(t.Context(), "nft", "-s", "list", "ruleset")
	check(t, err)
	return string(output)
}

// kernel is what the switch's kernel has on a port.
func (r *rig) kernel(t *testing.T, port string) string {
	t.Helper()
	output, err := r.namespace.Run(t.Context(), "ip", "address", "show", "dev", port)
	check(t, err)
	return string(output)
}

// startup is the configuration that the switch starts with.
func (r *rig) startup(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.config.Dir, "frr", "frr.conf"))
	check(t, err)
	return string(text)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func addresses(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}
