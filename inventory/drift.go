package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
)

// AskedPort is what was last asked for a port and carried out: what it should be.
type AskedPort struct {
	Switch, Port, Server string
	Asked                json.RawMessage // in the words of whoever asks
	At                   time.Time
	Linked               bool // the port had a link when it was last seen
}

// KeepAsked keeps what ports of a switch should be, and are by now: they have not drifted.
func (s *Store) KeepAsked(ctx context.Context, ports []AskedPort) error {
	var batch pgx.Batch
	for _, p := range ports {
		batch.Queue(`INSERT INTO inventory.asked_ports (switch, port, server, asked, linked) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (switch, port) DO UPDATE SET server = $3, asked = $4, linked = $5, asked_at = now()`, p.Switch, p.Port, p.Server, p.Asked, p.Linked)
		batch.Queue(`DELETE FROM inventory.drift WHERE switch = $1 AND port = $2`, p.Switch, p.Port)
	}
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("keep what was asked for %d ports: %w", len(ports), err)
	}
	return nil
}

// AskedPorts are those of a switch, by port.
func (s *Store) AskedPorts(ctx context.Context, name string) ([]AskedPort, error) {
	return list(ctx, s.pool, pgx.RowToStructByPos[AskedPort], KindSwitch,
		`SELECT switch, port, server, asked, asked_at, linked FROM inventory.asked_ports WHERE switch = $1 ORDER BY port COLLATE "C"`, name)
}

// Carriers are the instances whose ports were last asked to carry one of some blocks.
func (s *Store) Carriers(ctx context.Context, blocks []netip.Prefix) ([]string, error) {
	var texts []string
	for _, block := range blocks {
		texts = append(texts, block.String())
	}
	return list(ctx, s.pool, pgx.RowTo[string], KindInstance,
		`SELECT DISTINCT asked->>'instance' FROM inventory.asked_ports WHERE asked->'blocks' ?| $1::text[] AND asked->>'instance' <> '' ORDER BY 1`, texts)
}

// Drift is a port that was not what was asked for when its switch was last compared.
type Drift struct {
	Switch  string    `json:"switch"`
	Port    string    `json:"port"`
	Server  string    `json:"server,omitempty"`
	Lines   []string  `json:"lines"`             // that lead to what was asked for
	Problem string    `json:"problem,omitempty"` // where lines do not say it
	Since   time.Time `json:"since"`             // first seen
	SeenAt  time.Time `json:"seen_at"`
}

// KeepDrift keeps what a comparison of a switch has found, and forgets what it did not
// find again; and which of its ports had a link.
func (s *Store) KeepDrift(ctx context.Context, name string, found []Drift, linked []string) error {
	return s.inTransaction(ctx, func(tx pgx.Tx) error {
		ports := []string{}
		for _, d := range found {
			ports = append(ports, d.Port)
			_, err := tx.Exec(ctx, `INSERT INTO inventory.drift (switch, port, server, lines, problem) VALUES ($1, $2, $3, coalesce($4::text[], '{}'), $5)
				ON CONFLICT (switch, port) DO UPDATE SET server = $3, lines = coalesce($4::text[], '{}'), problem = $5, seen_at = now()`,
				name, d.Port, d.Server, d.Lines, d.Problem)
			if err != nil {
				return fmt.Errorf("keep drift of port %s of switch %s: %w", d.Port, name, err)
			}
		}
		if _, err := tx.Exec(ctx, `DELETE FROM inventory.drift WHERE switch = $1 AND NOT port = ANY($2)`, name, ports); err != nil {
			return fmt.Errorf("forget drift of switch %s: %w", name, err)
		}
		if _, err := tx.Exec(ctx, `UPDATE inventory.asked_ports SET linked = port = ANY(coalesce($2::text[], '{}')) WHERE switch = $1`, name, linked); err != nil {
			return fmt.Errorf("keep links of switch %s: %w", name, err)
		}
		_, err := tx.Exec(ctx, `UPDATE inventory.switches SET audited_at = now() WHERE name = $1`, name)
		if err != nil {
			return fmt.Errorf("note the comparison of switch %s: %w", name, err)
		}
		return nil
	})
}

// Drift is what the last comparisons have found, by switch and port; of one switch, if it
// is named.
func (s *Store) Drift(ctx context.Context, name string) ([]Drift, error) {
	return list(ctx, s.pool, pgx.RowToStructByPos[Drift], KindSwitch,
		`SELECT switch, port, server, lines, problem, since, seen_at FROM inventory.drift
		WHERE $1 = '' OR switch = $1 ORDER BY switch, port COLLATE "C"`, name)
}

// Audited is when switches were last compared; those that never were are not in it.
func (s *Store) Audited(ctx context.Context) (map[string]time.Time, error) {
	type row struct {
		Name string
		At   time.Time
	}
	rows, err := list(ctx, s.pool, pgx.RowToStructByPos[row], KindSwitch, `SELECT name, audited_at FROM inventory.switches WHERE audited_at IS NOT NULL`)
	audited := map[string]time.Time{}
	for _, r := range rows {
		audited[r.Name] = r.At
	}
	return audited, err
}
