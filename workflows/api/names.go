// Package api is what crosses Temporal: the names of task queues, workflows, activities,
// updates, queries and search attributes, and the types they carry. Workflows,
// activities and the SDK in client/ share it; it imports none of them. A field is added,
// never renamed or reused, because running instances replay.
package api

import "strings"

// Task queues that one worker serves for all sites.
const (
	QueueLifecycle = "lifecycle" // workflows and the inventory's activities
	QueueIPAM      = "ipam"
)

// The roles whose work must be near the rack. Each has one task queue a site.
const (
	RoleBoot   = "boot"
	RoleSwitch = "switch"
	RoleBMC    = "bmc"
)

// SiteQueue names the task queue of a role at a site: "boot@ewr1".
func SiteQueue(role, site string) string { return role + "@" + site }

// Workflow types.
const (
	WorkflowInstance = "Instance"
	WorkflowEnroll   = "Enroll"
	WorkflowBurnIn   = "BurnIn"
	WorkflowSwitch   = "Switch"
	WorkflowAudit    = "Audit"
	WorkflowHostKey  = "HostKey"
	WorkflowMove     = "Move"
)

// InstanceID is the workflow ID of an order, and the key of all that the instance holds.
func InstanceID(order string) string { return "instance/" + order }

// MoveID is the workflow ID of a move of an elastic block: there is one at a time.
func MoveID(key ElasticKey) string {
	return strings.Join([]string{"move", key.Domain, key.Owner, key.Name}, "/")
}

// OrderOf is the order of an instance's workflow ID; it undoes InstanceID.
func OrderOf(instanceID string) string { return strings.TrimPrefix(instanceID, "instance/") }

// EnrollID is the workflow ID of a server's enrolment.
func EnrollID(server string) string { return "enroll/" + server }

// BurnInID is the workflow ID of a server's burn-in on demand.
func BurnInID(server string) string { return "burn-in/" + server }

// ServerKey is the key of what a server holds itself, whoever its tenant is.
func ServerKey(server string) string { return "server/" + server }

// Updates. Each answers with the workflow's State. A validator refuses an update that
// does not fit the state, so that it never enters the history.
const (
	UpdateRetry  = "retry"  // parked: run the stage that failed again
	UpdateAbort  = "abort"  // not yet active: stop, undo all that was done, end
	UpdateReturn = "return" // active: end the tenancy
	UpdateRoute  = "route"  // an elastic block came or went: carry those that are here
)

// QueryState answers with the workflow's State.
const QueryState = "state"

// Search attributes. Keywords, but for NeedsAttention, which is a bool: true while an
// operator has to do something.
const (
	SearchServer         = "FerrodurServer"
	SearchSite           = "FerrodurSite"
	SearchPlan           = "FerrodurPlan"
	SearchStage          = "FerrodurStage"
	SearchNeedsAttention = "FerrodurNeedsAttention"
)

// Metrics, with the labels stage, site and plan. Prometheus sees them as
// ferrodur_stage_seconds (a histogram, with the label outcome) and ferrodur_parked_total.
const (
	MetricStage  = "ferrodur_stage"
	MetricParked = "ferrodur_parked"
	// These have the labels switch and site: ports that are not what was asked for, changes that
	// wait, and whether the switch is away or not to be logged in to (1).
	MetricDrift   = "ferrodur_drift_ports"
	MetricWaiting = "ferrodur_switch_waiting"
	MetricAway    = "ferrodur_switch_away"
)

// Types of application errors. Every other error of an activity is worth a retry.
const (
	ErrorRefused  = "Refused"  // the order cannot be met: bad order, no server or address free
	ErrorOperator = "Operator" // a person must act first: credentials refused, cabling, failed hardware
	ErrorStalled  = "Stalled"  // the server was not heard of in time: drive it again through its BMC
	ErrorOutdated = "Outdated" // a port has changed since an operator approved of its change: show it again
	ErrorHeld     = "Held"     // an operator holds back what a switch is to do: ask him again
	ErrorRejected = "Rejected" // an operator has rejected the change of a port: he, or another, has to want it again
	ErrorAborted  = "Aborted"  // an operator stopped the workflow; all it did was undone
)

// HoldsByWorkflow says whether a key is one by which workflows hold things: of an instance
// or of a server.
func HoldsByWorkflow(key string) bool {
	return strings.HasPrefix(key, InstanceID("")) || strings.HasPrefix(key, ServerKey(""))
}
