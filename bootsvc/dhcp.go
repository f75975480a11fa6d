package bootsvc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/insomniacslk/dhcp/iana"

	"ferrodur/bootsvc/job"
)

const (
	dhcpPort  = 67 // servers and relays listen here (RFC 2131 §4.1)
	leaseTime = 24 * time.Hour
)

// dhcpServer answers the relays of the site with the reservations of the live boot targets.
type dhcpServer struct {
	policy policy
	boot   bootFiles
	log    *slog.Logger
}

// handler serves one packet; server4 calls it in a goroutine of its own.
func (d *dhcpServer) handler(ctx context.Context) server4.Handler {
	return func(conn net.PacketConn, _ net.Addr, request *dhcpv4.DHCPv4) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // clients have asked again by then
		defer cancel()
		log := d.log.With("mac", request.ClientHWAddr.String(), "type", request.MessageType().String(), "relay", request.GatewayIPAddr.String())
		reply, target, err := d.serve(ctx, request)
		if target.ID != "" {
			log = log.With("target", target.ID, "server", target.Server)
		}
		if err != nil {
			log.Info("DHCP request dropped", "reason", err.Error())
			return
		}
		if reply == nil {
			return
		}
		// The relay is answered at the address it gave, on the server's port (RFC 2131 §4.1).
		relay := &net.UDPAddr{IP: request.GatewayIPAddr, Port: dhcpPort}
		if _, err := conn.WriteTo(reply.ToBytes(), relay); err != nil {
			log.Warn("DHCP reply not sent", "error", err)
			return
		}
		log.Info("DHCP reply", "answer", reply.MessageType().String(), "address", reply.YourIPAddr.String(), "file", reply.BootFileName)
	}
}

// serve decides on a request, and tells which target it is about, if one is. A nil reply
// without an error is a message that needs none.
func (d *dhcpServer) serve(ctx context.Context, request *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, Target, error) {
	if request.OpCode != dhcpv4.OpcodeBootRequest || request.HWType != iana.HWTypeEthernet || len(request.ClientHWAddr) != 6 {
		return nil, Target{}, errors.New("not a request from an Ethernet client")
	}
	target, err := d.policy.targetOfMAC(ctx, request.ClientHWAddr.String())
	if errors.Is(err, ErrNoTarget) {
		return nil, Target{}, errors.New("no boot target has this MAC")
	}
	if err != nil {
		return nil, Target{}, err
	}
	reply, err := answer(request, target.Target, d.boot)
	if err != nil {
		return nil, target.Target, errors.Join(err, d.policy.trouble(ctx, target.ID, err.Error()))
	}
	if reply != nil && reply.MessageType() != dhcpv4.MessageTypeNak {
		if err := d.policy.reach(ctx, target.ID, job.PhaseDHCP); err != nil {
			return nil, target.Target, err
		}
	}
	return reply, target.Target, nil
}

// answer is the reply to a request of the machine that target is for: nil if there is
// nothing to say, an error if something is wrong that an operator should know.
func answer(request *dhcpv4.DHCPv4, target Target, boot bootFiles) (*dhcpv4.DHCPv4, error) {
	if err := checkRelay(request, target); err != nil {
		return nil, err
	}
	address := net.IP(target.Link.Addr().AsSlice())
	forOther := request.ServerIdentifier() != nil && !request.ServerIdentifier().Equal(boot.server.AsSlice())

	switch request.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		return lease(request, target, boot, dhcpv4.MessageTypeOffer)

	case dhcpv4.MessageTypeRequest:
		if forOther { // the client has chosen another server's offer (RFC 2131 §3.1)
			return nil, fmt.Errorf("the machine took the offer of DHCP server %s: there is a second DHCP server on its link", request.ServerIdentifier())
		}
		// SELECTING and INIT-REBOOT name the address in option 50, RENEWING and REBINDING in
		// ciaddr (RFC 2131 §4.3.2).
		wanted := request.RequestedIPAddress()
		if wanted == nil {
			wanted = request.ClientIPAddr
		}
		if !wanted.Equal(address) {
			return refuse(request, boot, "the address of this client is "+address.String())
		}
		return lease(request, target, boot, dhcpv4.MessageTypeAck)

	case dhcpv4.MessageTypeInform: // has an address and wants the rest: no yiaddr, no lease (RFC 2131 §4.3.5)
		reply, err := lease(request, target, boot, dhcpv4.MessageTypeAck)
		if err == nil {
			reply.YourIPAddr = net.IPv4zero
			reply.Options.Del(dhcpv4.OptionIPAddressLeaseTime)
		}
		return reply, err

	case dhcpv4.MessageTypeDecline:
		return nil, fmt.Errorf("the machine declined %s: another one answers on its link under that address", address)

	case dhcpv4.MessageTypeRelease:
		return nil, nil // a reservation has nothing to give back
	}
	return nil, nil
}

