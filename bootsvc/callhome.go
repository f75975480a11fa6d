package bootsvc

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
)

// CallHome is what an installed instance told about itself at its first boot.
type CallHome struct {
	Instance string
	At       time.Time
	Remote   netip.Addr // where the call came from
	Hostname string
	HostKeys []string // SSH host keys, as in known_hosts without the name
}

// CallHome returns the call of an instance, and whether it came. It outlives the boot
// target; a new install of the instance waits for a new call.
func (s *Store) CallHome(ctx context.Context, instance string) (CallHome, bool, error) {
	call := CallHome{Instance: instance}
	err := s.pool.QueryRow(ctx, `
		SELECT called_at, remote, hostname, host_keys FROM bootsvc.call_homes
		 WHERE instance = $1 AND called_at IS NOT NULL`, instance).
		Scan(&call.At, &call.Remote, &call.Hostname, &call.HostKeys)
	if errors.Is(err, pgx.ErrNoRows) {
		return CallHome{}, false, nil
	}
	if err != nil {
		return CallHome{}, false, fmt.Errorf("call home of %s: %w", instance, err)
	}
	return call, true, nil
}

// ForgetInstance erases what an instance told; its token is dead. Forgetting twice is harmless.
func (s *Store) ForgetInstance(ctx context.Context, instance string) error {
	if _, err := s.pool.Exec(ctx, `DELETE FROM bootsvc.call_homes WHERE instance = $1`, instance); err != nil {
		return fmt.Errorf("forget the call home of %s: %w", instance, err)
	}
	return nil
}

// recordCallHome stores the first call under a token. cloud-init repeats a call whose
// answer was lost; whoever learns the token later cannot change what was told. It returns
// ErrNoTarget for an unknown token.
func (s *Store) recordCallHome(ctx context.Context, token string, call CallHome) error {
	tag, err := s.pool.Exec(ctx, `
		UPDATE bootsvc.call_homes
		   SET called_at = coalesce(called_at, now()),
		       remote    = CASE WHEN called_at IS NULL THEN $2 ELSE remote END,
		       hostname  = CASE WHEN called_at IS NULL THEN $3 ELSE hostname END,
		       host_keys = CASE WHEN called_at IS NULL THEN $4 ELSE host_keys END
		 WHERE token_hash = $1`, hashToken(token), call.Remote, call.Hostname, call.HostKeys)
	if err != nil {
		return fmt.Errorf("store a call home: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNoTarget
	}
	return nil
}
