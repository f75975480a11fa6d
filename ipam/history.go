package ipam

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
)

// Action says what was done to an allocation or to a prefix of the tree.
type Action string

// The actions.
const (
	Allocated Action = "allocate"
	Released  Action = "release"
	Moved     Action = "move"
	Declared  Action = "declare" // a prefix of the tree was declared, or changed
	Removed   Action = "remove"  // a prefix of the tree was taken out
)

// Event is one change. Before and After are JSON objects with what was changed of an
// allocation; empty where it was given or taken back.
type Event struct {
	At            time.Time
	Prefix        netip.Prefix
	Action        Action
	Kind          Kind
	Owner         string
	Name          string
	Tenant        string
	By            By
	Before, After json.RawMessage
}

// HistoryFilter selects events. Empty fields select all.
type HistoryFilter struct {
	Domain string       // empty: DefaultDomain, or with an owner and no address all of them
	Of     netip.Prefix // an address, or a prefix, and all that it lies in
	Owner  string
	Since  time.Time
	Until  time.Time
}

// History lists changes, oldest first.
func (s *Store) History(ctx context.Context, filter HistoryFilter) ([]Event, error) {
	domain, err := s.domains.id(ctx, s.pool, cmp.Or(filter.Domain, DefaultDomain))
	if err != nil {
		return nil, err
	}
	id := &domain
	var of []netip.Prefix
	if filter.Of.IsValid() {
		if err := checkPrefix(filter.Of); err != nil {
			return nil, &InvalidError{What: "address", Reason: err.Error()}
		}
		of = supernets(filter.Of, 0)
	} else if filter.Domain == "" {
		id = nil
	}
	until := filter.Until
	if until.IsZero() {
		until = time.Now().Add(time.Hour) // clocks may differ
	}
	rows, err := s.pool.Query(ctx, eventColumns+`
		WHERE ($1::integer IS NULL OR domain = $1) AND ($2::cidr[] IS NULL OR prefix = ANY($2)) AND ($3 = '' OR owner = $3) AND at >= $4 AND at < $5
		ORDER BY at`, id, of, filter.Owner, filter.Since, until)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	events, err := pgx.CollectRows(rows, scanEvent)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return events, nil
}

// HeldAt finds who held an address at a time: the event that gave it to him. It returns
// ErrNotHeld where nobody did.
func (s *Store) HeldAt(ctx context.Context, domain string, address netip.Addr, at time.Time) (Event, error) {
	id, err := s.domains.id(ctx, s.pool, cmp.Or(domain, DefaultDomain))
	if err != nil {
		return Event{}, err
	}
	if err := checkPrefix(netip.PrefixFrom(address, address.BitLen())); err != nil {
		return Event{}, &InvalidError{What: "address", Reason: err.Error()}
	}
	rows, err := s.pool.Query(ctx, eventColumns+`
		WHERE domain = $1 AND prefix = ANY($2) AND at <= $3 AND action NOT IN ('declare', 'remove') ORDER BY at DESC LIMIT 1`,
		id, supernets(netip.PrefixFrom(address, address.BitLen()), 0), at)
	if err != nil {
		return Event{}, fmt.Errorf("holder of %s at %s: %w", address, at, err)
	}
	last, err := pgx.CollectExactlyOneRow(rows, scanEvent)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && last.Action == Released {
		return Event{}, fmt.Errorf("holder of %s at %s: %w", address, at.UTC().Format(time.RFC3339), ErrNotHeld)
	}
	if err != nil {
		return Event{}, fmt.Errorf("holder of %s at %s: %w", address, at, err)
	}
	return last, nil
}

const eventColumns = `SELECT at, prefix, action, kind, owner, name, tenant, actor, workflow, before, after FROM ipam.history`

func scanEvent(row pgx.CollectableRow) (e Event, err error) {
	err = row.Scan(&e.At, &e.Prefix, &e.Action, &e.Kind, &e.Owner, &e.Name, &e.Tenant, &e.By.Actor, &e.By.Workflow, &e.Before, &e.After)
	return e, err
}
