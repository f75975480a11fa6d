package bootsvc

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

func testBoot() bootFiles {
	return bootFiles{server: netip.MustParseAddr("127.77.0.1"), base: "http://127.77.0.1:8080"}
}

func request(t testing.TB, kind dhcpv4.MessageType, mac, giaddr, port string, more ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	hardware, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	packet, err := dhcpv4.NewDiscovery(hardware, dhcpv4.WithMessageType(kind))
	if err != nil {
		t.Fatal(err)
	}
	if giaddr != "" {
		dhcpv4.WithGatewayIP(net.ParseIP(giaddr))(packet)
	}
	if port != "" {
		packet.UpdateOption(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.AgentCircuitIDSubOption, []byte(port))))
	}
	for _, modify := range more {
		modify(packet)
	}
	return packet
}

func class(name string, arch iana.Arch) dhcpv4.Modifier {
	return func(d *dhcpv4.DHCPv4) {
		d.UpdateOption(dhcpv4.OptClassIdentifier(name))
		d.UpdateOption(dhcpv4.OptClientArch(arch))
	}
}

func wants(address string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(address)))
}

func TestAnswer(t *testing.T) {
	const mac, relay = "52:54:00:00:00:01", "127.77.1.0"
	const discover, ask = dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest
	otherServer := dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 9)))
	for name, test := range map[string]struct {
		request *dhcpv4.DHCPv4
		kind    dhcpv4.MessageType // none: no reply
		file    string
		trouble string
	}{
		"BIOS": {request: request(t, discover, mac, relay, "swp1", class("PXEClient:Arch:00000:UNDI:002001", iana.INTEL_X86PC)),
			kind: dhcpv4.MessageTypeOffer, file: "undionly.kpxe"},
		"UEFI": {request: request(t, discover, mac, relay, "swp1", class("PXEClient:Arch:00007:UNDI:003001", iana.EFI_X86_64)),
			kind: dhcpv4.MessageTypeOffer, file: "snponly.efi"},
		"UEFI calling itself BC": {request: request(t, discover, mac, relay, "swp1", class("PXEClient", iana.EFI_BC)),
			kind: dhcpv4.MessageTypeOffer, file: "snponly.efi"},
		"UEFI HTTP boot": {request: request(t, discover, mac, relay, "swp1", class("HTTPClient:Arch:00016", iana.EFI_X86_64_HTTP)),
			kind: dhcpv4.MessageTypeOffer, file: "http://127.77.0.1:8080/loader/snponly.efi"},
		"iPXE": {request: request(t, ask, mac, relay, "swp1", wants("127.77.1.1"), class("PXEClient", iana.EFI_X86_64), dhcpv4.WithUserClass("iPXE", false)),
			kind: dhcpv4.MessageTypeAck, file: "http://127.77.0.1:8080/ipxe/" + mac},
		"an operating system":    {request: request(t, discover, mac, relay, "swp1"), kind: dhcpv4.MessageTypeOffer},
		"another address":        {request: request(t, ask, mac, relay, "swp1", wants("127.77.1.9")), kind: dhcpv4.MessageTypeNak},
		"renewal":                {request: request(t, ask, mac, relay, "swp1", dhcpv4.WithClientIP(net.IPv4(127, 77, 1, 1))), kind: dhcpv4.MessageTypeAck},
		"inform":                 {request: request(t, dhcpv4.MessageTypeInform, mac, relay, "swp1"), kind: dhcpv4.MessageTypeAck},
		"release":                {request: request(t, dhcpv4.MessageTypeRelease, mac, relay, "swp1")},
		"decline":                {request: request(t, dhcpv4.MessageTypeDecline, mac, relay, "swp1"), trouble: "declined 127.77.1.1"},
		"another server's offer": {request: request(t, ask, mac, relay, "swp1", wants("127.77.1.1"), otherServer), trouble: "second DHCP server"},
		"ARM": {request: request(t, discover, mac, relay, "swp1", class("PXEClient", iana.EFI_ARM64)),
			trouble: "x86-64 UEFI are served"},
		"wrong port":   {request: request(t, discover, mac, relay, "swp2"), trouble: "DHCP seen from 52:54:00:00:00:01 on port swp2, expected swp1"},
		"no option 82": {request: request(t, discover, mac, relay, ""), trouble: "without option 82"},
		"no relay":     {request: request(t, discover, mac, "", "swp1"), trouble: "without a relay"},
		"wrong relay":  {request: request(t, discover, mac, "127.77.2.0", "swp1"), trouble: "through relay 127.77.2.0, expected 127.77.1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			reply, err := answer(test.request, inspect("a/1"), testBoot())
			if test.trouble != "" {
				if err == nil || !strings.Contains(err.Error(), test.trouble) {
					t.Errorf("trouble %v, want %q", err, test.trouble)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if reply == nil {
				if test.kind != dhcpv4.MessageTypeNone {
					t.Errorf("no reply, want %v", test.kind)
				}
				return
			}
			if reply.MessageType() != test.kind || reply.BootFileName != test.file {
				t.Errorf("%v with file %q, want %v with %q", reply.MessageType(), reply.BootFileName, test.kind, test.file)
			}
			if circuit := reply.RelayAgentInfo().Get(dhcpv4.AgentCircuitIDSubOption); string(circuit) != "swp1" {
				t.Errorf("option 82 came back as %q", circuit)
			}
			switch reply.MessageType() {
			case dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck:
				if ones, _ := reply.SubnetMask().Size(); ones != 31 || !reply.Router()[0].Equal(net.IPv4(127, 77, 1, 0)) {
					t.Errorf("mask /%d, router %v", ones, reply.Router())
				}
			case dhcpv4.MessageTypeNak:
				if !reply.IsBroadcast() || !reply.YourIPAddr.IsUnspecified() {
					t.Errorf("a NAK to be unicast, or with address %v", reply.YourIPAddr)
				}
			}
			if strings.HasPrefix(test.request.ClassIdentifier(), "HTTPClient") && reply.ClassIdentifier() != "HTTPClient" {
				t.Error("option 60 HTTPClient was not echoed")
			}
		})
	}
}

// FuzzAnswer sends any packet that parses: it must never panic, and never be answered
// unless it came through the expected port.
func FuzzAnswer(f *testing.F) {
	f.Add(request(f, dhcpv4.MessageTypeDiscover, "52:54:00:00:00:01", "127.77.1.0", "swp1", class("PXEClient", iana.INTEL_X86PC)).ToBytes())
	f.Add(request(f, dhcpv4.MessageTypeRequest, "52:54:00:00:00:01", "127.77.1.0", "swp2", wants("127.77.1.1")).ToBytes())
	f.Add(request(f, dhcpv4.MessageTypeInform, "52:54:00:00:00:01", "", "", dhcpv4.WithUserClass("iPXE", true)).ToBytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		packet, err := dhcpv4.FromBytes(raw)
		if err != nil {
			return
		}
		reply, err := answer(packet, inspect("a/1"), testBoot())
		if err != nil || reply == nil {
			return
		}
		if port := packet.RelayAgentInfo(); port == nil || string(port.Get(dhcpv4.AgentCircuitIDSubOption)) != "swp1" {
			t.Errorf("answered a packet from port %v", port)
		}
		_ = reply.ToBytes()
	})
}
