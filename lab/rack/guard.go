package rack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"ferrodur/lab/process"
)

// StartGuard ties the rack of a state folder to the calling process: when that ends, in
// any way, the rack is taken down. It does not tie each part by itself, because a server is
// a child of its BMC's short-lived chassis control and of nobody who lasts.
//
// The tie is off when the rack is taken down, or when another process calls Up for it and
// so takes it over.
func StartGuard(dir, program string) error {
	config, err := read(dir)
	if err != nil {
		return err
	}
	parent := os.Getpid()
	_, err = process.Start(process.Spec{
		Name:    guardName(parent),
		Dir:     config.guardDir(),
		Command: []string{program, "guard", "--dir", config.Dir, "--parent", strconv.Itoa(parent)},
	})
	return err
}

// Guard waits for its parent process to end and takes the rack down then. It is what the
// process that StartGuard starts does. When ctx ends first, the rack stays.
func Guard(ctx context.Context, dir string, parent int) error {
	ended := make(chan error, 1)
	go func() { ended <- awaitParent(parent) }()
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("guard the rack of process %d: %w", parent, err)
		}
		return Down(ctx, dir)
	}
}

// awaitParent returns when the process has ended, pidfd_open(2).
func awaitParent(parent int) error {
	descriptor, err := unix.PidfdOpen(parent, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(descriptor) }()
	// Had it ended before, the PID could be somebody else's by now; then this process has
	// another parent.
	for os.Getppid() == parent {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(descriptor), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return nil
}

// stopGuards ends the guards of a rack but for the one of a parent and, if it is a guard,
// the calling process.
func (c Config) stopGuards(ctx context.Context, but int) error {
	guards, err := process.List(c.guardDir())
	if err != nil {
		return err
	}
	for _, guard := range guards {
		if guard.Name == guardName(but) || guard.PID == os.Getpid() {
			continue
		}
		// One that waits for the rack's lock hears no SIGTERM.
		if err := guard.Stop(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) guardDir() string { return filepath.Join(c.Dir, "guards") }

func guardName(parent int) string { return fmt.Sprintf("of-%d", parent) }
