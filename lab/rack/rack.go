// Package rack is the virtual rack as a whole: the site's network, a switch, servers with
// their BMCs, and the file that enrols them. It is described by one Config; Up makes the
// world be like it, Down removes every trace, and both may be repeated, interrupted or
// killed at any point.
package rack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"ferrodur/lab/bmcsim"
	"ferrodur/lab/machine"
)

var (
	// ErrNoRack says that the state folder holds no rack.
	ErrNoRack = errors.New("no rack here: build one with lab up")
	// ErrNotRoot says that the caller may not make network namespaces and taps.
	ErrNotRoot = errors.New("the virtual rack needs root")
	// ErrPrefixTaken says that namespaces with the prefix are another rack's.
	ErrPrefixTaken = errors.New("another rack has this prefix")
	// ErrBadConfig says what in a Config cannot be.
	ErrBadConfig = errors.New("rack cannot be built")
	// ErrLeftBehind says what Down could not remove.
	ErrLeftBehind = errors.New("left behind")
)

// Config describes a rack.
type Config struct {
	// Dir is the state folder: disks, logs, passwords, rack.yaml. Up makes it absolute.
	Dir string `json:"-"`
	// Prefix begins the names of the rack's namespaces; each rack of a host has its own.
	Prefix string `json:"prefix"`
	// Program is the lab program, which BMCs and relays call. Empty: the running one.
	Program string `json:"program"`
	// Servers are cabled to the ports of switches in this order; 1 to MaxServers.
	Servers []Server `json:"servers"`
	// Relays are the ports of the host's loopback that the site can reach.
	Relays []uint16 `json:"relays,omitempty"`
	// KVM has the servers use hardware virtualisation, where it works.
	KVM bool `json:"kvm,omitempty"`
	// Image is what rack.yaml offers customers; nil: nothing.
	Image *Image `json:"image,omitempty"`
}

// Server says what is particular about one server. Zero sizes mean the default.
type Server struct {
	Firmware  machine.Firmware `json:"firmware"`
	MemoryMiB int              `json:"memory_mib,omitempty"` // 2048
	DiskGiB   int              `json:"disk_gib,omitempty"`   // 8; sparse
	CPUs      int              `json:"cpus,omitempty"`       // 2
	// Bridged cables it to the switch of VLANs; else to the router.
	Bridged bool `json:"bridged,omitempty"`
	// DualHomed gives it a second NIC, which is cabled to another router; or to the same switch of
	// VLANs, where the two are a bond.
	DualHomed bool `json:"dual_homed,omitempty"`
}

const (
	defaultMemoryMiB = 2048
	defaultDiskGiB   = 8
	defaultCPUs      = 2
	product          = "virtual server" // SMBIOS
)

// Up builds the rack, or what is missing of it, and returns when BMCs and switches answer.
// The servers' power is left as it is; a new server is off.
//
// Errors: ErrBadConfig, ErrNotRoot, ErrPrefixTaken, and what the parts return.
func Up(ctx context.Context, config Config) error {
	config, err := config.complete()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	// Others have folders beside it.
	if err := errors.Join(os.MkdirAll(filepath.Dir(config.Dir), 0o755), os.MkdirAll(config.Dir, 0o700)); err != nil {
		return err
	}
	return locked(config.Dir, func() error {
		if err := config.stopGuards(ctx, os.Getpid()); err != nil {
			return err
		}
		if err := config.claim(); err != nil {
			return err
		}
		if err := config.cable(); err != nil {
			return err
		}
		group, ctx := errgroup.WithContext(ctx)
		var hostKeys []string
		group.Go(func() (err error) {
			hostKeys, err = config.startSwitches(ctx)
			return err
		})
		for n, server := range config.numbers() {
			group.Go(func() error { return config.startServer(ctx, n, server) })
		}
		group.Go(func() error { return config.startRelays(ctx) })
		if err := group.Wait(); err != nil {
			return err
		}
		return config.writeRackFile(hostKeys)
	})
}

