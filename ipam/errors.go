package ipam

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// ErrNoPool is returned, wrapped, when a site has no pool of a role.
var ErrNoPool = errors.New("no pool: declare one with starter apply")

// ExhaustedError says that every link of a site's pools is held or rests. NextFree is
// when the next resting one is free; zero if none rests.
type ExhaustedError struct {
	Site     string
	Role     Role
	Family   string // "IPv4" or "IPv6"
	NextFree time.Time
}

func (e *ExhaustedError) Error() string {
	text := fmt.Sprintf("the %s pools of role %s at %s have no free link", e.Family, e.Role, e.Site)
	if e.NextFree.IsZero() {
		return text + ": add a pool, or return instances"
	}
	return text + fmt.Sprintf(": the next one rests until %s", e.NextFree.UTC().Format(time.RFC3339))
}

// OverlapError says that two pools share addresses.
type OverlapError struct {
	Pool, Other string // Other is empty where the database does not tell
	Prefix      netip.Prefix
}

func (e *OverlapError) Error() string {
	if e.Other == "" {
		return fmt.Sprintf("pool %s: %s overlaps another pool", e.Pool, e.Prefix)
	}
	return fmt.Sprintf("pool %s: %s overlaps pool %s", e.Pool, e.Prefix, e.Other)
}

// InUseError says that a pool cannot be changed while links of it are held or rest.
type InUseError struct {
	Pool  string
	Links int64
	What  string // "prefix", "site" or "role"
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("pool %s: its %s cannot change while %d of its links are held or rest", e.Pool, e.What, e.Links)
}

// InvalidError says what is wrong with a pool or a request.
type InvalidError struct {
	What, Reason string
}

func (e *InvalidError) Error() string { return e.What + ": " + e.Reason }

// SchemaError says that the database was migrated by a newer program.
type SchemaError struct {
	Has, Knows int64
}

func (e *SchemaError) Error() string {
	return fmt.Sprintf("the schema ipam has version %d, this program knows up to %d: run the newer program", e.Has, e.Knows)
}
