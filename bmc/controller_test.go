package bmc_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ferrodur/bmc"
	"ferrodur/lab/bmcsim"
)

const password = "S3cr3t-horse" // looked for where it must not be

var quick = bmc.Options{
	Pause: time.Millisecond, Greet: time.Second, Command: 3 * time.Second, Settle: time.Second,
}

// rig is a BMC whose chassis keeps its state in files and logs what it is told.
type rig struct {
	t        *testing.T
	dir      string
	sim      *bmcsim.BMC
	endpoint bmc.Endpoint
}

// chassis is run by ipmi_sim; with a file "deaf" beside it, it says OK and does nothing.
const chassis = `#!/bin/sh
dir=$(dirname "$0"); op=$2; shift 2
echo "begin $op $*" >>$dir/log
case $op in
get) for what; do echo $what:$(cat $dir/$what); done ;;
set) while [ $# -gt 1 ]; do [ -e $dir/deaf ] || echo $2 >$dir/$1; shift 2; done ;;
esac
`

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	for name, text := range map[string]string{"chassis": chassis, "power": "0\n", "boot": "default\n"} {
		must(t, os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o700))
	}
	address := freePort(t)
	sim, err := bmcsim.Start(t.Context(), bmcsim.Config{
		Name: "bmc1", Dir: filepath.Join(r.dir, "sim"), Address: address, User: "admin", Password: password,
		ChassisControl: []string{filepath.Join(r.dir, "chassis")}, DieWithParent: true,
	})
	must(t, err)
	r.sim = sim
	t.Cleanup(func() { must(t, sim.Stop(context.Background())) })
	r.endpoint = bmc.Endpoint{Server: "s1", Address: address.String(), User: "admin", Password: password}
	return r
}

func (r *rig) file(name string) string {
	text, err := os.ReadFile(filepath.Join(r.dir, name))
	must(r.t, err)
	return strings.TrimSpace(string(text))
}

func (r *rig) deafen() { must(r.t, os.WriteFile(filepath.Join(r.dir, "deaf"), nil, 0o600)) }

func (r *rig) sets() int { return strings.Count(r.file("log"), "begin set") }

func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = conn.Close() }()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func controller(t *testing.T, options bmc.Options) *bmc.Controller {
	t.Helper()
	var log bytes.Buffer
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		if strings.Contains(log.String(), password) {
			t.Errorf("the password was logged: %s", log.String())
		}
		for deadline := time.Now().Add(2 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
				return
			}
		}
	})
	return bmc.NewController(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), options)
}

func TestPower(t *testing.T) {
	r, ctx := newRig(t), t.Context()
	c := controller(t, quick)

	info, err := c.Probe(ctx, r.endpoint)
	must(t, err)
	want := bmc.Info{Power: bmc.Off, Provider: "ipmi", Vendor: "Ferrodur", Model: "virtual server"}
	if info != want {
		t.Errorf("got %+v, want %+v", info, want)
	}

	must(t, c.PowerOn(ctx, r.endpoint))
	if r.file("power") != "1" {
		t.Error("not on")
	}
	before := r.sets()
	must(t, c.PowerOn(ctx, r.endpoint))
	if r.sets() != before {
		t.Error("a server that was on was turned on")
	}
	if state, err := c.PowerState(ctx, r.endpoint); err != nil || state != bmc.On {
		t.Errorf("%s, %v", state, err)
	}

	must(t, c.Cycle(ctx, r.endpoint))
	if r.file("power") != "1" || r.sets() != before+2 {
		t.Errorf("power %s after cycle, %d commands", r.file("power"), r.sets()-before)
	}

	must(t, c.PowerOff(ctx, r.endpoint))
	must(t, c.PowerOff(ctx, r.endpoint))
	if state, err := c.PowerState(ctx, r.endpoint); err != nil || state != bmc.Off || r.file("power") != "0" {
		t.Errorf("%s, %v", state, err)
	}
	must(t, c.Cycle(ctx, r.endpoint))
	if r.file("power") != "1" {
		t.Error("off after cycle")
	}
}

func TestBootDevice(t *testing.T) {
	r, ctx := newRig(t), t.Context()
	c := controller(t, quick)
	for _, test := range []struct {
		device bmc.BootDevice
		uefi   bool
		want   string
	}{{bmc.Network, false, "pxe"}, {bmc.Disk, false, "default"}, {bmc.Network, true, "pxe"}, {bmc.Disk, true, "default"}} {
		must(t, c.SetBootDevice(ctx, r.endpoint, test.device, test.uefi))
		if got := r.file("boot"); got != test.want {
			t.Errorf("%s: %s", test.device, got)
		}
	}
	if err := c.SetBootDevice(ctx, r.endpoint, "floppy", false); !errors.Is(err, bmc.ErrEndpoint) {
		t.Error(err)
	}
}

