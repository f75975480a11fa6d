// Package debian makes sure that the Debian packages are there which the virtual rack, its
// images and the tests are made of.
package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// ErrNotRoot says that packages are missing and only root may install them.
var ErrNotRoot = errors.New("packages of Debian are missing")

// Packages lists what the virtual rack needs, by what it is for.
func Packages() []string {
	return slices.Concat(
		[]string{"qemu-system-x86", "seabios", "ipxe-qemu", "ovmf"}, // servers and their firmware
		[]string{"ipxe"},                 // the loader that TFTP serves
		[]string{"openipmi", "ipmitool"}, // BMCs, and the tool that talks to them
		[]string{"frr", "openvswitch-switch", "openssh-server", "isc-dhcp-relay", "lldpd", "iputils-ping", "sudo"}, // switches
		[]string{"mmdebstrap", "zstd", "gdisk", "dosfstools", "mtools"},                                            // images
		[]string{"e2fsprogs", "cpio", "kmod", "grub-pc-bin", "grub-common"},
		[]string{"grub-efi-amd64-bin"},
		[]string{"postgresql", "iproute2", "nftables", "procps", "bind9"}, // facts, networks, names
	)
}

// Install installs what is missing of the packages, and of more, and says so on out. The error for a
// user who is not root is ErrNotRoot and names the one command to run.
func Install(ctx context.Context, out io.Writer, more ...string) error {
	missing, err := Missing(ctx, more...)
	if err != nil || len(missing) == 0 {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: run: sudo apt-get install --no-install-recommends %s", ErrNotRoot, strings.Join(missing, " "))
	}
	fmt.Fprintf(out, "Installing Debian packages: %s\n", strings.Join(missing, " "))
	for _, arguments := range [][]string{
		{"update", "-q"},
		append([]string{"install", "-q", "-y", "--no-install-recommends"}, missing...),
	} {
		command := exec.CommandContext(ctx, "apt-get", arguments...)
		command.Env = append(os.Environ(),
			"DEBIAN_FRONTEND=noninteractive",
			// The rack starts what it needs itself; services of the host stay as they are.
			"RUNLEVEL=1")
		output, err := command.CombinedOutput()
		if err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", arguments[0], err, lastLines(string(output), 20))
		}
	}
	return nil
}

// Missing lists what is not installed of the packages, and of more.
func Missing(ctx context.Context, more ...string) ([]string, error) {
	wanted := append(Packages(), more...)
	// dpkg-query fails when one is unknown, and still lists the others.
	output, err := exec.CommandContext(ctx, "dpkg-query",
		append([]string{"--show", "--showformat=${Package} ${db:Status-Status}\n"}, wanted...)...).Output()
	var exitErr *exec.ExitError
	if err != nil && !errors.As(err, &exitErr) {
		return nil, fmt.Errorf("list Debian packages (the virtual rack runs on Debian 12): %w", err)
	}
	installed := map[string]bool{}
	for line := range strings.Lines(string(output)) {
		if name, status, _ := strings.Cut(strings.TrimSpace(line), " "); status == "installed" {
			installed[name] = true
		}
	}
	return slices.DeleteFunc(wanted, func(name string) bool { return installed[name] }), nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