// complete fills in defaults and refuses what cannot be.
func (c Config) complete() (Config, error) {
	if len(c.Servers) < 1 || len(c.Servers) > MaxServers {
		return c, fmt.Errorf("%w: %d servers, not 1 to %d", ErrBadConfig, len(c.Servers), MaxServers)
	}
	if c.Prefix == "" {
		return c, fmt.Errorf("%w: no prefix for its namespaces", ErrBadConfig)
	}
	c.Servers = slices.Clone(c.Servers)
	for i := range c.Servers {
		server := &c.Servers[i]
		server.MemoryMiB = cmp.Or(server.MemoryMiB, defaultMemoryMiB)
		server.DiskGiB = cmp.Or(server.DiskGiB, defaultDiskGiB)
		server.CPUs = cmp.Or(server.CPUs, defaultCPUs)
	}
	var err error
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return c, err
	}
	if c.Program == "" {
		c.Program, err = os.Executable()
	}
	return c, err
}

// numbers yields the servers, counted from 1.
func (c Config) numbers() iter.Seq2[int, Server] {
	return func(yield func(int, Server) bool) {
		for i, server := range c.Servers {
			if !yield(i+1, server) {
				return
			}
		}
	}
}

// claim writes the description down before anything is built, so that Down knows of all
// that a killed Up may have built.
func (c Config) claim() error {
	earlier, err := read(c.Dir)
	switch {
	case errors.Is(err, ErrNoRack):
		if c.Site().Exists() || c.Switch().Exists() || c.Bridge().Exists() || c.Second().Exists() {
			return fmt.Errorf("prefix %s: %w: choose another, or take that rack down: lab down --prefix %s", c.Prefix, ErrPrefixTaken, c.Prefix)
		}
	case err != nil:
		return err
	case earlier.Prefix != c.Prefix || len(earlier.Servers) > len(c.Servers):
		return fmt.Errorf("%w: %s holds one with prefix %s and %d servers: take that down and remove it first",
			ErrBadConfig, c.Dir, earlier.Prefix, len(earlier.Servers))
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	file := filepath.Join(c.Dir, descriptionName)
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

const descriptionName = "rack.json"

// read returns the description of the rack in a state folder; ErrNoRack if there is none.
func read(dir string) (Config, error) {
	config := Config{}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return config, err
	}
	text, err := os.ReadFile(filepath.Join(dir, descriptionName))
	if errors.Is(err, fs.ErrNotExist) {
		return config, fmt.Errorf("%s: %w", dir, ErrNoRack)
	}
	if err != nil {
		return config, err
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return config, fmt.Errorf("description of the rack in %s: %w", dir, err)
	}
	config.Dir = dir
	return config, nil
}

// startServer defines the n-th server and starts its BMC, which drives it.
func (c Config) startServer(ctx context.Context, n int, server Server) error {
	config := machine.Config{
		Name:      serverName(n),
		Namespace: c.switchOf(server),
		Tap:       portName(n),
		MAC:       macOf(n),
		Firmware:  server.Firmware,
		MemoryMiB: server.MemoryMiB,
		CPUs:      server.CPUs,
		DiskGiB:   server.DiskGiB,
		Product:   product,
		Serial:    serialOf(n),
		KVM:       c.KVM,
		// Open vSwitch takes packets from the tap without the kernel completing their checksums.
		NoOffload: server.Bridged,
	}
	if server.DualHomed {
		at, _ := c.secondSwitchOf(server)
		config.Second = &machine.NIC{Namespace: at, Tap: secondPortName(n), MAC: secondMACOf(n)}
	}
	if _, err := machine.Define(c.machineDir(n), config); err != nil {
		return err
	}
	password, err := c.secret(bmcName(n))
	if err != nil {
		return err
	}
	_, err = bmcsim.Start(ctx, bmcsim.Config{
		Name:           bmcName(n),
		Namespace:      c.Site(),
		Dir:            c.bmcDir(n),
		Address:        bmcAddress(n),
		User:           BMCUser,
		Password:       password,
		ChassisControl: []string{c.Program, "chassis", "--dir", c.machineDir(n)},
	})
	return err
}

func bmcName(n int) string { return serverName(n) + "-bmc" }

// locked runs fn while no other process changes the rack of the state folder.
func locked(dir string, fn func() error) error {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	return fn()
}