func TestSaysOKAndDoesNothing(t *testing.T) {
	r, ctx := newRig(t), t.Context()
	c := controller(t, quick)
	r.deafen()
	for name, do := range map[string]func() error{
		"power": func() error { return c.PowerOn(ctx, r.endpoint) },
		"boot":  func() error { return c.SetBootDevice(ctx, r.endpoint, bmc.Network, true) },
		"cycle": func() error { return c.Cycle(ctx, r.endpoint) },
	} {
		var notKept *bmc.NotKeptError
		if err := do(); !errors.As(err, &notKept) || notKept.Server != "s1" || notKept.Address != r.endpoint.Address {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCredentials(t *testing.T) {
	r := newRig(t)
	c := controller(t, bmc.Options{}) // the times that operators get
	for name, endpoint := range map[string]bmc.Endpoint{
		"password":      {Server: "s1", Address: r.endpoint.Address, User: "admin", Password: "wrong"},
		"user":          {Server: "s1", Address: r.endpoint.Address, User: "nobody", Password: password},
		"long password": {Server: "s1", Address: r.endpoint.Address, User: "admin", Password: strings.Repeat(password, 3)},
	} {
		started := time.Now()
		_, err := c.Probe(t.Context(), endpoint)
		if !errors.Is(err, bmc.ErrCredentials) || strings.Contains(err.Error(), endpoint.Password) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
	// Whoever knew the way and then errs is told the same.
	_, err := c.Probe(t.Context(), r.endpoint)
	must(t, err)
	r.endpoint.Password = "wrong"
	if err := c.PowerOff(t.Context(), r.endpoint); !errors.Is(err, bmc.ErrCredentials) {
		t.Error(err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	endpoint := bmc.Endpoint{Server: "s1", Address: freePort(t).String(), User: "admin", Password: password}
	started := time.Now()
	_, err := controller(t, bmc.Options{}).Probe(t.Context(), endpoint)
	if !errors.Is(err, bmc.ErrUnreachable) || !strings.Contains(err.Error(), endpoint.Address) || !strings.Contains(err.Error(), "s1") {
		t.Error(err)
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestFrozen(t *testing.T) {
	r := newRig(t)
	c := controller(t, quick)
	_, err := c.Probe(t.Context(), r.endpoint)
	must(t, err)
	must(t, syscall.Kill(r.sim.PID(), syscall.SIGSTOP))
	t.Cleanup(func() { must(t, syscall.Kill(r.sim.PID(), syscall.SIGCONT)) }) // before it is stopped

	started := time.Now()
	if err := c.PowerOn(t.Context(), r.endpoint); !errors.Is(err, bmc.ErrUnreachable) {
		t.Error(err)
	}
	if took := time.Since(started); took > 4*time.Second {
		t.Errorf("took %s", took)
	}
	must(t, syscall.Kill(r.sim.PID(), syscall.SIGCONT))
	must(t, c.PowerOn(t.Context(), r.endpoint))
}

// A BMC that freezes in the middle of a command is not taken for one that refuses.
func TestFreezesDuringCommand(t *testing.T) {
	r := newRig(t)
	c := controller(t, quick)
	_, err := c.Probe(t.Context(), r.endpoint)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(r.dir, "chassis"), []byte("#!/bin/sh\nexec sleep 8\n"), 0o700))
	started := time.Now()
	if _, err = c.PowerState(t.Context(), r.endpoint); !errors.Is(err, bmc.ErrUnreachable) {
		t.Error(err)
	}
	if took := time.Since(started); took > 8*time.Second {
		t.Errorf("took %s", took)
	}
	noIpmitoolLeft(t, r.endpoint)
}

func TestCancelled(t *testing.T) {
	r := newRig(t)
	c := controller(t, quick)
	must(t, syscall.Kill(r.sim.PID(), syscall.SIGSTOP))
	defer func() { must(t, syscall.Kill(r.sim.PID(), syscall.SIGCONT)) }()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	started := time.Now()
	if _, err := c.PowerState(ctx, r.endpoint); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if took := time.Since(started); took > 500*time.Millisecond {
		t.Errorf("took %s", took)
	}
}

// Twenty callers at once; at no time are there two ipmitools at the BMC, and on no command
// line is the password.
func TestBurst(t *testing.T) {
	r := newRig(t)
	c := controller(t, quick)

	watching, stop := context.WithCancel(t.Context())
	var watcher sync.WaitGroup
	var most, seen int
	watcher.Go(func() {
		for watching.Err() == nil {
			lines := ipmitools(r.endpoint.Address)
			seen += len(lines)
			most = max(most, len(lines))
			for _, line := range lines {
				if strings.Contains(line, password) {
					t.Errorf("password on a command line: %s", line)
				}
			}
			time.Sleep(time.Millisecond)
		}
	})
	var callers sync.WaitGroup
	for i := range 20 {
		callers.Go(func() {
			device := []bmc.BootDevice{bmc.Network, bmc.Disk}[i%2]
			if err := c.SetBootDevice(t.Context(), r.endpoint, device, false); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	stop()
	watcher.Wait()
	if most != 1 || seen == 0 {
		t.Errorf("saw %d ipmitools, at most %d at once", seen, most)
	}
	noIpmitoolLeft(t, r.endpoint)
}

func TestPause(t *testing.T) {
	r := newRig(t)
	options := quick
	options.Pause = 400 * time.Millisecond
	c := controller(t, options)
	_, err := c.Probe(t.Context(), r.endpoint)
	must(t, err)
	started := time.Now()
	for range 3 {
		_, err := c.PowerState(t.Context(), r.endpoint)
		must(t, err)
	}
	if took := time.Since(started); took < 3*options.Pause {
		t.Errorf("3 commands in %s: no pause", took)
	}
}

// ipmitools returns the command lines of those that talk to the address.
func ipmitools(address string) (lines []string) {
	_, port, _ := strings.Cut(address, ":")
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		line := string(bytes.ReplaceAll(text, []byte{0}, []byte{' '}))
		if program, _, _ := strings.Cut(line, " "); filepath.Base(program) == "ipmitool" && strings.Contains(line, " -p "+port+" ") {
			lines = append(lines, line)
		}
	}
	return lines
}

func noIpmitoolLeft(t *testing.T, endpoint bmc.Endpoint) {
	t.Helper()
	if lines := ipmitools(endpoint.Address); len(lines) > 0 {
		t.Errorf("left: %q", lines)
	}
}
