package inventory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInstanceEnded is returned, wrapped, for whatever is asked of an instance that was
// returned: an order ID is used once.
var ErrInstanceEnded = errors.New("the instance has ended; place a new order under a new ID")

// ErrBadSecretRef is returned, wrapped, for a text that is no secret reference. Its text
// does not repeat the input, which may be the secret itself.
var ErrBadSecretRef = errors.New(`not a secret reference: write "env:NAME" or "file:/absolute/path" and keep the secret there`)

// Kind names a sort of object in errors.
type Kind string

// The kinds.
const (
	KindSite     Kind = "site"
	KindZone     Kind = "zone"
	KindPlan     Kind = "plan"
	KindImage    Kind = "image"
	KindNetwork  Kind = "network"
	KindSwitch   Kind = "switch"
	KindServer   Kind = "server"
	KindInstance Kind = "instance"
	KindUserData Kind = "user data"
	KindEvent    Kind = "event"
	KindBurnIn   Kind = "burn-in"
	KindWipe     Kind = "wipe"
)

// NotFoundError says that the inventory has no such object.
type NotFoundError struct {
	Kind Kind
	Name string
}

func (e NotFoundError) Error() string {
	return fmt.Sprintf("the inventory has no %s %q", e.Kind, e.Name)
}

// NoServerError says that no server of the plan is available at the site.
type NoServerError struct {
	Plan, Site string
	Total      int                 // servers of the plan at the site
	States     map[ServerState]int // the same, by state
	Unfit      int                 // those that are available at switches that cannot carry what is ordered
}

func (e NoServerError) Error() string {
	text := fmt.Sprintf("no %s is available at %s: ", e.Plan, e.Site)
	if e.Total == 0 {
		return text + "the plan has no server there"
	}
	var counts []string
	for _, state := range ServerStates() {
		if n := e.States[state]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, state))
		}
	}
	text += fmt.Sprintf("%d in the plan (%s)", e.Total, strings.Join(counts, ", "))
	if e.Unfit > 0 {
		text += fmt.Sprintf("; switches of %d cannot carry what is ordered", e.Unfit)
	}
	return text
}

// TransitionError says that a server or an instance cannot go from its state to the one
// asked for.
type TransitionError struct {
	Kind     Kind
	Name     string
	From, To string
	Legal    []string // where it can go
}

func (e TransitionError) Error() string {
	return fmt.Sprintf("%s %s is %s and cannot become %s: from there it can become %s",
		e.Kind, e.Name, e.From, e.To, strings.Join(e.Legal, ", "))
}

// HeldError says that a server belongs to another workflow, which alone may move it.
type HeldError struct {
	Server string
	Holder string // workflow ID
	State  ServerState
}

func (e HeldError) Error() string {
	return fmt.Sprintf("server %s is %s and held by %s: end that first", e.Server, e.State, e.Holder)
}

// NotWipedError says that a server's disks may hold a tenant's data, so that nobody else
// gets it.
type NotWipedError struct {
	Server   string
	Instance string // whose data it may be
}

func (e NotWipedError) Error() string {
	return fmt.Sprintf("server %s has no clean wipe since instance %s: wipe it, or, when its disks were replaced, set it to enrolled and give the reason",
		e.Server, e.Instance)
}

// ReasonError says that a transition needs a reason, for the record.
type ReasonError struct {
	Server string
	To     ServerState
}

func (e ReasonError) Error() string {
	return fmt.Sprintf("server %s: give a reason for setting it to %s", e.Server, e.To)
}

// HeldChangeError says that a declaration changes what a held server stands on.
type HeldChangeError struct {
	Server, Holder string
	Field          string // "site", "plan", "switch", "port" or "mac"
	From, To       string
}

func (e HeldChangeError) Error() string {
	return fmt.Sprintf("server %s is held by %s: its %s stays %s and cannot become %s until that has ended",
		e.Server, e.Holder, e.Field, e.From, e.To)
}

// DuplicateError says that two servers, or two switches, claim what only one can have.
type DuplicateError struct {
	What          string // "port sw1 swp1", "MAC 02:00:00:00:00:01"
	First, Second string // two of them
}

func (e DuplicateError) Error() string {
	return fmt.Sprintf("%s is claimed by both %s and %s", e.What, e.First, e.Second)
}

// PortInUseError says that a declaration drops a port that a server is cabled to.
type PortInUseError struct {
	Switch, Port, Server string
}

func (e PortInUseError) Error() string {
	return fmt.Sprintf("switch %s no longer has port %s, but server %s is on it: declare the server elsewhere first",
		e.Switch, e.Port, e.Server)
}

// InvalidError says that a declaration breaks a rule of the schema.
type InvalidError struct {
	What, Rule string
}

func (e InvalidError) Error() string { return fmt.Sprintf("%s is refused by %s", e.What, e.Rule) }

func states[S ~string](list []S) []string {
	texts := make([]string, 0, len(list))
	for _, s := range list {
		texts = append(texts, string(s))
	}
	return slices.Clip(texts)
}
