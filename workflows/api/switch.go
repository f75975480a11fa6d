package api

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ferrodur/report"
)

// The switch activities, on SiteQueue(RoleSwitch, site).
const (
	// ConfigurePort is of instances that began before switches had workflows.
	ConfigurePort  Activity[ConfigurePortInput, PortChange]      = "ConfigurePort"
	ConfigurePorts Activity[ConfigurePortsInput, []PortResult]   = "ConfigurePorts"
	AuditSwitch    Activity[AuditSwitchInput, AuditReport]       = "AuditSwitch"
	ReadHostKey    Activity[SwitchRef, HostKey]                  = "ReadHostKey"
	ReadNeighbours Activity[ReadNeighboursInput, PortNeighbours] = "ReadNeighbours"
	ResolveHosts   Activity[ResolveHostsInput, None]             = "ResolveHosts"
)

// RequestPort hands a change to a switch's workflow, and starts that if need be. It is on
// QueueLifecycle. The answer comes as SignalPort.
const RequestPort Activity[RequestPortInput, None] = "RequestPort"

// RequestAudit asks a switch's workflow to compare the switch with what was asked for, and
// ListSwitches names the switches that there are. They are on QueueLifecycle.
const (
	RequestAudit Activity[RequestAuditInput, None] = "RequestAudit"
	ListSwitches Activity[AuditInput, []SwitchRef] = "ListSwitches"
)

// KeepSwitchMode keeps the mode that an operator has set, for when somebody ends the switch's
// workflow; RecallSwitchMode finds it again, and none where nobody has set one. They are on
// QueueLifecycle.
const (
	KeepSwitchMode   Activity[SwitchModeInput, None] = "KeepSwitchMode"
	RecallSwitchMode Activity[SwitchRef, KeptMode]   = "RecallSwitchMode"
)

// Signals between a switch's workflow and those who ask it for something.
const (
	SignalSetPort = "set-port" // PortRequest, to the switch's workflow
	SignalPort    = "port"     // PortAnswer, to who asked
	SignalAudit   = "audit"    // AuditRequest, to the switch's workflow
	SignalAudited = "audited"  // AuditReport, to who asked
)

// SwitchID is the workflow ID of a switch's only writer.
func SwitchID(name string) string { return "switch/" + name }

// SwitchOf is the switch whose workflow has an ID.
func SwitchOf(id string) string { return strings.TrimPrefix(id, "switch/") }

// Updates of a switch's workflow.
const (
	UpdateMode    = "mode"    // ModeInput: apply, ask for approval, show only, or pause
	UpdateApprove = "approve" // ApproveInput: let changes through that wait for approval
	UpdateReject  = "reject"  // ApproveInput: refuse changes that wait
)

// ConfigurePortInput says what a server's port should be. Links is empty for quarantine.
type ConfigurePortInput struct {
	Server  string  `json:"server"`
	Uplink  int     `json:"uplink,omitempty"` // which of the server's; 0: the one that it boots by
	Profile Profile `json:"profile"`
	Links   Links   `json:"links,omitzero"`
	// Blocks are routed to the server, or with BGP are what it may announce.
	Blocks []netip.Prefix `json:"blocks,omitempty"`
	BGP    *BGP           `json:"bgp,omitempty"`
	// Again asks for what the port was last asked to be, by the time that its turn comes. The
	// rest, but for Server and Uplink, is what whoever asked has seen.
	Again bool `json:"again,omitempty"`
	// Renew sends what cannot be compared, too: the password of a BGP session. It goes with Again.
	Renew    bool   `json:"renew,omitempty"`
	Instance string `json:"instance,omitempty"`
	Network  string `json:"network,omitempty"` // of a tenant; empty: the port is routed
	// Tagged are further networks of the tenant, whose frames are tagged.
	Tagged []string `json:"tagged,omitempty"`
	Domain string   `json:"domain,omitempty"` // of the links; empty: the default one
	// Bond is the link aggregation group that the port is a member of; 0: none. With
	// MultiChassis it has members on another switch, too.
	Bond         int  `json:"bond,omitempty"`
	MultiChassis bool `json:"multi_chassis,omitempty"`
}

// Cable names the server, and which of its uplinks where that is not the one it boots by.
func (in ConfigurePortInput) Cable() string {
	if in.Uplink == 0 {
		return in.Server
	}
	return fmt.Sprintf("%s uplink %d", in.Server, in.Uplink+1)
}

// SameCable tells whether a queued change is for the same uplink of the same server.
func (in PortRequest) SameCable(q QueuedPort) bool {
	return q.Server == in.Server && q.Uplink == in.Uplink
}

