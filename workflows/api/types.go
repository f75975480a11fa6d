package api

import (
	"cmp"
	"net/netip"
	"time"

	"ferrodur/report"
)

// Order asks for an instance. ID is the caller's own; ordering twice is ordering once.
type Order struct {
	ID       string   `json:"id"`
	Site     string   `json:"site"`
	Plan     string   `json:"plan"`
	Image    string   `json:"image"`
	Tenant   string   `json:"tenant,omitempty"`   // who pays, and whose limit counts
	Hostname string   `json:"hostname,omitempty"` // default: the order's ID
	Blocks   Blocks   `json:"blocks,omitzero"`    // routed to the instance
	BGP      *BGP     `json:"bgp,omitempty"`      // by which the instance announces its blocks itself; nil: the switch routes them to it
	Network  string   `json:"network,omitempty"`  // the VLAN that the server is in; empty: it has routed links
	Tagged   []string `json:"tagged,omitempty"`   // further networks, whose frames come tagged (IEEE 802.1Q); none without Network
	Domain   string   `json:"domain,omitempty"`   // routing domain of links and blocks, a VRF of the switches; empty: the default one
	SSHKeys  []string `json:"ssh_keys"`           // public keys, authorized_keys form
	// UserData says that the inventory holds user data for this order. The content
	// itself never enters Temporal.
	UserData  bool      `json:"user_data,omitempty"`
	OnFailure OnFailure `json:"on_failure,omitempty"`
	Limits    Limits    `json:"limits,omitzero"`
}

// OnFailure says what becomes of an order whose stage has failed for good.
type OnFailure string

// What to do on failure. The zero value means Park.
const (
	Park OnFailure = "park" // keep everything, wait for an operator
	Undo OnFailure = "undo" // give everything back, end as failed
)

// Limits bound every wait. A zero field means its default.
type Limits struct {
	Command  time.Duration `json:"command_ns,omitempty"`   // one database or BMC activity with its retries; 10 min
	Switch   time.Duration `json:"switch_ns,omitempty"`    // a switch that is away or locked; 12 h
	Outside  time.Duration `json:"outside_ns,omitempty"`   // an IPAM or DNS server that is away; 12 h
	Boot     time.Duration `json:"boot_ns,omitempty"`      // each phase from power-on to the agent; 3 min
	Stall    time.Duration `json:"stall_ns,omitempty"`     // an agent that makes no progress; 3 min
	Job      time.Duration `json:"job_ns,omitempty"`       // an agent's whole job; 24 h
	CallHome time.Duration `json:"call_home_ns,omitempty"` // from reboot to an answer of the installed OS; 15 min
	Attempts int           `json:"attempts,omitempty"`     // how often a stage that drives the server is tried; 2
	BurnIn   time.Duration `json:"burn_in_ns,omitempty"`   // length of each burn-in test; 10 s
}

// WithDefaults fills the zero fields.
func (l Limits) WithDefaults() Limits {
	return l.Or(Limits{
		Command: 10 * time.Minute, Switch: 12 * time.Hour, Outside: 12 * time.Hour, Boot: 3 * time.Minute, Stall: 3 * time.Minute,
		Job: 24 * time.Hour, CallHome: 15 * time.Minute, BurnIn: 10 * time.Second, Attempts: 2,
	})
}

// Or fills the zero fields from other.
func (l Limits) Or(other Limits) Limits {
	return Limits{
		Command: cmp.Or(l.Command, other.Command), Switch: cmp.Or(l.Switch, other.Switch), Outside: cmp.Or(l.Outside, other.Outside), Boot: cmp.Or(l.Boot, other.Boot),
		Stall: cmp.Or(l.Stall, other.Stall), Job: cmp.Or(l.Job, other.Job), CallHome: cmp.Or(l.CallHome, other.CallHome),
		Attempts: cmp.Or(l.Attempts, other.Attempts), BurnIn: cmp.Or(l.BurnIn, other.BurnIn),
	}
}

// RetryInput goes with UpdateRetry. Limits that are set hold from now on: more patience,
// where there was too little.
type RetryInput struct {
	Limits Limits `json:"limits,omitzero"`
}

// EnrollInput asks for a declared server to be brought into service.
type EnrollInput struct {
	Server string `json:"server"`
	Limits Limits `json:"limits,omitzero"`
}

// BurnInInput asks for a burn-in of a server that no order holds.
type BurnInInput struct {
	Server string `json:"server"`
	Limits Limits `json:"limits,omitzero"`
}

// Server names a server, and what an operator wants to see of it at a glance. It is a
// reference: credentials and addresses of BMC and switch stay in the inventory.
type Server struct {
	Name   string   `json:"name"`
	Site   string   `json:"site"`
	Plan   string   `json:"plan"`
	Switch string   `json:"switch"`
	Port   string   `json:"port"`
	MAC    string   `json:"mac"`
	Others []Uplink `json:"others,omitempty"` // uplinks beside the one that it boots by
	Bond   int      `json:"bond,omitempty"`   // the link aggregation group that they are in for a tenant; 0: none
	// LLDP says that its switch tells by LLDP what is cabled where.
	LLDP bool `json:"lldp,omitempty"`
}

