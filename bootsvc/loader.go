package bootsvc

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// The first loaders, Debian's builds of iPXE. snponly.efi drives the NIC through the
// firmware's own driver, undionly.kpxe through the PXE ROM's, so that no NIC is unknown.
const (
	loaderBIOS = "undionly.kpxe"
	loaderUEFI = "snponly.efi"
	loaderFull = "ipxe.efi" // with iPXE's own drivers
)

// loaders are the only files that TFTP serves, and HTTP under /loader/.
func loaders() []string { return []string{loaderBIOS, loaderUEFI, loaderFull} }

// bootFiles says where a machine finds its next step.
type bootFiles struct {
	server netip.Addr // DHCP server identifier, next-server
	base   string     // URL of the HTTP service, without a slash at the end
}

// optionIPXE carries iPXE's own settings; noPXEDHCP (176) set to 1 in it saves iPXE the
// seconds of waiting for a proxy DHCP server. See https://ipxe.org/howto/dhcpd.
const optionIPXE = dhcpv4.GenericOptionCode(175)

func noPXEDHCP() []byte { return []byte{176, 1, 1} }

// choose writes into reply what the client is to load next. A client that does not boot
// from the network, such as an operating system's, is told nothing.
func (b bootFiles) choose(request, reply *dhcpv4.DHCPv4, mac string) error {
	class := request.ClassIdentifier()
	var file string
	switch {
	case slices.Contains(request.UserClass(), "iPXE"):
		file = b.base + "/ipxe/" + mac
		reply.UpdateOption(dhcpv4.OptGeneric(optionIPXE, noPXEDHCP()))

	case strings.HasPrefix(class, "HTTPClient"):
		if !slices.Contains(request.ClientArch(), iana.EFI_X86_64_HTTP) {
			return fmt.Errorf("firmware of architecture %v asked for UEFI HTTP boot; only x86-64 is served", request.ClientArch())
		}
		file = b.base + "/loader/" + loaderUEFI
		// UEFI takes an offer for HTTP boot only if it says so itself (UEFI 2.10 §24.7.3.1).
		reply.UpdateOption(dhcpv4.OptClassIdentifier("HTTPClient"))

	case strings.HasPrefix(class, "PXEClient"):
		loader, err := tftpLoader(request.ClientArch())
		if err != nil {
			return err
		}
		file = loader
		reply.ServerHostName = b.server.String()
		reply.UpdateOption(dhcpv4.OptTFTPServerName(b.server.String()))

	default:
		return nil
	}
	// Firmwares read one or the other: the header's field and option 67.
	reply.BootFileName = file
	reply.UpdateOption(dhcpv4.OptBootFileName(file))
	return nil
}

// tftpLoader picks the loader by option 93 (RFC 4578 §2.1). Firmware that sends none is BIOS.
func tftpLoader(archs []iana.Arch) (string, error) {
	if len(archs) == 0 {
		return loaderBIOS, nil
	}
	for _, arch := range archs {
		switch arch {
		case iana.INTEL_X86PC:
			return loaderBIOS, nil
		case iana.EFI_X86_64, iana.EFI_BC: // many x86-64 firmwares call themselves 7, "EFI BC" in the RFC
			return loaderUEFI, nil
		}
	}
	return "", fmt.Errorf("firmware of architecture %v asked for a loader; BIOS and x86-64 UEFI are served", archs)
}
