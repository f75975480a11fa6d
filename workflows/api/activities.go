package api

import (
	"time"

	"ferrodur/report"
)

// Activity is the name of an activity, tied to the types of its input and its result,
// so that the compiler checks both the workflow that calls it and the worker that
// registers it.
type Activity[In, Out any] string

// None is the result of an activity that answers nothing.
type None struct{}

// The inventory's activities, on QueueLifecycle.
const (
	FindServer       Activity[FindServerInput, Server]          = "FindServer"
	ReserveServer    Activity[ReserveServerInput, Server]       = "ReserveServer"
	FreeServer       Activity[FreeServerInput, None]            = "FreeServer"
	TakeServer       Activity[TakeServerInput, None]            = "TakeServer"
	LeaveServer      Activity[LeaveServerInput, None]           = "LeaveServer"
	SetServerState   Activity[SetServerStateInput, None]        = "SetServerState"
	SetInstanceState Activity[SetInstanceStateInput, None]      = "SetInstanceState"
	StoreHardware    Activity[StoreHardwareInput, HardwareDiff] = "StoreHardware"
	StoreBurnIn      Activity[StoreBurnInInput, None]           = "StoreBurnIn"
	StoreWipe        Activity[StoreWipeInput, None]             = "StoreWipe"
)

// The address activities, on QueueIPAM.
const (
	AllocateAddresses Activity[AllocateInput, Allocated] = "AllocateAddresses"
	ReleaseAddresses  Activity[ReleaseInput, None]       = "ReleaseAddresses"
	NameAddresses     Activity[NameInput, Named]         = "NameAddresses"
	RemoveNames       Activity[NameInput, None]          = "RemoveNames"
)

// The out-of-band activities, on SiteQueue(RoleBMC, site).
const (
	CheckBMC      Activity[BMCInput, None]           = "CheckBMC"
	PowerCycle    Activity[PowerCycleInput, None]    = "PowerCycle"
	PowerOff      Activity[BMCInput, None]           = "PowerOff"
	SetBootDevice Activity[SetBootDeviceInput, None] = "SetBootDevice"
)

// The boot activities, on SiteQueue(RoleBoot, site).
const (
	SetBootTarget   Activity[SetBootTargetInput, None]   = "SetBootTarget"
	AwaitAgent      Activity[AwaitAgentInput, None]      = "AwaitAgent"
	AwaitInspect    Activity[AwaitJobInput, JobResult]   = "Inspect"
	AwaitBurnIn     Activity[AwaitJobInput, JobResult]   = "BurnIn"
	AwaitInstall    Activity[AwaitJobInput, JobResult]   = "Install"
	AwaitWipe       Activity[AwaitJobInput, JobResult]   = "Wipe"
	ReleaseAgent    Activity[ReleaseAgentInput, None]    = "ReleaseAgent"
	ClearBootTarget Activity[ClearBootTargetInput, None] = "ClearBootTarget"
	VerifyInstance  Activity[VerifyInput, Verified]      = "Verify"
)

// FindServerInput names a server of the inventory.
type FindServerInput struct {
	Server string `json:"server"`
}

// ReserveServerInput asks for an available server.
type ReserveServerInput struct {
	Instance string `json:"instance"`
	Site     string `json:"site"`
	Plan     string `json:"plan"`
	Image    string `json:"image"`
	Hostname string `json:"hostname"`
	Network  string `json:"network,omitempty"` // whose VLAN the server is to be in; empty: it has routed links
	BGP      bool   `json:"bgp,omitempty"`     // over those
	Domain   string `json:"domain,omitempty"`  // routing domain of those; empty: the default one
	// Tagged are further networks of the order, whose frames come tagged.
	Tagged []string `json:"tagged,omitempty"`
}

// FreeServerInput ends an instance and makes its server available again, or, with Park
// set, parks the server for that reason: nobody gets it until an operator saw to it.
type FreeServerInput struct {
	Instance string `json:"instance"`
	Park     string `json:"park,omitempty"`
}

// TakeServerInput takes a server that no order and no other workflow holds out of the
// pool, into a state of the inventory. The workflow that takes it is its holder.
type TakeServerInput struct {
	Server string `json:"server"`
	State  string `json:"state"`
}

// LeaveServerInput gives back a server that the workflow took. A workflow that does not
// hold it changes nothing.
type LeaveServerInput struct {
	Server string `json:"server"`
	State  string `json:"state"`
}

