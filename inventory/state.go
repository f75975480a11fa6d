package inventory

// ServerState says where a server stands in its life.
type ServerState string

// The states of a server. Parked waits for an operator after a failure; Maintenance is
// an operator's own work on it.
const (
	Enrolled     ServerState = "enrolled"
	Inspecting   ServerState = "inspecting"
	BurningIn    ServerState = "burning-in"
	Available    ServerState = "available"
	Reserved     ServerState = "reserved"
	Provisioning ServerState = "provisioning"
	Active       ServerState = "active"
	Wiping       ServerState = "wiping"
	Parked       ServerState = "parked"
	Maintenance  ServerState = "maintenance"
	Retired      ServerState = "retired"
)

// ServerStates lists the states in the order of a server's life.
func ServerStates() []ServerState {
	return []ServerState{Enrolled, Inspecting, BurningIn, Available, Reserved, Provisioning, Active, Wiping,
		Parked, Maintenance, Retired}
}

// Next lists the states that a server can go to from s, without s itself.
func (s ServerState) Next() []ServerState {
	var next []ServerState
	switch s {
	case Enrolled:
		next = []ServerState{Inspecting}
	case Inspecting:
		next = []ServerState{BurningIn, Enrolled}
	case BurningIn:
		next = []ServerState{Available, Inspecting, Enrolled}
	case Available:
		next = []ServerState{Reserved, Inspecting, BurningIn, Wiping, Enrolled}
	case Reserved:
		next = []ServerState{Provisioning, Wiping, Available}
	case Provisioning:
		next = []ServerState{Active, Wiping}
	case Active:
		next = []ServerState{Wiping}
	case Wiping:
		next = []ServerState{Available, Enrolled, BurningIn}
	case Parked: // a retry goes on where it stopped
		next = []ServerState{Enrolled, Inspecting, BurningIn, Available, Reserved, Provisioning, Active, Wiping}
	case Maintenance:
		next = []ServerState{Enrolled, Inspecting, BurningIn, Available, Wiping}
	case Retired:
		next = []ServerState{Enrolled}
	default:
		return nil
	}
	for _, side := range []ServerState{Parked, Maintenance, Retired} {
		if side != s {
			next = append(next, side)
		}
	}
	return next
}

// InstanceState says where an instance stands.
type InstanceState string

// The states of an instance. Usage counts from the first moment of InstanceActive to the
// first moment of whatever follows it. InstanceEnded is reached by EndInstance only.
const (
	InstanceReserved     InstanceState = "reserved"
	InstanceProvisioning InstanceState = "provisioning"
	InstanceActive       InstanceState = "active"
	InstanceReturning    InstanceState = "returning"
	InstanceWiping       InstanceState = "wiping"
	InstanceParked       InstanceState = "parked"
	InstanceEnded        InstanceState = "ended"
)

// Next lists the states that an instance can go to from s, without s itself.
func (s InstanceState) Next() []InstanceState {
	switch s {
	case InstanceReserved:
		return []InstanceState{InstanceProvisioning, InstanceReturning, InstanceWiping, InstanceParked}
	case InstanceProvisioning:
		return []InstanceState{InstanceActive, InstanceReturning, InstanceWiping, InstanceParked}
	case InstanceActive:
		return []InstanceState{InstanceReturning, InstanceWiping, InstanceParked}
	case InstanceReturning:
		return []InstanceState{InstanceWiping, InstanceParked}
	case InstanceWiping:
		return []InstanceState{InstanceParked}
	case InstanceParked:
		return []InstanceState{InstanceProvisioning, InstanceActive, InstanceReturning, InstanceWiping}
	}
	return nil
}

// server is the state of the server of an instance in state s. One that is being
// returned no longer counts as active: it is on its way to be wiped.
func (s InstanceState) server() ServerState {
	if s == InstanceReturning {
		return Wiping
	}
	return ServerState(s)
}
