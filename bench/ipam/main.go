// Bench measures the address management against a floor, pgbench inserting one row a
// transaction, and against go-ipam, in one run on one PostgreSQL with default durability.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

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

	Floor    []rate     `json:"floor"`     // pgbench: one row a transaction
	Links    []rate     `json:"links"`     // an IPv4 and an IPv6 link, with their history
	GoIPAM   []rate     `json:"go_ipam"`   // one IPv4 address, 10 000 held
	Growth   growth     `json:"growth"`    // links, 32 clients
	Random   growth     `json:"random"`    // the same with owners in no order
	Full     growth     `json:"full"`      // links, 32 clients
	Apart    growth     `json:"apart"`     // the same, each free link on pages of its own
	Burst    burst      `json:"burst"`     // 24 calls for 10 addresses of one /24
	Prefixes []prefixes `json:"prefixes"`  // questions to a domain of 100 000 prefixes
	OfFloor  float64    `json:"of_floor"`  // links at 32 clients by the floor's rate; wanted: 0.5
	OfGoIPAM float64    `json:"of_goipam"` // and by go-ipam's best; wanted: 200
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	file := flag.String("json", "", "write the figures to this file too")
	span := flag.Duration("for", 10*time.Second, "how long each rate is measured")
	only := flag.String("only", "", "only the steps whose names contain this, such as \"99.9\"")
	flag.Parse()
	dir, err := os.MkdirTemp("", "ferrodur-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL's user must reach its folder
		return err
	}
	// PostgreSQL's own 128 MB of buffers are for small machines. Durability is as it comes.
	cluster, err := postgres.Start(ctx, postgres.Config{Dir: filepath.Join(dir, "postgres"), Settings: []string{"shared_buffers=" + buffers}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop(context.WithoutCancel(ctx))) }()

	b := &bench{cluster: cluster, dir: dir, span: *span}
	b.Date, b.CPUs = time.Now(), runtime.NumCPU()
	for _, step := range []struct {
		does string
		do   func(context.Context) error
	}{
		{"PostgreSQL", b.about},
		{"links and the floor, by clients", b.rates},
		{"go-ipam", b.goIPAM},
		{"growth: nothing and 1 000 000 links held", b.grow},
		{"a pool that is 99.9 % full", b.fill},
		{"24 calls for 10 addresses", b.burst},
		{"100 000 prefixes", b.prefixes},
	} {
		if !strings.Contains(step.does, *only) && step.does != "PostgreSQL" {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s  %s …\n", time.Now().Format(time.TimeOnly), step.does)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.does, err)
		}
	}
	b.print(os.Stdout)
	if *file == "" {
		return nil
	}
	text, err := json.MarshalIndent(b.results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*file, append(text, '\n'), 0o644)
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
