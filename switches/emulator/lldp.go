package emulator

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"

	"ferrodur/report"
)

// heard is who announces himself on a port.
type heard struct {
	port string
	report.Neighbour
}

// Hear has somebody announce himself by LLDP on a port. IDs are MACs.
func (d *Device) Hear(port string, neighbour report.Neighbour) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heard = append(d.heard, heard{port, neighbour})
}

// dotted is a MAC as Arista and Cisco write it: "0200.0000.0009".
func dotted(text string) string {
	mac, err := net.ParseMAC(text)
	if err != nil {
		return text
	}
	return fmt.Sprintf("%x.%x.%x", []byte(mac[:2]), []byte(mac[2:4]), []byte(mac[4:]))
}

func marshal(document any) string {
	text, err := json.MarshalIndent(document, "", "    ")
	if err != nil {
		panic(err) // it is made of texts
	}
	return string(text)
}

type object = map[string]any

// eosNeighbours has the keys of EOS's command API (eAPI), model "LldpNeighborDetail": all
// ports are there, heard of or not.
func (d *Device) eosNeighbours() string {
	ports := object{}
	for _, port := range d.config.Ports {
		all := []object{}
		for _, h := range d.heard {
			if h.port == port {
				all = append(all, object{
					"chassisIdType": "macAddress", "chassisId": dotted(h.Chassis), "systemName": h.System,
					"neighborInterfaceInfo": object{
						"interfaceIdType": "macAddress", "interfaceId": `"` + dotted(h.Port) + `"`, "interfaceId_v2": dotted(h.Port),
						"interfaceDescription": h.PortDescription,
					},
				})
			}
		}
		ports[port] = object{"lldpNeighborInfo": all}
	}
	return marshal(object{"lldpNeighbors": ports})
}

// junosNeighbours is what <get-lldp-neighbors-information> returns, as JSON.
func (d *Device) junosNeighbours() string {
	element := func(text string) []object { return []object{{"data": text}} }
	var all []object
	for _, h := range d.heard {
		all = append(all, object{
			"lldp-local-port-id": element(h.port), "lldp-local-parent-interface-name": element("-"),
			"lldp-remote-chassis-id-subtype": element("Mac address"), "lldp-remote-chassis-id": element(h.Chassis),
			"lldp-remote-port-id-subtype": element("Mac address"), "lldp-remote-port-id": element(h.Port),
			"lldp-remote-port-description": element(h.PortDescription), "lldp-remote-system-name": element(h.System),
		})
	}
	information := object{"attributes": object{"junos:style": "brief"}}
	if all != nil {
		information["lldp-neighbor-information"] = all
	}
	return marshal(object{"lldp-neighbors-information": []object{information}})
}

// srlNeighbours has the leaves of the model srl_nokia-lldp.
func (d *Device) srlNeighbours() string {
	var text strings.Builder
	for n, h := range d.heard {
		at := fmt.Sprintf("/ system lldp interface %s neighbor %d", h.port, n+1)
		for _, leaf := range [][2]string{
			{"system-name", h.System}, {"chassis-id", strings.ToUpper(h.Chassis)}, {"chassis-id-type", "MAC_ADDRESS"},
			{"port-id", strings.ToUpper(h.Port)}, {"port-id-type", "MAC_ADDRESS"}, {"port-description", `"` + h.PortDescription + `"`},
		} {
			fmt.Fprintf(&text, "%s %s %s\n", at, leaf[0], leaf[1])
		}
	}
	return text.String()
}

// nxosNeighbours is "show lldp neighbors detail | json": numbers are texts, and a list of one
// is none.
func (d *Device) nxosNeighbours() string {
	var rows []object
	for _, h := range d.heard {
		rows = append(rows, object{
			"chassis_type": "4", "chassis_id": dotted(h.Chassis), "port_type": "3", "port_id": dotted(h.Port),
			"l_port_id": strings.Replace(h.port, "Ethernet", "Eth", 1), "port_desc": h.PortDescription, "sys_name": h.System,
		})
	}
	switch len(rows) {
	case 0:
		return "Total entries displayed: 0"
	case 1:
		return marshal(object{"TABLE_nbor_detail": object{"ROW_nbor_detail": rows[0]}, "neigh_count": "1"})
	}
	return marshal(object{"TABLE_nbor_detail": object{"ROW_nbor_detail": rows}, "neigh_count": fmt.Sprint(len(rows))})
}

// iosNeighbours is "show lldp neighbors detail", a paragraph for each.
func (d *Device) iosNeighbours() string {
	var text strings.Builder
	for _, h := range d.heard {
		short := strings.NewReplacer("GigabitEthernet", "Gi", "TenGigabitEthernet", "Te").Replace(h.port)
		fmt.Fprintf(&text, "------------------------------------------------\nLocal Intf: %s\nLocal Intf service instance: -\nChassis id: %s\nPort id: %s\nPort Description: %s\nSystem Name: %s\n\nTime remaining: 117 seconds\nSystem Capabilities - not advertised\n\n",
			short, dotted(h.Chassis), dotted(h.Port), h.PortDescription, h.System)
	}
	fmt.Fprintf(&text, "\nTotal entries displayed: %d", len(d.heard))
	return text.String()
}
