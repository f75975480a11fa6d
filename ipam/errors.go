package ipam

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// ErrNoPool is what every *NoPoolError is.
var ErrNoPool = errors.New("no pool: declare one with starter apply")

// ErrNotHeld says that nobody, or not the one named, holds an address.
var ErrNotHeld = errors.New("not held")

// NoDomainError says that there is no routing domain of a name.
type NoDomainError struct{ Name string }

func (e *NoDomainError) Error() string {
	return fmt.Sprintf("there is no routing domain %q: declare it with starter apply", e.Name)
}

func (e *NoDomainError) refusal() {}

// NoPoolError says that a site has no pool of a role, for whoever asked.
type NoPoolError struct {
	Domain, Site string
	Role         Role
	Family       Family // 0: of either
}

func (e *NoPoolError) Error() string {
	what := string(e.Role)
	if e.Family != 0 {
		what = fmt.Sprintf("%s %s", e.Family, e.Role)
	}
	return fmt.Sprintf("%s at %s: %s", what, e.Site, ErrNoPool)
}

func (e *NoPoolError) Unwrap() error { return ErrNoPool }
func (e *NoPoolError) refusal()      {}

// ExhaustedError says that a site's pools have no free block of a length. NextFree is
// when the next resting one is free; zero if none rests.
type ExhaustedError struct {
	Site     string
	Role     Role
	Family   Family
	Bits     int
	NextFree time.Time
}

func (e *ExhaustedError) Error() string {
	text := fmt.Sprintf("the %s pools of role %s at %s have no free /%d", e.Family, e.Role, e.Site, e.Bits)
	if e.NextFree.IsZero() {
		return text + ": add a pool, or return instances"
	}
	return text + fmt.Sprintf(": the next one rests until %s", e.NextFree.UTC().Format(time.RFC3339))
}

func (e *ExhaustedError) refusal() {}

// LimitError says that a request would take a tenant over his limit.
type LimitError struct {
	LimitUsage
	Wanted float64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("tenant %s holds %.0f of the %.0f %s addresses he may have, and %.0f more are wanted: raise the limit, or release some",
		e.Tenant, e.Held, e.Addresses, e.Family, e.Wanted)
}

func (e *LimitError) refusal() {}

// TakenError says that a chosen prefix, or a part of it, is not free. By is the allocation
// in its way; its zero value where the prefix is in no pool for the caller.
type TakenError struct {
	Prefix netip.Prefix
	By     Allocation
}

func (e *TakenError) Error() string {
	switch {
	case e.By.Owner == "":
		return fmt.Sprintf("%s is not free, or in no pool for this request", e.Prefix)
	case e.By.Kind == KindReserved:
		return fmt.Sprintf("%s is reserved (%s): %s", e.Prefix, e.By.Prefix, e.By.Reason)
	case !e.By.RestsUntil.IsZero():
		return fmt.Sprintf("%s rests until %s", e.Prefix, e.By.RestsUntil.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("%s is held by %s (%s)", e.Prefix, e.By.Owner, e.By.Prefix)
}

func (e *TakenError) refusal() {}

// OverlapError says that a pool, or a reserved prefix, shares addresses with another.
type OverlapError struct {
	Pool, Other string // Other is empty where the database does not tell
	Prefix      netip.Prefix
}

func (e *OverlapError) Error() string {
	if e.Other == "" {
		return fmt.Sprintf("%s: %s overlaps another pool or reserved prefix", e.Pool, e.Prefix)
	}
	return fmt.Sprintf("%s: %s overlaps %s", e.Pool, e.Prefix, e.Other)
}

// InUseError says that a pool cannot be changed while something of it is held or rests.
type InUseError struct {
	Pool string
	Held int64
	What string // "prefix", "site", "role", "source" or "declaration"
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("pool %s: its %s cannot change while %d of its allocations are held or rest", e.Pool, e.What, e.Held)
}

// SourceError says that an outside system did not do what was asked of it for a pool. It is
// worth asking again.
type SourceError struct {
	Pool, Source string
	Err          error
}

func (e *SourceError) Error() string {
	return fmt.Sprintf("pool %s, which is kept in %s: %v", e.Pool, e.Source, e.Err)
}

func (e *SourceError) Unwrap() error { return e.Err }

// ConflictError says that an outside system gave out what somebody else still holds here.
// A person must find out who has it.
type ConflictError struct {
	Owner string
	Given []netip.Prefix
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("the outside system gave %s to %s, but somebody else holds a part of it here: see `starter ip show`, and mend the outside system or release it here",
		e.Given, e.Owner)
}

func (e *ConflictError) refusal() {}

// InvalidError says what is wrong with a pool or a request.
type InvalidError struct {
	What, Reason string
}

func (e *InvalidError) Error() string { return e.What + ": " + e.Reason }
func (e *InvalidError) refusal()      {}
