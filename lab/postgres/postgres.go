// Package postgres runs a private PostgreSQL cluster in a folder: for the demo, for the
// end-to-end tests, and, through Database, for every test that needs a database.
// Durability is PostgreSQL's default: fsync is on.
package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ferrodur/lab/process"
)

var (
	// ErrNotInstalled says that no PostgreSQL server of version 15 or later was found.
	ErrNotInstalled = errors.New("PostgreSQL ≥ 15 is not installed: apt-get install postgresql")
	// ErrFolder says that the unprivileged user cannot reach the state folder.
	ErrFolder = errors.New("state folder is out of reach for the user that PostgreSQL runs as")
)

const (
	superuser     = "ferrodur"
	processName   = "postgres"
	minVersion    = 15
	startPatience = 30 * time.Second
)

// Config describes a cluster.
type Config struct {
	Dir  string // state folder; a cluster that is there already is used again
	Port int    // TCP port of 127.0.0.1; 0: the one used last, or a free one
	// Settings are further parameters of the server, as "name=value".
	Settings []string
	// Detached lets the server outlive this process; else the kernel ends it with us.
	Detached bool
}

// Cluster is a running cluster.
type Cluster struct {
	dir      string
	bin      string
	port     int
	password string
	server   *process.Process
	owner    *syscall.Credential
}

// Start runs the cluster of a folder, and creates it first if need be. It listens on
// 127.0.0.1 only and asks for a password, which is kept in the folder.
//
// PostgreSQL refuses to run as root: then it runs as the user postgres of Debian's
// package, who must be able to reach the folder: ErrFolder. Other errors:
// ErrNotInstalled, and what initdb and the server say.
func Start(ctx context.Context, config Config) (*Cluster, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin, port: config.Port}
	if c.dir, err = filepath.Abs(config.Dir); err != nil {
		return nil, err
	}
	if err := c.prepare(ctx); err != nil {
		return nil, fmt.Errorf("PostgreSQL in %s: %w", c.dir, err)
	}
	command := []string{filepath.Join(bin, "postgres"), "-D", c.data(), "-p", strconv.Itoa(c.port)}
	for _, setting := range append([]string{"listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"}, config.Settings...) {
		command = append(command, "-c", setting)
	}
	c.server, err = process.Start(process.Spec{
		Name: processName, Dir: c.dir, Credential: c.owner, DieWithParent: !config.Detached, WorkDir: c.dir, Command: command,
	})
	if err != nil {
		return nil, err
	}
	if err := c.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, c.Kill())
	}
	return c, nil
}

// DSN is the address of one of the cluster's databases, password included.
func (c *Cluster) DSN(database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, c.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)), Path: "/" + database,
		RawQuery: "sslmode=disable",
	}).String()
}

// Port is the TCP port of 127.0.0.1 that the cluster listens on.
func (c *Cluster) Port() int { return c.port }

// CreateDatabase creates a database if it is not there.
func (c *Cluster) CreateDatabase(ctx context.Context, name string) error {
	return createDatabase(ctx, c.DSN("postgres"), name)
}

func createDatabase(ctx context.Context, admin, name string) error {
	connection, err := pgx.Connect(ctx, admin)
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	defer connection.Close(ctx)
	_, err = connection.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "42P04" { // duplicate_database
		return nil
	}
	return err
}

// Stop ends the cluster: transactions under way are rolled back, everything is written.
func (c *Cluster) Stop(ctx context.Context) error {
	// SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for clients to leave.
	if err := syscall.Kill(c.server.PID, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	for c.server.Running() {
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), c.Kill())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return c.server.Stop(ctx, time.Second)
}

