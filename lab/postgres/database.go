package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ferrodur/lab/process"
)

// serverVariable names a server for tests to use, by the DSN of a superuser. Without it
// each test program starts a cluster of its own, which ends with it.
const serverVariable = "FERRODUR_TEST_POSTGRES"

// Database gives a test an empty database of its own, and returns its DSN.
func Database(t testing.TB) string {
	t.Helper()
	admin, err := testServer()
	if err != nil {
		t.Fatalf("start PostgreSQL for the tests: %v", err)
	}
	name := "test_" + strings.ToLower(rand.Text())
	if err := createDatabase(context.Background(), admin, name); err != nil {
		t.Fatal(err)
	}
	dsn, err := url.Parse(admin)
	if err != nil {
		t.Fatal("the server's DSN is not a URL")
	}
	dsn.Path = "/" + name
	return dsn.String()
}

// testServer is the one cluster of a test program. Nobody stops it: the kernel does, with
// the test program. Its folder is a temporary one, which the next test program removes.
var testServer = sync.OnceValues(func() (string, error) {
	if dsn := os.Getenv(serverVariable); dsn != "" {
		return dsn, nil
	}
	if err := removeLeftovers(); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", temporary)
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	cluster, err := Start(context.Background(), Config{Dir: dir + "/cluster"})
	if err != nil {
		return "", err
	}
	return cluster.DSN("postgres"), nil
})

const temporary = "ferrodur-test-postgres-"

// removeLeftovers removes the folders of test programs that have ended. A folder without
// a server may be about to get one, so that only those of some age are removed.
func removeLeftovers() error {
	folders, err := filepath.Glob(filepath.Join(os.TempDir(), temporary+"*"))
	if err != nil {
		return err
	}
	for _, folder := range folders {
		info, err := os.Stat(folder)
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		if _, err := process.Find(filepath.Join(folder, "cluster"), processName); errors.Is(err, process.ErrNotRunning) {
			if err := os.RemoveAll(folder); err != nil {
				return err
			}
		}
	}
	return nil
}
