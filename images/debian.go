package images

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Image is an image that can be installed: a zstd-compressed raw disk image.
type Image struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"` // of the compressed file
	Bytes  uint64 `json:"bytes"`  // of the raw image
}

// User is who one logs in as, with the keys of the order; he may become root.
const User = "debian"

// imageKernel is made for virtual machines, such as the lab's: it boots faster. An image
// for real servers takes linux-image-amd64.
const imageKernel = "linux-image-cloud-amd64"

// imagePackages is a small Debian that cloud-init can configure.
var imagePackages = []string{
	imageKernel, "systemd-sysv", "udev", "dbus", "ifupdown", "iproute2", "isc-dhcp-client", "netbase", "ca-certificates", "ifenslave",
	"openssh-server", "sudo", "cloud-init", "cloud-guest-utils", "gdisk", "e2fsprogs", "procps", "iputils-ping", "less", "vim-tiny", "zstd",
}

//go:embed debian
var debianFiles embed.FS

// BuildDebian returns an image of Debian 12 that boots by BIOS and by UEFI and is
// configured by cloud-init from a NoCloud config drive. It is built first if there is
// none, or if its recipe or its kernel have changed since.
func BuildDebian(ctx context.Context, options Options) (Image, error) {
	options, err := options.withDefaults()
	if err != nil {
		return Image{}, err
	}
	kernel, err := kernelPackage(ctx, imageKernel)
	if err != nil {
		return Image{}, err
	}
	recipe := append([]string{"2", kernel, fmt.Sprint(layout)}, imagePackages...)
	err = fs.WalkDir(debianFiles, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := debianFiles.ReadFile(path)
		recipe = append(recipe, path, string(text))
		return err
	})
	if err != nil {
		return Image{}, err
	}
	dir, err := options.cached(ctx, "Debian", recipe, buildDebian)
	if err != nil {
		return Image{}, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "image.json"))
	if err != nil {
		return Image{}, err
	}
	var image Image
	if err := json.Unmarshal(text, &image); err != nil {
		return Image{}, fmt.Errorf("%s: %w", dir, err)
	}
	image.File = filepath.Join(dir, image.File)
	return image, nil
}

// partitions of the image, in sectors of 512 bytes. The root partition is the last one, so
// that it can grow.
type partitions struct {
	bios, esp, root, end uint64 // first sectors, and the end of the image
}

var layout = partitions{bios: 2048, esp: 4096, root: 4096 + 32<<11, end: 4096 + 32<<11 + 1200<<11}

const sector = 512

