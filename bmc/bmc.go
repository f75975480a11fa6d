// Package bmc is out-of-band control of servers: power and boot device, over IPMI or
// Redfish, whichever the BMC speaks. The caller does not choose and need not know.
//
// Two habits of BMCs shape it. They answer OK and do something else: whatever is set is
// read back. And they freeze under bursts: a Controller sends a BMC one command at a time,
// with a pause in between. BMCs are told apart by address, so one process should have one
// Controller.
//
// Every operation can be repeated, or begun anew after a crash half-way.
package bmc

import (
	"errors"
	"fmt"
)

// What can go wrong, besides NotKeptError. The text of a returned error names the server,
// the address and what to do next; it never holds the password.
var (
	// ErrUnreachable says that nobody answered in time, or not to the end. Worth a retry.
	ErrUnreachable = errors.New("BMC unreachable")
	// ErrCredentials says that the BMC refused user or password, or that the user may not
	// do what was asked. A retry may lock the account.
	ErrCredentials = errors.New("BMC refused the credentials")
	// ErrRefused says that the BMC answered with an error. Some are passing ("node busy").
	ErrRefused = errors.New("BMC refused the command")
	// ErrNoIpmitool says that the program for IPMI is missing on this machine.
	ErrNoIpmitool = errors.New("ipmitool not found")
	// ErrEndpoint says that an Endpoint or an argument makes no sense.
	ErrEndpoint = errors.New("bad BMC endpoint")
)

// NotKeptError says that the BMC answered OK to a setting and that, read back, it is not
// what was asked for.
type NotKeptError struct {
	Server, Address string
	What            string // "power" or "boot device"
	Wanted, Got     string
}

func (e *NotKeptError) Error() string {
	return fmt.Sprintf("server %s: BMC %s answered OK to %s %s, but reads back %q; "+
		"look at the server's console, and reset the BMC if it persists",
		e.Server, e.Address, e.What, e.Wanted, e.Got)
}

// Endpoint is the BMC of one server.
type Endpoint struct {
	Server   string // its name, for error texts and logs
	Address  string // host, or host:port where the port is not the protocol's own
	User     string
	Password string

	// CipherSuite is the IPMI cipher suite ID (IPMI v2.0 table 22-20). Empty: 17
	// (HMAC-SHA256) where the BMC knows it, else 3 (HMAC-SHA1).
	CipherSuite string
}

// Power is whether the server is on.
type Power string

// The power states.
const (
	On  Power = "on"
	Off Power = "off"
)

// BootDevice is what the server starts from.
type BootDevice string

// The boot devices. Network holds for the next boot only; Disk for every boot until
// something else is set, so that a tenant's server comes back without us.
const (
	Network BootDevice = "network"
	Disk    BootDevice = "disk"
)

// Info is what a BMC tells of itself and its server. Vendor and Model are empty where it
// does not.
type Info struct {
	Power    Power
	Provider string // "ipmi" or "redfish"
	Vendor   string
	Model    string
}
