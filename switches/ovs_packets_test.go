package switches_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ferrodur/lab/netns"
	"ferrodur/switches"
)

// Frames cross the switch between members of a VLAN, with the tags that they should have,
// and nothing else does.
func TestFramesBetweenPorts(t *testing.T) {
	t.Parallel()
	rig := newBridgeRig(t)
	set := func(n int, profile switches.Profile, vlans *switches.VLANs) {
		rig.apply(t, switches.Intent{Port: port(n), Profile: profile, Description: "s1", VLANs: vlans})
	}
	set(1, switches.Tenant, &switches.VLANs{Untagged: 100})
	set(2, switches.Tenant, &switches.VLANs{Untagged: 100})
	set(3, switches.Tenant, &switches.VLANs{Untagged: 200})
	set(4, switches.Tenant, &switches.VLANs{Tagged: []int{100, 200}})
	set(5, switches.Tenant, &switches.VLANs{Untagged: 200, Tagged: []int{100}})
	set(6, switches.Quarantine, nil)
	set(7, switches.Quarantine, nil)
	set(10, switches.Provisioning, &switches.VLANs{Untagged: 300})
	set(11, switches.Provisioning, &switches.VLANs{Untagged: 300})
	const uplink, itself, untagged = 9, 12, 0                                                     // the eighth is as it was delivered
	rig.onSwitch(t, "ovs-vsctl", "del-port", port(uplink), "--", "add-port", "br0", port(uplink)) // takes all VLANs
	check(t, rig.namespace.Up("br0"))
	var ends []*end
	for n := 1; n < itself; n++ {
		ends = append(ends, newEnd(t, rig.namespace, "far"+port(n)))
	}
	ends = append(ends, newEnd(t, rig.namespace, "br0"))

	type heard map[int]int // by port: with which tag
	for _, step := range []struct {
		from, tag int
		want      heard
	}{
		{1, untagged, heard{2: untagged, 4: 100, 5: 100, uplink: 100, itself: 100}},
		{3, untagged, heard{4: 200, 5: untagged, uplink: 200, itself: 200}},
		{4, 100, heard{1: untagged, 2: untagged, 5: 100, uplink: 100, itself: 100}},
		{4, 200, heard{3: untagged, 5: untagged, uplink: 200, itself: 200}},
		{4, untagged, nil},
		{4, 300, nil},
		{5, untagged, heard{3: untagged, 4: 200, uplink: 200, itself: 200}},
		{1, 200, nil}, // an access port takes no tags
		{6, untagged, nil},
		{6, 100, nil},
		{6, 4095, nil},
		{8, untagged, nil},
		{8, 4095, nil},
		{uplink, untagged, heard{itself: untagged}},
		{uplink, 100, heard{1: untagged, 2: untagged, 4: 100, 5: 100, itself: 100}},
		{uplink, 4095, heard{itself: 4095}},
		{10, untagged, heard{uplink: 300, itself: 300}}, // and not the eleventh, which is provisioned, too
		{uplink, 300, heard{10: untagged, 11: untagged, itself: 300}},
	} {
		frame := []byte(strings.Repeat("ferrodur", 8))
		for _, e := range ends {
			e.drain()
		}
		ends[step.from-1].send(t, step.tag, frame)
		got := heard{}
		for deadline := time.Now().Add(time.Second); time.Now().Before(deadline) && len(got) < len(step.want); time.Sleep(5 * time.Millisecond) {
			listen(ends, step.from, frame, got)
		}
		time.Sleep(50 * time.Millisecond) // for what should not come
		listen(ends, step.from, frame, got)
		if len(got) != len(step.want) {
			t.Errorf("from port %d with tag %d: heard on %v, want %v", step.from, step.tag, got, step.want)
		}
		for n, tag := range step.want {
			if at, came := got[n]; !came || at != tag {
				t.Errorf("from port %d with tag %d: on port %d with tag %d (%t), want %d", step.from, step.tag, n, at, came, tag)
			}
		}
	}
}

func listen(ends []*end, from int, frame []byte, got map[int]int) {
	for i, e := range ends {
		if i+1 == from {
			continue
		}
		for _, f := range e.received() {
			if slices.Equal(f.payload, frame) {
				got[i+1] = f.tag
			}
		}
	}
}

// end is the far end of a port's cable: raw frames (packet(7)).
type end struct{ socket int }

// experimental is the EtherType for local experiments (IEEE 802 §9.2.3).
const experimental = 0x88b5

type frame struct {
	tag     int
	payload []byte
}

func newEnd(t *testing.T, namespace netns.Namespace, name string) *end {
	t.Helper()
	e := new(end)
	check(t, namespace.Do(func() error {
		all := int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)))
		socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK, all)
		if err != nil {
			return err
		}
		e.socket = socket
		request, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		return errors.Join(
			unix.IoctlIfreq(socket, unix.SIOCGIFINDEX, request),
			unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: int(request.Uint32())}),
			unix.SetsockoptInt(socket, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
		)
	}))
	t.Cleanup(func() { _ = unix.Close(e.socket) })
	return e
}

func (e *end) send(t *testing.T, tag int, payload []byte) {
	t.Helper()
	packet := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, byte(e.socket)}
	if tag != 0 {
		packet = binary.BigEndian.AppendUint16(packet, unix.ETH_P_8021Q)
		packet = binary.BigEndian.AppendUint16(packet, uint16(tag))
	}
	packet = append(binary.BigEndian.AppendUint16(packet, experimental), payload...)
	_, err := unix.Write(e.socket, packet)
	check(t, err)
}

func (e *end) drain() { e.received() }

// received are the frames that came since it was last called. The kernel takes the tag out
// of a frame and tells it beside.
func (e *end) received() (frames []frame) {
	packet, beside := make([]byte, 2048), make([]byte, 256)
	for {
		n, m, _, from, err := unix.Recvmsg(e.socket, packet, beside, 0)
		if err != nil {
			return frames
		}
		if link, is := from.(*unix.SockaddrLinklayer); is && link.Pkttype == unix.PACKET_OUTGOING || n < 14 {
			continue
		}
		if binary.BigEndian.Uint16(packet[12:14]) != experimental {
			continue
		}
		f := frame{payload: slices.Clone(packet[14:n])}
		messages, _ := unix.ParseSocketControlMessage(beside[:m])
		for _, message := range messages {
			// struct tpacket_auxdata: status, len, snaplen (32 bits each), mac, net, vlan_tci (16).
			if message.Header.Type == unix.PACKET_AUXDATA && len(message.Data) >= 18 && binary.NativeEndian.Uint32(message.Data)&unix.TP_STATUS_VLAN_VALID != 0 {
				f.tag = int(binary.NativeEndian.Uint16(message.Data[16:18]) & 0xfff)
			}
		}
		frames = append(frames, f)
	}
}
