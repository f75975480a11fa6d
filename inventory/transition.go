package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Transition moves a server to a state.
type Transition struct {
	Server string
	To     ServerState
	Reason string
	// Who moves it: Workflow is the ID of the workflow that does, Actor the person or
	// program where there is no workflow. A held server is moved by its holder only.
	Workflow string
	Actor    string
}

// Event is one entry of a server's history.
type Event struct {
	Server   string      `json:"server"`
	From     ServerState `json:"from"`
	To       ServerState `json:"to"`
	Reason   string      `json:"reason,omitempty"`
	Actor    string      `json:"actor,omitempty"`
	Workflow string      `json:"workflow,omitempty"`
	At       time.Time   `json:"at"`
}

// SetServerState moves a server. The state it has already is fine; a new reason is noted.
// It returns a HeldError when someone else holds the server, a TransitionError when the
// state cannot be reached, a NotWipedError when the disks may hold a tenant's data, and a
// ReasonError when an operator sets a server to Enrolled without saying why: that is
// his word that the disks may go into service again.
func (s *Store) SetServerState(ctx context.Context, t Transition) error {
	return s.changeServer(ctx, t, func(*Server) (bool, error) { return true, nil })
}

// Take gives a server that nobody holds to t.Workflow, in the state t.To. Taking it again
// is fine. Errors are those of SetServerState; a server whose disks may hold a tenant's
// data can be taken to be wiped only.
func (s *Store) Take(ctx context.Context, t Transition) error {
	return s.changeServer(ctx, t, func(server *Server) (bool, error) {
		if server.Holder != "" && server.Holder != t.Workflow {
			return false, heldBy(*server)
		}
		if server.Unwiped != "" && server.Instance == "" && t.To != Wiping {
			return false, NotWipedError{Server: server.Name, Instance: server.Unwiped}
		}
		server.Holder = t.Workflow
		return true, nil
	})
}

// Leave gives back a server that t.Workflow took, in the state t.To. When that workflow
// does not hold the server, or there is no such server, nothing changes. Errors are those
// of SetServerState.
func (s *Store) Leave(ctx context.Context, t Transition) error {
	err := s.changeServer(ctx, t, func(server *Server) (bool, error) {
		if server.Holder == "" || server.Holder != t.Workflow || server.Instance != "" {
			return false, nil
		}
		server.Holder = ""
		return true, nil
	})
	if missing := (NotFoundError{}); errors.As(err, &missing) {
		return nil
	}
	return err
}

// Events returns the history of a server, oldest first.
func (s *Store) Events(ctx context.Context, server string) ([]Event, error) {
	return list(ctx, s.pool, pgx.RowToStructByPos[Event], KindEvent,
		`SELECT server, from_state, to_state, reason, actor, workflow, at FROM inventory.events WHERE server = $1 ORDER BY id`, server)
}

// changeServer locks a server, lets own change who holds it, and moves it. When own
// answers false, nothing changes.
func (s *Store) changeServer(ctx context.Context, t Transition, own func(*Server) (bool, error)) error {
	return s.inTransaction(ctx, func(tx pgx.Tx) error {
		server, err := lockServer(ctx, tx, t.Server)
		if err != nil {
			return err
		}
		if goOn, err := own(&server); err != nil || !goOn {
			return err
		}
		return move(ctx, tx, server, t)
	})
}

// move stores a server that tx has locked in the state of the transition, with the
// Instance, Holder and Unwiped that it has here, and notes the move in its history.
func move(ctx context.Context, tx pgx.Tx, server Server, t Transition) error {
	if err := t.check(server); err != nil {
		return err
	}
	if t.vouched() {
		server.Unwiped = ""
	}
	_, err := tx.Exec(ctx, `UPDATE inventory.servers SET state = $2, state_reason = $3,
		instance = nullif($4, ''), holder = nullif($5, ''), unwiped = nullif($6, '') WHERE name = $1`,
		server.Name, t.To, t.Reason, server.Instance, server.Holder, server.Unwiped)
	if err != nil {
		return fmt.Errorf("move server %s from %s to %s: %w", server.Name, server.State, t.To, err)
	}
	if server.State == t.To && server.StateReason == t.Reason {
		return nil
	}
	_, err = tx.Exec(ctx, `INSERT INTO inventory.events (server, from_state, to_state, reason, actor, workflow)
		VALUES ($1, $2, $3, $4, $5, $6)`, server.Name, server.State, t.To, t.Reason, t.Actor, t.Workflow)
	if err != nil {
		return fmt.Errorf("note the move of server %s: %w", server.Name, err)
	}
	return nil
}

// check says whether the transition may be made of the server.
func (t Transition) check(server Server) error {
	switch {
	case server.Holder != "" && server.Holder != t.Workflow:
		return heldBy(server)
	case t.To == Available && server.Unwiped != "":
		return NotWipedError{Server: server.Name, Instance: server.Unwiped}
	case t.To != server.State && !slices.Contains(server.Next(), t.To):
		return TransitionError{Kind: KindServer, Name: server.Name,
			From: string(server.State), To: string(t.To), Legal: states(server.Next())}
	case t.vouched() && t.Reason == "":
		return ReasonError{Server: server.Name, To: t.To}
	}
	return nil
}

// vouched says that an operator puts the server back to the start of its life.
func (t Transition) vouched() bool { return t.To == Enrolled && t.Workflow == "" }

func heldBy(server Server) error {
	return HeldError{Server: server.Name, Holder: server.Holder, State: server.State}
}
