package bootsvc

import (
	"fmt"
	"net"
	"net/netip"
	"path"
	"regexp"

	"ferrodur/bootsvc/job"
	"ferrodur/bootsvc/nocloud"
)

// Target is a boot target: what one machine gets when it boots from the network.
type Target struct {
	ID        string       // key, chosen by the caller, e.g. "instance/o-1/install/1"
	Server    string       // name of the server
	MAC       string       // of the NIC it boots from, any form net.ParseMAC reads
	RelayPort string       // circuit-id that the relay puts into option 82 (RFC 3046), e.g. "swp1"
	Relay     netip.Addr   // the relay's address on the link (giaddr); zero accepts any
	Link      netip.Prefix // the server's address on its link, e.g. 203.0.113.1/31
	Kind      job.Kind
	Inspect   *job.InspectSpec // may be set for job.Inspect only
	Install   *InstallOrder    // set for job.Install only
	BurnIn    *job.BurnInSpec  // set for job.BurnIn only
}

// InstallOrder says what is installed, and for whom.
type InstallOrder struct {
	Image job.Image    // Name is the file in the image folder
	Disk  string       // device path; empty means the smallest disk that holds the image
	Seed  nocloud.Seed // CallHomeURL is filled in by the service
}

// Gateway is the other address of the link: on a /31 the switch (RFC 3021), on anything
// wider the first host address.
func (t Target) Gateway() netip.Addr { return gateway(t.Link) }

func gateway(link netip.Prefix) netip.Addr {
	first := link.Masked().Addr()
	if link.Bits() < 31 {
		first = first.Next()
	}
	if first == link.Addr() {
		return first.Next()
	}
	return first
}

// imageName keeps image names to plain file names.
var imageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$`)

var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

// validate returns the target with its MAC in lower-case colon form, or an InvalidTargetError.
func (t Target) validate() (Target, error) {
	invalid := func(format string, args ...any) (Target, error) {
		return Target{}, InvalidTargetError{ID: t.ID, Reason: fmt.Sprintf(format, args...)}
	}
	mac, err := net.ParseMAC(t.MAC)
	switch {
	case t.ID == "" || t.Server == "":
		return invalid("it needs an ID and a server")
	case err != nil || len(mac) != 6:
		return invalid("MAC %q is not an Ethernet address", t.MAC)
	case t.RelayPort == "":
		return invalid("it needs the port that the relay names in option 82")
	case !t.Link.IsValid() || !t.Link.Addr().Is4() || t.Link.Bits() > 31 || t.Link.Bits() < 8:
		return invalid("link %s is not an IPv4 address with a prefix length of 8 to 31", t.Link)
	case t.Relay.IsValid() && !t.Relay.Is4():
		return invalid("relay %s is not an IPv4 address", t.Relay)
	}
	if (t.Kind == job.Install) != (t.Install != nil) || (t.Kind == job.BurnIn) != (t.BurnIn != nil) || (t.Kind != job.Inspect && t.Inspect != nil) {
		return invalid("a target of kind %q needs the order of that kind, and no other", t.Kind)
	}
	switch t.Kind {
	case job.Inspect, job.Wipe:
	case job.BurnIn:
		if t.BurnIn.Seconds <= 0 {
			return invalid("a burn-in needs its seconds a test")
		}
	case job.Install:
		image := t.Install.Image
		if !imageName.MatchString(image.Name) || path.Base(image.Name) != image.Name {
			return invalid("image %q is not a plain file name", image.Name)
		}
		if !sha256Hex.MatchString(image.SHA256) || image.Bytes == 0 {
			return invalid("image %s needs its size and its SHA-256 in lower-case hexadecimal", image.Name)
		}
		if _, err := t.Install.Seed.Files(); err != nil {
			return invalid("%v", err)
		}
	default:
		return invalid("kind %q is not one of inspect, burn-in, install, wipe", t.Kind)
	}
	t.MAC = mac.String()
	return t, nil
}
