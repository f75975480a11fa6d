package bootsvc

import (
	"errors"
	"fmt"
)

// Errors of the Store. All are wrapped with what was asked; none is cured by asking again.
var (
	// ErrNoTarget says that no boot target has this ID, MAC or token.
	ErrNoTarget = errors.New("there is no such boot target")
	// ErrTargetEnded says that the boot target was cleared or replaced.
	ErrTargetEnded = errors.New("the boot target has ended; set a new one under a new ID")
	// ErrNoResult says that an agent cannot be released yet.
	ErrNoResult = errors.New("the agent has not ended its job; release it once the boot target is done")
	// ErrReleased says that the agent was already told to do something else.
	ErrReleased = errors.New("the agent was already released with another action")
)

// InvalidTargetError says what is wrong with a boot target.
type InvalidTargetError struct {
	ID     string
	Reason string
}

func (e InvalidTargetError) Error() string {
	return fmt.Sprintf("boot target %q: %s", e.ID, e.Reason)
}

// TakenError says that another server's live boot target has the same MAC or address.
type TakenError struct {
	ID   string
	What string // "MAC 52:54:00:00:00:01" or "address 203.0.113.1"
}

func (e TakenError) Error() string {
	return fmt.Sprintf("boot target %q: another server's boot target has the %s; correct the inventory or clear that target", e.ID, e.What)
}
