package api

import (
	"net/netip"
	"time"
)

// Stage is one step of a server's life.
type Stage string

// The stages of an instance, of an enrolment, of a burn-in and of a move, in the order they are
// passed; those of the way back undo those of the way there.
const (
	StageReserve    Stage = "reserve server"
	StageAllocate   Stage = "allocate addresses"
	StageName       Stage = "name addresses"
	StagePort       Stage = "configure port"
	StageInstall    Stage = "install"
	StageConnect    Stage = "connect tenant"
	StageVerify     Stage = "verify"
	StageStartUsage Stage = "start usage"
	StageActive     Stage = "active"
	StageStopUsage  Stage = "stop usage"
	StageDisconnect Stage = "disconnect tenant"
	StageWipe       Stage = "wipe"
	StageClosePort  Stage = "close port"
	StageUnname     Stage = "remove names"
	StageRelease    Stage = "release addresses"
	StageFree       Stage = "free server"

	StageTakeServer Stage = "take server"
	StageCheckBMC   Stage = "check BMC"
	StageInspect    Stage = "inspect"
	StageBurnIn     Stage = "burn in"

	StageBook    Stage = "write into the book"
	StageUnroute Stage = "take from an instance"
	StageRoute   Stage = "give to the instance"
)

// Status says how a workflow stands as a whole.
type Status string

// The statuses.
const (
	StatusRunning Status = "running" // stages are under way
	StatusParked  Status = "parked"  // waits for an operator: retry or abort
	StatusActive  Status = "active"  // the tenant has the server
	StatusUndoing Status = "undoing" // on the way back, after a return, an abort or a failure
	StatusDone    Status = "done"    // ended as wanted; nothing is held
	StatusFailed  Status = "failed"  // ended for the reason given; nothing is held
)

// State is what a workflow answers to QueryState: the whole story so far.
type State struct {
	ID        string         `json:"id"`
	Status    Status         `json:"status"`
	Stage     Stage          `json:"stage"`
	Reason    string         `json:"reason,omitempty"`     // why parked or failed, and what to do
	MayAbort  bool           `json:"may_abort,omitempty"`  // of one that is parked: an operator may give up on it
	ErrorType string         `json:"error_type,omitempty"` // of one that failed, such as ErrorRefused
	Site      string         `json:"site,omitempty"`
	Plan      string         `json:"plan,omitempty"`
	Image     string         `json:"image,omitempty"`
	Server    Server         `json:"server,omitzero"`
	Addresses Links          `json:"addresses,omitzero"`
	Others    []Links        `json:"others,omitempty"`  // links of the server's further uplinks
	Tagged    []Membership   `json:"tagged,omitempty"`  // networks whose frames come tagged
	Blocks    []netip.Prefix `json:"blocks,omitempty"`  // routed to the server
	Elastic   []netip.Prefix `json:"elastic,omitempty"` // blocks that are at the instance, routed to the server
	DNSName   string         `json:"dns_name,omitempty"`
	WaitsFor  string         `json:"waits_for,omitempty"` // a workflow, such as a switch's
	Stages    []StageRecord  `json:"stages"`
}

// Ended says that the workflow has nothing more to do.
func (s State) Ended() bool { return s.Status == StatusDone || s.Status == StatusFailed }

// Outcome is how a stage ended.
type Outcome string

// The outcomes. A running stage has none.
const (
	OutcomeDone    Outcome = "done"
	OutcomeFailed  Outcome = "failed"
	OutcomeAborted Outcome = "aborted"
)

// StageRecord is one run of a stage. A stage that was retried has several.
type StageRecord struct {
	Stage   Stage         `json:"stage"`
	Started time.Time     `json:"started"`
	Took    time.Duration `json:"took_ns,omitempty"`
	Outcome Outcome       `json:"outcome,omitempty"`
	Detail  string        `json:"detail,omitempty"`
}

// Standing says in a few words where a workflow stands: its stage, or, once it has ended,
// how.
func (s State) Standing() string {
	switch {
	case s.Ended() && s.Reason != "":
		return string(s.Status) + ": " + s.Reason
	case s.Ended():
		return string(s.Status)
	case s.Status == StatusRunning:
		return string(s.Stage)
	}
	return string(s.Stage) + " (" + string(s.Status) + ")"
}
