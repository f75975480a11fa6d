package machine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ferrodur/lab/machine"
	"ferrodur/lab/netns"
)

// rackless defines a machine on a tap that leads nowhere, in a namespace of its own.
func rackless(t *testing.T, firmware machine.Firmware) *machine.Machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces and taps")
	}
	namespace := netns.Namespace(fmt.Sprintf("m%d", os.Getpid()))
	t.Cleanup(func() { must(t, namespace.Delete()) })
	must(t, namespace.Create())
	must(t, namespace.AddTap("swp1"))
	// A name as long as this makes sure that the QMP socket's path is longer than unix(7)
	// allows.
	m, err := machine.Define(t.TempDir()+"/"+strings.Repeat("long", 30), machine.Config{
		Name: "s1", Namespace: namespace, Tap: "swp1", MAC: "52:54:00:00:00:01", Firmware: firmware,
		MemoryMiB: 256, CPUs: 1, DiskGiB: 1, Product: "test", Serial: "T1",
	})
	must(t, err)
	t.Cleanup(func() { must(t, m.PowerOff(context.Background())) })
	return m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// awaitBoots waits until the console has shown, after its first skip bytes, an attempt to
// boot from each device. It returns which came first and how much the console had shown.
func awaitBoots(t *testing.T, m *machine.Machine, skip int, disk, network string) (first machine.BootDevice, shown int) {
	t.Helper()
	var log []byte
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		log, _ = os.ReadFile(m.ConsoleLog())
		news := log[min(skip, len(log)):]
		fromDisk, fromNetwork := bytes.Index(news, []byte(disk)), bytes.Index(news, []byte(network))
		switch {
		case fromNetwork >= 0 && (fromDisk < 0 || fromNetwork < fromDisk):
			return machine.BootPXE, len(log)
		case fromDisk >= 0 && fromNetwork >= 0:
			return machine.BootDisk, len(log)
		}
	}
	t.Fatalf("no boot of %q and %q on the console:\n%s", disk, network, log[min(skip, len(log)):])
	return "", 0
}

// The disk is empty, so that a machine goes on to the network after it.
func TestBootDeviceOfRunningMachine(t *testing.T) {
	for _, test := range []struct {
		firmware      machine.Firmware
		disk, network string // what the console shows when each is tried
	}{
		{machine.BIOS, "Booting from Hard Disk", "Booting from ROM"},
		{machine.UEFI, "UEFI Misc Device", "PXE over IPv4"},
	} {
		t.Run(string(test.firmware), func(t *testing.T) {
			m := rackless(t, test.firmware)
			shown := 0
			check := func(want machine.BootDevice) {
				t.Helper()
				var first machine.BootDevice
				first, shown = awaitBoots(t, m, shown, test.disk, test.network)
				if first != want {
					log, _ := os.ReadFile(m.ConsoleLog())
					t.Fatalf("tried first: %s, want %s; the console:\n%s", first, want, log)
				}
			}
			must(t, m.SetBootDevice(t.Context(), machine.BootDisk))
			must(t, m.PowerOn(t.Context()))
			check(machine.BootDisk)

			// Set on a running machine, it takes effect at the next reset. Twice is as once.
			for range 2 {
				must(t, m.SetBootDevice(t.Context(), machine.BootPXE))
			}
			must(t, m.Reset(t.Context()))
			check(machine.BootPXE)
		})
	}
}

func TestPower(t *testing.T) {
	m := rackless(t, machine.BIOS)
	if err := m.Reset(t.Context()); !errors.Is(err, machine.ErrPoweredOff) {
		t.Errorf("reset while off: %v", err)
	}
	for range 2 {
		must(t, m.PowerOn(t.Context()))
	}
	if !m.Powered() {
		t.Fatal("off after PowerOn")
	}
	// Whoever opens the folder sees the same machine.
	other, err := machine.Open(dirOf(m))
	must(t, err)
	must(t, other.Reset(t.Context()))
	for range 2 {
		must(t, other.PowerOff(t.Context()))
	}
	if m.Powered() {
		t.Fatal("on after PowerOff")
	}
	if inside, err := m.Config().Namespace.PIDs(); err != nil || len(inside) != 0 {
		t.Errorf("processes left: %v, %v", inside, err)
	}
	events, err := m.PowerEvents()
	must(t, err)
	var kinds []machine.EventKind
	for _, event := range events {
		kinds = append(kinds, event.Kind)
	}
	if want := []machine.EventKind{machine.PowerOn, machine.Reset, machine.PowerOff}; !slices.Equal(kinds, want) {
		t.Errorf("power log: %v, want %v", kinds, want)
	}
}

func dirOf(m *machine.Machine) string { return strings.TrimSuffix(m.ConsoleLog(), "/console.log") }

func TestPowerOnTellsWhyQEMUWillNot(t *testing.T) {
	m := rackless(t, machine.BIOS)
	must(t, m.Config().Namespace.RemoveInterface("swp1"))
	config := m.Config()
	config.MAC = "nonsense"
	m, err := machine.Define(dirOf(m), config)
	must(t, err)
	if err := m.PowerOn(t.Context()); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("got %v", err)
	}
	if events, err := m.PowerEvents(); err != nil || len(events) != 0 {
		t.Errorf("power log: %v, %v", events, err)
	}
}

func TestChassis(t *testing.T) {
	m := rackless(t, machine.BIOS)
	for _, test := range []struct{ args, want string }{
		{"get power", "power:0\n"},
		{"get boot", "boot:none\n"},
		{"check power 1", ""},
		{"check boot", ""},
		{"0x20 check reset", ""},
		{"0x20 get power", "power:0\n"},
		{"get power boot", "power:0\nboot:none\n"},
		{"set boot pxe", ""},
		{"get boot", "boot:pxe\n"},
		{"set power 1", ""},
		{"set boot default power 1", ""},
		{"get boot power", "boot:default\npower:1\n"},
		{"set reset 1", ""},
		{"set power 0", ""},
		{"get power", "power:0\n"},
	} {
		var out bytes.Buffer
		if err := m.Chassis(t.Context(), &out, strings.Fields(test.args)); err != nil || out.String() != test.want {
			t.Errorf("%s: %q, %v; want %q", test.args, &out, err, test.want)
		}
	}
	for _, args := range []string{"", "get", "get coffee", "set boot cdrom", "check boot cdrom", "set power 2", "brew power 1", "set", "set power", "check coffee"} {
		if err := m.Chassis(t.Context(), new(bytes.Buffer), strings.Fields(args)); !errors.Is(err, machine.ErrUnknown) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestDefine(t *testing.T) {
	if _, err := machine.Define(t.TempDir(), machine.Config{Firmware: "coreboot"}); !errors.Is(err, machine.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if _, err := machine.Open(t.TempDir()); !errors.Is(err, machine.ErrNoMachine) {
		t.Errorf("got %v", err)
	}
}
