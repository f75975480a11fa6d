package bootsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"github.com/jackc/pgx/v5"

	"ferrodur/bootsvc/job"
)

// policy is all that the protocols know of the boot targets: whose turn it is, and what
// was heard. Store is the one that serves. All look-ups return ErrNoTarget.
type policy interface {
	targetOfMAC(ctx context.Context, mac string) (live, error)
	targetOfAddress(ctx context.Context, address netip.Addr) (live, error)
	targetOfToken(ctx context.Context, token string) (live, error)

	reach(ctx context.Context, target string, phase job.Phase) error
	trouble(ctx context.Context, target, what string) error
	progress(ctx context.Context, target string, p job.Progress) error
	storeResult(ctx context.Context, target string, r job.Result) error
	recordCallHome(ctx context.Context, token string, call CallHome) error
}

// live is a live boot target with what the agent side needs of it.
type live struct {
	Target
	token         string
	callHomeToken string
	hasResult     bool
	release       job.Action
}

var _ policy = (*Store)(nil)

func (s *Store) targetOfMAC(ctx context.Context, mac string) (live, error) {
	return s.live(ctx, `mac = $1::text::macaddr`, mac)
}

func (s *Store) targetOfAddress(ctx context.Context, address netip.Addr) (live, error) {
	return s.live(ctx, `host(address) = $1`, address.Unmap().String())
}

func (s *Store) targetOfToken(ctx context.Context, token string) (live, error) {
	target, err := s.live(ctx, `token_hash = $1`, hashToken(token))
	if err == nil && !sameToken(target.token, token) {
		return live{}, ErrNoTarget
	}
	return target, err
}

func (s *Store) live(ctx context.Context, condition string, key any) (live, error) {
	var t live
	var mac string
	var relay *netip.Addr
	var order, tokenKey []byte
	var release *job.Action
	err := s.pool.QueryRow(ctx, `
		SELECT id, server, mac::text, relay_port, relay, address, kind, spec, token_key, result IS NOT NULL, release
		  FROM bootsvc.targets WHERE ended_at IS NULL AND `+condition, key).
		Scan(&t.ID, &t.Server, &mac, &t.RelayPort, &relay, &t.Link, &t.Kind, &order, &tokenKey, &t.hasResult, &release)
	if errors.Is(err, pgx.ErrNoRows) {
		return live{}, ErrNoTarget
	}
	if err != nil {
		return live{}, fmt.Errorf("look a boot target up: %w", err)
	}
	var parts spec
	if err := json.Unmarshal(order, &parts); err != nil {
		return live{}, fmt.Errorf("boot target %s: its order in the database cannot be read", t.ID)
	}
	t.MAC, t.Inspect, t.Install, t.BurnIn = mac, parts.Inspect, parts.Install, parts.BurnIn
	if relay != nil {
		t.Relay = *relay
	}
	if release != nil {
		t.release = *release
	}
	t.token = deriveToken(tokenKey, t.ID, agentToken)
	t.callHomeToken = deriveToken(tokenKey, t.ID, callHomeToken)
	return t, nil
}

// bootLost is the trouble of a machine that asks for an address again though its agent
// should be coming up.
const bootLost = "the kernel was fetched but no agent came up before the machine booted again: look at its console"

// reach records a phase. Once the result is stored only PhaseLeaving moves a target on: a
// machine that is reset then must not make a finished job look unfinished.
func (s *Store) reach(ctx context.Context, target string, phase job.Phase) error {
	return s.record(ctx, target, "record phase "+string(phase), `
		UPDATE bootsvc.targets
		   SET phase      = CASE WHEN result IS NULL OR $2 = 'leaving' THEN $2 ELSE phase END,
		       done       = CASE WHEN result IS NULL AND phase <> $2 THEN 0 ELSE done END,
		       total      = CASE WHEN result IS NULL AND phase <> $2 THEN 0 ELSE total END,
		       message    = CASE WHEN result IS NULL AND phase <> $2 THEN '' ELSE message END,
		       reached    = jsonb_build_object($2::text, now()) || reached,
		       trouble    = CASE WHEN $2 = 'dhcp' AND phase = 'kernel' THEN $3 ELSE trouble END,
		       trouble_at = CASE WHEN $2 = 'dhcp' AND phase = 'kernel' THEN now() ELSE trouble_at END,
		       heard_at   = now(), revision = revision + 1
		 WHERE id = $1 AND ended_at IS NULL`, string(phase), bootLost)
}

// trouble records what went wrong. A machine that repeats itself is written down once a second.
func (s *Store) trouble(ctx context.Context, target, what string) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE bootsvc.targets SET trouble = $2, trouble_at = now(), revision = revision + 1
		 WHERE id = $1 AND ended_at IS NULL AND (trouble <> $2 OR trouble_at < now() - interval '1 second')`, target, what)
	if err != nil {
		return fmt.Errorf("boot target %s: record its trouble: %w", target, err)
	}
	return nil
}

func (s *Store) progress(ctx context.Context, target string, p job.Progress) error {
	const most = 1<<63 - 1 // of PostgreSQL's bigint
	return s.record(ctx, target, "record progress", `
		UPDATE bootsvc.targets
		   SET phase    = CASE WHEN result IS NULL THEN $2 ELSE phase END,
		       done     = CASE WHEN result IS NULL THEN $3 ELSE done END,
		       total    = CASE WHEN result IS NULL THEN $4 ELSE total END,
		       message  = CASE WHEN result IS NULL THEN $5 ELSE message END,
		       reached  = jsonb_build_object($2::text, now()) || reached,
		       heard_at = now(), revision = revision + 1
		 WHERE id = $1 AND ended_at IS NULL`,
		string(p.Phase), int64(min(p.Done, most)), int64(min(p.Total, most)), p.Message)
}

// storeResult ends the job. The first result counts: an agent that got no answer posts the
// same again.
func (s *Store) storeResult(ctx context.Context, target string, r job.Result) error {
	return s.record(ctx, target, "store the result", `
		UPDATE bootsvc.targets
		   SET result   = coalesce(result, $2::json),
		       phase    = CASE WHEN result IS NULL THEN 'done' ELSE phase END,
		       message  = CASE WHEN result IS NULL THEN '' ELSE message END,
		       reached  = jsonb_build_object('done', now()) || reached,
		       heard_at = now(), revision = revision + 1
		 WHERE id = $1 AND ended_at IS NULL`, r)
}

// record runs an update of one live target, whose ID is $1. It returns ErrNoTarget when it has ended meanwhile.
func (s *Store) record(ctx context.Context, target, what, update string, args ...any) error {
	tag, err := s.pool.Exec(ctx, update, append([]any{target}, args...)...)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNoTarget
	}
	if err != nil {
		return fmt.Errorf("boot target %s: %s: %w", target, what, err)
	}
	return nil
}