// HostKey is what a switch's SSH server offers.
type HostKey struct {
	Switch      string `json:"switch"`
	Address     string `json:"address"`
	Key         string `json:"key"`         // authorized_keys form: "ssh-ed25519 AAAA…"
	Fingerprint string `json:"fingerprint"` // as ssh-keygen -l prints it: "SHA256:…"
	Trusted     string `json:"trusted"`     // the key that is trusted; empty: none
}

// ReadNeighboursInput asks a switch who it hears on a server's port.
type ReadNeighboursInput struct {
	Server string `json:"server"`
}

// PortNeighbours are who announces himself by LLDP on a port.
type PortNeighbours struct {
	Neighbours []report.Neighbour `json:"neighbours,omitempty"`
}

// ResolveHostsInput waits for who should answer on a port that was configured so.
type ResolveHostsInput struct {
	ConfigurePortInput
	Patience time.Duration `json:"patience_ns"` // while the switch is there
}

// PortChange says what was changed on a port, line by line; a second run changes nothing.
type PortChange struct {
	Changed bool     `json:"changed"`
	Lines   []string `json:"lines,omitempty"`
}

// Shortened is the change with no more lines than that: what goes through a workflow's history
// has to be short (Temporal takes 2 MB at once).
func (c PortChange) Shortened(most int) PortChange {
	c.Lines = shortened(c.Lines, most)
	return c
}

func shortened(lines []string, most int) []string {
	if len(lines) <= most {
		return lines
	}
	return append(slices.Clone(lines[:most]), fmt.Sprintf("… and %d more lines", len(lines)-most))
}

// Shortened is the report without what is foreign, and with no more lines for a port than that.
func (r AuditReport) Shortened(most int) AuditReport {
	r.Foreign, r.Drift = nil, slices.Clone(r.Drift)
	for i, drift := range r.Drift {
		r.Drift[i] = drift.Shortened(most)
	}
	return r
}

// Shortened is the drift with no more lines than that.
func (d Drift) Shortened(most int) Drift {
	d.Lines = shortened(d.Lines, most)
	return d
}

// PortRequest asks for a server's port. Request is the caller's own name for this change:
// asking twice is asking once.
type PortRequest struct {
	Request string `json:"request"`
	Caller  Caller `json:"caller"`
	Port    string `json:"port,omitempty"` // where the cable led when it was asked; for show
	// SwitchSite is where the switch is declared by now.
	SwitchSite string `json:"switch_site,omitempty"`
	ConfigurePortInput
}

// Caller is the workflow that an answer goes to.
type Caller struct {
	Workflow string `json:"workflow"`
	Run      string `json:"run"`
}

// AuditRequest asks for a comparison of the switch with what was asked for.
type AuditRequest struct {
	Caller
	// SwitchSite is where the switch is declared by now.
	SwitchSite string `json:"switch_site,omitempty"`
}

// RequestAuditInput asks the workflow of a switch for a comparison.
type RequestAuditInput struct {
	SwitchRef
	Caller Caller `json:"caller"`
}

// SwitchRef names a switch.
type SwitchRef struct {
	Switch string `json:"switch"`
	Site   string `json:"site"`
}

// AuditInput says which switches are compared; no site: those of all sites.
type AuditInput struct {
	Site     string   `json:"site,omitempty"`     // empty: of all sites
	Switches []string `json:"switches,omitempty"` // these alone; none: all
}

// AuditResult is what an audit has found.
type AuditResult struct {
	Reports []AuditReport `json:"reports"` // by switch
}

// PortAnswer is what became of a PortRequest.
type PortAnswer struct {
	Request string     `json:"request"`
	Result  PortResult `json:"result"`
}

// RequestPortInput hands a change to the workflow of a switch.
type RequestPortInput struct {
	SwitchRef
	PortRequest
}

// ConfigurePortsInput asks for changes of ports of one switch, together.
type ConfigurePortsInput struct {
	Switch string               `json:"switch"`
	Ports  []ConfigurePortInput `json:"ports"`
	DryRun bool                 `json:"dry_run,omitempty"` // say what would be changed
	// Approved is, for each of Ports, what an operator has seen and let through; none: nobody had
	// to. A port of which other lines would be changed by now is left alone, with ErrorOutdated.
	Approved []PortChange `json:"approved,omitempty"`
}

// PortResult is what became of a change. Error is empty if the port is what was asked for.
type PortResult struct {
	Port string `json:"port,omitempty"`
	PortChange
	Foreign   []string `json:"foreign,omitempty"` // once: lines on the port that are not Ferrodur's
	Error     string   `json:"error,omitempty"`
	ErrorType string   `json:"error_type,omitempty"` // ErrorRefused, ErrorOperator, ErrorRejected; empty: worth a retry
}

