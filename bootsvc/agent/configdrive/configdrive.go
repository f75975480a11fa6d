// Package configdrive puts a config drive onto a disk behind an image: a small partition
// with an ISO 9660 file system labelled "cidata", where cloud-init's data source NoCloud
// looks for its files (docs.cloud-init.io, "NoCloud", "Source 2: Drive with labeled
// filesystem").
package configdrive

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/google/uuid"
)

var (
	// ErrNoTable says that the image has no GUID partition table, to which a partition
	// could be added.
	ErrNoTable = errors.New("the image has no GUID partition table: build it with one")
	// ErrNoRoom says that the disk has no room behind the image.
	ErrNoRoom = errors.New("the disk has no room for a config drive behind the image")
)

const (
	// Label is the file system's; cloud-init knows it by this.
	Label = "cidata"

	sectorBytes = 512
	mebibyte    = 1 << 20
	// Bytes is the size of the partition.
	Bytes     = 16 * mebibyte
	blockSize = 2048
)

// Write adds the config drive at the end of a disk that holds an image, and moves the
// backup of the partition table there (UEFI 2.10 §5.3.2). What lies between the image and
// the config drive is left to the image's last partition, which the system grows.
//
// It returns ErrNoTable or ErrNoRoom.
func Write(disk *os.File, diskBytes uint64, files map[string]string) error {
	storage := file.New(disk, false)
	table, err := gpt.Read(storage, sectorBytes, sectorBytes)
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrNoTable, err)
	}
	partition, err := place(table, diskBytes)
	if err != nil {
		return err
	}
	// The library's file system knows nothing of its place, and writes at the start of what
	// it is given.
	if err := fill(backend.Sub(storage, int64(partition.Start*sectorBytes), Bytes), files); err != nil {
		return fmt.Errorf("write the config drive: %w", err)
	}
	table.Resize(diskBytes)
	table.GUID = uuid.NewString() // every disk has one of its own
	table.Partitions = append(table.Partitions, partition)
	writable, err := storage.Writable()
	if err == nil {
		err = table.Write(writable, int64(diskBytes))
	}
	if err != nil {
		return fmt.Errorf("write the partition table: %w", err)
	}
	return nil
}

// place finds the config drive's place: the last whole mebibytes before the table's backup.
func place(table *gpt.Table, diskBytes uint64) (*gpt.Partition, error) {
	const backup = 33 * sectorBytes // header and 128 entries
	end := (diskBytes - backup) / mebibyte * mebibyte
	start := end - Bytes
	index := 0
	for _, p := range table.Partitions {
		if p.Type == gpt.Unused {
			continue
		}
		if (p.End+1)*sectorBytes > start {
			return nil, fmt.Errorf("%w: partition %d ends at byte %d of %d", ErrNoRoom, p.Index, (p.End+1)*sectorBytes, diskBytes)
		}
		index = max(index, p.Index)
	}
	return &gpt.Partition{
		Index: index + 1, Start: start / sectorBytes, End: end/sectorBytes - 1, Size: Bytes,
		Type: gpt.LinuxFilesystem, Name: "config-drive", GUID: uuid.NewString(),
	}, nil
}

// fill makes the file system. Rock Ridge keeps the files' names as they are.
func fill(partition backend.Storage, files map[string]string) (err error) {
	workspace, err := os.MkdirTemp("", "config-drive-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(workspace)) }()
	drive, err := iso9660.Create(partition, Bytes, 0, blockSize, workspace)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		out, err := drive.OpenFile("/"+name, os.O_CREATE|os.O_RDWR)
		if err != nil {
			return err
		}
		_, err = out.Write([]byte(files[name]))
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	return drive.Finalize(iso9660.FinalizeOptions{RockRidge: true, VolumeIdentifier: Label})
}