// Kill ends the cluster as a crash does: nothing is written, recovery is the next start's.
func (c *Cluster) Kill() error {
	// SIGQUIT is the immediate shutdown: the server's children go with it.
	if err := syscall.Kill(c.server.PID, syscall.SIGQUIT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return c.server.Stop(context.Background(), 5*time.Second)
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// prepare creates the cluster where it is missing, and finds its port and password.
func (c *Cluster) prepare(ctx context.Context) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	if err := c.chooseOwner(); err != nil {
		return err
	}
	if err := c.choosePort(); err != nil {
		return err
	}
	password, err := os.ReadFile(c.passwordFile())
	if err == nil {
		c.password = string(password)
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return c.create(ctx)
}

// create runs initdb. The password's place tells that it ended well.
func (c *Cluster) create(ctx context.Context) error {
	if err := os.RemoveAll(c.data()); err != nil {
		return err
	}
	c.password = rand.Text()
	file := c.passwordFile() + ".new"
	if err := os.WriteFile(file, []byte(c.password), 0o600); err != nil {
		return err
	}
	if c.owner != nil {
		if err := os.Chown(file, int(c.owner.Uid), int(c.owner.Gid)); err != nil {
			return err
		}
	}
	initdb := exec.CommandContext(ctx, filepath.Join(c.bin, "initdb"), "-D", c.data(), "-U", superuser,
		"--auth=scram-sha-256", "--pwfile="+file, "--encoding=UTF8", "--locale=C.UTF-8")
	initdb.Dir = c.dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner}
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, output)
	}
	return os.Rename(file, c.passwordFile())
}

// choosePort keeps the port of the last time, if it is free.
func (c *Cluster) choosePort() error {
	if running, err := process.Find(c.dir, processName); err == nil && running.Running() {
		port, err := os.ReadFile(c.portFile())
		if err != nil {
			return err
		}
		c.port, err = strconv.Atoi(string(port))
		return err
	}
	candidates := []int{c.port, 0}
	if last, err := os.ReadFile(c.portFile()); err == nil && c.port == 0 {
		if port, err := strconv.Atoi(string(last)); err == nil {
			candidates = []int{port, 0}
		}
	}
	if c.port != 0 {
		candidates = candidates[:1]
	}
	var err error
	for _, candidate := range candidates {
		var listener net.Listener
		listener, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(candidate)))
		if err != nil {
			continue
		}
		c.port = listener.Addr().(*net.TCPAddr).Port
		if err = listener.Close(); err != nil {
			return err
		}
		return os.WriteFile(c.portFile(), []byte(strconv.Itoa(c.port)), 0o600)
	}
	return fmt.Errorf("no port: %w", err)
}

func (c *Cluster) portFile() string     { return filepath.Join(c.dir, "port") }
func (c *Cluster) passwordFile() string { return filepath.Join(c.dir, "password") }

// chooseOwner finds out who may run the server, and gives him the folder.
func (c *Cluster) chooseOwner() error {
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrNotInstalled, err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return err
	}
	c.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	if err := os.Chown(c.dir, int(uid), int(gid)); err != nil {
		return err
	}
	reach := exec.Command("test", "-w", c.dir)
	reach.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner}
	if err := reach.Run(); err != nil {
		return fmt.Errorf("%w (%s): %s, or a folder above it, lacks the permission x for others", ErrFolder, account.Username, filepath.Dir(c.dir))
	}
	return nil
}

// awaitReady waits until the server takes connections, or has given up.
func (c *Cluster) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		connection, err := pgx.Connect(ctx, c.DSN("postgres"))
		if err == nil {
			return connection.Close(ctx)
		}
		if !c.server.Running() {
			return fmt.Errorf("PostgreSQL ended at once: see %s.log in %s", processName, c.dir)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL takes no connections: %w; see %s.log in %s", err, processName, c.dir)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// binaries is the folder of the newest PostgreSQL server. Debian keeps each version's
// programs in a folder of its own, outside PATH.
func binaries() (string, error) {
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	version := func(folder string) int {
		v, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
		return v
	}
	folders = slices.DeleteFunc(folders, func(folder string) bool {
		_, err := os.Stat(filepath.Join(folder, "initdb"))
		return err != nil || version(folder) < minVersion
	})
	if len(folders) > 0 {
		return slices.MaxFunc(folders, func(a, b string) int { return version(a) - version(b) }), nil
	}
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		return "", ErrNotInstalled
	}
	output, err := exec.Command(initdb, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%w (%w)", ErrNotInstalled, err)
	}
	words := strings.Fields(string(output))
	major, _, _ := strings.Cut(words[len(words)-1], ".")
	if v, err := strconv.Atoi(major); err != nil || v < minVersion {
		return "", fmt.Errorf("%w: found %s", ErrNotInstalled, strings.TrimSpace(string(output)))
	}
	return filepath.Dir(initdb), nil
}
