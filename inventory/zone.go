package inventory

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Zone is a zone of the DNS that takes the names of a site's instances, or of their
// addresses.
type Zone struct {
	Name      string // such as "ewr1.example.net" or "100.51.198.in-addr.arpa"
	Site      string
	Server    string // host:port of the primary
	Key       string // name of the TSIG key (RFC 8945)
	Algorithm string // such as "hmac-sha256"
	Secret    SecretRef
}

const zoneColumns = `SELECT name, site, server, key, algorithm, secret FROM inventory.zones`

// Zones lists the zones of a site by name.
func (s *Store) Zones(ctx context.Context, site string) ([]Zone, error) {
	return list(ctx, s.pool, pgx.RowToStructByPos[Zone], KindZone, zoneColumns+` WHERE site = $1 ORDER BY name`, site)
}

func (a application) zones(ctx context.Context, d Declaration) error {
	for _, z := range d.Zones {
		if err := checkSecrets("zone "+z.Name, z.Secret); err != nil {
			return err
		}
	}
	return upsert(ctx, a, KindZone, zoneColumns, pgx.RowToStructByPos[Zone], d.Zones,
		func(z Zone) string { return z.Name + " at " + z.Site },
		`INSERT INTO inventory.zones (name, site, server, key, algorithm, secret) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (site, name) DO UPDATE SET server = $3, key = $4, algorithm = $5, secret = $6`,
		func(z Zone) []any { return []any{z.Name, z.Site, z.Server, z.Key, z.Algorithm, z.Secret} })
}