// checkRelay refuses a request that did not come by the port the server is cabled to: a
// MAC is easily forged, the switch's own word on the port (RFC 3046) is not.
func checkRelay(request *dhcpv4.DHCPv4, target Target) error {
	via, ok := netip.AddrFromSlice(request.GatewayIPAddr.To4())
	if !ok || via.IsUnspecified() {
		return fmt.Errorf("DHCP seen from %s without a relay, expected port %s", target.MAC, target.RelayPort)
	}
	relay := request.RelayAgentInfo()
	if relay == nil {
		return fmt.Errorf("DHCP seen from %s through relay %s without option 82, expected port %s: let the relay add it", target.MAC, via, target.RelayPort)
	}
	if port := string(relay.Get(dhcpv4.AgentCircuitIDSubOption)); port != target.RelayPort {
		return fmt.Errorf("DHCP seen from %s on port %s, expected %s: check the cabling", target.MAC, printable(port), target.RelayPort)
	}
	if target.Relay.IsValid() && via != target.Relay {
		return fmt.Errorf("DHCP seen from %s through relay %s, expected %s", target.MAC, via, target.Relay)
	}
	return nil
}

// printable quotes text off the wire if it holds more than a port's name would.
func printable(text string) string {
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) < 0 {
		return text
	}
	return fmt.Sprintf("%q", text)
}

// lease is an offer or an acknowledgement of the target's reservation.
func lease(request *dhcpv4.DHCPv4, target Target, boot bootFiles, kind dhcpv4.MessageType) (*dhcpv4.DHCPv4, error) {
	reply, err := dhcpv4.NewReplyFromRequest(request,
		dhcpv4.WithMessageType(kind),
		dhcpv4.WithYourIP(target.Link.Addr().AsSlice()),
		dhcpv4.WithServerIP(boot.server.AsSlice()),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(boot.server.AsSlice())),
		dhcpv4.WithNetmask(net.CIDRMask(target.Link.Bits(), 32)),
		dhcpv4.WithRouter(target.Gateway().AsSlice()),
		dhcpv4.WithLeaseTime(uint32(leaseTime/time.Second)),
		// PXE clients want their UUID back (RFC 4578 §2.3).
		dhcpv4.WithOptionCopied(request, dhcpv4.OptionClientMachineIdentifier),
	)
	if err != nil {
		return nil, err
	}
	// A renewal's ciaddr is echoed (RFC 2131 table 3).
	reply.ClientIPAddr = request.ClientIPAddr
	return reply, boot.choose(request, reply, target.MAC)
}

// refuse is a DHCPNAK. The relay is to broadcast it: the client's address is not to be
// relied on (RFC 2131 §4.3.2).
func refuse(request *dhcpv4.DHCPv4, boot bootFiles, why string) (*dhcpv4.DHCPv4, error) {
	return dhcpv4.NewReplyFromRequest(request,
		dhcpv4.WithMessageType(dhcpv4.MessageTypeNak),
		dhcpv4.WithBroadcast(true),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(boot.server.AsSlice())),
		dhcpv4.WithOption(dhcpv4.OptMessage(why)),
	)
}
