package rack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"ferrodur/lab/process"
)

const guardName = "guard"

// StartGuard ties the rack of a state folder to the calling process: when that ends, in
// any way, the rack is taken down. It does not tie each part by itself, because a server is
// a child of its BMC's short-lived chassis control and of nobody who lasts.
func StartGuard(dir, program string) error {
	config, err := read(dir)
	if err != nil {
		return err
	}
	_, err = process.Start(process.Spec{
		Name:    guardName,
		Dir:     filepath.Join(config.Dir, guardName),
		Command: []string{program, guardName, "--dir", config.Dir, "--parent", strconv.Itoa(os.Getpid())},
	})
	return err
}

// Guard waits for its parent process to end and takes the rack down then. It is what the
// process that StartGuard starts does.
func Guard(ctx context.Context, dir string, parent int) error {
	descriptor, err := unix.PidfdOpen(parent, 0)
	if err == nil {
		defer func() { _ = unix.Close(descriptor) }()
		// Had it ended before, the PID could be somebody else's by now, and this process
		// would have another parent.
		if os.Getppid() == parent {
			err = awaitEnd(descriptor)
		}
	} else if err == unix.ESRCH {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("guard the rack of process %d: %w", parent, err)
	}
	return Down(ctx, dir)
}

// awaitEnd returns when the process has ended, pidfd_open(2).
func awaitEnd(process int) error {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, -1)
		if err != unix.EINTR {
			return err
		}
	}
}
