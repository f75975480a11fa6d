package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Boot is a boot image: a folder with the kernel, the agent, and the tools of the
// burn-in, under the names that the boot service serves them by.
type Boot struct {
	Dir string
}

// Names of the files of a boot image. BurnIn is unpacked over Agent: both are initramfs.
const (
	Kernel = "vmlinuz"
	Agent  = "agent.img"
	BurnIn = "burnin.img"
)

// bootKernel has the drivers of real servers; the kernel made for clouds has not.
const bootKernel = "linux-image-amd64"

// drivers are the modules that a server may need to reach its network and its disks,
// and what they depend on. The agent loads those whose device is there.
var drivers = []string{
	"virtio_pci", "virtio_net", "virtio_blk", "virtio_scsi", "virtio_rng", // virtual
	"nvme", "ahci", "ata_piix", "sd_mod", // disks
	"megaraid_sas", "mpt3sas", "hpsa", "smartpqi", "aacraid", // RAID controllers and HBAs
	"e1000", "e1000e", "igb", "igc", "ixgbe", "i40e", "ice", "tg3", "bnxt_en", // network
	"mlx4_en", "mlx5_core", "r8169", "ena", "vmxnet3", "sfc", "qede", "be2net", "enic", "cxgb4",
	"efivarfs", "ipmi_si", "ipmi_devintf",
}

// burnInTools are the packages of the tools that the agent runs, and of those that an
// operator wants on a server that failed.
var burnInTools = []string{
	"stress-ng", "memtester", "fio", "smartmontools", "nvme-cli", "hdparm", "ethtool",
	"sg3-utils", "gdisk", "dmidecode", "lshw", "ipmitool", "kmod", "util-linux", "iproute2",
	"bash", "coreutils", "grep", "sed", "mawk", "libc-bin",
}

// BuildBoot returns the boot image, and builds it first if there is none, or if the agent,
// the kernel or the recipe have changed since.
func BuildBoot(ctx context.Context, options Options) (Boot, error) {
	options, err := options.withDefaults()
	if err != nil {
		return Boot{}, err
	}
	kernel, err := kernelPackage(ctx, bootKernel)
	if err != nil {
		return Boot{}, err
	}
	if err := os.MkdirAll(options.CacheDir, 0o755); err != nil {
		return Boot{}, err
	}
	work, err := os.MkdirTemp("", "ferrodur-agent-")
	if err != nil {
		return Boot{}, err
	}
	defer os.RemoveAll(work)
	agent, err := buildAgent(ctx, work)
	if err != nil {
		return Boot{}, err
	}
	var kernelDir, toolsDir string
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		recipe := append([]string{"2", kernel}, drivers...)
		kernelDir, err = options.cached(groupCtx, "kernel", recipe, func(ctx context.Context, dir string) error {
			return unpackKernel(ctx, dir, kernel)
		})
		return err
	})
	group.Go(func() (err error) {
		toolsDir, err = options.cached(groupCtx, "burn-in", append([]string{"2"}, burnInTools...), buildTools)
		return err
	})
	if err := group.Wait(); err != nil {
		return Boot{}, err
	}
	recipe := []string{"2", kernelDir, toolsDir, agent.digest}
	dir, err := options.cached(ctx, "boot", recipe, func(_ context.Context, dir string) error {
		if err := os.Link(filepath.Join(kernelDir, Kernel), filepath.Join(dir, Kernel)); err != nil {
			return err
		}
		if err := os.Link(filepath.Join(toolsDir, BurnIn), filepath.Join(dir, BurnIn)); err != nil {
			return err
		}
		return packAgent(filepath.Join(dir, Agent), agent.file, kernelDir)
	})
	return Boot{Dir: dir}, err
}

