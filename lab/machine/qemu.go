package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"ferrodur/lab/process"
)

const (
	qemuProgram = "qemu-system-x86_64"
	qemuName    = "qemu" // of the process in the machine's folder
	nicID       = "nic"
	qmpName     = "qmp.sock"
)

// ovmf is where Debian's package ovmf puts the firmware. The 4M build without Secure Boot
// and its empty variables belong together.
const (
	ovmfCode      = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// launch starts QEMU and waits until it answers.
func (m *Machine) launch(ctx context.Context) error {
	const startUp = 20 * time.Second // a fraction of a second but on a very busy host
	ctx, cancel := context.WithTimeout(ctx, startUp)
	defer cancel()
	if err := m.prepareDisk(); err != nil {
		return err
	}
	arguments, err := m.arguments()
	if err != nil {
		return err
	}
	spec := process.Spec{
		Name:      qemuName,
		Dir:       m.dir,
		Namespace: m.config.Namespace,
		WorkDir:   m.dir,
		Command:   append([]string{qemuProgram}, arguments...),
	}
	if nic := m.config.Second; nic != nil { // QEMU finds taps of its own namespace only
		tap, err := nic.Namespace.OpenTap(nic.Tap)
		if err != nil {
			return err
		}
		defer func() { _ = tap.Close() }()
		spec.Files = []*os.File{tap}
	}
	qemu, err := process.Start(spec)
	if err != nil {
		return err
	}
	for {
		err := m.control(ctx, "query-status", nil)
		if err == nil {
			return nil
		}
		select {
		case <-qemu.Exited():
			return fmt.Errorf("QEMU ended at once; %s says why: %s", m.file("qemu.log"), m.lastWords())
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err, qemu.Stop(ctx, 0))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// arguments make a q35 machine with nothing on it but what is named here. Files are
// relative to the machine's folder: the path of a socket holds 107 bytes at most, unix(7).
func (m *Machine) arguments() ([]string, error) {
	boot, err := m.BootDevice()
	if err != nil {
		return nil, err
	}
	firmware, err := m.firmwareFiles()
	if err != nil {
		return nil, err
	}
	c := m.config
	// A fifth level of page tables makes software emulation slower, and serves nobody here.
	accelerator, processor := "tcg,thread=multi", "max,la57=off"
	if c.KVM {
		accelerator, processor = "kvm", "host"
	}
	// LACP leaves out a link whose speed and duplex are not known.
	features := ",speed=10000,duplex=full"
	if c.NoOffload {
		for _, feature := range []string{"csum", "gso", "host_tso4", "host_tso6", "host_ecn", "host_ufo", "guest_csum", "guest_tso4", "guest_tso6", "guest_ecn", "guest_ufo"} {
			features += "," + feature + "=off"
		}
	}
	nic := fmt.Sprintf("virtio-net-pci,id=%s,netdev=cable,mac=%s,bootindex=%d%s", nicID, c.MAC, boot.nicIndex(), features)
	if c.Firmware == UEFI {
		nic += ",romfile=" // no iPXE: the firmware's own PXE
	}
	var second []string
	if c.Second != nil {
		second = []string{
			"-netdev", fmt.Sprintf("tap,id=second,fd=%d", process.FirstFile),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=second,mac=%s,romfile=%s", c.Second.MAC, features),
		}
	}
	arguments := []string{
		"-name", c.Name,
		"-nodefaults", "-no-user-config", "-display", "none",
		"-machine", "q35,graphics=off", // SeaBIOS shows itself on the serial line then
		"-accel", accelerator, "-cpu", processor,
		"-smp", fmt.Sprint(c.CPUs), "-m", fmt.Sprint(c.MemoryMiB),
		"-smbios", fmt.Sprintf("type=1,manufacturer=Ferrodur,product=%s,serial=%s", c.Product, c.Serial),
		"-device", "virtio-rng-pci",
		"-netdev", fmt.Sprintf("tap,id=cable,ifname=%s,script=no,downscript=no", c.Tap),
		"-device", nic,
		// The host's page cache outlives QEMU, which is all the safety that a lab needs.
		"-drive", "if=none,id=disk,file=disk.raw,format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap",
		"-device", fmt.Sprintf("virtio-blk-pci,drive=disk,serial=%s-d1,bootindex=%d", c.Serial, diskIndex),
		"-chardev", "file,id=console,path=console.log,append=on",
		"-serial", "chardev:console",
		"-qmp", "unix:" + qmpName + ",server=on,wait=off",
	}
	return slices.Concat(arguments, second, firmware), nil
}

// firmwareFiles returns the arguments that put the firmware in.
func (m *Machine) firmwareFiles() ([]string, error) {
	switch m.config.Firmware {
	case BIOS:
		return nil, nil // SeaBIOS and its iPXE ROM are QEMU's default
	case UEFI:
		if _, err := os.Stat(ovmfCode); err != nil {
			return nil, fmt.Errorf("%s: %w: install the package ovmf", ovmfCode, ErrNoFirmware)
		}
		return []string{
			"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + ovmfCode,
			"-drive", "if=pflash,format=raw,unit=1,file=firmware.fd",
		}, nil
	default:
		return nil, fmt.Errorf("firmware %q is %w: use bios or uefi", m.config.Firmware, ErrUnknown)
	}
}

// prepareDisk makes the disk and the UEFI variables at the first power-on.
func (m *Machine) prepareDisk() error {
	disk, err := os.OpenFile(m.file("disk.raw"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = disk.Truncate(int64(m.config.DiskGiB) << 30)
	if err := errors.Join(err, disk.Close()); err != nil {
		return err
	}
	if m.config.Firmware != UEFI {
		return nil
	}
	if _, err := os.Stat(m.file("firmware.fd")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	variables, err := os.ReadFile(ovmfVariables)
	if err != nil {
		return fmt.Errorf("%w: %w: install the package ovmf", ErrNoFirmware, err)
	}
	return m.replace("firmware.fd", variables)
}

// lastWords returns the end of QEMU's log.
func (m *Machine) lastWords() string {
	const most = 300
	log, err := os.Open(m.file("qemu.log"))
	if err != nil {
		return ""
	}
	defer func() { _ = log.Close() }()
	if end, err := log.Seek(0, io.SeekEnd); err == nil {
		_, _ = log.Seek(max(0, end-most), io.SeekStart)
	}
	text, _ := io.ReadAll(log)
	return string(text)
}
