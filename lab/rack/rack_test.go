package rack_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferrodur/lab/machine"
	"ferrodur/lab/rack"
)

// program is the lab program, built once.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if dir := os.Getenv("RACK_TEST_DIR"); dir != "" {
		if err := guardedParent(dir, os.Getenv("RACK_TEST_PREFIX"), os.Getenv("RACK_TEST_PROGRAM")); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	if os.Geteuid() != 0 {
		return m.Run() // which tells why it skips
	}
	dir, err := os.MkdirTemp("", "lab")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "lab")
	if output, err := exec.Command("go", "build", "-o", program, "ferrodur/lab").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the lab: %v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// describe returns a small rack that is taken down with the test.
func describe(t *testing.T) rack.Config {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces and taps")
	}
	config := rack.Config{
		Dir:     t.TempDir(),
		Prefix:  fmt.Sprintf("r%d", os.Getpid()),
		Program: program,
		Servers: servers(),
	}
	t.Cleanup(func() {
		if err := rack.Down(context.Background(), config.Dir); err != nil && !errors.Is(err, rack.ErrNoRack) {
			t.Error(err)
		}
	})
	return config
}

func servers() []rack.Server {
	return []rack.Server{
		{Firmware: machine.BIOS, MemoryMiB: 512, DiskGiB: 1},
		{Firmware: machine.UEFI, MemoryMiB: 512, DiskGiB: 1},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// traces asks the system, not the rack, what there is of it.
func traces(t *testing.T, config rack.Config) (found []string) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	for _, process := range processes {
		if process == fmt.Sprintf("/proc/%d", os.Getpid()) {
			continue
		}
		command, _ := os.ReadFile(process + "/cmdline")
		environment, _ := os.ReadFile(process + "/environ")
		folder, _ := os.Readlink(process + "/cwd")
		all := strings.ReplaceAll(string(command), "\x00", " ") + folder
		if strings.Contains(all+string(environment), config.Dir) || strings.Contains(all, config.Prefix+"-") {
			found = append(found, process+" "+all)
		}
	}
	namespaces, err := filepath.Glob("/run/netns/" + config.Prefix + "-*")
	must(t, err)
	found = append(found, namespaces...)
	mounts, err := os.ReadFile("/proc/self/mounts")
	must(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, config.Dir) || strings.Contains(line, config.Prefix+"-") {
			found = append(found, "mount "+line)
		}
	}
	links, err := net.Interfaces()
	must(t, err)
	for _, link := range links {
		if strings.HasPrefix(link.Name, "swp") || link.Name == "uplink" || link.Name == "sw1" {
			found = append(found, "interface "+link.Name)
		}
	}
	return found
}

// leaders leaves out the switch's own children, which come and go.
func leaders(traces []string) []string {
	return slices.DeleteFunc(traces, func(trace string) bool {
		return !strings.HasPrefix(trace, "/proc/") ||
			!strings.Contains(trace, "ipmi_sim ") && !strings.Contains(trace, " unshare ") && !strings.Contains(trace, "/lab relay ")
	})
}

// awaitNoTraces gives guards and relays the seconds that they need to notice.
func awaitNoTraces(t *testing.T, config rack.Config) {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(6 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if left = traces(t, config); len(left) == 0 {
			return
		}
	}
	t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
}

func TestUpTwiceDownTwice(t *testing.T) {
	config := describe(t)
	config.Relays = []uint16{9} // of discard, where nobody listens
	if err := rack.Down(t.Context(), config.Dir); !errors.Is(err, rack.ErrNoRack) {
		t.Errorf("down of nothing: %v", err)
	}
	must(t, rack.Up(t.Context(), config))
	first := leaders(traces(t, config))
	if len(first) != 4 {
		t.Errorf("%d parts are running, want 2 BMCs, a switch and a relay", len(first))
	}
	must(t, rack.Up(t.Context(), config))
	if second := leaders(traces(t, config)); !slices.Equal(first, second) {
		t.Errorf("up twice is not up once:\n%s\nthen:\n%s", strings.Join(first, "\n"), strings.Join(second, "\n"))
	}
	status, err := rack.Inspect(config.Dir)
	must(t, err)
	if !status.Switches[0].Running || !status.Servers[0].BMCRunning || !status.Servers[1].BMCRunning || !status.Relays[0].Running {
		t.Errorf("not all is up: %+v", status)
	}

	server, err := rack.Machine(config.Dir, 2)
	must(t, err)
	must(t, server.PowerOn(t.Context()))
	for range 2 {
		must(t, rack.Down(t.Context(), config.Dir))
		awaitNoTraces(t, config)
	}
}

// A folder's rack does not take over the namespaces of another's.
func TestPrefixTaken(t *testing.T) {
	config := describe(t)
	must(t, rack.Up(t.Context(), config))
	other := config
	other.Dir = t.TempDir()
	if err := rack.Up(t.Context(), other); !errors.Is(err, rack.ErrPrefixTaken) {
		t.Errorf("got %v", err)
	}
}