func buildDebian(ctx context.Context, dir string) error {
	build := builder{ctx: ctx, dir: dir}
	for _, step := range []func() error{
		build.tree, build.rootFilesystem, build.espFilesystem, build.disk, build.biosLoader, build.compress,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

type builder struct {
	ctx context.Context
	dir string
}

func (b builder) path(name string) string { return filepath.Join(b.dir, name) }

func (b builder) run(name string, arguments ...string) error {
	_, err := run(b.ctx, b.dir, name, arguments...)
	return err
}

// tree makes the root file system as a tar archive.
func (b builder) tree() error {
	if err := writeSources(b.ctx, b.path("sources.list")); err != nil {
		return err
	}
	files, err := fs.Sub(debianFiles, "debian")
	if err != nil {
		return err
	}
	if err := os.CopyFS(b.path("files"), files); err != nil {
		return err
	}
	return b.run("mmdebstrap", "--quiet", "--variant=minbase", "--architectures=amd64", "--include="+strings.Join(imagePackages, ","),
		"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"--customize-hook=copy-in files/etc /",
		"--customize-hook=sh files/customize \"$1\"",
		release, b.path("root.tar"), b.path("sources.list"))
}

// rootID is the UUID of the root file system, by which loader and kernel find it.
const rootID = "7c1cbf5c-3f7e-4c55-9a7e-0b1b6e5a1f10"

func (b builder) rootFilesystem() error {
	if err := os.Mkdir(b.path("root"), 0o755); err != nil {
		return err
	}
	if err := b.run("tar", "--extract", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--file", "root.tar", "--directory", "root"); err != nil {
		return err
	}
	// GRUB 2.06 does not read file systems with the newest features.
	return b.run("mkfs.ext4", "-q", "-d", "root", "-U", rootID, "-L", "root", "-m", "1", "-O", "^metadata_csum_seed,^orphan_file",
		"-E", "lazy_itable_init=1,lazy_journal_init=1", "root.img", fmt.Sprintf("%dK", (layout.end-layout.root-34)/2))
}

// Modules that GRUB needs to read its configuration from the root file system.
var grubModules = []string{"part_gpt", "ext2", "search", "search_fs_uuid", "normal", "linux", "configfile", "test", "echo", "serial", "terminal", "reboot", "halt"}

// espFilesystem makes the EFI system partition with a GRUB that needs no other file.
func (b builder) espFilesystem() error {
	early := fmt.Sprintf("search --no-floppy --fs-uuid --set=root %s\nset prefix=($root)/boot/grub\nconfigfile ($root)/boot/grub/grub.cfg\n", rootID)
	if err := os.WriteFile(b.path("early.cfg"), []byte(early), 0o644); err != nil {
		return err
	}
	for _, loader := range []struct{ format, file, disk string }{
		{"x86_64-efi", "bootx64.efi", ""}, {"i386-pc", "core.img", "biosdisk"},
	} {
		arguments := append([]string{"-O", loader.format, "-o", loader.file, "-c", "early.cfg", "-p", "/boot/grub"}, grubModules...)
		if loader.disk != "" {
			arguments = append(arguments, loader.disk)
		}
		if err := b.run("grub-mkimage", arguments...); err != nil {
			return err
		}
	}
	for _, command := range [][]string{
		{"mkfs.vfat", "-n", "ESP", "-C", "esp.img", fmt.Sprint((layout.root - layout.esp) / 2)},
		{"mmd", "-i", "esp.img", "::/EFI", "::/EFI/BOOT"},
		{"mcopy", "-i", "esp.img", "bootx64.efi", "::/EFI/BOOT/BOOTX64.EFI"},
	} {
		if err := b.run(command[0], command[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// disk puts the partitions together.
func (b builder) disk() error {
	disk, err := os.Create(b.path("disk.raw"))
	if err != nil {
		return err
	}
	err = disk.Truncate(int64(layout.end * sector))
	if err := errors.Join(err, disk.Close()); err != nil {
		return err
	}
	err = b.run("sgdisk", "--set-alignment=1",
		fmt.Sprintf("--new=1:%d:%d", layout.bios, layout.esp-1), "--typecode=1:ef02", "--change-name=1:bios",
		fmt.Sprintf("--new=2:%d:%d", layout.esp, layout.root-1), "--typecode=2:ef00", "--change-name=2:esp",
		fmt.Sprintf("--new=3:%d:%d", layout.root, layout.end-34), "--typecode=3:8304", "--change-name=3:root", "disk.raw")
	if err != nil {
		return err
	}
	for _, part := range []struct {
		file  string
		first uint64
	}{{"core.img", layout.bios}, {"esp.img", layout.esp}, {"root.img", layout.root}} {
		if err := b.run("dd", "if="+part.file, "of=disk.raw", "bs=64K", "conv=notrunc,sparse",
			"oflag=seek_bytes", fmt.Sprintf("seek=%d", part.first*sector), "status=none"); err != nil {
			return err
		}
	}
	return nil
}

// Where GRUB's first two sectors keep the place of what they load (grub-core/boot/i386/pc,
// boot.S and diskboot.S). grub-bios-setup writes them, and wants a block device.
const (
	bootKernelSector  = 0x5c  // in boot.img: sector of core.img, 64 bits
	coreBlocklist     = 0x1f4 // in core.img's first sector: its second sector, 64 bits
	bootCodeLength    = 440   // the rest of the sector is the partition table's
	coreFirstLoadable = 1
)

// biosLoader makes the disk start GRUB from a BIOS.
func (b builder) biosLoader() error {
	boot, err := os.ReadFile("/usr/lib/grub/i386-pc/boot.img")
	if err != nil {
		return fmt.Errorf("GRUB for BIOS (package grub-pc-bin): %w", err)
	}
	binary.LittleEndian.PutUint64(boot[bootKernelSector:], layout.bios)
	disk, err := os.OpenFile(b.path("disk.raw"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	next := binary.LittleEndian.AppendUint64(nil, layout.bios+coreFirstLoadable)
	_, errBoot := disk.WriteAt(boot[:bootCodeLength], 0)
	_, errCore := disk.WriteAt(next, int64(layout.bios*sector+coreBlocklist))
	return errors.Join(errBoot, errCore, disk.Close())
}

// compress writes the image's last form, and removes what it was made of.
func (b builder) compress() error {
	const name = "debian-12.raw.zst"
	in, err := os.Open(b.path("disk.raw"))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(b.path(name))
	if err != nil {
		return err
	}
	digest := sha256.New()
	encoder, err := zstd.NewWriter(io.MultiWriter(out, digest), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		return errors.Join(err, out.Close())
	}
	size, err := io.Copy(encoder, in)
	if err := errors.Join(err, encoder.Close(), out.Sync(), out.Close()); err != nil {
		return err
	}
	image, err := json.Marshal(Image{File: name, SHA256: hex.EncodeToString(digest.Sum(nil)), Bytes: uint64(size)})
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.path("image.json"), image, 0o644); err != nil {
		return err
	}
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != name && entry.Name() != "image.json" {
			if err := os.RemoveAll(b.path(entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
