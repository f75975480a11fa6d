package tor_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"ferrodur/lab/netns"
	"ferrodur/lab/process"
	"ferrodur/lab/tor"
)

const password = "correct-horse"

// newConfig makes a namespace for a switch. It is gone after the test, with all in it.
func newConfig(t *testing.T, name string) tor.Config {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: a switch in a network namespace needs root")
	}
	namespace := newNamespace(t, name)
	address := netip.MustParseAddrPort("192.0.2.2:22")
	check(t, namespace.AddAddress("lo", netip.PrefixFrom(address.Addr(), 32)))
	config := tor.Config{
		Name: name, Namespace: namespace, Dir: filepath.Join(t.TempDir(), name),
		Address: address, User: "operator", Password: password,
	}
	t.Cleanup(func() { check(t, tor.Stop(context.Background(), config.Dir)) })
	return config
}

func newNamespace(t *testing.T, name string) netns.Namespace {
	t.Helper()
	namespace := netns.Namespace(fmt.Sprintf("ssf%d-%s", os.Getpid(), name))
	t.Cleanup(func() { check(t, namespace.Delete()) })
	check(t, namespace.Create())
	return namespace
}

// login runs lines in vtysh over SSH.
func login(t *testing.T, config tor.Config, hostKey string, method ssh.AuthMethod, command string) (string, error) {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(hostKey))
	check(t, err)
	conn, err := config.Namespace.Dial(t.Context(), "tcp", config.Address.String())
	check(t, err)
	defer func() { _ = conn.Close() }()
	connection, channels, requests, err := ssh.NewClientConn(conn, config.Address.String(), &ssh.ClientConfig{
		User: config.User, Auth: []ssh.AuthMethod{method}, HostKeyCallback: ssh.FixedHostKey(key),
	})
	if err != nil {
		return "", err
	}
	session, err := ssh.NewClient(connection, channels, requests).NewSession()
	check(t, err)
	var program strings.Builder
	program.WriteString("vtysh")
	for line := range strings.Lines(command) {
		fmt.Fprintf(&program, " -c '%s'", strings.TrimSpace(line))
	}
	output, err := session.CombinedOutput(program.String())
	return string(output), err
}

func TestSwitch(t *testing.T) {
	config := newConfig(t, "sw1")
	public, private, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	check(t, err)
	authorized, err := ssh.NewPublicKey(public)
	check(t, err)
	config.AuthorizedKeys = []string{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(authorized)))}
	before := footprint(t)

	sw, err := tor.Start(t.Context(), config)
	check(t, err)
	for name, method := range map[string]ssh.AuthMethod{"password": ssh.Password(password), "key": ssh.PublicKeys(signer)} {
		output, err := login(t, config, sw.HostKey(), method, "show running-config")
		if err != nil || !strings.Contains(output, "hostname sw1") || strings.Contains(output, "no ip forwarding") {
			t.Errorf("by %s: %v, %s", name, err, output)
		}
	}
	if _, err := login(t, config, sw.HostKey(), ssh.Password("wrong"), "show version"); err == nil {
		t.Error("a wrong password let us in")
	}
	output, err := login(t, config, sw.HostKey(), ssh.Password(password), "show version")
	if err != nil || !strings.Contains(output, "FRRouting") {
		t.Errorf("got %v, %s", err, output)
	}

	again, err := tor.Start(t.Context(), config)
	check(t, err)
	if pids, err := config.Namespace.PIDs(); err != nil || again.HostKey() != sw.HostKey() || count(t, pids, "zebra") != 1 {
		t.Errorf("started twice: %v, %v", pids, err)
	}

	check(t, again.Stop(t.Context()))
	check(t, again.Stop(t.Context()))
	if pids, err := config.Namespace.PIDs(); err != nil || len(pids) > 0 {
		t.Errorf("processes left: %v, %v", pids, err)
	}
	if after := footprint(t); after != before {
		t.Errorf("the machine was changed: before\n%s\nafter\n%s", before, after)
	}
}

