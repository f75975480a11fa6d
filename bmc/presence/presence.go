// Package presence asks whether an IPMI BMC is there, before any user or password is
// tried. ipmitool says the same for a wrong password as for silence, and takes most of a
// minute to say it of silence; this tells the two apart in a second.
package presence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// ErrSilent says that nobody answered.
var ErrSilent = errors.New("no IPMI answer")

// resend is the time after which an unanswered question, which UDP may have lost, is
// asked again.
const resend = 500 * time.Millisecond

const afterRefusal = 50 * time.Millisecond

// Ask sends Get Channel Authentication Capabilities over conn, a UDP connection to the
// BMC, until it is answered or ctx ends. Every IPMI 2.0 BMC must answer this command
// outside of a session (IPMI v2.0 §22.13), and ipmitool begins every session with it.
//
// The error is ErrSilent, whatever kept the answer away.
func Ask(ctx context.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	answer := make([]byte, 256)
	for ctx.Err() == nil {
		if err := conn.SetDeadline(time.Now().Add(resend)); err != nil {
			return fmt.Errorf("%w: %w", ErrSilent, err)
		}
		_, err := conn.Write(question())
		for err == nil {
			var n int
			if n, err = conn.Read(answer); err == nil && answers(answer[:n]) {
				return nil
			}
		}
		// No answer in time, or a refusal (ICMP port unreachable): a BMC that is only just
		// starting refuses, too.
		pause(ctx, afterRefusal)
	}
	return fmt.Errorf("%w: %w", ErrSilent, context.Cause(ctx))
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// rmcpIPMI is the RMCP header of IPMI messages: version 1.0, no acknowledgement wanted
// (sequence number 0xff), class IPMI (IPMI v2.0 §13.1.3).
var rmcpIPMI = [4]byte{0x06, 0x00, 0xff, 0x07}

const (
	channelAuthCapabilities = 0x38 // of network function Application
	responseToApplication   = 0x07 << 2
)

func question() []byte {
	header := []byte{0x20, 0x06 << 2} // to the BMC; network function Application request
	body := []byte{
		0x81, 0x00, channelAuthCapabilities, // from remote software; sequence number 0
		0x8e, // this channel; tell IPMI 2.0 data
		0x04, // privilege level administrator
	}
	message := append(append(header, checksum(header)), body...)
	message = append(message, checksum(body))

	packet := append([]byte{}, rmcpIPMI[:]...)
	packet = append(packet, 0x00)       // authentication type none
	packet = append(packet, 0, 0, 0, 0) // session sequence number
	packet = append(packet, 0, 0, 0, 0) // session ID: outside of a session
	packet = append(packet, byte(len(message)))
	return append(packet, message...)
}

// checksum makes the sum of the bytes and itself zero (IPMI v2.0 §13.8).
func checksum(data []byte) byte {
	var sum byte
	for _, b := range data {
		sum += b
	}
	return -sum
}

// answers tells whether a packet is the answer to question, whatever it says: a BMC that
// refuses the privilege level is there, too.
func answers(packet []byte) bool {
	const message = 14 // offset after RMCP header (4), session header (9) and length (1)
	return len(packet) >= message+7 &&
		bytes.HasPrefix(packet, rmcpIPMI[:]) &&
		packet[message+1]&^0x03 == responseToApplication &&
		packet[message+5] == channelAuthCapabilities
}
