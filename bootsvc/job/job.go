// Package job is the protocol between the boot service and the agent: what the agent is
// told to do, what it reports on the way, and what it answers at the end. All of it is
// JSON over HTTP; every request carries the boot target's token as a bearer token
// (RFC 6750), which is valid for that boot target only.
//
//	GET  /agent/job       200 Job
//	POST /agent/progress  Progress; 204
//	POST /agent/result    Result; 204 once it is stored. Posting it again is harmless
//	GET  /agent/release   waits up to 25 s; 200 Release, or 204: ask again
//	GET  /images/{name}   the compressed image; ranges are served (RFC 9110 §14)
//
// 401 means the token is not, or no longer, valid: the agent powers the server off.
package job

import "ferrodur/report"

// Kernel parameters by which the boot script tells the agent where it is. The boot
// script is the only place the token is written to.
const (
	ParamURL     = "ferrodur.url"     // base URL of the boot service
	ParamToken   = "ferrodur.token"   // bearer token of the boot target
	ParamMAC     = "ferrodur.mac"     // the NIC to bring up
	ParamAddress = "ferrodur.address" // its address with prefix length, IPv4
	ParamGateway = "ferrodur.gateway" // its default gateway
)

// Kind says what a job does.
type Kind string

// The kinds of job. Every kind ends with the agent asking for its Release.
const (
	Inspect Kind = "inspect" // report the hardware
	BurnIn  Kind = "burn-in" // test CPU, memory and disks
	Install Kind = "install" // write an image and its configuration to the disk
	Wipe    Kind = "wipe"    // empty every disk and prove it
)

// Job is the work of one boot target. Only the spec named by Kind is set; that of Inspect may be missing.
type Job struct {
	Target  string       `json:"target"` // ID of the boot target
	Server  string       `json:"server"`
	Kind    Kind         `json:"kind"`
	Inspect *InspectSpec `json:"inspect,omitempty"`
	Install *InstallSpec `json:"install,omitempty"`
	BurnIn  *BurnInSpec  `json:"burn_in,omitempty"`
}

// InspectSpec says how thoroughly a server is looked at. LLDPSeconds is how long the agent
// waits at most until it hears who is at the other end of the cable it booted by; what
// other cables have told by then is reported with it.
type InspectSpec struct {
	LLDPSeconds int `json:"lldp_seconds"`
}

// InstallSpec says what goes onto the disk. Disk is a device path; empty means the
// smallest disk that holds the image. ConfigDrive maps the names of cloud-init's NoCloud
// files (meta-data, network-config, user-data, vendor-data) to their contents.
type InstallSpec struct {
	Image       Image             `json:"image"`
	Disk        string            `json:"disk,omitempty"`
	ConfigDrive map[string]string `json:"config_drive"`
}

// Image is a zstd-compressed raw disk image. SHA256 is the lower-case hexadecimal digest
// of the compressed file; Bytes is the size of the raw image.
type Image struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Bytes  uint64 `json:"bytes"`
}

// BurnInSpec bounds a burn-in. Profile "short" runs each test for Seconds.
type BurnInSpec struct {
	Profile string `json:"profile"`
	Seconds int    `json:"seconds"`
}

// Phase names where a boot or a job stands. A boot target passes the first four in
// order; after PhaseAgent the job's own phases follow.
type Phase string

// The phases of a boot, as the boot service sees them, and of the jobs, as the agent
// reports them.
const (
	PhaseWaiting Phase = "waiting"     // nothing was heard yet
	PhaseDHCP    Phase = "dhcp"        // the firmware asked for an address
	PhaseLoader  Phase = "loader"      // the boot script was fetched
	PhaseKernel  Phase = "kernel"      // the kernel was fetched
	PhaseAgent   Phase = "agent"       // the agent asked for its job
	PhaseInspect Phase = "inspecting"  // reading the hardware
	PhaseWrite   Phase = "writing"     // writing the image
	PhaseConfig  Phase = "configuring" // writing the config drive
	PhaseTest    Phase = "testing"     // burn-in
	PhaseWipe    Phase = "wiping"      // emptying disks
	PhaseProve   Phase = "proving"     // reading samples back
	PhaseDone    Phase = "done"        // the result is stored
	PhaseLeaving Phase = "leaving"     // the agent took its release
)

// Progress is one report on the way. Done and Total are bytes, or seconds in PhaseTest;
// Total is 0 where it is not known.
type Progress struct {
	Phase   Phase  `json:"phase"`
	Done    uint64 `json:"done,omitempty"`
	Total   uint64 `json:"total,omitempty"`
	Message string `json:"message,omitempty"`
}

// Result ends a job. Error is empty on success; a burn-in with a failed test is a
// success of the job, its report says Passed false. Hardware is always set.
type Result struct {
	Error     string           `json:"error,omitempty"`
	Hardware  *report.Hardware `json:"hardware,omitempty"`
	BurnIn    *report.BurnIn   `json:"burn_in,omitempty"`
	Wipe      *report.Wipe     `json:"wipe,omitempty"`
	Installed *Installed       `json:"installed,omitempty"`
}

// Installed says what was written where.
type Installed struct {
	Disk    report.Disk `json:"disk"`
	Bytes   uint64      `json:"bytes"`
	SHA256  string      `json:"sha256"`
	Seconds float64     `json:"seconds"`
}

// Action is what the agent does last.
type Action string

// The actions of a release.
const (
	Reboot   Action = "reboot"
	PowerOff Action = "power-off"
)

// Release lets the agent go.
type Release struct {
	Then Action `json:"then"`
}
