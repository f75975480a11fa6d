// Package lldp says at the end of every cable whose server is there, and hears what is at
// the other end: the Link Layer Discovery Protocol, IEEE 802.1AB-2016.
package lldp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/mdlayher/packet"

	"ferrodur/report"
)

// How often a station announces itself (IEEE 802.1AB-2016 §9.2.5): a few times in quick
// succession, which has others answer at once, then steadily.
const (
	fastInterval = time.Second
	fastTimes    = 4
	interval     = 30 * time.Second
	timeToLive   = 4*interval + time.Second
)

// Station announces itself on cables, and hears who else does.
type Station struct {
	mu    sync.Mutex
	heard map[string]report.Neighbour // by NIC
	news  chan struct{}               // closed when there is something new
}

// Start announces a server on NICs, and hears its neighbours, until ctx ends. A NIC that
// cannot be listened on is told of, and left out.
func Start(ctx context.Context, server string, nics []net.Interface, complain func(error)) *Station {
	s := &Station{heard: map[string]report.Neighbour{}, news: make(chan struct{})}
	for _, nic := range nics {
		cable, err := packet.Listen(&nic, packet.Raw, int(layers.EthernetTypeLinkLayerDiscovery), nil)
		if err == nil {
			// The frames go to a group address that no NIC lets through by itself.
			err = cable.SetPromiscuous(true)
		}
		if err != nil {
			complain(fmt.Errorf("listen to LLDP on %s: %w", nic.Name, err))
			continue
		}
		context.AfterFunc(ctx, func() { _ = cable.Close() })
		go announce(ctx, cable, server, nic)
		go s.hear(cable, nic.Name)
	}
	return s
}

// Neighbours are who was heard so far, by the names of the NICs.
func (s *Station) Neighbours() map[string]report.Neighbour {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.heard)
}

// Await waits until someone was heard on a NIC, or ctx ends.
func (s *Station) Await(ctx context.Context, nic string) {
	for {
		s.mu.Lock()
		_, heard := s.heard[nic]
		news := s.news
		s.mu.Unlock()
		if heard {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Station) hear(cable net.PacketConn, nic string) {
	frame := make([]byte, 1<<16)
	for {
		n, _, err := cable.ReadFrom(frame)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(fastInterval) // the NIC went down; it may come back
			continue
		}
		if neighbour, ok := parse(frame[:n]); ok {
			s.mu.Lock()
			s.heard[nic] = neighbour
			close(s.news)
			s.news = make(chan struct{})
			s.mu.Unlock()
		}
	}
}

// announce tells who is there, until ctx ends. What is not sent, because the cable has no
// signal yet, is sent the next time.
func announce(ctx context.Context, cable net.PacketConn, server string, nic net.Interface) {
	frame, err := announcement(server, nic)
	if err != nil {
		return // a name that is too long for a frame
	}
	for n := 1; ; n++ {
		_, _ = cable.WriteTo(frame, &packet.Addr{HardwareAddr: nearestBridge})
		pause := interval
		if n < fastTimes {
			pause = fastInterval
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
