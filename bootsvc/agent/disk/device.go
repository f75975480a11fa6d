// Package disk empties disks and writes images onto them.
package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrNotEmptied says that a disk holds something else than zeros after it was emptied.
var ErrNotEmptied = errors.New("the disk still holds data")

// Method says how a disk was emptied.
type Method string

// The methods, the quickest first.
const (
	Discard   Method = "discard"   // the device was told to forget, then to hold zeros
	Overwrite Method = "overwrite" // zeros were written
)

// Device is a disk, or in tests a file, open for reading and writing.
type Device struct {
	*os.File
	Bytes uint64
	block bool // a block device, which has ioctls
}

// Open opens a disk for this program alone: a disk that is mounted is refused.
func Open(path string) (*Device, error) {
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_EXCL, 0)
	if err != nil {
		return nil, fmt.Errorf("open disk: %w", err)
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("size of disk %s: %w", path, err), file.Close())
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &Device{File: file, Bytes: uint64(size), block: info.Mode()&os.ModeDevice != 0}, nil
}

// chunk is how much is emptied at once, so that progress can be told.
const chunk = 1 << 30

// Empty makes the whole disk read as zeros. Where the device can discard, it is told to;
// then it is told to hold zeros (BLKZEROOUT, which the kernel does by writing where the
// device has no command for it).
func (d *Device) Empty(progress func(done uint64)) (Method, error) {
	method := Overwrite
	if d.discards() {
		method = Discard
	}
	for done := uint64(0); done < d.Bytes; {
		length := min(chunk, d.Bytes-done)
		if method == Discard {
			// Best effort: what the device does not forget is zeroed next.
			_ = d.rangeIoctl(unix.BLKDISCARD, done, length)
		}
		if err := d.zero(done, length); err != nil {
			return method, err
		}
		done += length
		progress(done)
	}
	return method, d.Flush()
}

// Overwrite writes zeros over the whole disk, whatever the device could do by itself.
func (d *Device) Overwrite(progress func(done uint64)) error {
	for done := uint64(0); done < d.Bytes; {
		n, err := d.WriteAt(zeros[:min(uint64(len(zeros)), d.Bytes-done)], int64(done))
		if err != nil {
			return fmt.Errorf("overwrite %s: %w", d.Name(), err)
		}
		done += uint64(n)
		progress(done)
	}
	return d.Flush()
}

// Flush has everything that was written reach the disk, and forgets what the kernel still
// knows of its content, so that it is read from the disk from now on.
func (d *Device) Flush() error {
	if err := d.Sync(); err != nil {
		return fmt.Errorf("flush %s: %w", d.Name(), err)
	}
	if !d.block {
		return unix.Fadvise(int(d.Fd()), 0, 0, unix.FADV_DONTNEED)
	}
	if err := unix.IoctlSetInt(int(d.Fd()), unix.BLKFLSBUF, 0); err != nil {
		return fmt.Errorf("flush %s: %w", d.Name(), err)
	}
	return nil
}

// IsZero reads a range and tells whether it holds only zeros.
func (d *Device) IsZero(offset, length uint64) (bool, error) {
	buffer := make([]byte, min(length, uint64(len(zeros))))
	for end := offset + length; offset < end; {
		n, err := d.ReadAt(buffer[:min(uint64(len(buffer)), end-offset)], int64(offset))
		if !bytes.Equal(buffer[:n], zeros[:n]) {
			return false, nil
		}
		offset += uint64(n)
		if err != nil && !(errors.Is(err, io.EOF) && offset == end) {
			return false, fmt.Errorf("read %s at %d: %w", d.Name(), offset, err)
		}
	}
	return true, nil
}

var zeros = make([]byte, 1<<20)

// zero makes a range read as zeros.
func (d *Device) zero(offset, length uint64) error {
	if d.block {
		if err := d.rangeIoctl(unix.BLKZEROOUT, offset, length); err != nil {
			return fmt.Errorf("zero %s at %d: %w", d.Name(), offset, err)
		}
		return nil
	}
	mode := uint32(unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE)
	if err := unix.Fallocate(int(d.Fd()), mode, int64(offset), int64(length)); err != nil {
		return fmt.Errorf("zero %s at %d: %w", d.Name(), offset, err)
	}
	return nil
}

// discards tells whether the kernel says that the device can discard.
func (d *Device) discards() bool {
	if !d.block {
		return false
	}
	most, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(d.Name()), "queue/discard_max_bytes"))
	return err == nil && strings.TrimSpace(string(most)) != "0"
}

// rangeIoctl calls BLKDISCARD or BLKZEROOUT (linux/fs.h), which take offset and length.
func (d *Device) rangeIoctl(request uint, offset, length uint64) error {
	span := [2]uint64{offset, length}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, d.Fd(), uintptr(request), uintptr(unsafe.Pointer(&span)))
	if errno != 0 {
		return errno
	}
	return nil
}
