package presence

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// The packet as ipmitool sends it, captured.
var captured = []byte{
	0x06, 0x00, 0xff, 0x07, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0x09,
	0x20, 0x18, 0xc8, 0x81, 0x00, 0x38, 0x8e, 0x04, 0xb5,
}

// An answer of ipmi_sim, captured.
var reply = []byte{
	0x06, 0x00, 0xff, 0x07, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
	0x81, 0x1c, 0x63, 0x20, 0x00, 0x38, 0x00, 0x01, 0x97, 0x04, 0x03, 0, 0, 0, 0, 0x09,
}

func TestQuestion(t *testing.T) {
	if got := question(); !bytes.Equal(got, captured) {
		t.Errorf("% x", got)
	}
}

func TestAsk(t *testing.T) {
	peer, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = peer.Close() }()
	go func() {
		buffer := make([]byte, 256)
		for asked := 0; ; asked++ {
			_, from, err := peer.ReadFrom(buffer)
			if err != nil {
				return
			}
			if asked == 0 {
				continue // lost
			}
			_, _ = peer.WriteTo([]byte("noise"), from)
			_, _ = peer.WriteTo(reply, from)
		}
	}()
	conn, err := net.Dial("udp", peer.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := Ask(ctx, conn); err != nil {
		t.Error(err)
	}
	_ = peer.Close()
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := Ask(ctx, conn); !errors.Is(err, ErrSilent) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(reply)
	f.Add(captured)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, packet []byte) {
		if answers(packet) && !bytes.HasPrefix(packet, rmcpIPMI[:]) {
			t.Errorf("% x", packet)
		}
	})
}

func TestAnswers(t *testing.T) {
	if !answers(reply) || answers(captured) || answers(reply[:20]) {
		t.Error("reply, question or a cut reply misjudged")
	}
}
