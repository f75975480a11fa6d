// Package machine is one virtual server: a QEMU process with firmware, an empty disk and
// a NIC on a port of the switch. It is driven as a chassis is driven by its BMC: power,
// reset, boot device.
//
// All state is in the machine's folder, and every call takes the folder's lock, so that
// the BMC's chassis control (a short-lived process for each command), the lab and a lab
// that comes after a killed one agree on it:
//
//	machine.json  what the machine is; written by Define
//	boot          the boot device
//	disk.raw      the disk, sparse; firmware.fd the UEFI variables
//	qemu.pid      the process while the power is on; qemu.log its complaints
//	qmp.sock      QEMU's control socket
//	console.log   the serial console, every boot after the other
//	power.log     one line an event
package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ferrodur/lab/netns"
	"ferrodur/lab/process"
)

var (
	// ErrPoweredOff is returned for what needs the machine to be on.
	ErrPoweredOff = errors.New("machine is powered off")
	// ErrNoMachine says that a folder holds no machine.
	ErrNoMachine = errors.New("no machine is defined here")
	// ErrNoQEMU says that QEMU is missing on this host.
	ErrNoQEMU = errors.New("qemu-system-x86_64 not found: install the package qemu-system-x86")
	// ErrNoFirmware says that a firmware file is missing on this host.
	ErrNoFirmware = errors.New("firmware is not installed")
	// ErrUnknown is returned for a firmware, boot device or chassis command that does not
	// exist.
	ErrUnknown = errors.New("not known")
)

// Firmware is what the machine starts with.
type Firmware string

// The firmwares. Both boot from the network, each in its own way.
const (
	BIOS Firmware = "bios" // SeaBIOS; the NIC's ROM is iPXE
	UEFI Firmware = "uefi" // OVMF and its own PXE, which fetches a loader over TFTP
)

// Config says what a machine is.
type Config struct {
	Name      string          `json:"name"`
	Namespace netns.Namespace `json:"namespace"` // the switch's
	Tap       string          `json:"tap"`       // the port that the NIC is cabled to
	MAC       string          `json:"mac"`       // lower-case colon form
	Firmware  Firmware        `json:"firmware"`
	MemoryMiB int             `json:"memory_mib"` // 1536 or more; the agent's file system is in RAM
	CPUs      int             `json:"cpus"`
	DiskGiB   int             `json:"disk_gib"`
	Product   string          `json:"product"` // SMBIOS type 1
	Serial    string          `json:"serial"`  // SMBIOS type 1, and with a suffix the disk's
	KVM       bool            `json:"kvm"`     // otherwise software emulation
	// NoOffload has the server complete its packets' checksums itself, for taps that are
	// read by other than the kernel.
	NoOffload bool `json:"no_offload,omitempty"`
	Second    *NIC `json:"second,omitempty"` // a further NIC, which nothing boots from
}

// NIC is a network card and the port that it is cabled to.
type NIC struct {
	Namespace netns.Namespace `json:"namespace"` // that the tap is in
	Tap       string          `json:"tap"`
	MAC       string          `json:"mac"` // lower-case colon form
}

// Machine is one virtual server.
type Machine struct {
	dir    string
	config Config
}

// Define writes down what a machine is. A machine that is there already keeps its disk,
// its boot device and its power; what changed shows when it is next powered on.
// ErrNoQEMU, ErrNoFirmware, ErrUnknown.
func Define(dir string, config Config) (*Machine, error) {
	if _, err := exec.LookPath(qemuProgram); err != nil {
		return nil, ErrNoQEMU
	}
	m := &Machine{dir: dir, config: config}
	if _, err := m.firmwareFiles(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("define machine %s: %w", config.Name, err)
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("define machine %s: %w", config.Name, err)
	}
	return m, m.replace("machine.json", text)
}

// Open reads the machine of a folder. ErrNoMachine if there is none.
func Open(dir string) (*Machine, error) {
	m := &Machine{dir: dir}
	text, err := os.ReadFile(m.file("machine.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoMachine)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &m.config); err != nil {
		return nil, fmt.Errorf("machine in %s: %w", dir, err)
	}
	return m, nil
}

// Config returns what the machine is.
func (m *Machine) Config() Config { return m.config }

// ConsoleLog returns the path of what the serial console showed.
func (m *Machine) ConsoleLog() string { return m.file("console.log") }

// Powered tells whether the machine is on.
func (m *Machine) Powered() bool {
	_, err := m.process()
	return err == nil
}

// PowerOn powers the machine on and returns when its processor runs. It does nothing if
// the machine is on.
func (m *Machine) PowerOn(ctx context.Context) error {
	return m.locked(func() error {
		if m.Powered() {
			return nil
		}
		return m.then(PowerOn, m.launch(ctx))
	})
}

// PowerOff cuts the power. It does nothing if the machine is off.
func (m *Machine) PowerOff(ctx context.Context) error {
	return m.locked(func() error {
		if !m.Powered() {
			return nil
		}
		const grace = 3 * time.Second // for QEMU to close its files
		return m.then(PowerOff, process.Stop(ctx, m.dir, qemuName, grace))
	})
}

// Reset restarts the machine as its reset button does. ErrPoweredOff if it is off.
func (m *Machine) Reset(ctx context.Context) error {
	return m.locked(func() error {
		return m.then(Reset, m.control(ctx, "system_reset", nil))
	})
}

// Shutdown presses the power button: the operating system, if one runs and cares, ends
// itself and powers the machine off. ErrPoweredOff if it is off.
func (m *Machine) Shutdown(ctx context.Context) error {
	return m.locked(func() error { return m.control(ctx, "system_powerdown", nil) })
}

func (m *Machine) process() (*process.Process, error) {
	return process.Find(m.dir, qemuName)
}

// locked runs fn while no other process changes the machine.
func (m *Machine) locked(fn func() error) error {
	lock, err := os.OpenFile(m.file("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("machine %s: %w", m.config.Name, err)
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("machine %s: lock: %w", m.config.Name, err)
	}
	if err := fn(); err != nil {
		return fmt.Errorf("machine %s: %w", m.config.Name, err)
	}
	return nil
}

func (m *Machine) file(name string) string { return filepath.Join(m.dir, name) }

// replace writes a file of the machine; a reader sees the old text or the new one.
func (m *Machine) replace(name string, text []byte) error {
	if err := os.WriteFile(m.file(name+".new"), text, 0o600); err != nil {
		return err
	}
	return os.Rename(m.file(name+".new"), m.file(name))
}

// read returns a small file of the machine, trimmed; empty if it is not there.
func (m *Machine) read(name string) (string, error) {
	text, err := os.ReadFile(m.file(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}
