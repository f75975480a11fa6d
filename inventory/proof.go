package inventory

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"ferrodur/report"
)

// BurnIn is the stored outcome of one burn-in run of a server.
type BurnIn struct {
	Server string        `json:"server"`
	Key    string        `json:"key"`
	Report report.BurnIn `json:"report"`
	Stored time.Time     `json:"stored"`
}

// Wipe is the stored proof of one wipe of a server.
type Wipe struct {
	Server   string      `json:"server"`
	Key      string      `json:"key"`
	Instance string      `json:"instance,omitempty"` // whose data it was; empty outside a tenancy
	Clean    bool        `json:"clean"`              // every disk was read back as zero
	Report   report.Wipe `json:"report"`
	Stored   time.Time   `json:"stored"`
}

// StoreBurnIn keeps the outcome of a burn-in. Storing a key again changes nothing.
func (s *Store) StoreBurnIn(ctx context.Context, server, key string, outcome report.BurnIn) error {
	if _, err := s.Server(ctx, server); err != nil {
		return err
	}
	_, err := s.pool.Exec(ctx, `INSERT INTO inventory.burn_ins (server, key, report) VALUES ($1, $2, $3)
		ON CONFLICT (server, key) DO NOTHING`, server, key, outcome)
	if err != nil {
		return fmt.Errorf("store burn-in %s of server %s: %w", key, server, err)
	}
	return nil
}

// StoreWipe keeps the proof of a wipe. Storing a key again changes nothing. If it is
// clean and is of the instance whose data the server may hold, or of a server without
// one, the server counts as wiped.
func (s *Store) StoreWipe(ctx context.Context, server, instance, key string, proof report.Wipe) error {
	return s.inTransaction(ctx, func(tx pgx.Tx) error {
		found, err := lockServer(ctx, tx, server)
		if err != nil {
			return err
		}
		clean := isClean(proof)
		tag, err := tx.Exec(ctx, `INSERT INTO inventory.wipes (server, key, instance, clean, report) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (server, key) DO NOTHING`, server, key, instance, clean, proof)
		if err != nil {
			return fmt.Errorf("store wipe %s of server %s: %w", key, server, err)
		}
		concerns := instance == found.Unwiped || (instance == "" && found.Instance == "")
		if tag.RowsAffected() == 0 || !clean || !concerns {
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE inventory.servers SET unwiped = NULL WHERE name = $1`, server); err != nil {
			return fmt.Errorf("note that server %s is wiped: %w", server, err)
		}
		return nil
	})
}

// isClean says whether every disk was read back and found empty. No disk is no proof.
func isClean(proof report.Wipe) bool {
	for _, disk := range proof.Disks {
		if !disk.Clean {
			return false
		}
	}
	return len(proof.Disks) > 0
}

// BurnIns lists the burn-ins of a server, oldest first.
func (s *Store) BurnIns(ctx context.Context, server string) ([]BurnIn, error) {
	return list(ctx, s.pool, pgx.RowToStructByPos[BurnIn], KindBurnIn,
		`SELECT server, key, report, stored FROM inventory.burn_ins WHERE server = $1 ORDER BY stored, key`, server)
}

// Wipes lists the wipes of a server, oldest first.
func (s *Store) Wipes(ctx context.Context, server string) ([]Wipe, error) {
	return list(ctx, s.pool, pgx.RowToStructByPos[Wipe], KindWipe,
		`SELECT server, key, instance, clean, report, stored FROM inventory.wipes WHERE server = $1 ORDER BY stored, key`, server)
}
