package inventory

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Order asks for a server. Instance is the caller's key: the same key gets the same
// server, however often it asks.
type Order struct {
	Instance string
	Site     string
	Plan     string
	Image    string
	Hostname string
	Networks []string // that the server is to be in; none: it has routed links
	Unfit    []string // platforms of switches whose ports cannot carry what is ordered
}

// Reserve gives an available server to an instance, in one transaction.
//
// It returns a NotFoundError for an unknown site, plan, image or network, a NoServerError when
// none is available, and ErrInstanceEnded for an instance that was returned.
func (s *Store) Reserve(ctx context.Context, order Order) (Server, error) {
	var server Server
	err := s.inTransaction(ctx, func(tx pgx.Tx) error {
		if err := checkOrder(ctx, tx, order); err != nil {
			return err
		}
		// A second attempt of the same order waits here until the first has ended.
		tag, err := tx.Exec(ctx, `INSERT INTO inventory.instances (id, plan, site, image, hostname, state)
			VALUES ($1, $2, $3, $4, $5, 'reserved') ON CONFLICT (id) DO NOTHING`,
			order.Instance, order.Plan, order.Site, order.Image, order.Hostname)
		if err != nil {
			return fmt.Errorf("reserve for %s: %w", order.Instance, err)
		}
		if tag.RowsAffected() == 0 {
			server, err = reservedBefore(ctx, tx, order.Instance)
			return err
		}
		server, err = pick(ctx, tx, order)
		if err != nil {
			return err
		}
		return assign(ctx, tx, order, &server)
	})
	return server, err
}

func checkOrder(ctx context.Context, tx pgx.Tx, order Order) error {
	if _, err := one(ctx, tx, pgx.RowToStructByPos[Site], KindSite, order.Site, siteColumns+` WHERE name = $1`, order.Site); err != nil {
		return err
	}
	if _, err := one(ctx, tx, pgx.RowToStructByPos[Plan], KindPlan, order.Plan, planColumns+` WHERE name = $1`, order.Plan); err != nil {
		return err
	}
	if _, err := one(ctx, tx, pgx.RowToStructByPos[Image], KindImage, order.Image, imageColumns+` WHERE name = $1`, order.Image); err != nil {
		return err
	}
	for _, name := range order.Networks {
		if _, err := one(ctx, tx, pgx.RowToStructByPos[Network], KindNetwork, name, networkColumns+` WHERE name = $1`, name); err != nil {
			return err
		}
	}
	return nil
}

func reservedBefore(ctx context.Context, tx pgx.Tx, id string) (Server, error) {
	instance, err := lockInstance(ctx, tx, id)
	if err != nil {
		return Server{}, err
	}
	if instance.State == InstanceEnded {
		return Server{}, fmt.Errorf("reserve for %s: %w", id, ErrInstanceEnded)
	}
	return lockServer(ctx, tx, instance.Server)
}

// pick locks an available server. Orders that come together each skip what another has
// locked; only when nothing else is left do they wait to see what becomes of it, since a
// lock does not say that the server will be gone.
func pick(ctx context.Context, tx pgx.Tx, order Order) (Server, error) {
	const available = serverColumns + ` WHERE plan = $1 AND site = $2 AND state = 'available'
		AND NOT EXISTS (SELECT FROM inventory.switches s WHERE s.name = servers.switch AND s.platform = ANY($3)) ORDER BY name LIMIT 1 FOR UPDATE OF servers`
	for _, query := range []string{available + ` SKIP LOCKED`, available} {
		server, err := one(ctx, tx, scanServer, KindServer, order.Plan, query, order.Plan, order.Site, order.Unfit)
		if missing := (NotFoundError{}); errors.As(err, &missing) {
			continue
		}
		return server, err
	}
	return Server{}, noServer(ctx, tx, order)
}

// assign ties the server and the instance together; each refers to the other.
func assign(ctx context.Context, tx pgx.Tx, order Order, server *Server) error {
	if _, err := tx.Exec(ctx, `UPDATE inventory.instances SET server = $2 WHERE id = $1`, order.Instance, server.Name); err != nil {
		return fmt.Errorf("reserve server %s for %s: %w", server.Name, order.Instance, err)
	}
	server.Instance, server.Holder = order.Instance, order.Instance
	t := Transition{Server: server.Name, To: Reserved, Workflow: order.Instance}
	if err := move(ctx, tx, *server, t); err != nil {
		return err
	}
	server.State, server.StateReason = t.To, t.Reason
	return nil
}

func noServer(ctx context.Context, tx pgx.Tx, order Order) error {
	none := NoServerError{Plan: order.Plan, Site: order.Site, States: map[ServerState]int{}}
	rows, err := tx.Query(ctx, `SELECT state, count(*) FROM inventory.servers WHERE plan = $1 AND site = $2 GROUP BY state`,
		order.Plan, order.Site)
	if err != nil {
		return fmt.Errorf("count the servers of plan %s: %w", order.Plan, err)
	}
	var (
		state ServerState
		count int
	)
	_, err = pgx.ForEachRow(rows, []any{&state, &count}, func() error {
		none.States[state] = count
		none.Total += count
		return nil
	})
	if err == nil {
		err = tx.QueryRow(ctx, `SELECT count(*) FROM inventory.servers JOIN inventory.switches s ON s.name = servers.switch
			WHERE plan = $1 AND servers.site = $2 AND state = 'available' AND platform = ANY($3)`, order.Plan, order.Site, order.Unfit).Scan(&none.Unfit)
	}
	if err != nil {
		return fmt.Errorf("count the servers of plan %s: %w", order.Plan, err)
	}
	return none
}
