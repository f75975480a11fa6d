// Package wipe empties the disks of a server and proves it.
package wipe

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"ferrodur/bootsvc/agent/disk"
	"ferrodur/report"
)

// ErrNoDisk says that there is nothing to wipe: a disk that is not seen cannot be proven
// to be empty.
var ErrNoDisk = errors.New("no disk to wipe: look for a disk or a controller that the kernel does not see")

const (
	sampleBytes   = 1 << 20
	randomSamples = 64
)

// All empties every disk, and reads samples of each back. A disk that holds anything
// afterwards is overwritten; if it still does, that is disk.ErrNotEmptied.
func All(disks []report.Disk, progress func(done, total uint64, what string)) (report.Wipe, error) {
	if len(disks) == 0 {
		return report.Wipe{}, ErrNoDisk
	}
	proof := report.Wipe{Started: time.Now().UTC()}
	var total, before uint64
	for _, d := range disks {
		total += d.Bytes
	}
	for _, d := range disks {
		record, err := one(d, func(done uint64) { progress(before+done, total, d.Path) })
		if err != nil {
			return proof, err
		}
		proof.Disks = append(proof.Disks, record)
		before += d.Bytes
	}
	proof.Seconds = time.Since(proof.Started).Seconds()
	return proof, nil
}

func one(d report.Disk, progress func(done uint64)) (report.DiskWipe, error) {
	started := time.Now()
	record := report.DiskWipe{Disk: d}
	device, err := disk.Open(d.Path)
	if err != nil {
		return record, err
	}
	defer device.Close()
	method, err := device.Empty(progress)
	if err == nil {
		record.Clean, err = sample(device, &record)
	}
	if err != nil || !record.Clean {
		// The device would not, or said that it did and did not.
		method = disk.Overwrite
		if err := device.Overwrite(progress); err != nil {
			return record, err
		}
		if record.Clean, err = sample(device, &record); err != nil {
			return record, err
		}
	}
	record.Method, record.Seconds = string(method), time.Since(started).Seconds()
	if !record.Clean {
		return record, fmt.Errorf("%s (serial %s): %w: take it out of service", d.Path, d.Serial, disk.ErrNotEmptied)
	}
	return record, nil
}

// sample reads the start and the end of a disk, where partition tables and loaders are,
// and places chosen at random.
func sample(device *disk.Device, record *report.DiskWipe) (bool, error) {
	length := min(uint64(sampleBytes), device.Bytes)
	offsets := []uint64{0, device.Bytes - length}
	for range randomSamples {
		offsets = append(offsets, rand.Uint64N(device.Bytes-length+1)&^4095)
	}
	record.Samples, record.SampledBytes = 0, 0
	for _, offset := range offsets {
		zero, err := device.IsZero(offset, length)
		if err != nil || !zero {
			return false, err
		}
		record.Samples++
		record.SampledBytes += length
	}
	return true, nil
}