// Uplink is a cable between a NIC of a server and a port of a switch.
type Uplink struct {
	Switch string `json:"switch"`
	Port   string `json:"port"`
	MAC    string `json:"mac"`
}

// Uplinks are all cables of a server, the one that it boots by first.
func (s Server) Uplinks() []Uplink {
	return append([]Uplink{{Switch: s.Switch, Port: s.Port, MAC: s.MAC}}, s.Others...)
}

// Bonds tells whether its uplinks are one for a tenant. Links end at one switch: there is no
// bond for them where the uplinks lead to two.
func (s Server) Bonds(routed bool) bool { return s.Bond > 0 && !(routed && s.Spread()) }

// Spread tells whether the uplinks lead to more than one switch.
func (s Server) Spread() bool {
	for _, other := range s.Others {
		if other.Switch != s.Switch {
			return true
		}
	}
	return false
}

// Link is a point-to-point network between a switch port and a server: an IPv4 /31
// (RFC 3021) or an IPv6 /127 (RFC 6164). Both addresses carry the prefix length.
// The zero Link means there is none.
type Link struct {
	Switch netip.Prefix `json:"switch"`
	Server netip.Prefix `json:"server"`
}

// Links are the links of one owner.
type Links struct {
	IPv4 Link `json:"ipv4,omitzero"`
	IPv6 Link `json:"ipv6,omitzero"`
}

// List returns the links that are there, IPv4 first.
func (l Links) List() []Link {
	var links []Link
	for _, link := range []Link{l.IPv4, l.IPv6} {
		if link.Server.IsValid() {
			links = append(links, link)
		}
	}
	return links
}

// Membership is what an instance has in a network.
type Membership struct {
	Network string `json:"network"`
	VLAN    int    `json:"vlan"`           // 1 to 4094
	Links   Links  `json:"links,omitzero"` // the instance's addresses there
}

// Blocks are prefix lengths of blocks that are routed to an instance; 0: no block of that
// family.
type Blocks struct {
	IPv4 int `json:"ipv4,omitempty"` // 1 to 32
	IPv6 int `json:"ipv6,omitempty"` // 1 to 128
}

// BGP is a session with the switch over each of the instance's links (RFC 4271). There the
// instance may announce its blocks and the elastic blocks that are at it, in whole or in
// parts, and hears a default route. There is no session while there are no blocks.
type BGP struct {
	ASN uint32 `json:"asn"` // the instance's
	// Password refers to the key of TCP MD5 (RFC 2385), "env:NAME" or "file:/path", which the
	// site's switch worker resolves; empty: there is none.
	Password string `json:"password,omitempty"`
}

// Allocated is what an owner was given.
type Allocated struct {
	Links
	Others []Links        `json:"others,omitempty"` // of further uplinks
	Tagged []Membership   `json:"tagged,omitempty"` // in the order in which they were asked for
	Blocks []netip.Prefix `json:"blocks,omitempty"`
}

// PoolRole says what the addresses of a pool are for.
type PoolRole string

// The pool roles.
const (
	TenantPool       PoolRole = "tenant"
	ProvisioningPool PoolRole = "provisioning"
)

// Profile says how a switch port is configured.
type Profile string

// The profiles.
const (
	ProvisioningProfile Profile = "provisioning" // the boot service is reachable
	TenantProfile       Profile = "tenant"       // the tenant's addresses are on the interface
	QuarantineProfile   Profile = "quarantine"   // shut, everything else removed
)

// JobKind says what an agent is booted for.
type JobKind string

// The kinds of job.
const (
	JobInspect JobKind = "inspect"
	JobBurnIn  JobKind = "burn-in"
	JobInstall JobKind = "install"
	JobWipe    JobKind = "wipe"
)

// BootDevice is what a server starts from.
type BootDevice string

// The boot devices.
const (
	BootNetwork BootDevice = "network"
	BootDisk    BootDevice = "disk"
)

// Progress is what an activity that waits for a server puts into its heartbeat, so that
// the Web UI shows it on the pending activity.
type Progress struct {
	Phase   string  `json:"phase"`
	Percent float64 `json:"percent,omitempty"` // 0 to 100
	Done    uint64  `json:"done,omitempty"`    // bytes, or seconds of a burn-in
	Total   uint64  `json:"total,omitempty"`
	Message string  `json:"message,omitempty"`
}

// JobResult is what an agent reported at the end of its job.
type JobResult struct {
	Hardware *report.Hardware `json:"hardware,omitempty"`
	BurnIn   *report.BurnIn   `json:"burn_in,omitempty"`
	Wipe     *report.Wipe     `json:"wipe,omitempty"`
	Disk     string           `json:"disk,omitempty"`    // install: the disk written
	Written  uint64           `json:"written,omitempty"` // install: bytes of the raw image
}
