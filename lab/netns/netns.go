// Package netns makes the virtual rack's networks: named Linux network namespaces, the
// virtual cables and taps in them, addresses and routes. Every call states what should be
// there and may be repeated; what exists already is left alone. All of it needs root.
//
// A namespace has a name in /run/netns, so that `ip netns exec NAME` reaches it too.
package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// directory is where iproute2 looks for the names of network namespaces, ip-netns(8).
const directory = "/run/netns"

// ErrNotLiteral is returned by Dial and Listen for an address that is not a literal IP
// address and port: a name would be resolved outside the namespace.
var ErrNotLiteral = errors.New("not a literal IP address and port")

// Namespace is the name of a network namespace. The empty name is the namespace that the
// calling process is in, which can be neither created nor deleted.
type Namespace string

// Create makes the namespace and brings its loopback interface up.
func (n Namespace) Create() error {
	if !n.Exists() {
		if err := n.make(); err != nil {
			return fmt.Errorf("create network namespace %s: %w", n, err)
		}
	}
	return n.Up("lo")
}

func (n Namespace) make() error {
	// A file without a namespace mounted on it is what a killed Create or Delete leaves.
	if err := os.Remove(n.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return Namespace("").Do(func() error {
		if err := shareDirectory(); err != nil {
			return err
		}
		handle, err := vnetns.NewNamed(string(n))
		if err != nil {
			return err
		}
		return handle.Close()
	})
}

// shareDirectory makes the directory a mount of its own, as `ip netns add` does: if that did it
// later, names that are there by then would be mounted twice, and could not be removed.
func shareDirectory() error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	lock, err := os.Open(directory) // iproute2 takes this lock, too
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", directory, err)
	}
	share := func() error { return unix.Mount("", directory, "none", unix.MS_SHARED|unix.MS_REC, "") }
	if err := share(); !errors.Is(err, unix.EINVAL) { // as where it is no mount
		return err
	}
	if err := unix.Mount(directory, directory, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s: %w", directory, err)
	}
	return share()
}

// Delete removes the name. The namespace itself, its cables and taps included, goes when
// the last process in it has ended: stop those first (see PIDs).
func (n Namespace) Delete() error {
	for n.Exists() {
		if err := unix.Unmount(n.path(), unix.MNT_DETACH); err != nil {
			return fmt.Errorf("delete network namespace %s: %w", n, err)
		}
	}
	if err := os.Remove(n.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete network namespace %s: %w", n, err)
	}
	return nil
}

// Exists tells whether the name stands for a namespace.
func (n Namespace) Exists() bool {
	var stat unix.Statfs_t
	return unix.Statfs(n.path(), &stat) == nil && stat.Type == unix.NSFS_MAGIC
}

// List returns the namespaces whose name begins with prefix.
func List(prefix string) ([]Namespace, error) {
	entries, err := os.ReadDir(directory)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var found []Namespace
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), prefix) {
			found = append(found, Namespace(entry.Name()))
		}
	}
	return found, nil
}

// PIDs returns the processes that are in the namespace, whoever started them.
func (n Namespace) PIDs() ([]int, error) {
	var own unix.Stat_t
	if err := unix.Stat(n.path(), &own); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("list processes in network namespace %s: %w", n, err)
	}
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, link := range links {
		var stat unix.Stat_t
		if unix.Stat(link, &stat) != nil { // it ended meanwhile
			continue
		}
		if stat.Dev == own.Dev && stat.Ino == own.Ino {
			pid, _ := strconv.Atoi(strings.Split(link, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// Do calls fn on an operating system thread that is in the namespace. Sockets that fn
// opens and processes that it starts belong to the namespace for good; goroutines that it
// starts do not run there. The thread ends with fn.
func (n Namespace) Do(fn func() error) error {
	done := make(chan error, 1)
	n.Thread(func(err error) {
		if err == nil {
			err = fn()
		}
		done <- err
	})
	return <-done
}

// Thread calls fn in a new goroutine that has an operating system thread to itself, in the
// namespace, and does not wait for it. The thread ends with fn. If it cannot enter the
// namespace, fn is told why and must not go on.
func (n Namespace) Thread(fn func(err error)) {
	begin := func() { fn(n.enter()) }
	go func() {
		// A goroutine that ends while it is locked takes its thread along. So must it be:
		// a thread that was in a namespace is of no use to others.
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			begin()
			return
		}
		// The first thread stands for the process, in /proc and to PIDs: it stays at home,
		// held here until another goroutine has another thread.
		defer runtime.UnlockOSThread()
		elsewhere := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(elsewhere)
			begin()
		}()
		<-elsewhere
	}()
}

func (n Namespace) enter() error {
	if n == "" {
		return nil
	}
	handle, err := vnetns.GetFromName(string(n))
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", n, err)
	}
	defer func() { _ = handle.Close() }()
	if err := vnetns.Set(handle); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", n, err)
	}
	return nil
}

// Run runs a command in the namespace to its end and returns what it wrote to both its
// outputs; that text is part of the error, too.
func (n Namespace) Run(ctx context.Context, name string, args ...string) ([]byte, error) {
	var output []byte
	err := n.Do(func() (err error) {
		output, err = exec.CommandContext(ctx, name, args...).CombinedOutput()
		return err
	})
	if err != nil {
		return output, fmt.Errorf("run %s in network namespace %s: %w: %s", name, n, err, output)
	}
	return output, nil
}

// Dial connects from within the namespace. The address is a literal: ErrNotLiteral.
func (n Namespace) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := literal(address); err != nil {
		return nil, err
	}
	var conn net.Conn
	err := n.Do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen opens a stream listener in the namespace, whose process stays outside. The
// address is a literal: ErrNotLiteral.
func (n Namespace) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	if err := literal(address); err != nil {
		return nil, err
	}
	var listener net.Listener
	err := n.Do(func() (err error) {
		listener, err = new(net.ListenConfig).Listen(ctx, network, address)
		return err
	})
	return listener, err
}

func literal(address string) error {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return fmt.Errorf("address %q: %w", address, ErrNotLiteral)
	}
	return nil
}

// Set writes a kernel parameter of the namespace. The key is in sysctl(8)'s form with
// slashes, which leaves dots to interface names: "net/ipv4/ip_forward".
func (n Namespace) Set(key, value string) error {
	err := n.Do(func() error {
		return os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0o644)
	})
	if err != nil {
		return fmt.Errorf("set %s=%s in network namespace %s: %w", key, value, n, err)
	}
	return nil
}

// Forward lets the namespace route IPv4 and IPv6.
func (n Namespace) Forward() error {
	return errors.Join(
		n.Set("net/ipv4/ip_forward", "1"),
		n.Set("net/ipv6/conf/all/forwarding", "1"),
	)
}

// path of the root namespace is that of the calling thread.
func (n Namespace) path() string {
	if n == "" {
		return "/proc/thread-self/ns/net"
	}
	return filepath.Join(directory, string(n))
}
