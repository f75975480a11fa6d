package machine

import (
	"context"
	"fmt"
)

// BootDevice is what the firmware tries first. Unlike a real BMC's, which by default
// holds for one boot (IPMI 2.0, table 28-14), it stays until it is set anew: OpenIPMI's
// simulator does not pass the wish for one boot or for ever on.
type BootDevice string

// The boot devices, by the names that OpenIPMI's simulator gives them.
const (
	BootNone BootDevice = "none"    // no override: the disk, then the network
	BootPXE  BootDevice = "pxe"     // the network, then the disk
	BootDisk BootDevice = "default" // the disk, then the network; also what ipmitool calls disk
)

// The lower index is tried first. The disk keeps its place; the NIC moves around it.
const (
	noIndex       = -1
	nicBeforeDisk = 1
	diskIndex     = 2
	nicAfterDisk  = 3
)

func (d BootDevice) nicIndex() int {
	if d == BootPXE {
		return nicBeforeDisk
	}
	return nicAfterDisk
}

// BootDevice returns the device that was set last; BootNone at first.
func (m *Machine) BootDevice() (BootDevice, error) {
	text, err := m.read("boot")
	if err != nil {
		return "", fmt.Errorf("machine %s: boot device: %w", m.config.Name, err)
	}
	if text == "" {
		return BootNone, nil
	}
	return BootDevice(text), nil
}

// SetBootDevice chooses what the firmware tries first from the next power-on or reset.
func (m *Machine) SetBootDevice(ctx context.Context, device BootDevice) error {
	switch device {
	case BootNone, BootPXE, BootDisk:
	default:
		return fmt.Errorf("machine %s: boot device %q is %w: use none, pxe or default", m.config.Name, device, ErrUnknown)
	}
	return m.locked(func() error {
		if err := m.replace("boot", []byte(device+"\n")); err != nil {
			return err
		}
		if !m.Powered() {
			return nil
		}
		// QEMU refuses an index that is taken, even by the device itself: give it back first.
		if err := m.moveNIC(ctx, noIndex); err != nil {
			return err
		}
		return m.moveNIC(ctx, device.nicIndex())
	})
}

// moveNIC changes the NIC's place in the boot order of the running machine.
func (m *Machine) moveNIC(ctx context.Context, index int) error {
	return m.control(ctx, "qom-set", map[string]any{
		"path":     "/machine/peripheral/" + nicID,
		"property": "bootindex",
		"value":    index,
	})
}
