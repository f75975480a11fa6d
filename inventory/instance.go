package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Instance is one customer's tenancy of one server. Its ID is the workflow's.
type Instance struct {
	ID       string
	Server   string // the one it has or had; empty if it ended without one
	Plan     string
	Site     string
	Image    string
	Hostname string
	State    InstanceState
	Reason   string
	Ordered  time.Time
	// The zero time where it has not come to that. What is billed runs from UsageStarted
	// to UsageStopped.
	UsageStarted time.Time
	UsageStopped time.Time
	Ended        time.Time
}

// InstanceFilter selects instances. Empty fields select all.
type InstanceFilter struct {
	Site  string
	Plan  string
	State InstanceState
}

const instanceColumns = `SELECT id, coalesce(server, ''), plan, site, image, hostname, state, reason,
	ordered, usage_started, usage_stopped, ended FROM inventory.instances`

func scanInstance(row pgx.CollectableRow) (Instance, error) {
	var (
		i                                 Instance
		usageStarted, usageStopped, ended *time.Time
	)
	err := row.Scan(&i.ID, &i.Server, &i.Plan, &i.Site, &i.Image, &i.Hostname, &i.State, &i.Reason,
		&i.Ordered, &usageStarted, &usageStopped, &ended)
	for _, optional := range []struct{ to, from *time.Time }{
		{&i.UsageStarted, usageStarted}, {&i.UsageStopped, usageStopped}, {&i.Ended, ended},
	} {
		if optional.from != nil {
			*optional.to = *optional.from
		}
	}
	return i, err
}

// Instance returns one instance, or a NotFoundError.
func (s *Store) Instance(ctx context.Context, id string) (Instance, error) {
	return one(ctx, s.pool, scanInstance, KindInstance, id, instanceColumns+` WHERE id = $1`, id)
}

// Instances lists the instances that the filter selects, oldest first.
func (s *Store) Instances(ctx context.Context, filter InstanceFilter) ([]Instance, error) {
	return list(ctx, s.pool, scanInstance, KindInstance, instanceColumns+
		` WHERE ($1 = '' OR site = $1) AND ($2 = '' OR plan = $2) AND ($3 = '' OR state = $3) ORDER BY ordered, id`,
		filter.Site, filter.Plan, string(filter.State))
}

// InstanceTransition moves an instance, and its server with it.
type InstanceTransition struct {
	Instance string
	To       InstanceState
	Reason   string
}

// SetInstanceState moves an instance and its server to a state. The state it has already
// is fine; usage starts and stops at the first time only. From InstanceProvisioning on
// the server counts as holding the tenant's data, until a clean wipe is stored.
//
// It returns a NotFoundError, ErrInstanceEnded, or a TransitionError.
func (s *Store) SetInstanceState(ctx context.Context, t InstanceTransition) error {
	return s.inTransaction(ctx, func(tx pgx.Tx) error {
		instance, err := lockInstance(ctx, tx, t.Instance)
		if err != nil {
			return err
		}
		if instance.State == InstanceEnded {
			return fmt.Errorf("set %s to %s: %w", t.Instance, t.To, ErrInstanceEnded)
		}
		if next := instance.next(); t.To != instance.State && !slices.Contains(next, t.To) {
			return TransitionError{Kind: KindInstance, Name: t.Instance,
				From: string(instance.State), To: string(t.To), Legal: states(next)}
		}
		_, err = tx.Exec(ctx, `UPDATE inventory.instances SET state = $2, reason = $3,
			usage_started = CASE WHEN $4 THEN coalesce(usage_started, now()) ELSE usage_started END,
			usage_stopped = CASE WHEN NOT $4 AND usage_started IS NOT NULL THEN coalesce(usage_stopped, now()) ELSE usage_stopped END
			WHERE id = $1`, t.Instance, t.To, t.Reason, t.To == InstanceActive)
		if err != nil {
			return fmt.Errorf("set %s to %s: %w", t.Instance, t.To, err)
		}
		server, err := lockServer(ctx, tx, instance.Server)
		if err != nil {
			return err
		}
		if t.To == InstanceProvisioning {
			server.Unwiped = t.Instance
		}
		return move(ctx, tx, server, Transition{Server: server.Name, To: t.To.server(), Reason: t.Reason, Workflow: t.Instance})
	})
}

