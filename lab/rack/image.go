package rack

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// Image is what customers of the rack can have installed: a zstd-compressed raw image. Up
// finds out the digest and the size where they are not given.
type Image struct {
	Name    string `json:"name"`
	File    string `json:"file"`               // path; the boot service knows its last element
	SHA256  string `json:"sha256,omitempty"`   // of File, lower-case hexadecimal
	Bytes   uint64 `json:"bytes,omitempty"`    // size of the raw image
	SSHUser string `json:"ssh_user,omitempty"` // who logs in with the order's keys; "debian"
}

const defaultSSHUser = "debian"

// measured returns the image with everything filled in.
func (i Image) measured() (Image, error) {
	if i.SSHUser == "" {
		i.SSHUser = defaultSSHUser
	}
	if i.SHA256 != "" && i.Bytes != 0 {
		return i, nil
	}
	file, err := os.Open(i.File)
	if err != nil {
		return i, fmt.Errorf("image %s: %w", i.Name, err)
	}
	defer func() { _ = file.Close() }()
	digest := sha256.New()
	raw, err := zstd.NewReader(io.TeeReader(file, digest))
	if err != nil {
		return i, fmt.Errorf("image %s: %w", i.Name, err)
	}
	defer raw.Close()
	size, err := io.Copy(io.Discard, raw)
	if err != nil {
		return i, fmt.Errorf("image %s: %s is not a zstd-compressed file: %w", i.Name, i.File, err)
	}
	i.SHA256, i.Bytes = hex.EncodeToString(digest.Sum(nil)), uint64(size)
	return i, nil
}

// Served is the name by which the boot service knows the file.
func (i Image) Served() string { return filepath.Base(i.File) }
