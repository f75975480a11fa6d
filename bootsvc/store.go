package bootsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"ferrodur/bootsvc/job"
)

// Store keeps the boot targets in PostgreSQL. Its methods may be called from many
// goroutines and processes at once; each is one transaction.
type Store struct {
	pool *pgxpool.Pool
}

// NewStore returns a Store on a database that Migrate has seen.
func NewStore(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// spec is the part of a target that only its job needs. It is erased with the target.
type spec struct {
	Inspect *job.InspectSpec `json:"inspect,omitempty"`
	Install *InstallOrder    `json:"install,omitempty"`
	BurnIn  *job.BurnInSpec  `json:"burn_in,omitempty"`
}

// endTargets ends the live targets that the condition after it selects. What is left of a
// target is its story; a month later that goes too.
const endTargets = `
	UPDATE bootsvc.targets
	   SET ended_at = now(), revision = revision + 1, spec = NULL, token_key = NULL, token_hash = NULL
	 WHERE ended_at IS NULL AND `

// Set makes t what its server gets when it boots from the network. The server's earlier
// target ends and its token dies. Setting a live ID again changes nothing, whatever else
// is in t. It returns an InvalidTargetError, ErrTargetEnded, or a TakenError.
func (s *Store) Set(ctx context.Context, t Target) error {
	t, err := t.validate()
	if err != nil {
		return err
	}
	order, err := json.Marshal(spec{Inspect: t.Inspect, Install: t.Install, BurnIn: t.BurnIn})
	if err != nil {
		return fmt.Errorf("set boot target %s: %w", t.ID, err)
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return set(ctx, tx, t, order) })
	var conflict *pgconn.PgError
	if errors.As(err, &conflict) {
		switch conflict.ConstraintName {
		case "one_live_target_per_mac":
			return TakenError{ID: t.ID, What: "MAC " + t.MAC}
		case "one_live_target_per_address":
			return TakenError{ID: t.ID, What: "address " + t.Link.Addr().String()}
		}
	}
	if err != nil {
		// PostgreSQL's error may quote the row and with it user data: the code alone is told.
		if conflict != nil {
			return fmt.Errorf("set boot target %s: PostgreSQL answered SQLSTATE %s", t.ID, conflict.Code)
		}
		return fmt.Errorf("set boot target %s: %w", t.ID, err)
	}
	return nil
}

func set(ctx context.Context, tx pgx.Tx, t Target, order []byte) error {
	// Two callers for one server take turns.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('bootsvc ' || $1, 0))`, t.Server); err != nil {
		return err
	}
	var ended bool
	switch err := tx.QueryRow(ctx, `SELECT ended_at IS NOT NULL FROM bootsvc.targets WHERE id = $1`, t.ID).Scan(&ended); {
	case err == nil && ended:
		return ErrTargetEnded
	case err == nil:
		return nil
	case !errors.Is(err, pgx.ErrNoRows):
		return err
	}
	if _, err := tx.Exec(ctx, endTargets+`server = $1`, t.Server); err != nil {
		return err
	}
	key := newTokenKey()
	_, err := tx.Exec(ctx, `
		INSERT INTO bootsvc.targets (id, server, mac, relay_port, relay, address, kind, spec, token_key, token_hash)
		VALUES ($1, $2, $3::text::macaddr, $4, $5, $6, $7, $8, $9, $10)`,
		t.ID, t.Server, t.MAC, t.RelayPort, addrOrNull(t.Relay), t.Link, t.Kind, order, key, hashToken(deriveToken(key, t.ID, agentToken)))
	if err != nil || t.Install == nil {
		return err
	}
	// An instance that is installed anew has yet to call home.
	_, err = tx.Exec(ctx, `
		INSERT INTO bootsvc.call_homes (instance, target, token_hash) VALUES ($1, $2, $3)
		ON CONFLICT (instance) DO UPDATE SET target = excluded.target, token_hash = excluded.token_hash,
		       called_at = NULL, remote = NULL, hostname = '', host_keys = '{}'`,
		t.Install.Seed.InstanceID, t.ID, hashToken(deriveToken(key, t.ID, callHomeToken)))
	return err
}

func addrOrNull(a netip.Addr) *netip.Addr {
	if !a.IsValid() {
		return nil
	}
	return &a
}

// Clear leaves the server without a boot target: its token is dead, its user data erased.
// Clearing again, or a server that never had one, changes nothing.
func (s *Store) Clear(ctx context.Context, server string) error {
	if _, err := s.pool.Exec(ctx, endTargets+`server = $1`, server); err != nil {
		return fmt.Errorf("clear the boot target of %s: %w", server, err)
	}
	if _, err := s.pool.Exec(ctx, `DELETE FROM bootsvc.targets WHERE ended_at < now() - interval '1 month'`); err != nil {
		return fmt.Errorf("forget the boot targets of last month: %w", err)
	}
	return nil
}

// Release lets the agent of a target go; it learns within a second. Releasing twice is
// harmless. It returns ErrNoTarget, ErrTargetEnded, ErrNoResult while the job is not done,
// or ErrReleased when another action was given before.
func (s *Store) Release(ctx context.Context, id string, then job.Action) error {
	if then != job.Reboot && then != job.PowerOff {
		return fmt.Errorf("release the agent of %s: action %q is neither %s nor %s", id, then, job.Reboot, job.PowerOff)
	}
	tag, err := s.pool.Exec(ctx, `
		UPDATE bootsvc.targets SET release = $2, revision = revision + 1
		 WHERE id = $1 AND ended_at IS NULL AND result IS NOT NULL AND release IS NULL`, id, then)
	if err != nil {
		return fmt.Errorf("release the agent of %s: %w", id, err)
	}
	if tag.RowsAffected() == 1 {
		return nil
	}
	var ended, done bool
	var given *job.Action
	err = s.pool.QueryRow(ctx, `SELECT ended_at IS NOT NULL, result IS NOT NULL, release FROM bootsvc.targets WHERE id = $1`, id).
		Scan(&ended, &done, &given)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = ErrNoTarget
	case err != nil:
	case ended:
		err = ErrTargetEnded
	case !done:
		err = ErrNoResult
	case given != nil && *given != then:
		err = ErrReleased
	}
	if err != nil {
		return fmt.Errorf("release the agent of %s: %w", id, err)
	}
	return nil
}
