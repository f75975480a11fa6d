package disk

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"ferrodur/bootsvc/job"
	"ferrodur/report"
)

var (
	// ErrNoDisk says that no disk can hold the image.
	ErrNoDisk = errors.New("no disk can hold the image")
	// ErrDigest says that what was downloaded is not the image that was ordered.
	ErrDigest = errors.New("the image's SHA-256 is not the one that was ordered: the file was changed, or damaged on the way")
	// ErrLength says that the image is not as long as the order says.
	ErrLength = errors.New("the image is not as long as was ordered")
)

// configRoom is what is left behind the image, for the config drive and GPT's backup.
const configRoom = 32 << 20

// syncBytes is how much may be on its way to the disk: progress that is told is progress
// that was made, and the last step does not take the time of all.
const syncBytes = 64 << 20

// Choose finds the disk that an image goes onto: the one named, or the smallest that holds
// it. It returns ErrNoDisk.
func Choose(disks []report.Disk, named string, image job.Image) (report.Disk, error) {
	var chosen report.Disk
	for _, disk := range disks {
		if disk.Bytes < image.Bytes+configRoom || named != "" && disk.Path != named {
			continue
		}
		if chosen.Path == "" || disk.Bytes < chosen.Bytes {
			chosen = disk
		}
	}
	if chosen.Path == "" {
		which := "the largest of them is too small or there is none"
		if named != "" {
			which = named + " is not there or too small"
		}
		return chosen, fmt.Errorf("%w: %s takes %d bytes, %s", ErrNoDisk, image.Name, image.Bytes+configRoom, which)
	}
	return chosen, nil
}

// WriteImage writes an image onto an empty disk. The image comes zstd-compressed from
// source, whose SHA-256 is checked on the way; blocks of zeros are left out, since the
// disk holds zeros. When anything goes wrong the disk is left so that it cannot boot.
func (d *Device) WriteImage(source io.Reader, image job.Image, progress func(done uint64)) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, d.spoil())
		}
	}()
	digest := sha256.New()
	compressed := io.TeeReader(source, digest)
	decoder, err := zstd.NewReader(compressed, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("read the image: %w", err)
	}
	defer decoder.Close()
	buffer := make([]byte, len(zeros))
	offset, unsynced := uint64(0), 0
	for {
		n, readErr := fill(buffer, decoder)
		if offset+uint64(n) > image.Bytes {
			return fmt.Errorf("%w: more than %d bytes", ErrLength, image.Bytes)
		}
		if n > 0 && !bytes.Equal(buffer[:n], zeros[:n]) {
			if _, err := d.WriteAt(buffer[:n], int64(offset)); err != nil {
				return fmt.Errorf("write %s at %d: %w", d.Name(), offset, err)
			}
			if unsynced += n; unsynced >= syncBytes {
				if err := d.Sync(); err != nil {
					return fmt.Errorf("write %s at %d: %w", d.Name(), offset, err)
				}
				unsynced = 0
			}
		}
		offset += uint64(n)
		progress(offset)
		if errors.Is(readErr, io.EOF) {
			break
		}
		if readErr != nil {
			return fmt.Errorf("read the image: %w", readErr)
		}
	}
	// The decoder may leave the end of the file unread.
	if _, err := io.Copy(io.Discard, compressed); err != nil {
		return fmt.Errorf("read the image: %w", err)
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != image.SHA256 {
		return fmt.Errorf("%w (%s instead of %s)", ErrDigest, got, image.SHA256)
	}
	if offset != image.Bytes {
		return fmt.Errorf("%w: %d instead of %d bytes", ErrLength, offset, image.Bytes)
	}
	return d.Flush()
}

// fill reads until the buffer is full, or returns the reader's own error: io.ReadFull would
// say of an image's end and of a broken image the same.
func fill(buffer []byte, from io.Reader) (n int, err error) {
	for n < len(buffer) && err == nil {
		var more int
		more, err = from.Read(buffer[n:])
		n += more
	}
	return n, err
}

// spoil destroys what firmware boots from: the beginning and the end of the disk.
func (d *Device) spoil() error {
	length := min(uint64(len(zeros)), d.Bytes)
	_, errStart := d.WriteAt(zeros[:length], 0)
	_, errEnd := d.WriteAt(zeros[:length], int64(d.Bytes-length))
	return errors.Join(errStart, errEnd, d.Flush())
}
