package process_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"ferrodur/lab/process"
)

func sleeper(t *testing.T, dir string) process.Spec {
	t.Helper()
	t.Cleanup(func() { must(t, process.Stop(context.Background(), dir, "sleeper", time.Second)) })
	return process.Spec{Name: "sleeper", Dir: dir, Command: []string{"sleep", "60"}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestStartTwiceIsStartOnce(t *testing.T) {
	spec := sleeper(t, t.TempDir())
	first, err := process.Start(spec)
	must(t, err)
	second, err := process.Start(spec)
	must(t, err)
	if first.PID != second.PID {
		t.Errorf("started twice: %d and %d", first.PID, second.PID)
	}
	must(t, second.Stop(t.Context(), time.Second))
	<-first.Exited()
	if first.Running() || alive(first.PID) {
		t.Error("still there after Stop")
	}
	must(t, first.Stop(t.Context(), time.Second))
}

func TestStopKillsWhoIgnoresTERM(t *testing.T) {
	dir := t.TempDir()
	spec := sleeper(t, dir)
	spec.Command = []string{"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"}
	p, err := process.Start(spec)
	must(t, err)
	waitFor(t, "trap set", func() bool {
		log, _ := os.ReadFile(filepath.Join(dir, "sleeper.log"))
		return bytes.Contains(log, []byte("ready"))
	})
	begin := time.Now()
	must(t, p.Stop(t.Context(), 200*time.Millisecond))
	if took := time.Since(begin); took < 200*time.Millisecond {
		t.Errorf("no grace was given: %s", took)
	}
	<-p.Exited()
	if alive(p.PID) {
		t.Error("still there")
	}
}

// A PID that the kernel gave to somebody else is not ours to kill.
func TestRecycledPIDIsSpared(t *testing.T) {
	dir := t.TempDir()
	stranger := exec.Command("sleep", "60")
	must(t, stranger.Start())
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	text := fmt.Sprintf("%d %d\n", stranger.Process.Pid, 1) // started at tick 1: not so
	must(t, os.WriteFile(filepath.Join(dir, "sleeper.pid"), []byte(text), 0o600))

	if _, err := process.Find(dir, "sleeper"); !errors.Is(err, process.ErrNotRunning) {
		t.Errorf("Find: %v", err)
	}
	must(t, process.Stop(t.Context(), dir, "sleeper", time.Second))
	if !alive(stranger.Process.Pid) {
		t.Error("the stranger was killed")
	}
}

func TestStartTellsWhatCannotRun(t *testing.T) {
	spec := sleeper(t, t.TempDir())
	spec.Command = []string{"/no/such/program"}
	if _, err := process.Start(spec); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// A socket that came to us without close-on-exec does not leak into the program.
func TestFilesAreNotPassedOn(t *testing.T) {
	dir := t.TempDir()
	leak, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0) // no O_CLOEXEC
	must(t, err)
	defer func() { _ = syscall.Close(leak) }()
	p, err := process.Start(sleeper(t, dir))
	must(t, err)
	// While it starts, the program has its libraries open.
	waitFor(t, "a program with three open files", func() bool {
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID))
		return err == nil && len(files) == 3
	})
}

// The test binary is run again as the parent, and killed: what becomes of its child?
func TestParentIsKilled(t *testing.T) {
	if dir := os.Getenv("PROCESS_TEST_PARENT"); dir != "" {
		spec := process.Spec{Name: "sleeper", Dir: dir, Command: []string{"sleep", "60"},
			DieWithParent: os.Getenv("PROCESS_TEST_DIE") == "yes"}
		p, err := process.Start(spec)
		must(t, err)
		fmt.Println(p.PID)
		select {}
	}
	for _, test := range []struct {
		die      string
		survives bool
	}{{"yes", false}, {"no", true}} {
		t.Run("die with parent: "+test.die, func(t *testing.T) {
			dir := t.TempDir()
			sleeper(t, dir)
			parent := exec.Command(os.Args[0], "-test.run=^TestParentIsKilled$")
			parent.Env = append(os.Environ(), "PROCESS_TEST_PARENT="+dir, "PROCESS_TEST_DIE="+test.die)
			output, err := parent.StdoutPipe()
			must(t, err)
			must(t, parent.Start())
			line, err := bufio.NewReader(output).ReadString('\n')
			must(t, err)
			pid, err := strconv.Atoi(line[:len(line)-1])
			must(t, err)

			must(t, parent.Process.Kill())
			_ = parent.Wait()
			if test.survives {
				time.Sleep(100 * time.Millisecond)
				p, err := process.Find(dir, "sleeper")
				must(t, err)
				if p.PID != pid {
					t.Errorf("found %d, want %d", p.PID, pid)
				}
				return
			}
			waitFor(t, "end of the child", func() bool {
				_, err := process.Find(dir, "sleeper")
				return errors.Is(err, process.ErrNotRunning)
			})
		})
	}
}

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}
