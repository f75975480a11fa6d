// Package report holds what the agent finds out about a server: its hardware, the
// outcome of a burn-in, the proof of a wipe. The types are plain data; they travel as
// JSON from the agent to the boot service, through workflows, and into the inventory.
// A field is added, never renamed or reused.
package report

import (
	"strings"
	"time"
)

// Hardware is what the agent found on a server.
type Hardware struct {
	CPU      CPU      `json:"cpu"`
	Memory   uint64   `json:"memory_bytes"`
	Disks    []Disk   `json:"disks"`
	NICs     []NIC    `json:"nics"`
	Firmware Firmware `json:"firmware"`
}

// CPU describes the processors of a server, all sockets together.
type CPU struct {
	Model   string `json:"model"`
	Sockets int    `json:"sockets"`
	Threads int    `json:"threads"`
}

// Disk is one block device that can hold an image. Path is the device node
// ("/dev/vda"); Serial and Model may be empty where the device tells none.
type Disk struct {
	Path       string `json:"path"`
	Model      string `json:"model,omitempty"`
	Serial     string `json:"serial,omitempty"`
	Bytes      uint64 `json:"bytes"`
	Rotational bool   `json:"rotational,omitempty"`
}

// NIC is one Ethernet interface. MAC is in lower-case colon form.
type NIC struct {
	Name   string `json:"name"`
	MAC    string `json:"mac"`
	Driver string `json:"driver,omitempty"`
	Link   bool   `json:"link"`
	// Neighbour is who was heard on its cable; nil: nobody.
	Neighbour *Neighbour `json:"neighbour,omitempty"`
}

// Neighbour is who announces himself at the other end of a cable, by the Link Layer
// Discovery Protocol (IEEE 802.1AB-2016). MACs are in lower-case colon form.
type Neighbour struct {
	System          string `json:"system,omitempty"`           // its name
	Chassis         string `json:"chassis,omitempty"`          // its ID, often a MAC
	Port            string `json:"port,omitempty"`             // the port's ID: a MAC, or its name
	PortDescription string `json:"port_description,omitempty"` // the port's name, where its ID is not
}

// PortName is what people know the port by: some give its name as the ID, others a MAC as
// the ID and its name as the description.
func (n Neighbour) PortName() string {
	if strings.Count(n.Port, ":") == 5 && n.PortDescription != "" {
		return n.PortDescription
	}
	return n.Port
}

// Firmware says how the server was booted and by whose firmware (SMBIOS type 0 and 1).
// Mode is "bios" or "uefi".
type Firmware struct {
	Mode    string `json:"mode"`
	Vendor  string `json:"vendor,omitempty"`
	Version string `json:"version,omitempty"`
	Product string `json:"product,omitempty"`
	Serial  string `json:"serial,omitempty"`
}

// BurnIn is the outcome of one burn-in run.
type BurnIn struct {
	Profile string    `json:"profile"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Passed  bool      `json:"passed"`
	Tests   []Test    `json:"tests"`
}

// Test is one test of a burn-in: a tool run against one component.
// Metrics are the tool's own figures, their unit in the name ("read_mib_per_s").
// Detail says in one line what failed; it is empty when Passed.
type Test struct {
	Name      string             `json:"name"`
	Component string             `json:"component"`
	Seconds   float64            `json:"seconds"`
	Passed    bool               `json:"passed"`
	Detail    string             `json:"detail,omitempty"`
	Metrics   map[string]float64 `json:"metrics,omitempty"`
}

// Wipe is the proof that a server's disks hold nothing of their last tenant.
type Wipe struct {
	Started time.Time  `json:"started"`
	Seconds float64    `json:"seconds"`
	Disks   []DiskWipe `json:"disks"`
}

// DiskWipe is the record for one disk. Method is "discard" or "overwrite".
// SampledBytes were read back at Samples places (start and end of the disk always
// among them) after the wipe and found to hold only zero.
type DiskWipe struct {
	Disk         Disk    `json:"disk"`
	Method       string  `json:"method"`
	Seconds      float64 `json:"seconds"`
	Samples      int     `json:"samples"`
	SampledBytes uint64  `json:"sampled_bytes"`
	Clean        bool    `json:"clean"`
}