// What was written to memory is there after a power cut, the host key too; a lab that was
// killed is started over from its folder.
func TestSwitchAfterKill(t *testing.T) {
	config := newConfig(t, "sw2")
	sw, err := tor.Start(t.Context(), config)
	check(t, err)
	_, err = login(t, config, sw.HostKey(), ssh.Password(password),
		"configure terminal\nip route 203.0.113.0/24 blackhole\nend\nwrite memory")
	check(t, err)

	leader, err := process.Find(config.Dir, "switch")
	check(t, err)
	check(t, syscall.Kill(leader.PID, syscall.SIGKILL))
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		pids, err := config.Namespace.PIDs()
		check(t, err)
		if len(pids) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("processes outlived their switch: %v", pids)
		}
	}
	if sw.Running() {
		t.Error("the switch says it is running")
	}

	restarted, err := tor.Start(t.Context(), config)
	check(t, err)
	if restarted.HostKey() != sw.HostKey() {
		t.Error("the host key changed")
	}
	output, err := login(t, config, sw.HostKey(), ssh.Password(password), "show running-config")
	if err != nil || !strings.Contains(output, "ip route 203.0.113.0/24 blackhole") {
		t.Errorf("the configuration is gone: %v, %s", err, output)
	}
}

func TestStartWithoutAddress(t *testing.T) {
	config := newConfig(t, "sw4")
	config.Address = netip.MustParseAddrPort("192.0.2.99:22") // on no interface
	if _, err := tor.Start(t.Context(), config); !errors.Is(err, tor.ErrNotReady) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want ErrNotReady at once", err)
	}
	if pids, err := config.Namespace.PIDs(); err != nil || len(pids) > 0 {
		t.Errorf("processes left: %v, %v", pids, err)
	}
}

func TestStartRefusesConfig(t *testing.T) {
	good := tor.Config{Name: "sw1", Dir: "/nonexistent/sw1", Address: netip.MustParseAddrPort("192.0.2.2:22"), User: "operator", Password: password}
	for name, spoil := range map[string]func(*tor.Config){
		"name":           func(c *tor.Config) { c.Name = "sw1; reboot" },
		"user":           func(c *tor.Config) { c.User = "-o" },
		"folder":         func(c *tor.Config) { c.Dir = "sw1" },
		"address":        func(c *tor.Config) { c.Address = netip.AddrPort{} },
		"no credentials": func(c *tor.Config) { c.Password = "" },
		"uplink":         func(c *tor.Config) { c.Relay.Server = c.Address.Addr() },
		"port":           func(c *tor.Config) { c.Relay.Ports = []string{"a b"} },
	} {
		config := good
		spoil(&config)
		if _, err := tor.Start(t.Context(), config); !errors.Is(err, tor.ErrConfig) {
			t.Errorf("%s: got %v, want ErrConfig", name, err)
		}
	}
}

// footprint is what a switch must not change on the machine.
func footprint(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, name := range []string{"/etc/passwd", "/etc/shadow", "/etc/group"} {
		info, err := os.Stat(name)
		check(t, err)
		fmt.Fprintln(&text, name, info.Size(), info.ModTime())
	}
	for _, dir := range []string{"/etc/frr", "/run/frr", "/var/log/frr"} {
		entries, err := os.ReadDir(dir)
		check(t, err)
		for _, entry := range entries {
			info, err := entry.Info()
			check(t, err)
			fmt.Fprintln(&text, dir, entry.Name(), info.Size(), info.ModTime())
		}
	}
	hostname, err := os.Hostname()
	check(t, err)
	fmt.Fprintln(&text, hostname)
	return text.String()
}

func count(t *testing.T, pids []int, program string) int {
	t.Helper()
	n := 0
	for _, pid := range pids {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if strings.TrimSpace(string(name)) == program {
			n++
		}
	}
	return n
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