// unpackKernel fetches a kernel's package, and keeps of it the kernel, the drivers that
// are wanted, and what they depend on.
func unpackKernel(ctx context.Context, dir, name string) error {
	work, err := os.MkdirTemp(filepath.Dir(dir), "kernel-unpacked-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	// apt downloads as a user of its own, who must be able to write here.
	if err := os.Chmod(work, 0o777); err != nil {
		return err
	}
	if _, err := run(ctx, work, "apt-get", "download", name); err != nil {
		return err
	}
	packages, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(packages) != 1 {
		return errors.Join(err, fmt.Errorf("apt-get download %s left %d packages", name, len(packages)))
	}
	root := filepath.Join(work, "root")
	if _, err := run(ctx, work, "dpkg-deb", "--extract", packages[0], root); err != nil {
		return err
	}
	version := strings.TrimPrefix(name, "linux-image-")
	if _, err := run(ctx, work, "depmod", "--basedir", root, version); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(root, "boot", "vmlinuz-"+version), filepath.Join(dir, Kernel)); err != nil {
		return err
	}
	return selectModules(filepath.Join(root, "lib", "modules", version), dir, version)
}

// selectModules copies the drivers and what they depend on into dir, and of depmod's
// tables the lines about them. A driver that this kernel does not have is an error, unless
// it is built in.
func selectModules(modules, dir, version string) error {
	dependencies, err := readDependencies(filepath.Join(modules, "modules.dep"))
	if err != nil {
		return err
	}
	builtIn, err := os.ReadFile(filepath.Join(modules, "modules.builtin"))
	if err != nil {
		return err
	}
	byName := map[string]string{}
	for file := range dependencies {
		byName[moduleName(file)] = file
	}
	files := map[string]bool{}
	for _, name := range drivers {
		file, ok := byName[name]
		if !ok {
			if !slices.ContainsFunc(strings.Fields(string(builtIn)), func(file string) bool { return moduleName(file) == name }) {
				return fmt.Errorf("kernel %s has no driver %s", version, name)
			}
			continue
		}
		files[file] = true
		for _, needed := range dependencies[file] {
			files[needed] = true
		}
	}
	target := filepath.Join(dir, "usr", "lib", "modules", version)
	var list, aliases strings.Builder
	for _, file := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&list, "%s: %s\n", file, strings.Join(dependencies[file], " "))
		if err := os.MkdirAll(filepath.Dir(filepath.Join(target, file)), 0o755); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(modules, file), filepath.Join(target, file)); err != nil {
			return err
		}
	}
	all, err := os.ReadFile(filepath.Join(modules, "modules.alias"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(all)) {
		if fields := strings.Fields(line); len(fields) == 3 && files[byName[fields[2]]] {
			aliases.WriteString(line)
		}
	}
	return errors.Join(
		os.WriteFile(filepath.Join(target, "modules.dep"), []byte(list.String()), 0o644),
		os.WriteFile(filepath.Join(target, "modules.alias"), []byte(aliases.String()), 0o644))
}

// moduleName is a module's name in the kernel's form, in which hyphens are underscores.
func moduleName(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".ko"), "-", "_")
}

// readDependencies reads depmod's modules.dep: "FILE: FILE…" a line.
func readDependencies(file string) (map[string][]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	dependencies := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		name, needs, found := strings.Cut(line, ":")
		if found {
			dependencies[name] = strings.Fields(needs)
		}
	}
	return dependencies, nil
}

// packAgent writes the initramfs of the agent: the agent as /init, and the drivers. Its
// folders are those of a Debian tree, since the tools of the burn-in may come over it.
func packAgent(file, agent, kernelDir string) error {
	archive, err := createInitramfs(file)
	if err != nil {
		return err
	}
	for _, dir := range []string{"dev", "proc", "sys", "run", "tmp", "etc", "usr", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "var"} {
		archive.dir(dir)
	}
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		archive.link(link, "usr/"+link)
	}
	archive.file("init", agent, 0o755)
	err = filepath.WalkDir(filepath.Join(kernelDir, "usr"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(kernelDir, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			archive.dir(name)
		} else {
			archive.file(name, path, 0o644)
		}
		return nil
	})
	return errors.Join(err, archive.close())
}
