package switches

import (
	"context"
	"encoding/json"
	"fmt"

	"ferrodur/report"
)

// listener is the driver of a platform whose LLDP neighbours it can read.
type listener interface {
	neighbours(ctx context.Context, cli *terminal) (map[string][]report.Neighbour, error)
}

// Neighbours returns who announces himself by LLDP (IEEE 802.1AB) at the other ends of the
// switch's cables, by port. Who left is there until his time to live is over, so that a
// port may have several.
// Errors: *UnsupportedError, *RefusedError where the switch does not speak LLDP,
// ErrUnreadable, ErrUnreachable.
func (s *Session) Neighbours(ctx context.Context) (map[string][]report.Neighbour, error) {
	driver, ok := s.driver.(listener)
	if !ok {
		return nil, &UnsupportedError{s.device.Platform, "the list of LLDP neighbours"}
	}
	heard, err := driver.neighbours(ctx, s.cli)
	if err != nil {
		return nil, fmt.Errorf("LLDP neighbours of %s: %w", s.device, err)
	}
	return heard, nil
}

func (frr) neighbours(ctx context.Context, cli *terminal) (map[string][]report.Neighbour, error) {
	return lldpd(ctx, cli)
}

func (ovs) neighbours(ctx context.Context, cli *terminal) (map[string][]report.Neighbour, error) {
	return lldpd(ctx, cli)
}

// lldpd asks the daemon of that name, which is who speaks LLDP on Linux.
func lldpd(ctx context.Context, cli *terminal) (map[string][]report.Neighbour, error) {
	text, err := cli.run(ctx, "sudo -n lldpcli -f json0 show neighbors", "")
	if err != nil {
		return nil, err
	}
	return readLLDPD(text)
}

// readLLDPD reads what lldpcli(8) prints in its format "json0", in which everything is a
// list.
func readLLDPD(text string) (map[string][]report.Neighbour, error) {
	type values []struct{ Value string }
	var listed struct {
		LLDP []struct {
			Interface []struct {
				Name    string
				Chassis []struct{ ID, Name values }
				Port    []struct{ ID, Descr values }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &listed); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	first := func(texts values) string {
		if len(texts) == 0 {
			return ""
		}
		return texts[0].Value
	}
	heard := map[string][]report.Neighbour{}
	for _, all := range listed.LLDP {
		for _, i := range all.Interface {
			var neighbour report.Neighbour
			for _, chassis := range i.Chassis {
				neighbour.System, neighbour.Chassis = first(chassis.Name), first(chassis.ID)
			}
			for _, port := range i.Port {
				neighbour.Port, neighbour.PortDescription = first(port.ID), first(port.Descr)
			}
			heard[i.Name] = append(heard[i.Name], neighbour)
		}
	}
	return heard, nil
}
