package switches

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	good := Intent{Port: "swp1", Profile: Tenant, Description: "ams1-r1-s1 instance/o-42", Addresses: parse("198.51.100.0/31", "2001:db8::/127")}
	for _, test := range []struct {
		name  string
		field string // empty: valid
		spoil func(*Intent)
	}{
		{"as it should be", "", func(*Intent) {}},
		{"no description", "", func(i *Intent) { i.Description = "" }},
		{"Junos port", "", func(i *Intent) { i.Port = "xe-0/0/1:2.100" }},
		{"quarantine", "", func(i *Intent) { i.Profile, i.Addresses = Quarantine, nil }},
		{"no port", "Port", func(i *Intent) { i.Port = "" }},
		{"port of two lines", "Port", func(i *Intent) { i.Port = "swp1\nno router bgp" }},
		{"port ends in a line break", "Port", func(i *Intent) { i.Port = "swp1\n" }},
		{"port with a blank", "Port", func(i *Intent) { i.Port = "swp1 vrf red" }},
		{"port that is an option", "Port", func(i *Intent) { i.Port = "-c" }},
		{"long port", "Port", func(i *Intent) { i.Port = strings.Repeat("p", 64) }},
		{"no profile", "Profile", func(i *Intent) { i.Profile = "" }},
		{"unheard-of profile", "Profile", func(i *Intent) { i.Profile = "trunk" }},
		{"description of two lines", "Description", func(i *Intent) { i.Description = "o-42\nno shutdown" }},
		{"description with a carriage return", "Description", func(i *Intent) { i.Description = "o-42\rend" }},
		{"description asks for help", "Description", func(i *Intent) { i.Description = "o-42?" }},
		{"description completes", "Description", func(i *Intent) { i.Description = "o-42\t" }},
		{"description ends the session", "Description", func(i *Intent) { i.Description = "o-42\x04" }},
		{"description with a pipe", "Description", func(i *Intent) { i.Description = "o | include" }},
		{"description not in ASCII", "Description", func(i *Intent) { i.Description = "Größe" }},
		{"description that would not read back", "Description", func(i *Intent) { i.Description = "two  blanks" }},
		{"long description", "Description", func(i *Intent) { i.Description = strings.Repeat("d", 161) }},
		{"no addresses", "Addresses", func(i *Intent) { i.Addresses = nil }},
		{"address in quarantine", "Addresses", func(i *Intent) { i.Profile = Quarantine }},
		{"zero address", "Addresses", func(i *Intent) { i.Addresses = []netip.Prefix{{}} }},
		{"same address twice", "Addresses", func(i *Intent) { i.Addresses = parse("198.51.100.0/31", "198.51.100.0/31") }},
		{"IPv4 /30", "Addresses", func(i *Intent) { i.Addresses = parse("198.51.100.1/30") }},
		{"IPv6 /64", "Addresses", func(i *Intent) { i.Addresses = parse("2001:db8::1/64") }},
		{"IPv6 /31", "Addresses", func(i *Intent) { i.Addresses = parse("2001:db8::/31") }},
		{"IPv4 in IPv6", "Addresses", func(i *Intent) { i.Addresses = parse("::ffff:198.51.100.0/127") }},
		{"loopback", "Addresses", func(i *Intent) { i.Addresses = parse("127.0.0.2/31") }},
		{"multicast", "Addresses", func(i *Intent) { i.Addresses = parse("ff02::/127") }},
		{"blocks behind", "", func(i *Intent) { i.Behind = parse("203.0.113.64/28", "2001:db8:8000::/56") }},
		{"block behind quarantine", "Behind", func(i *Intent) { i.Profile, i.Addresses, i.Behind = Quarantine, nil, parse("203.0.113.64/28") }},
		{"block behind provisioning", "Behind", func(i *Intent) { i.Profile, i.Behind = Provisioning, parse("203.0.113.64/28") }},
		{"block without a link", "Behind", func(i *Intent) { i.Addresses, i.Behind = parse("198.51.100.0/31"), parse("2001:db8:8000::/56") }},
		{"block that is the link", "Behind", func(i *Intent) { i.Behind = parse("198.51.100.0/24") }},
		{"block twice", "Behind", func(i *Intent) { i.Behind = parse("203.0.113.64/28", "203.0.113.64/28") }},
		{"block within another", "Behind", func(i *Intent) { i.Behind = parse("203.0.113.64/28", "203.0.113.68/31") }},
		{"everything", "Behind", func(i *Intent) { i.Behind = parse("0.0.0.0/0") }},
		{"host bits", "Behind", func(i *Intent) { i.Behind = parse("203.0.113.65/28") }},
		{"zero block", "Behind", func(i *Intent) { i.Behind = []netip.Prefix{{}} }},
		{"link-local", "Addresses", func(i *Intent) { i.Addresses = parse("169.254.0.0/31") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			intent := good
			test.spoil(&intent)
			err := intent.Validate()
			var invalid *InvalidIntentError
			switch {
			case test.field == "" && err != nil:
				t.Error(err)
			case test.field != "" && !errors.As(err, &invalid):
				t.Errorf("got %v, want an InvalidIntentError", err)
			case test.field != "" && invalid.Field != test.field:
				t.Errorf("blamed %s, want %s: %v", invalid.Field, test.field, err)
			}
		})
	}
}

