package machine

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Chassis does what OpenIPMI's simulator asks of the program that its chassis_control line
// names. The address of the management controller may come first and is ignored.
//
//	get power|boot ...                       prints power:0|1, boot:none|pxe|default
//	set power|boot|reset|shutdown VALUE ...  does it; the latter two have no use for VALUE
//	check power|boot|reset|shutdown [VALUE]  does nothing, but fails if set would be refused
//
// An error, ErrUnknown among them, means that the BMC refuses the command.
func (m *Machine) Chassis(ctx context.Context, out io.Writer, args []string) error {
	if len(args) > 0 && strings.HasPrefix(args[0], "0x") {
		args = args[1:]
	}
	if len(args) < 2 {
		return fmt.Errorf("chassis command %q is %w: use get, set or check", args, ErrUnknown)
	}
	verb, rest := args[0], args[1:]
	switch verb {
	case "get":
		for _, name := range rest {
			if err := m.chassisGet(out, name); err != nil {
				return err
			}
		}
		return nil
	case "set":
		if len(rest)%2 != 0 {
			return fmt.Errorf("chassis setting %q is %w: its value is missing", rest[len(rest)-1], ErrUnknown)
		}
		for pair := range slices.Chunk(rest, 2) {
			change, err := m.chassisChange(pair[0], pair[1])
			if err != nil {
				return err
			}
			if err := change(ctx); err != nil {
				return err
			}
		}
		return nil
	case "check":
		if len(rest) == 1 && (rest[0] == "power" || rest[0] == "boot") {
			return nil
		}
		_, err := m.chassisChange(rest[0], rest[len(rest)-1])
		return err
	default:
		return fmt.Errorf("chassis command %q is %w: use get, set or check", verb, ErrUnknown)
	}
}

func (m *Machine) chassisGet(out io.Writer, name string) error {
	var value string
	switch name {
	case "power":
		value = "0"
		if m.Powered() {
			value = "1"
		}
	case "boot":
		device, err := m.BootDevice()
		if err != nil {
			return err
		}
		value = string(device)
	default:
		return fmt.Errorf("chassis value %q is %w: use power or boot", name, ErrUnknown)
	}
	_, err := fmt.Fprintf(out, "%s:%s\n", name, value)
	return err
}

func (m *Machine) chassisChange(name, value string) (func(context.Context) error, error) {
	switch name + " " + value {
	case "power 0":
		return m.PowerOff, nil
	case "power 1":
		return m.PowerOn, nil
	case "boot none", "boot pxe", "boot default":
		return func(ctx context.Context) error { return m.SetBootDevice(ctx, BootDevice(value)) }, nil
	}
	switch name {
	case "reset":
		return m.Reset, nil
	case "shutdown":
		return m.Shutdown, nil
	}
	return nil, fmt.Errorf("chassis setting %s %q is %w", name, value, ErrUnknown)
}