// SwitchMode says what a switch's workflow does with changes.
type SwitchMode string

// The modes. Orders whose changes are not applied wait; they do not fail.
const (
	ModeApply   SwitchMode = "apply"   // carry them out
	ModeApprove SwitchMode = "approve" // show what would be changed, and wait for approval
	ModeDryRun  SwitchMode = "dry-run" // show what would be changed, and no more
	ModePaused  SwitchMode = "paused"  // leave the switch alone
)

// SwitchInput starts a switch's workflow, or continues it.
type SwitchInput struct {
	SwitchRef
	State SwitchState `json:"state,omitzero"` // as it was before it continued as new
}

// SwitchState is how a switch's workflow stands. QueryState answers with it.
type SwitchState struct {
	SwitchRef
	Mode    SwitchMode   `json:"mode"`
	Reason  string       `json:"reason,omitempty"`  // for the mode, in an operator's words
	Since   time.Time    `json:"since"`             // of the mode
	Trouble string       `json:"trouble,omitempty"` // why the switch does nothing, if it should
	Queue   []QueuedPort `json:"queue,omitempty"`   // first come, first served
	Done    []DonePort   `json:"done,omitempty"`    // the last ones, newest last
	Audits  []Caller     `json:"audits,omitempty"`  // who waits for a comparison
	Audit   *AuditReport `json:"audit,omitempty"`   // the last one
	Audited time.Time    `json:"audited,omitzero"`  // when that was
	// Transactions counts what was carried out together, and Changes the ports in it.
	Transactions int `json:"transactions"`
	Changes      int `json:"changes"`
}

// QueuedPort is a change that waits, or is under way.
type QueuedPort struct {
	PortRequest
	Since    time.Time `json:"since"`
	Applying bool      `json:"applying,omitempty"`
	Approved bool      `json:"approved,omitempty"`
	// Preview is what would be changed, once it is known.
	Preview *PortResult `json:"preview,omitempty"`
}

// DonePort is a change that was answered.
type DonePort struct {
	Request string        `json:"request"`
	Server  string        `json:"server"`
	Profile Profile       `json:"profile"`
	Result  PortResult    `json:"result"`
	At      time.Time     `json:"at"`
	Waited  time.Duration `json:"waited_ns"` // from its request
}

// ModeInput goes with UpdateMode.
type ModeInput struct {
	Mode   SwitchMode `json:"mode"`
	Reason string     `json:"reason,omitempty"`
}

// KeptMode is a mode that an operator has set.
type KeptMode struct {
	ModeInput
	Since time.Time `json:"since"`
}

// SwitchModeInput keeps a switch's mode.
type SwitchModeInput struct {
	Switch string `json:"switch"`
	KeptMode
}

// ApproveInput names changes by their requests; none: all that wait and have been shown.
type ApproveInput struct {
	Requests []string `json:"requests,omitempty"`
	Reason   string   `json:"reason,omitempty"`
}

// Names says whether a change is meant.
func (a ApproveInput) Names(q QueuedPort) bool {
	return len(a.Requests) == 0 || slices.Contains(a.Requests, q.Request)
}

// AuditSwitchInput names the switch that is compared with what was asked for.
type AuditSwitchInput struct {
	Switch string `json:"switch"`
}

// AuditReport is how a switch differs from what was asked for.
type AuditReport struct {
	Switch string `json:"switch"`
	Ports  int    `json:"ports"` // compared
	// Problem is why it was not compared.
	Problem string  `json:"problem,omitempty"`
	Drift   []Drift `json:"drift,omitempty"`
	// Foreign are lines on ports that Ferrodur did not write, by port; of a very long list the
	// first ones.
	Foreign map[string][]string `json:"foreign,omitempty"`
}

// Drift is a port that is not what was asked for.
type Drift struct {
	Port    string   `json:"port"`
	Server  string   `json:"server,omitempty"`
	Lines   []string `json:"lines,omitempty"`   // that lead to what was asked for
	Problem string   `json:"problem,omitempty"` // where lines do not say it
	// Heal is what was asked for, where the operator wants drift of this switch undone.
	Heal *ConfigurePortInput `json:"heal,omitempty"`
}

// Waiting are the changes that nobody has begun.
func (s SwitchState) Waiting() int {
	n := 0
	for _, q := range s.Queue {
		if !q.Applying {
			n++
		}
	}
	return n
}

// Standing is the mode in a few words.
func (s SwitchState) Standing() string {
	switch s.Mode {
	case ModeApprove:
		return "asks before each change"
	case ModeDryRun:
		return "dry run"
	}
	return string(cmp.Or(s.Mode, ModeApply))
}
