package rack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"ferrodur/lab/bmcsim"
	"ferrodur/lab/machine"
	"ferrodur/lab/netns"
)

const stopGrace = 3 * time.Second

// Down takes the rack of a state folder down: processes, namespaces and all that is in
// them. Disks, logs and passwords stay in the folder. It does not trust that a rack was
// built to the end, nor that it was taken down by what it knows of it: whatever process is
// in the rack's namespaces is ended too. ErrNoRack if the folder holds no rack; ErrNotRoot.
func Down(ctx context.Context, dir string) error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	config, err := read(dir)
	if err != nil {
		return err
	}
	return locked(config.Dir, func() error {
		var failures []error
		try := func(err error) { failures = append(failures, err) }
		try(config.stopGuards(ctx, 0))
		// BMCs first: nobody may power a server on any more.
		for n := range config.numbers() {
			try(bmcsim.Stop(ctx, config.bmcDir(n), bmcName(n)))
		}
		for n := range config.numbers() {
			try(config.powerOff(ctx, n))
		}
		try(config.stopSwitches(ctx))
		try(config.stopRelays(ctx))
		try(config.sweep(ctx))
		return errors.Join(failures...)
	})
}

// DownPrefix removes the namespaces of a prefix and the processes in them, for a rack
// whose state folder is lost.
func DownPrefix(ctx context.Context, prefix string) error {
	return Config{Prefix: prefix}.sweep(ctx)
}

// Remove deletes a state folder after Down. A folder that holds no rack stays.
func Remove(dir string) error {
	config, err := read(dir)
	if errors.Is(err, ErrNoRack) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(config.Dir)
}

func (c Config) powerOff(ctx context.Context, n int) error {
	server, err := machine.Open(c.machineDir(n))
	if errors.Is(err, machine.ErrNoMachine) {
		return nil
	}
	if err != nil {
		return err
	}
	return server.PowerOff(ctx)
}

// sweep ends what is left in the namespaces and deletes them. Taps and cables go with the
// namespace that holds them.
func (c Config) sweep(ctx context.Context) error {
	var failures []error
	for _, namespace := range []netns.Namespace{c.Site(), c.Switch(), c.Bridge(), c.Second()} {
		failures = append(failures, evict(ctx, namespace), namespace.Delete())
	}
	return errors.Join(failures...)
}

// evict kills the processes of a namespace until there are none: one that was just
// starting another is caught in the next round.
func evict(ctx context.Context, namespace netns.Namespace) error {
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	for {
		pids, err := namespace.PIDs()
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(pids) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v in network namespace %s: %w", pids, namespace, ErrLeftBehind)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
