// Package process runs the lab's long-lived programs: machines, BMCs, the switch's
// daemons. A program is known by its name in a folder, where its log (NAME.log, appended
// to) and its PID file (NAME.pid) are. The PID file outlives whoever started the program,
// so that any later process can find, judge and stop it.
package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ferrodur/lab/netns"
)

var (
	// ErrNotRunning says that no process stands behind a PID file, or that there is none.
	ErrNotRunning = errors.New("process is not running")
	// ErrSurvived says that a process is there although it was killed.
	ErrSurvived = errors.New("process survived SIGKILL")
)

// FirstFile is the number by which a program knows the first of a Spec's Files: after
// standard input, output and error.
const FirstFile = 3

// Spec describes a program to be run.
type Spec struct {
	Name      string          // names the PID file and the log
	Dir       string          // folder of both; made with mode 0700 if need be
	Namespace netns.Namespace // network namespace; empty: the caller's
	Command   []string        // program and arguments. No secrets: anyone can read them
	Env       []string        // KEY=VALUE, added to the caller's environment
	WorkDir   string          // empty: the caller's
	Files     []*os.File      // that the program has open, from FirstFile on

	// Credential runs the program as another user; nil: as the caller.
	Credential *syscall.Credential
	// DieWithParent has the kernel kill the program when the caller ends in any way,
	// PR_SET_PDEATHSIG in prctl(2). Otherwise the program outlives the caller.
	DieWithParent bool
}

// Process is a running program, or one that was running when it was looked up.
type Process struct {
	Name string
	PID  int

	dir     string
	started uint64          // clock ticks after boot; tells a recycled PID
	exited  <-chan struct{} // closed when a child of ours has ended; nil for others' children
}

// Start runs the program in a session of its own. If it is running already, it is
// returned as it is.
func Start(spec Spec) (*Process, error) {
	if running, err := Find(spec.Dir, spec.Name); err == nil {
		return running, nil
	} else if !errors.Is(err, ErrNotRunning) {
		return nil, err
	}
	if err := os.MkdirAll(spec.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	log, err := os.OpenFile(filepath.Join(spec.Dir, spec.Name+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	defer func() { _ = log.Close() }()

	command := exec.Command(spec.Command[0], spec.Command[1:]...)
	command.Env = append(os.Environ(), spec.Env...)
	command.Dir = spec.WorkDir
	command.ExtraFiles = spec.Files
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: spec.Credential}
	if spec.DieWithParent {
		command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	process, err := launch(command, spec)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	return process, nil
}

// launch starts the command and reaps it when it ends, both on one thread of its own: the
// parent that PR_SET_PDEATHSIG means is the thread, which therefore lives as long. The PID
// file is written before reaping, while the PID is certainly the child's.
func launch(command *exec.Cmd, spec Spec) (*Process, error) {
	type outcome struct {
		process *Process
		err     error
	}
	launched := make(chan outcome, 1)
	spec.Namespace.Thread(func(err error) {
		if err != nil {
			launched <- outcome{err: err}
			return
		}
		// Nothing but the standard files, and those named, is passed on. A caller that was itself started by a
		// BMC has the BMC's sockets open, and they must not live on in the machine.
		if err := unix.CloseRange(FirstFile, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
			launched <- outcome{err: err}
			return
		}
		if err := command.Start(); err != nil {
			launched <- outcome{err: err}
			return
		}
		process, err := record(spec.Dir, spec.Name, command.Process.Pid)
		if err != nil {
			_ = command.Process.Kill()
			_ = command.Wait()
			launched <- outcome{err: err}
			return
		}
		exited := make(chan struct{})
		process.exited = exited
		launched <- outcome{process: process}
		_ = command.Wait()
		close(exited)
	})
	result := <-launched
	return result.process, result.err
}

// Find looks a program up by its PID file. ErrNotRunning if it is not there any more.
func Find(dir, name string) (*Process, error) {
	process, err := read(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, ErrNotRunning)
	}
	if err != nil {
		return nil, err
	}
	if !process.Running() {
		return nil, fmt.Errorf("%s: %w", name, ErrNotRunning)
	}
	return process, nil
}

// List returns the programs of a folder that are running.
func List(dir string) ([]*Process, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.pid"))
	if err != nil {
		return nil, err
	}
	var running []*Process
	for _, file := range files {
		name := filepath.Base(file)
		process, err := Find(dir, name[:len(name)-len(".pid")])
		if errors.Is(err, ErrNotRunning) {
			continue
		}
		if err != nil {
			return nil, err
		}
		running = append(running, process)
	}
	return running, nil
}

// Running tells whether the program is there: same PID, same start time, not a zombie.
func (p *Process) Running() bool {
	now, err := inspect(p.PID)
	return err == nil && now.started == p.started && !now.dead
}

// Exited returns a channel that is closed when the program has ended, for a program that
// this process started. It is nil, and blocks for ever, for one that was looked up.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Stop ends the program and its process group: SIGTERM, and SIGKILL if it is still there
// after grace or when ctx ends. Stopping a stopped program is no error.
func (p *Process) Stop(ctx context.Context, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	p.signal(syscall.SIGTERM)
	if !p.awaitEnd(ctx) {
		p.signal(syscall.SIGKILL)
		// Killing takes effect at once but for a process in uninterruptible sleep.
		killed, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if !p.awaitEnd(killed) {
			return fmt.Errorf("stop %s (PID %d): %w", p.Name, p.PID, ErrSurvived)
		}
	}
	err := os.Remove(p.pidFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	return nil
}

// Stop stops the named program of a folder if it is running.
func Stop(ctx context.Context, dir, name string, grace time.Duration) error {
	process, err := Find(dir, name)
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	return process.Stop(ctx, grace)
}

// signal reaches the whole process group: its leader is there, so the group is ours.
func (p *Process) signal(signal syscall.Signal) {
	if p.Running() {
		_ = syscall.Kill(-p.PID, signal)
	}
}

func (p *Process) awaitEnd(ctx context.Context) bool {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for p.Running() {
		select {
		case <-ctx.Done():
			return !p.Running()
		case <-poll.C:
		}
	}
	return true
}
