// Command agent is what runs on a server that was booted from the network: the first and
// only process of an initramfs. It does one job, delivers the result, and lets go of the
// server when it is told to.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"ferrodur/bootsvc/agent/drivers"
	"ferrodur/bootsvc/agent/service"
	"ferrodur/bootsvc/job"
)

const (
	// networkTime is how long a NIC may take to appear.
	networkTime = 2 * time.Minute
	// lastResort is how long a server that can do nothing shows why, before it tries again.
	lastResort = 2 * time.Minute
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "agent: this is the init of a server that was booted from the network; it does nothing elsewhere")
		os.Exit(2)
	}
	logger := log.New(os.Stdout, "agent: ", 0)
	last, err := run(context.Background(), logger)
	switch {
	case errors.Is(err, service.ErrUnauthorized):
		logger.Printf("%v; powering off", err)
		last = job.PowerOff
	case err != nil:
		logger.Printf("giving up: %v; starting over in %s", err, lastResort)
		time.Sleep(lastResort)
		last = job.Reboot
	}
	leave(logger, last)
}

// run does the job from its first step to the release.
func run(ctx context.Context, logger *log.Logger) (job.Action, error) {
	if err := errors.Join(mountKernelFilesystems(), openConsole()); err != nil {
		return "", err
	}
	commandLine, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return "", err
	}
	parameters, err := parseParameters(string(commandLine))
	if err != nil {
		return "", err
	}
	modules, err := drivers.Open("/usr/lib/modules")
	if err == nil {
		err = modules.Load()
	}
	if err != nil {
		logger.Printf("drivers: %v", err) // the NIC may be there all the same
	}
	waiting, cancel := context.WithTimeout(ctx, networkTime)
	defer cancel()
	booted, err := connect(waiting, parameters)
	if err != nil {
		return "", err
	}
	nics, err := raiseAll()
	if err != nil {
		logger.Printf("network interfaces: %v", err) // the one that the server booted by is up
	}
	boot := service.New(parameters.url, parameters.token, logger)
	if err := (&worker{service: boot, log: logger, root: "/", nics: nics, booted: booted}).work(ctx); err != nil {
		return "", err
	}
	logger.Print("the job is done; waiting for the release")
	release, err := boot.Release(ctx)
	return release.Then, err
}

// mountKernelFilesystems makes the kernel's own file systems visible, and gives the tools
// of the burn-in a place to write to.
func mountKernelFilesystems() error {
	if err := os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"); err != nil {
		return err
	}
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}, {"tmpfs", "/tmp"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	// fio and stress-ng share memory there.
	if err := os.MkdirAll("/dev/shm", 0o1777); err != nil {
		return err
	}
	return unix.Mount("tmpfs", "/dev/shm", "tmpfs", 0, "")
}

// openConsole makes the console the standard streams: an initramfs without device nodes
// leaves its init without any.
func openConsole() error {
	console, err := unix.Open("/dev/console", unix.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open the console: %w", err)
	}
	for stream := range 3 {
		if console == stream {
			continue
		}
		if err := unix.Dup2(console, stream); err != nil {
			return err
		}
	}
	return nil
}

// leave restarts the server or powers it off. It does not return: the kernel panics when
// its first process ends.
func leave(logger *log.Logger, action job.Action) {
	logger.Printf("%s", action)
	unix.Sync()
	command := unix.LINUX_REBOOT_CMD_RESTART
	if action == job.PowerOff {
		command = unix.LINUX_REBOOT_CMD_POWER_OFF
	}
	for {
		if err := unix.Reboot(command); err != nil {
			logger.Printf("%s: %v", action, err)
		}
		time.Sleep(time.Minute)
	}
}
