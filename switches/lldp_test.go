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
	t.Parallel()
	for platform, set := range benches {
		t.Run(platform, func(t *testing.T) {
			bench := set(t)
			session := bench.open(t)
			nobody, err := session.Neighbours(t.Context())
			check(t, err)
			if len(nobody) != 0 {
				t.Errorf("heard %v before anybody spoke", nobody)
			}
			want := map[string][]report.Neighbour{}
			for n := byte(3); n <= 5; n += 2 {
				mac := net.HardwareAddr{2, 0xab, 0, 0, 0, n}.String()
				who := report.Neighbour{System: "srv1", Chassis: mac, Port: mac, PortDescription: "eth0"}
				bench.announce(t, bench.port(int(n)), who)
				want[bench.port(int(n))] = []report.Neighbour{who}
				var heard map[string][]report.Neighbour
				for deadline := time.Now().Add(5 * time.Second); len(heard) < len(want) && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
					heard, err = session.Neighbours(t.Context())
					check(t, err)
				}
				if !maps.EqualFunc(heard, want, slices.Equal[[]report.Neighbour]) {
					t.Errorf("heard %v, want %v", heard, want)
				}
			}
		})
	}
}

// announce sends frames (IEEE 802.1AB-2016 §8) from the other end of a port's cable, over and over
// as servers do: the switch may not listen yet.
func (r *rig) announce(t *testing.T, port string, who report.Neighbour) {
	t.Helper()
	mac, err := net.ParseMAC(who.Chassis)
	check(t, err)
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
			Values:    []layers.LinkLayerDiscoveryValue{text(layers.LLDPTLVPortDescription, who.PortDescription), text(layers.LLDPTLVSysName, who.System)},
		}))
	socket := newEnd(t, r.namespace, "far"+port).socket
	_, err = unix.Write(socket, frame.Bytes())
	check(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-t.Context().Done():
				return
			case <-time.After(200 * time.Millisecond):
				_, _ = unix.Write(socket, frame.Bytes())
			}
		}
	}()
	t.Cleanup(func() { <-ended })
}
