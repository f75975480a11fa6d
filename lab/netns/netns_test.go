package netns_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ferrodur/lab/netns"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
}

// pair returns two namespaces that go with the test.
func pair(t *testing.T) (a, b netns.Namespace) {
	t.Helper()
	needRoot(t)
	a = netns.Namespace(fmt.Sprintf("t%d-a", os.Getpid()))
	b = netns.Namespace(fmt.Sprintf("t%d-b", os.Getpid()))
	for _, n := range []netns.Namespace{a, b} {
		t.Cleanup(func() { must(t, n.Delete()) })
		must(t, n.Create())
	}
	return a, b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCreateAndDeleteAreIdempotent(t *testing.T) {
	a, _ := pair(t)
	must(t, a.Create())
	// iproute2 is the judge of what exists.
	list, err := exec.Command("ip", "netns", "list").Output()
	must(t, err)
	if !strings.Contains(string(list), string(a)) {
		t.Fatalf("ip netns list does not show %s:\n%s", a, list)
	}
	must(t, a.Delete())
	must(t, a.Delete())
	if _, err := os.Stat("/run/netns/" + string(a)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("after Delete: %v", err)
	}
	// What a Create leaves that was killed half-way is no obstacle.
	must(t, os.WriteFile("/run/netns/"+string(a), nil, 0o444))
	must(t, a.Create())
	if !a.Exists() {
		t.Fatal("no namespace behind the name")
	}
}

// Others add namespaces by iproute2 while ours are there. The test has a /run of its own, on which
// nobody has done so before.
func TestDeleteBesideOthers(t *testing.T) {
	needRoot(t)
	const again = "FERRODUR_OWN_RUN"
	if os.Getenv(again) == "" {
		command := exec.Command("unshare", "--mount", "sh", "-c", `mount -t tmpfs tmpfs /run && exec "$0" -test.run=^TestDeleteBesideOthers$`, os.Args[0])
		command.Env = append(os.Environ(), again+"=1")
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		return
	}
	n := netns.Namespace("ours")
	must(t, n.Create())
	if output, err := exec.Command("ip", "netns", "add", "theirs").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	must(t, n.Delete())
	if _, err := os.Stat("/run/netns/ours"); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("after Delete: %v", err)
	}
}

func TestTrafficCrossesTheCable(t *testing.T) {
	a, b := pair(t)
	for range 2 { // everything twice
		must(t, netns.Connect(netns.End{Namespace: a, Interface: "left"}, netns.End{Namespace: b, Interface: "right"}))
		must(t, a.AddAddress("left", netip.MustParsePrefix("192.0.2.128/31")))
		must(t, b.AddAddress("right", netip.MustParsePrefix("192.0.2.129/31")))
		must(t, a.AddAddress("left", netip.MustParsePrefix("2001:db8:0:1::/127")))
		must(t, b.AddAddress("right", netip.MustParsePrefix("2001:db8:0:1::1/127")))
		must(t, b.AddAddress("lo", netip.MustParsePrefix("198.51.100.7/32")))
		must(t, a.AddRoute(netip.MustParsePrefix("198.51.100.0/24"), netip.MustParseAddr("192.0.2.129")))
		must(t, b.Forward())
	}
	for _, address := range []string{"192.0.2.129:7000", "[2001:db8:0:1::1]:7000", "198.51.100.7:7000"} {
		t.Run(address, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			listener, err := b.Listen(ctx, "tcp", address)
			must(t, err)
			defer func() { _ = listener.Close() }()
			go func() {
				conn, err := listener.Accept()
				if err == nil {
					_, _ = conn.Write([]byte("hello"))
					_ = conn.Close()
				}
			}()
			conn, err := a.Dial(ctx, "tcp", address)
			must(t, err)
			got, err := io.ReadAll(conn)
			must(t, err)
			if string(got) != "hello" {
				t.Errorf("read %q", got)
			}
		})
	}
}

func TestTapStays(t *testing.T) {
	a, _ := pair(t)
	must(t, a.AddTap("swp1"))
	must(t, a.AddTap("swp1"))
	must(t, a.AddAddress("swp1", netip.MustParsePrefix("203.0.113.0/31")))
	names, err := a.Interfaces()
	must(t, err)
	if !slices.Contains(names, "swp1") {
		t.Fatalf("interfaces: %v", names)
	}
	output, err := a.Run(t.Context(), "ip", "-br", "addr", "show", "swp1")
	must(t, err)
	if !strings.Contains(string(output), "203.0.113.0/31") {
		t.Fatalf("ip addr: %s", output)
	}
	must(t, a.RemoveInterface("swp1"))
	must(t, a.RemoveInterface("swp1"))
}

func TestPIDs(t *testing.T) {
	a, b := pair(t)
	sleep := exec.Command("sleep", "60")
	must(t, a.Do(sleep.Start))
	defer func() { _ = sleep.Process.Kill(); _ = sleep.Wait() }()
	inside, err := a.PIDs()
	must(t, err)
	if !slices.Equal(inside, []int{sleep.Process.Pid}) {
		t.Errorf("PIDs in a: %v, want %d", inside, sleep.Process.Pid)
	}
	if others, err := b.PIDs(); err != nil || len(others) != 0 {
		t.Errorf("PIDs in b: %v, %v", others, err)
	}
}

// The process never counts as being in a namespace, whatever its threads do, and no thread
// is left behind.
func TestProcessStaysOutside(t *testing.T) {
	a, _ := pair(t)
	home, err := os.Readlink("/proc/self/ns/net")
	must(t, err)
	var group errgroup.Group
	for range 50 {
		group.Go(func() error {
			return a.Do(func() error {
				inside, err := a.PIDs()
				if len(inside) != 0 {
					t.Errorf("PIDs in a: %v", inside)
				}
				return err
			})
		})
	}
	must(t, group.Wait())
	// Threads take a moment to end.
	var astray []string
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if astray = threadsOutside(home); len(astray) == 0 {
			return
		}
	}
	t.Errorf("threads not in %s: %v", home, astray)
}

func threadsOutside(home string) (astray []string) {
	threads, _ := filepath.Glob("/proc/self/task/*/ns/net")
	for _, thread := range threads {
		if at, err := os.Readlink(thread); err == nil && at != home {
			astray = append(astray, thread)
		}
	}
	return astray
}

func TestDialRefusesNames(t *testing.T) {
	if _, err := netns.Namespace("").Dial(t.Context(), "tcp", "localhost:22"); !errors.Is(err, netns.ErrNotLiteral) {
		t.Errorf("got %v", err)
	}
}
