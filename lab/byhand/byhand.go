// Package byhand installs a server of the virtual rack as a script by hand would, to know
// what Ferrodur's care costs.
package byhand

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"ferrodur/images"
	"ferrodur/lab/netns"
	"ferrodur/lab/rack"
	"ferrodur/lab/stack"
	"ferrodur/workflows/api"
)

//go:embed install.sh
var script string

// Packages are Debian's packages that the script needs beside the rack's.
var Packages = []string{"busybox-static", "dnsmasq-base", "genisoimage"}

// Step is a part of the install, and when it ended, in seconds since the power-on.
type Step struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// Install runs the script for an idle server of a rack, in the place of the boot service,
// and leaves the server off and its port as before. The disk keeps the image.
func Install(ctx context.Context, s *stack.Stack, server string) (steps []Step, err error) {
	declared, err := s.Inventory.Server(ctx, server)
	if err != nil {
		return nil, err
	}
	password, err := declared.BMC.Password.Resolve()
	if err != nil {
		return nil, err
	}
	if err := s.KillWorker(ctx, api.RoleBoot); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.StartWorker(api.RoleBoot)) }()

	// By hand, the port is configured once and for all.
	link := rack.Layout().Tenant.Addr()
	port := func(change string) error {
		_, err := s.Switch().Run(ctx, "ip", strings.Fields(fmt.Sprintf(change, link, declared.Port))...)
		return err
	}
	if err := errors.Join(port("address add %s/31 dev %s"), port("link set %[2]s up")); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, port("link set %[2]s down"), port("address delete %s/31 dev %s")) }()

	boot, image := s.Images()
	address, _, err := net.SplitHostPort(declared.BMC.Address)
	if err != nil {
		return nil, err
	}
	steps, err = run(ctx, s.Site(), map[string]string{
		"BMC": address, "BMC_USER": declared.BMC.User, "IPMI_PASSWORD": password,
		"MAC": declared.MAC, "ADDRESS": link.Next().String(), "GATEWAY": link.String(), "HERE": rack.Layout().Boot.String(),
		"KERNEL": filepath.Join(boot.Dir, images.Kernel), "DRIVERS": filepath.Join(boot.Dir, images.Agent),
		"IMAGE": image.File, "SHA256": image.SHA256, "SSH_KEY": "ssh-ed25519 AAAA nobody",
	})
	off, err2 := s.Machine(server)
	if err2 == nil {
		err2 = off.PowerOff(context.WithoutCancel(ctx))
	}
	return steps, errors.Join(err, err2)
}

func run(ctx context.Context, site netns.Namespace, settings map[string]string) ([]Step, error) {
	command := exec.CommandContext(ctx, "ip", "netns", "exec", string(site), "bash", "-c", script)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.Env = os.Environ()
	for name, value := range settings {
		command.Env = append(command.Env, name+"="+value)
	}
	var trouble bytes.Buffer
	command.Stderr = &trouble
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("install by hand: %w\n%s", err, trouble.String())
	}
	var steps []Step
	for line := range strings.Lines(string(output)) {
		seconds, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		at, err := strconv.ParseFloat(seconds, 64)
		if err != nil {
			return nil, fmt.Errorf("the script printed %q: %w", line, err)
		}
		steps = append(steps, Step{Name: name, Seconds: at})
	}
	return steps, nil
}
