package inventory

import (
	"context"
	"fmt"

	"ferrodur/report"
)

// reservedMemory is the share of its memory that a server's firmware and kernel keep for
// themselves: the agent counts a machine of 64 GiB at about 62.
const reservedMemory = 0.08

// Mismatch is a sentence that says where hardware falls short.
type Mismatch string

// StoreHardware keeps what the agent found on a server; the last report counts. It
// returns a NotFoundError.
func (s *Store) StoreHardware(ctx context.Context, server string, found report.Hardware) error {
	tag, err := s.pool.Exec(ctx, `UPDATE inventory.servers SET hardware = $2 WHERE name = $1`, server, found)
	if err != nil {
		return fmt.Errorf("store the hardware of server %s: %w", server, err)
	}
	if tag.RowsAffected() == 0 {
		return NotFoundError{Kind: KindServer, Name: server}
	}
	return nil
}

// Compare lists where the hardware found falls short of what the server was declared to
// be and of what its plan promises. More than promised is fine. Memory may be 8 % less
// than its nominal size, which firmware and kernel keep.
func Compare(server Server, plan Plan, found report.Hardware) []Mismatch {
	var short []Mismatch
	miss := func(format string, args ...any) { short = append(short, Mismatch(fmt.Sprintf(format, args...))) }

	for _, uplink := range server.Uplinks() {
		if !hasMAC(found.NICs, uplink.MAC) {
			miss("no NIC has the MAC %s: is it cabled and declared right?", uplink.MAC)
		}
	}
	if want := max(server.Declared.CPUThreads, plan.Threads); found.CPU.Threads < want {
		miss("%d CPU threads, not %d", found.CPU.Threads, want)
	}
	want := max(server.Declared.MemoryMiB, plan.MemoryMiB)
	if got := found.Memory >> 20; float64(got) < float64(want)*(1-reservedMemory) {
		miss("%d MiB of memory, not %d", got, want)
	}

	var bytes uint64
	fit := 0
	for _, disk := range found.Disks {
		bytes += disk.Bytes
		if disk.Bytes >= plan.DiskBytes {
			fit++
		}
	}
	switch {
	case len(found.Disks) == 0:
		miss("no disk")
	case fit < plan.Disks:
		miss("%d disks of at least %d bytes, not %d", fit, plan.DiskBytes, plan.Disks)
	case bytes < server.Declared.DiskBytes:
		miss("%d bytes on all disks, not %d", bytes, server.Declared.DiskBytes)
	}
	if server.Disk != "" && !hasDisk(found.Disks, server.Disk) {
		miss("no disk %s, which images are to go onto", server.Disk)
	}
	return short
}

func hasMAC(nics []report.NIC, mac string) bool {
	for _, nic := range nics {
		if nic.MAC == mac {
			return true
		}
	}
	return false
}

func hasDisk(disks []report.Disk, path string) bool {
	for _, disk := range disks {
		if disk.Path == path {
			return true
		}
	}
	return false
}
