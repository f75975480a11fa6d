package tor_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"golang.org/x/crypto/ssh"

	"ferrodur/lab/netns"
	"ferrodur/lab/tor"
)

// A client behind a port gets an offer from a server behind the switch. The relay names
// the port, and gives the address that the port has by then as its own.
func TestRelay(t *testing.T) {
	config := newConfig(t, "sw3")
	switchNS, clientNS, serverNS := config.Namespace, newNamespace(t, "client"), newNamespace(t, "server")
	check(t, netns.Connect(netns.End{Namespace: switchNS, Interface: "swp1"}, netns.End{Namespace: clientNS, Interface: "eth0"}))
	check(t, netns.Connect(netns.End{Namespace: switchNS, Interface: "up1"}, netns.End{Namespace: serverNS, Interface: "eth0"}))
	check(t, switchNS.AddTap("swp2"))
	check(t, switchNS.AddAddress("up1", netip.MustParsePrefix("192.0.2.4/31")))
	check(t, serverNS.AddAddress("eth0", netip.MustParsePrefix("192.0.2.5/31")))
	check(t, serverNS.AddRoute(netip.MustParsePrefix("198.51.100.0/24"), netip.MustParseAddr("192.0.2.4")))

	seen := serveDHCP(t, serverNS)
	config.Relay = tor.Relay{Server: netip.MustParseAddr("192.0.2.5"), Uplink: "up1", Ports: []string{"swp1", "swp2"}}
	sw, err := tor.Start(t.Context(), config)
	check(t, err)

	for _, step := range []struct{ address, commands string }{
		{"198.51.100.0/31", "ip address 198.51.100.0/31"},
		{"198.51.100.2/31", "no ip address 198.51.100.0/31\nip address 198.51.100.2/31"},
		{"198.51.100.4/31", "shutdown\nno ip address 198.51.100.2/31\nip address 198.51.100.4/31"},
	} {
		_, err := login(t, config, sw.HostKey(), ssh.Password(password),
			"configure terminal\ninterface swp1\n"+step.commands+"")
		check(t, err)
		if strings.HasPrefix(step.commands, "shutdown") {
			time.Sleep(500 * time.Millisecond) // the relay sees an address on a port that is down
			_, err := login(t, config, sw.HostKey(), ssh.Password(password), "configure terminal\ninterface swp1\nno shutdown")
			check(t, err)
		}
		own := netip.MustParsePrefix(step.address).Addr()
		offer := discover(t, clientNS, seen, own)
		if got, _ := netip.AddrFromSlice(offer.YourIPAddr.To4()); got != own.Next() {
			t.Errorf("behind %s we were offered %s", step.address, got)
		}
	}
}

// discover asks until an offer came through a relay that calls itself gateway: asking is
// what firmware does too, and the relay needs a moment to notice a new address.
func discover(t *testing.T, namespace netns.Namespace, seen <-chan *dhcpv4.DHCPv4, gateway netip.Addr) *dhcpv4.DHCPv4 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var client *nclient4.Client
	check(t, namespace.Do(func() (err error) {
		client, err = nclient4.New("eth0", nclient4.WithTimeout(time.Second), nclient4.WithRetry(1))
		return err
	}))
	defer func() { _ = client.Close() }()
	for ctx.Err() == nil {
		offer, err := client.DiscoverOffer(ctx)
		if err != nil {
			continue
		}
		request := <-seen
		for len(seen) > 0 {
			request = <-seen
		}
		if !request.GatewayIPAddr.Equal(gateway.AsSlice()) {
			continue
		}
		circuit := request.RelayAgentInfo().Get(dhcpv4.AgentCircuitIDSubOption)
		if string(circuit) != "swp1" {
			t.Errorf("circuit ID %q, want swp1", circuit)
		}
		return offer
	}
	t.Fatalf("no offer through %s", gateway)
	return nil
}

// serveDHCP offers a client the address next to the relay's, and passes requests on.
func serveDHCP(t *testing.T, namespace netns.Namespace) <-chan *dhcpv4.DHCPv4 {
	t.Helper()
	var conn net.PacketConn
	check(t, namespace.Do(func() (err error) {
		conn, err = net.ListenPacket("udp4", "192.0.2.5:67")
		return err
	}))
	seen := make(chan *dhcpv4.DHCPv4, 100)
	server, err := server4.NewServer("", nil, func(conn net.PacketConn, peer net.Addr, request *dhcpv4.DHCPv4) {
		gateway, ok := netip.AddrFromSlice(request.GatewayIPAddr.To4())
		if !ok {
			return
		}
		offer, err := dhcpv4.NewReplyFromRequest(request,
			dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer),
			dhcpv4.WithYourIP(gateway.Next().AsSlice()),
			dhcpv4.WithServerIP(net.IPv4(192, 0, 2, 5)),
			dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 5))),
			dhcpv4.WithRelay(request.GatewayIPAddr))
		if err != nil {
			return
		}
		offer.HopCount = request.HopCount
		if option := request.RelayAgentInfo(); option != nil { // echoed, RFC 3046 §2.2
			offer.UpdateOption(dhcpv4.OptRelayAgentInfo(options(option)...))
		}
		seen <- request
		_, _ = conn.WriteTo(offer.ToBytes(), &net.UDPAddr{IP: request.GatewayIPAddr, Port: 67})
	}, server4.WithConn(conn))
	check(t, err)
	done := make(chan struct{})
	go func() {
		_ = server.Serve()
		close(done)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return seen
}

func options(info *dhcpv4.RelayOptions) []dhcpv4.Option {
	var list []dhcpv4.Option
	for code, value := range info.Options {
		list = append(list, dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), value))
	}
	return list
}
