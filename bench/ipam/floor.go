package main

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// floor is what PostgreSQL itself does here: pgbench inserts one row a transaction, into a
// table with a primary key.
func (b *bench) floor(ctx context.Context, clients int) (rate, error) {
	r := rate{Clients: clients}
	dsn, err := b.database(ctx)
	if err != nil {
		return r, err
	}
	connection, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return r, err
	}
	defer connection.Close(ctx)
	if _, err := connection.Exec(ctx, `CREATE TABLE floor (id bigserial PRIMARY KEY, owner text NOT NULL)`); err != nil {
		return r, err
	}
	dir, err := os.MkdirTemp(b.dir, "pgbench-")
	if err != nil {
		return r, err
	}
	script := filepath.Join(dir, "insert.sql")
	if err := os.WriteFile(script, []byte("INSERT INTO floor (owner) VALUES ('instance/' || :client_id);\n"), 0o644); err != nil {
		return r, err
	}
	at, err := url.Parse(dsn)
	if err != nil {
		return r, err
	}
	password, _ := at.User.Password()
	program, err := pgbench()
	if err != nil {
		return r, err
	}
	command := exec.CommandContext(ctx, program, "--no-vacuum", "--protocol=prepared", "--log",
		"--client="+strconv.Itoa(clients), "--jobs="+strconv.Itoa(min(2, clients)), fmt.Sprintf("--time=%.0f", b.span.Seconds()), "--file="+script)
	command.Dir = dir
	command.Env = append(os.Environ(), "PGHOST="+at.Hostname(), "PGPORT="+at.Port(), "PGUSER="+at.User.Username(), "PGPASSWORD="+password, "PGDATABASE="+strings.Trim(at.Path, "/"))
	output, err := command.CombinedOutput()
	if err != nil {
		return r, fmt.Errorf("pgbench: %w: %s", err, output)
	}
	match := regexp.MustCompile(`tps = ([0-9.]+)`).FindSubmatch(output)
	if match == nil {
		return r, fmt.Errorf("pgbench does not tell its rate: %s", output)
	}
	if r.PerSecond, err = strconv.ParseFloat(string(match[1]), 64); err != nil {
		return r, err
	}
	all, err := pgbenchTimes(dir)
	r.fill(all)
	return r, err
}

// pgbench is beside the server's programs in Debian's package.
func pgbench() (string, error) {
	if program, err := exec.LookPath("pgbench"); err == nil {
		return program, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if len(found) == 0 {
		return "", fmt.Errorf("pgbench is not installed: apt-get install postgresql")
	}
	return found[len(found)-1], nil
}

// pgbenchTimes reads the time of each transaction, in microseconds the third field of a line.
func pgbenchTimes(dir string) (all []time.Duration, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "pgbench_log.*"))
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 3 {
				continue
			}
			us, err := strconv.Atoi(fields[2])
			if err != nil {
				return nil, err
			}
			all = append(all, time.Duration(us)*time.Microsecond)
		}
	}
	return all, nil
}