// next lists the states that the instance can go to. One whose usage was stopped is not
// served again.
func (i Instance) next() []InstanceState {
	return slices.DeleteFunc(i.State.Next(), func(to InstanceState) bool {
		return !i.UsageStopped.IsZero() && (to == InstanceProvisioning || to == InstanceActive)
	})
}

// EndInstance ends a tenancy for good: its server goes to next (Available, or Parked for
// a reason), its user data is removed, its ID is used up. An instance that has ended
// stays as it is; one that never was is noted as ended, so that a Reserve that comes late
// reserves nothing.
//
// It returns a NotWipedError when next is Available and the server has no clean wipe
// since the instance was provisioned, and a TransitionError for an instance still active.
func (s *Store) EndInstance(ctx context.Context, id string, next ServerState, reason string) error {
	return s.inTransaction(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO inventory.instances (id, plan, site, image, hostname, state, reason, ended)
			VALUES ($1, '', '', '', '', 'ended', $2, now()) ON CONFLICT (id) DO NOTHING`, id, reason)
		if err != nil {
			return fmt.Errorf("end %s: %w", id, err)
		}
		if tag.RowsAffected() == 0 {
			err = endKnown(ctx, tx, id, next, reason)
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM inventory.user_data WHERE instance = $1`, id); err != nil {
			return fmt.Errorf("remove the user data of %s: %w", id, err)
		}
		return nil
	})
}

func endKnown(ctx context.Context, tx pgx.Tx, id string, next ServerState, reason string) error {
	instance, err := lockInstance(ctx, tx, id)
	if err != nil || instance.State == InstanceEnded {
		return err
	}
	if instance.State == InstanceActive {
		return TransitionError{Kind: KindInstance, Name: id,
			From: string(InstanceActive), To: string(InstanceEnded), Legal: states(instance.next())}
	}
	server, err := lockServer(ctx, tx, instance.Server)
	if err != nil {
		return err
	}
	server.Instance, server.Holder = "", ""
	if err := move(ctx, tx, server, Transition{Server: server.Name, To: next, Reason: reason, Workflow: id}); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE inventory.instances SET state = 'ended', reason = $2, ended = now(),
		usage_stopped = CASE WHEN usage_started IS NOT NULL THEN coalesce(usage_stopped, now()) END
		WHERE id = $1`, id, reason)
	if err != nil {
		return fmt.Errorf("end %s: %w", id, err)
	}
	return nil
}

// lockInstance reads an instance and keeps others from changing it until tx ends.
// Instances are locked before their servers, everywhere, so that two transactions never
// wait for each other.
func lockInstance(ctx context.Context, tx pgx.Tx, id string) (Instance, error) {
	return one(ctx, tx, scanInstance, KindInstance, id, instanceColumns+` WHERE id = $1 FOR UPDATE`, id)
}

// PutUserData keeps the user data of an order until its instance ends; putting it again
// replaces it. It may come before Reserve. The content is secret: it is in no log and no
// error. It returns ErrInstanceEnded for an instance that was returned.
func (s *Store) PutUserData(ctx context.Context, instance string, content []byte) error {
	return s.inTransaction(ctx, func(tx pgx.Tx) error {
		known, err := lockInstance(ctx, tx, instance)
		if missing := (NotFoundError{}); err != nil && !errors.As(err, &missing) {
			return err
		}
		if known.State == InstanceEnded {
			return fmt.Errorf("put user data for %s: %w", instance, ErrInstanceEnded)
		}
		_, err = tx.Exec(ctx, `INSERT INTO inventory.user_data (instance, content) VALUES ($1, $2)
			ON CONFLICT (instance) DO UPDATE SET content = excluded.content, stored = now()`, instance, content)
		if err != nil {
			return fmt.Errorf("put user data for %s: %w", instance, err)
		}
		return nil
	})
}

// UserData returns the user data of an instance, or a NotFoundError.
func (s *Store) UserData(ctx context.Context, instance string) ([]byte, error) {
	return one(ctx, s.pool, pgx.RowTo[[]byte], KindUserData, instance,
		`SELECT content FROM inventory.user_data WHERE instance = $1`, instance)
}
