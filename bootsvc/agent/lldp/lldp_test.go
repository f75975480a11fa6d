package lldp_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ferrodur/bootsvc/agent/lldp"
	"ferrodur/lab/netns"
)

// A station and Debian's lldpd hear each other, within the seconds of the fast start.
func TestStationAndLLDPD(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: a network namespace needs root")
	}
	namespace := netns.Namespace(fmt.Sprintf("lldp%d", os.Getpid()))
	t.Cleanup(func() { require.NoError(t, namespace.Delete()) })
	require.NoError(t, namespace.Create())
	require.NoError(t, netns.Connect(netns.End{Namespace: namespace, Interface: "swp1"}, netns.End{Namespace: namespace, Interface: "eth0"}))

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	// lldpd has a socket and a chroot below /run, and its own view of that here.
	dir, err := os.MkdirTemp("", "lldp") // which its user can reach
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	socket := dir + "/lldpd"
	daemon := exec.CommandContext(ctx, "ip", "netns", "exec", string(namespace), "unshare", "--mount", "sh", "-c",
		`mount -t tmpfs tmpfs /run && mkdir /run/lldpd && exec lldpd -d -u "$0" -I swp1`, socket)
	daemon.Cancel = func() error { return daemon.Process.Signal(os.Interrupt) }
	require.NoError(t, daemon.Start())
	defer func() {
		cancel()
		_ = daemon.Wait()
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(socket); return err == nil }, 10*time.Second, 10*time.Millisecond)

	var station *lldp.Station
	require.NoError(t, namespace.Do(func() error {
		nic, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		station = lldp.Start(ctx, "srv1", []net.Interface{*nic}, func(err error) { t.Error(err) })
		return nil
	}))
	station.Await(ctx, "eth0")
	heard := station.Neighbours()["eth0"]
	require.Equal(t, "swp1", heard.PortDescription)
	require.NotEmpty(t, heard.Chassis)

	require.Eventually(t, func() bool {
		text, err := exec.CommandContext(ctx, "lldpcli", "-u", socket, "-f", "json0", "show", "neighbors").Output()
		return err == nil && strings.Contains(string(text), `"srv1"`)
	}, 10*time.Second, time.Second)
}
