// Package hardware finds out what a server is made of, from what the kernel shows in
// /proc and /sys.
package hardware

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"ferrodur/report"
)

// Find reads the hardware from a file system that holds proc/ and sys/: os.DirFS("/") on
// a server.
func Find(root fs.FS) (report.Hardware, error) {
	f := finder{root}
	var hardware report.Hardware
	var errs [4]error
	hardware.CPU, errs[0] = f.cpu()
	hardware.Memory, errs[1] = f.memory()
	hardware.Disks, errs[2] = f.disks()
	hardware.NICs, errs[3] = f.nics()
	hardware.Firmware = f.firmware()
	return hardware, errors.Join(errs[:]...)
}

type finder struct{ root fs.FS }

// text is a file's content without the blanks around it; empty if there is no such file.
func (f finder) text(name string) string {
	text, err := fs.ReadFile(f.root, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// cpu reads proc/cpuinfo (proc(5)): a paragraph for every thread.
func (f finder) cpu() (report.CPU, error) {
	text, err := fs.ReadFile(f.root, "proc/cpuinfo")
	if err != nil {
		return report.CPU{}, fmt.Errorf("read the processors: %w", err)
	}
	var cpu report.CPU
	sockets := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "processor":
			cpu.Threads++
		case "model name":
			cpu.Model = value
		case "physical id":
			sockets[value] = true
		}
	}
	cpu.Sockets = max(1, len(sockets))
	return cpu, nil
}

// memory reads MemTotal of proc/meminfo: what the firmware left to the kernel, some per
// cent less than what is plugged in.
func (f finder) memory() (uint64, error) {
	text, err := fs.ReadFile(f.root, "proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("read the memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "MemTotal:"); found {
			kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read the memory: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, errors.New("read the memory: /proc/meminfo has no MemTotal")
}

// notDisks are the beginnings of the names of block devices that no image goes onto.
var notDisks = []string{"loop", "ram", "zram", "sr", "fd", "dm-", "md", "nbd"}

// disks lists sys/block: whole disks, in the order of their names.
func (f finder) disks() ([]report.Disk, error) {
	entries, err := fs.ReadDir(f.root, "sys/block")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a kernel without any
	}
	if err != nil {
		return nil, fmt.Errorf("list the disks: %w", err)
	}
	var disks []report.Disk
	for _, entry := range entries {
		name := entry.Name()
		dir := path.Join("sys/block", name)
		sectors, err := strconv.ParseUint(f.text(path.Join(dir, "size")), 10, 64)
		if err != nil || sectors == 0 || isNoDisk(name) || f.text(path.Join(dir, "removable")) == "1" || f.text(path.Join(dir, "ro")) == "1" {
			continue
		}
		serial := f.text(path.Join(dir, "serial"))
		if serial == "" {
			serial = f.text(path.Join(dir, "device/serial"))
		}
		disks = append(disks, report.Disk{
			Path: "/dev/" + name, Model: f.text(path.Join(dir, "device/model")), Serial: serial,
			Bytes: sectors * 512, Rotational: f.text(path.Join(dir, "queue/rotational")) == "1",
		})
	}
	return disks, nil
}

func isNoDisk(name string) bool {
	for _, prefix := range notDisks {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// nics lists the interfaces that have a device behind them.
func (f finder) nics() ([]report.NIC, error) {
	entries, err := fs.ReadDir(f.root, "sys/class/net")
	if err != nil {
		return nil, fmt.Errorf("list the network interfaces: %w", err)
	}
	var nics []report.NIC
	for _, entry := range entries {
		dir := path.Join("sys/class/net", entry.Name())
		if _, err := fs.Stat(f.root, path.Join(dir, "device")); err != nil {
			continue
		}
		driver := ""
		for line := range strings.Lines(f.text(path.Join(dir, "device/uevent"))) {
			if value, found := strings.CutPrefix(strings.TrimSpace(line), "DRIVER="); found {
				driver = value
			}
		}
		nics = append(nics, report.NIC{
			Name: entry.Name(), MAC: strings.ToLower(f.text(path.Join(dir, "address"))),
			Driver: driver, Link: f.text(path.Join(dir, "carrier")) == "1",
		})
	}
	return nics, nil
}

// firmware reads SMBIOS as the kernel shows it in sys/class/dmi.
func (f finder) firmware() report.Firmware {
	const dir = "sys/class/dmi/id/"
	firmware := report.Firmware{
		Mode: "bios", Vendor: f.text(dir + "bios_vendor"), Version: f.text(dir + "bios_version"),
		Product: f.text(dir + "product_name"), Serial: f.text(dir + "product_serial"),
	}
	if _, err := fs.Stat(f.root, "sys/firmware/efi"); err == nil {
		firmware.Mode = "uefi"
	}
	return firmware
}