// SetServerStateInput moves a server to a state of the inventory.
type SetServerStateInput struct {
	Server string `json:"server"`
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// SetInstanceStateInput moves an instance, and with it its server, to a state of the
// inventory. Usage starts with "active" and stops with the state after it.
type SetInstanceStateInput struct {
	Instance string `json:"instance"`
	State    string `json:"state"`
	Reason   string `json:"reason,omitempty"`
}

// StoreHardwareInput stores what the agent found on a server.
type StoreHardwareInput struct {
	Server   string          `json:"server"`
	Hardware report.Hardware `json:"hardware"`
	// Port is what the switch hears on the server's port; nil where it is not asked.
	Port *PortNeighbours `json:"port,omitempty"`
}

// HardwareDiff lists, a sentence each, where the hardware found falls short of what was declared.
type HardwareDiff struct {
	Mismatches []string `json:"mismatches,omitempty"`
}

// StoreBurnInInput stores the outcome of a burn-in. Storing a key twice stores it once.
type StoreBurnInInput struct {
	Server string        `json:"server"`
	Key    string        `json:"key"`
	Report report.BurnIn `json:"report"`
}

// StoreWipeInput stores the proof of a wipe. Storing a key twice stores it once.
type StoreWipeInput struct {
	Server   string      `json:"server"`
	Instance string      `json:"instance,omitempty"`
	Key      string      `json:"key"`
	Report   report.Wipe `json:"report"`
}

// AllocateInput asks for a link of each family that the site has pools of the role for, and
// for blocks of its routed pools; or for an address of each family in a network.
type AllocateInput struct {
	Owner  string   `json:"owner"`
	Site   string   `json:"site"`
	Role   PoolRole `json:"role"`
	Plan   string   `json:"plan,omitempty"`
	Tenant string   `json:"tenant,omitempty"`
	Blocks Blocks   `json:"blocks,omitzero"`
	Others int      `json:"others,omitempty"` // further uplinks, with links of their own
	// Network is the tenant's; empty: links. Server is who is provisioned: its switch says
	// whether in a network.
	Network string   `json:"network,omitempty"`
	Tagged  []string `json:"tagged,omitempty"` // networks in which an address of each family is wanted, too
	Domain  string   `json:"domain,omitempty"` // of links and blocks; empty: the default one
	Server  string   `json:"server,omitempty"`
}

// ReleaseInput gives back all that an owner holds.
type ReleaseInput struct {
	Owner string `json:"owner"`
}

// NameInput says which host has which addresses.
type NameInput struct {
	Owner    string `json:"owner"`
	Site     string `json:"site"`
	Hostname string `json:"hostname"`
	Links    Links  `json:"links"`
}

// Named is what a host is called in the DNS; empty where its site has no zone for names.
type Named struct {
	Name string `json:"name,omitempty"`
}

// BMCInput names the server whose BMC is meant.
type BMCInput struct {
	Server string `json:"server"`
}

// PowerCycleInput starts a server afresh from a boot device.
type PowerCycleInput struct {
	Server string     `json:"server"`
	Device BootDevice `json:"device"`
}

// SetBootDeviceInput says what a server starts from next.
type SetBootDeviceInput struct {
	Server string     `json:"server"`
	Device BootDevice `json:"device"`
}

// SetBootTargetInput says what a server gets when it network-boots. Target is the boot
// target's ID. Link is the server's provisioning link.
type SetBootTargetInput struct {
	Target  string         `json:"target"`
	Server  string         `json:"server"`
	Link    Link           `json:"link"`
	Job     JobKind        `json:"job"`
	Install *InstallTarget `json:"install,omitempty"`
	BurnIn  time.Duration  `json:"burn_in_ns,omitempty"`
}

// InstallTarget says what is to be installed, and for whom.
type InstallTarget struct {
	Instance string       `json:"instance"`
	Image    string       `json:"image"`
	Hostname string       `json:"hostname"`
	SSHKeys  []string     `json:"ssh_keys"`
	Links    Links        `json:"links"`
	Others   []Links      `json:"others,omitempty"` // of the server's further uplinks
	Tagged   []Membership `json:"tagged,omitempty"`
	Bonded   bool         `json:"bonded,omitempty"` // all uplinks are one, with Links
	UserData bool         `json:"user_data,omitempty"`
}

// AwaitAgentInput waits until the agent of a boot target is up. Phase bounds each phase.
type AwaitAgentInput struct {
	Target string        `json:"target"`
	Phase  time.Duration `json:"phase_ns"`
}

// AwaitJobInput waits for an agent's result. Stall bounds the time without progress.
type AwaitJobInput struct {
	Target string        `json:"target"`
	Stall  time.Duration `json:"stall_ns"`
}

// ReleaseAgentInput lets an agent go that has ended its job, and waits until it went.
type ReleaseAgentInput struct {
	Target string `json:"target"`
	Reboot bool   `json:"reboot"` // else power off
}

// ClearBootTargetInput takes a server's boot target away; its token dies. With Instance
// set, what the boot service knows of that instance's call home goes too.
type ClearBootTargetInput struct {
	Server   string `json:"server"`
	Instance string `json:"instance,omitempty"`
}

// VerifyInput says where an installed instance should answer.
type VerifyInput struct {
	Instance string        `json:"instance"`
	Links    Links         `json:"links"`
	CallHome time.Duration `json:"call_home_ns"`
}

// Verified is what was seen of an instance from outside.
type Verified struct {
	Hostname  string `json:"hostname"`
	SSHBanner string `json:"ssh_banner"`
	HostKey   string `json:"host_key"` // SHA256 fingerprint
}
