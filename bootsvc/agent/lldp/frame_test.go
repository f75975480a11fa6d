package lldp

import (
	"encoding/hex"
	"net"
	"testing"
	"unicode/utf8"

	"ferrodur/report"
)

// What a switch sends, by IEEE 802.1AB-2016 §8: chassis ID (a MAC), port ID (an interface's
// name), time to live 120, port description, system name, end.
const fromSwitch = "0180c200000e" + "020000000001" + "88cc" +
	"0207" + "04" + "020000000001" +
	"0405" + "05" + "73777031" +
	"0602" + "0078" +
	"080b" + "7365727665722073727631" +
	"0a03" + "737731" +
	"0000"

func TestParse(t *testing.T) {
	frame, err := hex.DecodeString(fromSwitch)
	if err != nil {
		t.Fatal(err)
	}
	neighbour, ok := parse(frame)
	want := report.Neighbour{System: "sw1", Chassis: "02:00:00:00:00:01", Port: "swp1", PortDescription: "server srv1"}
	if !ok || neighbour != want {
		t.Errorf("heard %+v (%v), want %+v", neighbour, ok, want)
	}
	for cut := range frame {
		if _, ok := parse(frame[:cut]); ok {
			t.Errorf("a frame of %d of %d bytes was believed", cut, len(frame))
		}
	}
	frame[14+9+7+2], frame[14+9+7+3] = 0, 0 // the time to live
	if _, ok := parse(frame); ok {
		t.Error("a good-bye was taken for a neighbour")
	}
}

func TestAnnouncementIsUnderstood(t *testing.T) {
	nic := net.Interface{Name: "eth0", HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 9}}
	frame, err := announcement("srv1", nic)
	if err != nil {
		t.Fatal(err)
	}
	neighbour, ok := parse(frame)
	want := report.Neighbour{System: "srv1", Chassis: "02:00:00:00:00:09", Port: "02:00:00:00:00:09", PortDescription: "eth0"}
	if !ok || neighbour != want {
		t.Errorf("heard %+v (%v), want %+v", neighbour, ok, want)
	}
}

func FuzzParse(f *testing.F) {
	frame, err := hex.DecodeString(fromSwitch)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	f.Fuzz(func(t *testing.T, frame []byte) {
		neighbour, _ := parse(frame)
		for _, text := range []string{neighbour.System, neighbour.Chassis, neighbour.Port, neighbour.PortDescription} {
			if !utf8.ValidString(text) || len(text) > 2048 {
				t.Errorf("%q", text)
			}
		}
	})
}
