package bmc

import (
	"errors"
	"os/exec"
	"testing"
)

func TestParseBootFlags(t *testing.T) {
	tests := []struct {
		text string
		want BootDevice
		err  error
	}{
		{" 01 05 00 04 00 00 00\n", Network, nil},
		{" 01 05 80 04 00 00 00\n", Network, nil},
		{" 01 85 e0 04 00 00 00\n", Network, nil}, // locked, persistent, UEFI
		{" 01 05 00 08 00 00 00\n", Disk, nil},
		{" 01 05 00 00 00 00 00\n", Disk, nil},
		{" 01 05 80 14 00 00 00\n", "device 5 of IPMI table 28-14", nil}, // CD
		{" 01 04 00 04 00 00 00\n", "", ErrRefused},                      // another parameter
		{" 01 05 00\n", "", ErrRefused},
		{"", "", ErrRefused},
		{"zz", "", ErrRefused},
	}
	for _, test := range tests {
		got, err := parseBootFlags(test.text)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%q: %q, %v", test.text, got, err)
		}
	}
}

func FuzzParseBootFlags(f *testing.F) {
	f.Add(" 01 05 00 04 00 00 00\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := parseBootFlags(text); (got == "") == (err == nil) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	})
}

// The texts are ipmitool 1.8.19's.
func TestClassifyIPMI(t *testing.T) {
	tests := []struct {
		text string
		want error
	}{
		{"Error in open session response message : invalid authentication algorithm\n\nError: Unable to establish IPMI v2 / RMCP+ session: exit status 1", errCipherSuite},
		{"Error: Unable to establish IPMI v2 / RMCP+ session: exit status 1", ErrCredentials},
		{"Set Session Privilege Level to ADMINISTRATOR failed", ErrCredentials},
		{"Error in open session response message : insufficient resources for session\n\nError: Unable to establish IPMI v2 / RMCP+ session", ErrRefused},
		{"Set Chassis Power Control to Up/On failed: Node busy: exit status 1", ErrRefused},
	}
	for _, test := range tests {
		if err := classifyIPMI(test.text); !errors.Is(err, test.want) {
			t.Errorf("%q: %v", test.text, err)
		}
	}
}

func TestEndpointTarget(t *testing.T) {
	tests := []struct {
		address, want string
		err           error
	}{
		{"192.0.2.1", "192.0.2.1:623", nil},
		{"192.0.2.1:1623", "192.0.2.1:1623", nil},
		{"bmc1.example.net", "bmc1.example.net:623", nil},
		{"2001:db8::1", "[2001:db8::1]:623", nil},
		{"[2001:db8::1]:1623", "[2001:db8::1]:1623", nil},
		{"", "", ErrEndpoint},
		{"host:", "", ErrEndpoint},
		{":623", "", ErrEndpoint},
	}
	for _, test := range tests {
		got, err := Endpoint{Address: test.address}.target()
		if !errors.Is(err, test.err) || (err == nil && got.String() != test.want) {
			t.Errorf("%q: %q, %v", test.address, got, err)
		}
	}
}

func TestNoIpmitool(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := exec.LookPath("ipmitool"); err == nil {
		t.Fatal("PATH does not matter")
	}
	_, err := dialIPMI("3")(Endpoint{}, target{host: "192.0.2.1"})
	if !errors.Is(err, ErrNoIpmitool) {
		t.Error(err)
	}
}
