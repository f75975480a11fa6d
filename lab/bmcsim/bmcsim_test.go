package bmcsim_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ferrodur/lab/bmcsim"
	"ferrodur/lab/netns"
)

func config(t *testing.T) bmcsim.Config {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = conn.Close() }()
	dir := t.TempDir()
	program := filepath.Join(dir, "it is a chassis") // blanks are kept
	must(t, os.WriteFile(program, []byte("#!/bin/sh\necho power:1\n"), 0o700))
	return bmcsim.Config{
		Name: "bmc1", Dir: filepath.Join(dir, "bmc"), User: "admin", Password: "pa$$=word",
		Address:        conn.LocalAddr().(*net.UDPAddr).AddrPort(),
		ChassisControl: []string{program, "two words"}, DieWithParent: true,
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ipmitool asks the BMC from inside its namespace.
func ipmitool(t *testing.T, c bmcsim.Config, args ...string) string {
	t.Helper()
	t.Setenv("IPMITOOL_PASSWORD", c.Password)
	output, err := c.Namespace.Run(t.Context(), "ipmitool", append([]string{
		"-I", "lanplus", "-C", "3", "-U", c.User, "-E",
		"-H", c.Address.Addr().String(), "-p", strconv.Itoa(int(c.Address.Port())),
	}, args...)...)
	must(t, err)
	return string(output)
}

func start(t *testing.T, c bmcsim.Config) *bmcsim.BMC {
	t.Helper()
	sim, err := bmcsim.Start(t.Context(), c)
	must(t, err)
	t.Cleanup(func() { must(t, sim.Stop(context.Background())) })
	return sim
}

func TestStart(t *testing.T) {
	c := config(t)
	first := start(t, c)
	if second := start(t, c); second.PID() != first.PID() {
		t.Error("started twice")
	}
	for _, test := range []struct{ command, want string }{
		{"chassis power status", "Chassis Power is on"},
		{"fru print 0", "virtual server"},
		{"sel list", "System Boot"},
	} {
		if got := ipmitool(t, c, strings.Fields(test.command)...); !strings.Contains(got, test.want) {
			t.Errorf("%s: %s", test.command, got)
		}
	}
	must(t, filepath.WalkDir(c.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if text, _ := os.ReadFile(path); strings.Contains(string(text), c.Password) {
			if info, _ := entry.Info(); info.Mode().Perm() != 0o600 {
				t.Errorf("%s holds the password and has mode %s", path, info.Mode())
			}
		}
		return nil
	}))
	must(t, bmcsim.Stop(t.Context(), c.Dir, c.Name))
	<-first.Exited()
}

func TestInNamespace(t *testing.T) {
	c := config(t)
	c.Namespace = netns.Namespace("bmcsim-test")
	must(t, c.Namespace.Create())
	t.Cleanup(func() { must(t, c.Namespace.Delete()) })
	start(t, c)
	if got := ipmitool(t, c, "chassis", "power", "status"); !strings.Contains(got, "is on") {
		t.Error(got)
	}
}

func TestAddressTaken(t *testing.T) {
	c := config(t)
	start(t, c)
	c.Name = "bmc2"
	if _, err := bmcsim.Start(t.Context(), c); !errors.Is(err, syscall.EADDRINUSE) {
		t.Error(err)
	}
}

func TestUnquotable(t *testing.T) {
	c := config(t)
	c.Password = "a\"\nuser 3 true \"x\" \"\" admin 10 none"
	if _, err := bmcsim.Start(t.Context(), c); !errors.Is(err, bmcsim.ErrUnquotable) || strings.Contains(err.Error(), "user 3") {
		t.Error(err)
	}
}

func TestNotInstalled(t *testing.T) {
	c := config(t)
	t.Setenv("PATH", t.TempDir())
	if _, err := exec.LookPath("ipmi_sim"); err == nil {
		t.Fatal("PATH does not matter")
	}
	if _, err := bmcsim.Start(t.Context(), c); !errors.Is(err, bmcsim.ErrNoSimulator) {
		t.Error(err)
	}
}
