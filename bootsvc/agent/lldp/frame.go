package lldp

import (
	"net"
	"strings"
	"unicode"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"ferrodur/report"
)

// nearestBridge is the group address that no bridge forwards (IEEE 802.1AB-2016 §7.1).
var nearestBridge = net.HardwareAddr{0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e}

// announcement is the frame that says which server a NIC belongs to. Both of its IDs are the
// NIC's MAC: a server's NICs are told apart by that, and found in the inventory.
func announcement(server string, nic net.Interface) ([]byte, error) {
	frame := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(frame, gopacket.SerializeOptions{},
		&layers.Ethernet{SrcMAC: nic.HardwareAddr, DstMAC: nearestBridge, EthernetType: layers.EthernetTypeLinkLayerDiscovery},
		&layers.LinkLayerDiscovery{
			ChassisID: layers.LLDPChassisID{Subtype: layers.LLDPChassisIDSubTypeMACAddr, ID: nic.HardwareAddr},
			PortID:    layers.LLDPPortID{Subtype: layers.LLDPPortIDSubtypeMACAddr, ID: nic.HardwareAddr},
			TTL:       uint16(timeToLive.Seconds()),
			Values: []layers.LinkLayerDiscoveryValue{
				text(layers.LLDPTLVPortDescription, nic.Name),
				text(layers.LLDPTLVSysName, server),
			},
		})
	return frame.Bytes(), err
}

// longestText is that of a name or a description (IEEE 802.1AB-2016 §8.5.5, §8.5.6).
const longestText = 255

func text(kind layers.LLDPTLVType, value string) layers.LinkLayerDiscoveryValue {
	value = value[:min(len(value), longestText)]
	return layers.LinkLayerDiscoveryValue{Type: kind, Length: uint16(len(value)), Value: []byte(value)}
}

// parse reads a frame; ok is false for one that is not whole, or that says good-bye
// (a time to live of 0, IEEE 802.1AB-2016 §8.5.4).
func parse(frame []byte) (neighbour report.Neighbour, ok bool) {
	packet := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	heard, is := packet.Layer(layers.LayerTypeLinkLayerDiscovery).(*layers.LinkLayerDiscovery)
	if !is || heard.TTL == 0 {
		return neighbour, false
	}
	neighbour.Chassis = identity(heard.ChassisID.ID, heard.ChassisID.Subtype == layers.LLDPChassisIDSubTypeMACAddr)
	neighbour.Port = identity(heard.PortID.ID, heard.PortID.Subtype == layers.LLDPPortIDSubtypeMACAddr)
	if more, is := packet.Layer(layers.LayerTypeLinkLayerDiscoveryInfo).(*layers.LinkLayerDiscoveryInfo); is {
		neighbour.System, neighbour.PortDescription = printable(more.SysName), printable(more.PortDescription)
	}
	return neighbour, true
}

// identity is an ID as people write it.
func identity(id []byte, isMAC bool) string {
	if isMAC {
		return net.HardwareAddr(id).String()
	}
	return printable(string(id))
}

// printable makes a text from the cable one for people and databases.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(text, ""))
}
