package switches

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"

	"ferrodur/report"
)

// Neighbours returns who announces himself by LLDP (IEEE 802.1AB) at the other ends of the
// switch's cables, by port. Who left is there until his time to live is over, so that a
// port may have several.
// Errors: ErrUnreadable where the switch does not speak LLDP, *RefusedError, ErrUnreachable.
func (s *Session) Neighbours(ctx context.Context) (map[string][]report.Neighbour, error) {
	heard, err := s.driver.neighbours(ctx, s.cli)
	if err != nil {
		return nil, fmt.Errorf("LLDP neighbours of %s: %w", s.device, err)
	}
	return heard, nil
}

// macCanonical writes a MAC, whose notation differs from vendor to vendor, in lower case with
// colons. Other texts stay as they are.
func macCanonical(text string) string {
	if mac, err := net.ParseMAC(text); err == nil {
		return mac.String()
	}
	return text
}

// neighbours, as lldpd tells of them, which is who speaks LLDP on Linux. On SONiC it runs
// in a container, and lldpcli outside leads there.
func (linux) neighbours(ctx context.Context, cli *terminal) (map[string][]report.Neighbour, error) {
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
	if err := readJSON(text, &listed); err != nil {
		return nil, err
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

// neighbours, as "show lldp neighbors detail" tells of them in EOS's JSON.
func (d eos) neighbours(ctx context.Context, cli *terminal) (map[string][]report.Neighbour, error) {
	answer, err := cli.say(ctx, "show lldp neighbors detail | json")
	if err != nil {
		return nil, err
	}
	return readEOSNeighbours(answer)
}

func readEOSNeighbours(text string) (map[string][]report.Neighbour, error) {
	var listed struct {
		Ports map[string]struct {
			Heard []struct {
				Chassis string `json:"chassisId"`
				System  string `json:"systemName"`
				Port    struct {
					ID          string `json:"interfaceId"` // in quotes
					Description string `json:"interfaceDescription"`
				} `json:"neighborInterfaceInfo"`
			} `json:"lldpNeighborInfo"`
		} `json:"lldpNeighbors"`
	}
	if err := readJSON(text, &listed); err != nil {
		return nil, err
	}
	heard := map[string][]report.Neighbour{}
	for port, by := range listed.Ports {
		for _, n := range by.Heard {
			heard[port] = append(heard[port], report.Neighbour{
				System: n.System, Chassis: macCanonical(n.Chassis), Port: macCanonical(strings.Trim(n.Port.ID, `"`)), PortDescription: n.Port.Description,
			})
		}
	}
	return heard, nil
}

// neighbours, as "show lldp neighbors" tells of them in Junos's JSON, in which every element
// is a list. Some models name the port's unit, too.
func (d junos) neighbours(ctx context.Context, cli *terminal) (map[string][]report.Neighbour, error) {
	answer, err := d.show(ctx, cli, "show lldp neighbors | display json | no-more")
	if err != nil {
		return nil, err
	}
	return readJunosNeighbours(answer)
}

func readJunosNeighbours(text string) (map[string][]report.Neighbour, error) {
	type values []struct{ Data string }
	var listed struct {
		All []struct {
			Heard []struct {
				Interface   values `json:"lldp-local-interface"`
				LocalPort   values `json:"lldp-local-port-id"`
				Chassis     values `json:"lldp-remote-chassis-id"`
				Port        values `json:"lldp-remote-port-id"`
				Description values `json:"lldp-remote-port-description"`
				System      values `json:"lldp-remote-system-name"`
			} `json:"lldp-neighbor-information"`
		} `json:"lldp-neighbors-information"`
	}
	if err := readJSON(text, &listed); err != nil {
		return nil, err
	}
	first := func(all ...values) string {
		for _, texts := range all {
			if len(texts) > 0 {
				return texts[0].Data
			}
		}
		return ""
	}
	heard := map[string][]report.Neighbour{}
	for _, all := range listed.All {
		for _, n := range all.Heard {
			port, _, _ := strings.Cut(first(n.Interface, n.LocalPort), ".")
			heard[port] = append(heard[port], report.Neighbour{
				System: first(n.System), Chassis: macCanonical(first(n.Chassis)), Port: macCanonical(first(n.Port)), PortDescription: first(n.Description),
			})
		}
	}
	return heard, nil
}

// neighbours, as SR Linux's model srl_nokia-lldp has them.
func (d srl) neighbours(ctx context.Context, cli *terminal) (map[string][]report.Neighbour, error) {
	lines, err := d.state(ctx, cli, "system lldp interface * neighbor *")
	if err != nil {
		return nil, err
	}
	return readSRLNeighbours(lines), nil
}

func readSRLNeighbours(lines [][]string) map[string][]report.Neighbour {
	type place struct{ port, index string }
	var order []place
	found := map[place]report.Neighbour{}
	for _, words := range lines { // system lldp interface ethernet-1/1 neighbor 2 system-name srv1
		if len(words) < 8 || words[2] != "interface" || words[4] != "neighbor" {
			continue
		}
		at := place{words[3], words[5]}
		n, known := found[at]
		if !known {
			order = append(order, at)
		}
		value := strings.Trim(strings.Join(words[7:], " "), `"`)
		switch words[6] {
		case "system-name":
			n.System = value
		case "chassis-id":
			n.Chassis = macCanonical(value)
		case "port-id":
			n.Port = macCanonical(value)
		case "port-description":
			n.PortDescription = value
		}
		found[at] = n
	}
	heard := map[string][]report.Neighbour{}
	for _, at := range order {
		heard[at.port] = append(heard[at.port], found[at])
	}
	return heard
}

// neighbours, as "show lldp neighbors detail" tells of them in NX-OS's JSON, in which a list
// of one is no list.
func (d nxos) neighbours(ctx context.Context, cli *terminal) (map[string][]report.Neighbour, error) {
	answer, err := cli.say(ctx, "show lldp neighbors detail | json")
	if err != nil {
		return nil, err
	}
	return readNXOSNeighbours(answer)
}

func readNXOSNeighbours(text string) (map[string][]report.Neighbour, error) {
	if strings.TrimSpace(text) == "" || strings.Contains(text, "Total entries displayed: 0") { // no JSON, where there is nobody
		return nil, nil
	}
	type row struct {
		Local       string `json:"l_port_id"`
		Chassis     string `json:"chassis_id"`
		Port        string `json:"port_id"`
		Description string `json:"port_desc"`
		System      string `json:"sys_name"`
	}
	var listed struct {
		Table struct {
			Rows json.RawMessage `json:"ROW_nbor_detail"`
		} `json:"TABLE_nbor_detail"`
	}
	if err := readJSON(text, &listed); err != nil {
		return nil, err
	}
	rows := make([]row, 1)
	if err := json.Unmarshal(listed.Table.Rows, &rows); err != nil {
		if err := readJSON(string(listed.Table.Rows), &rows[0]); err != nil {
			return nil, err
		}
	}
	heard := map[string][]report.Neighbour{}
	for _, r := range rows {
		port := longName(r.Local, nxosNames)
		heard[port] = append(heard[port], report.Neighbour{
			System: r.System, Chassis: macCanonical(r.Chassis), Port: macCanonical(r.Port), PortDescription: r.Description,
		})
	}
	return heard, nil
}

// neighbours, as "show lldp neighbors detail" lists them: paragraphs that begin with the
// port's shortened name.
func (d iosxe) neighbours(ctx context.Context, cli *terminal) (map[string][]report.Neighbour, error) {
	ports, err := d.ports(ctx, cli)
	if err != nil {
		return nil, err
	}
	answer, err := cli.say(ctx, "show lldp neighbors detail")
	if err != nil {
		return nil, err
	}
	return readIOSNeighbours(answer, ports), nil
}

func readIOSNeighbours(text string, ports map[string]bool) map[string][]report.Neighbour {
	heard := map[string][]report.Neighbour{}
	port := ""
	for line := range strings.Lines(text) {
		name, value, is := strings.Cut(strings.TrimSpace(line), ": ")
		if !is {
			continue
		}
		value = strings.TrimSpace(value)
		if strings.EqualFold(name, "Local Intf") {
			port = fullName(value, ports)
			heard[port] = append(heard[port], report.Neighbour{})
			continue
		}
		if port == "" {
			continue
		}
		n := &heard[port][len(heard[port])-1]
		switch strings.ToLower(name) {
		case "chassis id":
			n.Chassis = macCanonical(value)
		case "port id":
			n.Port = macCanonical(value)
		case "port description":
			n.PortDescription = value
		case "system name":
			n.System = value
		}
	}
	return heard
}
