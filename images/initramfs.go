package images

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/cavaliergopher/cpio"
	"github.com/klauspost/compress/zstd"
)

// initramfs writes an archive of the kernel's form (Documentation/driver-api/
// early-userspace/buffer-format.rst: cpio "newc", here compressed with zstd), padded to
// four bytes, so that another can follow it. The first error sticks; close returns it.
type initramfs struct {
	out        *os.File
	compressed *zstd.Encoder
	archive    *cpio.Writer
	err        error
}

func createInitramfs(file string) (*initramfs, error) {
	out, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	compressed, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return &initramfs{out: out, compressed: compressed, archive: cpio.NewWriter(compressed)}, nil
}

func (i *initramfs) dir(name string) { i.entry(name, cpio.TypeDir|0o755, nil) }

// link adds a symbolic link, whose content is where it leads to.
func (i *initramfs) link(name, target string) { i.entry(name, cpio.TypeSymlink|0o777, []byte(target)) }

func (i *initramfs) file(name, from string, mode cpio.FileMode) {
	text, err := os.ReadFile(from)
	i.fail(err)
	i.entry(name, cpio.TypeReg|mode, text)
}

func (i *initramfs) entry(name string, mode cpio.FileMode, text []byte) {
	if i.err != nil {
		return
	}
	i.fail(i.archive.WriteHeader(&cpio.Header{Name: name, Mode: mode, Size: int64(len(text))}))
	if len(text) > 0 {
		_, err := i.archive.Write(text)
		i.fail(err)
	}
}

func (i *initramfs) fail(err error) {
	if i.err == nil {
		i.err = err
	}
}

func (i *initramfs) close() error {
	i.fail(i.archive.Close())
	i.fail(i.compressed.Close())
	if size, err := i.out.Seek(0, io.SeekEnd); err == nil {
		_, err = i.out.Write(make([]byte, (4-size%4)%4))
		i.fail(err)
	} else {
		i.fail(err)
	}
	return errors.Join(i.err, i.out.Close())
}

// unneeded are the folders of a Debian tree that no tool reads.
var unneeded = []string{
	"usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "usr/share/bug",
	"usr/share/i18n", "usr/share/perl", "usr/lib/x86_64-linux-gnu/perl", "usr/share/zoneinfo", "usr/lib/systemd",
	"usr/lib/x86_64-linux-gnu/gconv", "usr/share/bash-completion", "var/cache", "var/lib/apt", "var/lib/dpkg", "dev", "proc", "sys",
	"usr/share/fio", "usr/lib/udev/hwdb.d",
}

// addTree adds a tree that mmdebstrap wrote as a tar archive. A hard link becomes a
// symbolic one, which needs no link counts.
func (i *initramfs) addTree(tree io.Reader) error {
	reader := tar.NewReader(tree)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return i.err
		}
		if err != nil {
			return fmt.Errorf("read the tree: %w", err)
		}
		name := strings.TrimPrefix(path.Clean(header.Name), "./")
		if name == "." || slices.ContainsFunc(unneeded, func(dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }) {
			continue
		}
		mode := cpio.FileMode(header.Mode) & 0o7777
		switch header.Typeflag {
		case tar.TypeDir:
			i.entry(name, cpio.TypeDir|mode, nil)
		case tar.TypeSymlink:
			i.link(name, header.Linkname)
		case tar.TypeLink:
			i.link(name, "/"+strings.TrimPrefix(path.Clean(header.Linkname), "./"))
		case tar.TypeReg:
			text, err := io.ReadAll(reader)
			if err != nil {
				return err
			}
			i.entry(name, cpio.TypeReg|mode, text)
		}
	}
}
