// Bench measures the address management against a floor, pgbench inserting one row a
// transaction, and against go-ipam, in one run on one PostgreSQL with default durability.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ferrodur/bench/steps"
	"ferrodur/ipam"
	"ferrodur/lab/postgres"
)

// results are what is printed, and written as JSON.
type results struct {
	Date       time.Time `json:"date"`
	CPUs       int       `json:"cpus"`
	PostgreSQL string    `json:"postgresql"`
	Fsync      string    `json:"fsync"`
	Buffers    string    `json:"shared_buffers"`

	Floor    []rate     `json:"floor,omitempty"`    // pgbench: one row a transaction
	Links    []rate     `json:"links,omitempty"`    // an IPv4 and an IPv6 link, with their history
	GoIPAM   []rate     `json:"go_ipam,omitempty"`  // one IPv4 address, 10 000 held
	Growth   growth     `json:"growth,omitzero"`    // links, 32 clients
	Random   growth     `json:"random,omitzero"`    // the same with owners in no order
	Full     growth     `json:"full,omitzero"`      // links, 32 clients
	Apart    growth     `json:"apart,omitzero"`     // the same, each free link on pages of its own
	Burst    burst      `json:"burst,omitzero"`     // 24 calls for 10 addresses of one /24
	Prefixes []prefixes `json:"prefixes,omitempty"` // questions to a domain of 100 000 prefixes
	OfFloor  float64    `json:"of_floor,omitzero"`  // links at 32 clients by the floor's rate; wanted: 0.5
	OfGoIPAM float64    `json:"of_goipam,omitzero"` // and by go-ipam's best; wanted: 200
}

func main() {
	b := &bench{}
	b.Date, b.CPUs = time.Now(), runtime.NumCPU()
	flag.DurationVar(&b.span, "for", 10*time.Second, "how long each rate is measured")
	steps.Run(steps.Bench{
		Start: b.start, Stop: b.stop, Print: b.print, Results: &b.results,
		Steps: []steps.Step{
			{Does: "links and the floor, by clients", Do: b.rates},
			{Does: "go-ipam", Do: b.goIPAM},
			{Does: "growth: nothing and 1 000 000 links held", Do: b.grow},
			{Does: "a pool that is 99.9 % full", Do: b.fill},
			{Does: "24 calls for 10 addresses", Do: b.burst},
			{Does: "100 000 prefixes", Do: b.prefixes},
		},
	})
}

// buffers hold what a million links need.
const buffers = "1GB"

// bench is a run under way.
type bench struct {
	results
	cluster   *postgres.Cluster
	dir       string
	span      time.Duration
	databases int
}

func (b *bench) start(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "ferrodur-bench-"); err != nil {
		return err
	}
	if err := os.Chmod(b.dir, 0o755); err != nil { // PostgreSQL's user must reach its folder
		return err
	}
	// PostgreSQL's own 128 MB of buffers are for small machines. Durability is as it comes.
	b.cluster, err = postgres.Start(ctx, postgres.Config{Dir: filepath.Join(b.dir, "postgres"), Settings: []string{"shared_buffers=" + buffers}})
	if err != nil {
		return err
	}
	return b.about(ctx)
}

func (b *bench) stop(ctx context.Context) (err error) {
	if b.cluster != nil {
		err = b.cluster.Stop(ctx)
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

func (b *bench) about(ctx context.Context) error {
	connection, err := pgx.Connect(ctx, b.cluster.DSN("postgres"))
	if err != nil {
		return err
	}
	defer connection.Close(ctx)
	return connection.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('fsync'), current_setting('shared_buffers')`).
		Scan(&b.PostgreSQL, &b.Fsync, &b.Buffers)
}

// database makes an empty one, and returns where it is.
func (b *bench) database(ctx context.Context) (dsn string, err error) {
	b.databases++
	name := fmt.Sprint("bench", b.databases)
	return b.cluster.DSN(name), b.cluster.CreateDatabase(ctx, name)
}

// store makes a store on an empty database with pools.
func (b *bench) store(ctx context.Context, pools ...ipam.Pool) (*ipam.Store, *pgxpool.Pool, error) {
	dsn, err := b.database(ctx)
	if err != nil {
		return nil, nil, err
	}
	database, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return nil, nil, err
	}
	if err := ipam.Migrate(ctx, database); err != nil {
		return nil, nil, err
	}
	store := ipam.New(database)
	return store, database, store.PutPools(ctx, pools, ipam.By{Actor: "bench"})
}
