package switches_test

import (
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"ferrodur/report"
)

// A server announces itself on a cable; the switch tells on which port.
func TestNeighbours(t *testing.T) {
	for platform, newRig := range map[string]func(*testing.T) *rig{"frr": newRig, "ovs": newBridgeRig} {
		t.Run(platform, func(t *testing.T) {
			rig := newRig(t)
			session := rig.open(t)
			nobody, err := session.Neighbours(t.Context())
			check(t, err)
			if len(nobody) != 0 {
				t.Errorf("heard %v before anybody spoke", nobody)
			}
			server := newEnd(t, rig.namespace, "far"+port(3))
			_, err = unix.Write(server.socket, announcement(t))
			check(t, err)
			want := map[string][]report.Neighbour{port(3): {{System: "srv1", Chassis: "02:00:00:00:00:09", Port: "02:00:00:00:00:09", PortDescription: "eth0"}}}
			var heard map[string][]report.Neighbour
			for deadline := time.Now().Add(5 * time.Second); len(heard) == 0 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
				heard, err = session.Neighbours(t.Context())
				check(t, err)
			}
			if !maps.EqualFunc(heard, want, slices.Equal[[]report.Neighbour]) {
				t.Errorf("heard %v, want %v", heard, want)
			}
		})
	}
}

// announcement is a frame of a server's agent (IEEE 802.1AB-2016 §8).
func announcement(t *testing.T) []byte {
	t.Helper()
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	text := func(kind layers.LLDPTLVType, value string) layers.LinkLayerDiscoveryValue {
		return layers.LinkLayerDiscoveryValue{Type: kind, Length: uint16(len(value)), Value: []byte(value)}
	}
	frame := gopacket.NewSerializeBuffer()
	check(t, gopacket.SerializeLayers(frame, gopacket.SerializeOptions{},
		&layers.Ethernet{SrcMAC: mac, DstMAC: net.HardwareAddr{0x01, 0x80, 0xc2, 0, 0, 0x0e}, EthernetType: layers.EthernetTypeLinkLayerDiscovery},
		&layers.LinkLayerDiscovery{
			ChassisID: layers.LLDPChassisID{Subtype: layers.LLDPChassisIDSubTypeMACAddr, ID: mac},
			PortID:    layers.LLDPPortID{Subtype: layers.LLDPPortIDSubtypeMACAddr, ID: mac},
			TTL:       121,
			Values:    []layers.LinkLayerDiscoveryValue{text(layers.LLDPTLVPortDescription, "eth0"), text(layers.LLDPTLVSysName, "srv1")},
		}))
	return frame.Bytes()
}