// The lab is killed at several points of its way up, a server and its BMC with it. Down
// finds what it left.
func TestDownAfterKill(t *testing.T) {
	for _, after := range []time.Duration{20 * time.Millisecond, 80 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			config := describe(t)
			up := exec.Command(program, "up", "--dir", config.Dir, "--prefix", config.Prefix, "--relay", "9")
			must(t, up.Start())
			time.Sleep(after)
			_ = up.Process.Kill()
			_ = up.Wait()
			down := exec.Command(program, "down", "--dir", config.Dir, "--prefix", config.Prefix)
			if output, err := down.CombinedOutput(); err != nil {
				t.Errorf("down: %v: %s", err, output)
			}
			awaitNoTraces(t, config)
		})
	}
}

// All processes of the rack are killed, and half of its bookkeeping is lost.
func TestDownAfterEverythingDied(t *testing.T) {
	config := describe(t)
	must(t, rack.Up(t.Context(), config))
	server, err := rack.Machine(config.Dir, 1)
	must(t, err)
	must(t, server.PowerOn(t.Context()))
	must(t, os.Remove(filepath.Join(filepath.Dir(server.ConsoleLog()), "qemu.pid")))
	inside, err := config.Site().PIDs()
	must(t, err)
	if len(inside) == 0 {
		t.Fatal("no BMC is running")
	}
	for _, pid := range inside {
		must(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	must(t, rack.Down(t.Context(), config.Dir))
	awaitNoTraces(t, config)
}

// The state folder is lost while the rack is up.
func TestDownWithoutFolder(t *testing.T) {
	config := describe(t)
	must(t, rack.Up(t.Context(), config))
	server, err := rack.Machine(config.Dir, 1)
	must(t, err)
	must(t, server.PowerOn(t.Context()))
	must(t, os.RemoveAll(config.Dir))
	lab(t, "down", "--dir", config.Dir) // of no rack: it does not guess
	if len(traces(t, config)) == 0 {
		t.Error("a rack was taken down that was not named")
	}
	lab(t, "down", "--dir", config.Dir, "--prefix", config.Prefix)
	awaitNoTraces(t, config)
}

// guarded has a process of its own build the rack, guarded, and then wait to be killed.
// It is this test program again.
func guarded(t *testing.T, config rack.Config) (kill func()) {
	t.Helper()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "RACK_TEST_DIR="+config.Dir, "RACK_TEST_PREFIX="+config.Prefix, "RACK_TEST_PROGRAM="+program)
	output, err := parent.StdoutPipe()
	must(t, err)
	must(t, parent.Start())
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil || line != "up\n" {
		t.Fatalf("the parent did not come up: %q, %v", line, err)
	}
	return func() {
		must(t, parent.Process.Kill())
		_ = parent.Wait()
	}
}

// guardedParent is what that process does.
func guardedParent(dir, prefix, program string) error {
	config := rack.Config{Dir: dir, Prefix: prefix, Program: program, Servers: servers()}
	if err := rack.Up(context.Background(), config); err != nil {
		return err
	}
	if err := rack.StartGuard(dir, program); err != nil {
		return err
	}
	fmt.Println("up")
	select {}
}

func TestGuard(t *testing.T) {
	t.Run("its parent is killed", func(t *testing.T) {
		config := describe(t)
		kill := guarded(t, config)
		if len(traces(t, config)) == 0 {
			t.Error("nothing is up")
		}
		kill()
		awaitNoTraces(t, config)
	})
	t.Run("the rack is taken down", func(t *testing.T) {
		config := describe(t)
		defer guarded(t, config)()
		must(t, rack.Down(t.Context(), config.Dir))
		for _, trace := range traces(t, config) {
			if strings.Contains(trace, " guard ") || !strings.HasPrefix(trace, "/proc/") {
				t.Errorf("left behind: %s", trace)
			}
		}
	})
	t.Run("another process takes the rack over", func(t *testing.T) {
		config := describe(t)
		kill := guarded(t, config)
		must(t, rack.Up(t.Context(), config))
		kill()
		time.Sleep(500 * time.Millisecond) // in which a guard would have begun
		status, err := rack.Inspect(config.Dir)
		must(t, err)
		if !status.Switches[0].Running || !status.Servers[0].BMCRunning {
			t.Errorf("the rack was taken down: %+v", status)
		}
	})
}

func TestBadConfigs(t *testing.T) {
	good := rack.Server{Firmware: machine.BIOS}
	for name, config := range map[string]rack.Config{
		"no servers":       {Prefix: "p"},
		"no prefix":        {Servers: []rack.Server{good}},
		"too many servers": {Prefix: "p", Servers: slices.Repeat([]rack.Server{good}, rack.MaxServers+1)},
	} {
		config.Dir = t.TempDir()
		if err := rack.Up(t.Context(), config); !errors.Is(err, rack.ErrBadConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