func TestEqual(t *testing.T) {
	one := Intent{Port: "swp1", Profile: Tenant, Description: "s1", Addresses: parse("198.51.100.0/31", "2001:db8::/127")}
	if other := (Intent{Port: "swp1", Profile: Tenant, Description: "s1", Addresses: parse("2001:db8::/127", "198.51.100.0/31")}); !one.Equal(other) {
		t.Error("the order of addresses matters")
	}
	for _, other := range []Intent{
		{Port: "swp2", Profile: Tenant, Description: "s1", Addresses: one.Addresses},
		{Port: "swp1", Profile: Provisioning, Description: "s1", Addresses: one.Addresses},
		{Port: "swp1", Profile: Tenant, Description: "s2", Addresses: one.Addresses},
		{Port: "swp1", Profile: Tenant, Description: "s1", Addresses: one.Addresses[:1]},
		{Port: "swp1", Profile: Tenant, Description: "s1", Addresses: one.Addresses, Behind: parse("203.0.113.64/28")},
		{Port: "swp1", Profile: Tenant, Description: "s1", Addresses: parse("198.51.100.0/31", "2001:db8::1/127")},
	} {
		if one.Equal(other) {
			t.Errorf("%+v equals %+v", one, other)
		}
	}
}

func TestDeviceKeepsItsSecrets(t *testing.T) {
	device := Device{Name: "sw1", Platform: "frr", Address: "192.0.2.2:22", User: "operator", Password: "correct-horse", PrivateKey: []byte("battery-staple")}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("open", "device", device)
	text := fmt.Sprintf("%v %+v %#v %s %v", device, device, device, device, device.Validate()) + log.String()
	for _, secret := range []string{"correct-horse", "battery-staple"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %s", secret, text)
		}
	}
}

func TestDeviceValidate(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDIhz2GK/XCUj4i6Q5yQJNL1MKMY0RxzPV2QrBqfHrDq"
	good := Device{Name: "sw1", Address: "192.0.2.2:22", User: "operator", Password: "p", HostKey: key}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Device){
		"no TCP port":     func(d *Device) { d.Address = "192.0.2.2" },
		"no user":         func(d *Device) { d.User = "" },
		"no credentials":  func(d *Device) { d.Password = "" },
		"bad private key": func(d *Device) { d.PrivateKey = []byte("battery-staple") },
		"no host key":     func(d *Device) { d.HostKey = "" },
		"bad host key":    func(d *Device) { d.HostKey = "ssh-ed25519 AAAA" },
	} {
		device := good
		spoil(&device)
		var invalid *InvalidDeviceError
		if err := device.Validate(); !errors.As(err, &invalid) {
			t.Errorf("%s: got %v, want an InvalidDeviceError", name, err)
		}
	}
}

func parse(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// What is named after a port is not taken for another's, whose name begins like it.
func TestIsNamed(t *testing.T) {
	for name, is := range map[string]bool{
		"ferrodur-Ethernet1-1-in4": true, "ferrodur-Ethernet1-1-filter6": true, "ferrodur-Ethernet1-1-1-in4": false, "ferrodur-Ethernet1-10-in4": false,
		"ferrodur-Ethernet1-1": false, "": false,
	} {
		if got := isNamed(name, "Ethernet1/1"); got != is {
			t.Errorf("%q: %t", name, got)
		}
	}
}
