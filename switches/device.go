package switches

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/crypto/ssh"
)

// Device is a switch and how to log in to it. Password, PrivateKey, or both are set.
type Device struct {
	Name       string
	Platform   string // "frr"
	Address    string // host and TCP port of its SSH server: "192.0.2.2:22"
	User       string
	Password   string
	PrivateKey []byte // PEM, not encrypted
	HostKey    string // its public key in authorized_keys form: "ssh-ed25519 AAAA…"
	ASN        uint32 // of its BGP (RFC 4271); 0: it speaks none
	// Ports, Prefixes and VLANs bound what may be configured, whatever an intent says: no
	// other port, no address, route or announcement outside of the prefixes, no other VLAN.
	// Empty: no bound.
	Ports    []string
	Prefixes []netip.Prefix
	VLANs    []int
}

// allows returns a *ForbiddenError where an intent leaves the device's bounds.
func (d Device) allows(intent Intent) error {
	if len(d.Ports) > 0 && !slices.Contains(d.Ports, intent.Port) {
		return &ForbiddenError{d.Name, "port " + intent.Port + " is not among its ports"}
	}
	carried := slices.Concat(intent.Addresses, intent.Behind)
	if intent.BGP != nil {
		carried = append(carried, intent.BGP.Accept...)
		if d.ASN == 0 {
			return &ForbiddenError{d.Name, "port " + intent.Port + " is to speak BGP, and the switch has no AS number"}
		}
	}
	for _, address := range carried {
		within := func(bound netip.Prefix) bool { return bound.Bits() <= address.Bits() && bound.Contains(address.Addr()) }
		if len(d.Prefixes) > 0 && !slices.ContainsFunc(d.Prefixes, within) {
			return &ForbiddenError{d.Name, fmt.Sprintf("%s on port %s is outside of its prefixes", address, intent.Port)}
		}
	}
	if intent.VLANs != nil && len(d.VLANs) > 0 {
		for _, id := range append(slices.Clone(intent.VLANs.Tagged), intent.VLANs.Untagged) {
			if id != 0 && !slices.Contains(d.VLANs, id) {
				return &ForbiddenError{d.Name, fmt.Sprintf("VLAN %d on port %s is not among its VLANs", id, intent.Port)}
			}
		}
	}
	return nil
}

// String, GoString and LogValue keep the credentials out of texts and logs.
func (d Device) String() string       { return fmt.Sprintf("switch %s (%s)", d.Name, d.Address) }
func (d Device) GoString() string     { return d.String() }
func (d Device) LogValue() slog.Value { return slog.StringValue(d.String()) }

// Validate returns an *InvalidDeviceError, or nil if a session can be tried.
// ErrUnknownPlatform is returned by Open only.
func (d Device) Validate() error {
	_, err := d.login()
	return err
}

// login turns the device's credentials and pinned key into a client configuration.
func (d Device) login() (*ssh.ClientConfig, error) {
	invalid := func(reason string) error {
		return &InvalidDeviceError{d.Name, reason + "; correct it in the inventory"}
	}
	if _, _, err := net.SplitHostPort(d.Address); err != nil {
		return nil, invalid(fmt.Sprintf("address %q is not in the form host:port", d.Address))
	}
	if d.User == "" {
		return nil, invalid("it has no user")
	}
	if d.HostKey == "" {
		return nil, &InvalidDeviceError{d.Name, "its host key is not known yet: see what it offers, and accept that: starter switch trust " + d.Name}
	}
	pinned, _, _, _, err := ssh.ParseAuthorizedKey([]byte(d.HostKey))
	if err != nil {
		return nil, invalid("its host key is not in authorized_keys form")
	}
	var methods []ssh.AuthMethod
	if len(d.PrivateKey) > 0 {
		signer, err := ssh.ParsePrivateKey(d.PrivateKey)
		if err != nil {
			return nil, invalid("its private key cannot be read") // the cause may quote the key
		}
		methods = append(methods, ssh.PublicKeys(signer))
	}
	if d.Password != "" {
		methods = append(methods, ssh.Password(d.Password), ssh.KeyboardInteractive(d.answer))
	}
	if len(methods) == 0 {
		return nil, invalid("it has neither password nor private key")
	}
	return &ssh.ClientConfig{
		User:              d.User,
		Auth:              methods,
		HostKeyCallback:   pin(d.Name, pinned),
		HostKeyAlgorithms: algorithms(pinned),
	}, nil
}

// answer answers every question of keyboard-interactive authentication (RFC 4256), which
// many switches use in place of password authentication, with the password.
func (d Device) answer(_, _ string, questions []string, _ []bool) ([]string, error) {
	answers := make([]string, len(questions))
	for i := range answers {
		answers[i] = d.Password
	}
	return answers, nil
}
