package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/lab/postgres"

	"github.com/jackc/pgx/v5/pgxpool"
)

// call runs the CLI as a shell would.
func call(arguments ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(arguments, &out, &err)
	return code, out.String(), err.String()
}

func TestWrongUsage(t *testing.T) {
	key := filepath.Join(t.TempDir(), "private")
	if err := os.WriteFile(key, []byte("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	order := []string{"provision", "--plan", "p", "--site", "s", "--image", "i"}
	for _, test := range []struct {
		arguments []string
		want      string
	}{
		{[]string{"fly"}, "unknown command"},
		{[]string{"list", "--colour"}, "unknown flag"},
		{[]string{"list", "-o", "xml"}, "neither table nor json"},
		{[]string{"status"}, "the command is starter status ORDER"},
		{[]string{"status", "switch/sw1"}, "starter switch queue sw1"},
		{[]string{"status", "audit/sw1"}, "see it in Temporal's Web UI"},
		{[]string{"switch", "apply", "sw1", "--wait", "-1s"}, "write a duration"},
		{[]string{"switch", "reject", "sw1"}, "starter switch reject SWITCH REQUEST..."},
		{[]string{"enroll"}, "name the servers"},
		{[]string{"enroll", "s1", "--all"}, "name the servers"},
		{[]string{"provision", "--plan", "p"}, "required flag"},
		{append(order, "--ssh-key", key), "holds no public key"},
		{append(order, "--ssh-key", filepath.Join(t.TempDir(), "absent")), "no such file"},
		{append(order, "--on-failure", "explode"), "write park or undo"},
		{append(order, "--limit", "patience=3"), "no limit is called"},
		{append(order, "--limit", "boot=soon"), "write a duration"},
		{append(order, "--limit", "attempts=0"), "a number from 1"},
		{[]string{"apply", "-f", filepath.Join(t.TempDir(), "absent.yaml")}, "no such file"},
	} {
		code, _, stderr := call(test.arguments...)
		if code != exitUsage || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: exit code %d, %q; want %d and %q", strings.Join(test.arguments, " "), code, stderr, exitUsage, test.want)
		}
		if strings.Contains(stderr, "secret") {
			t.Errorf("%s: a secret is in the complaint: %s", strings.Join(test.arguments, " "), stderr)
		}
	}
}

func TestErrorsAreJSONWhereTheOutputIs(t *testing.T) {
	_, _, stderr := call("-o", "json", "enroll")
	var document struct{ Error string }
	if err := json.Unmarshal([]byte(stderr), &document); err != nil || document.Error == "" {
		t.Errorf("%q (%v)", stderr, err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Setenv("FERRODUR_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	for _, arguments := range [][]string{{"servers"}, {"status", "o-1"}} {
		if code, _, stderr := call(arguments...); code != exitUnreachable {
			t.Errorf("%s: exit code %d: %s", arguments, code, stderr)
		}
	}
	// An order that cannot be meant is refused before anyone is asked, or told of its user data.
	code, _, stderr := call("provision", "--order", "o 1", "--plan", "p", "--site", "s", "--image", "i", "--user-data", "absent")
	if code != exitRefused || !strings.Contains(stderr, `"o 1"`) {
		t.Errorf("a bad order: exit code %d: %s", code, stderr)
	}
}

// A rack file is applied whole or not at all; what was applied is listed.
func TestApplyAndList(t *testing.T) {
	dsn := postgres.Database(t)
	t.Setenv("FERRODUR_DATABASE_URL", dsn)
	database, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	if err := inventory.Migrate(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	if err := ipam.Migrate(t.Context(), database); err != nil {
		t.Fatal(err)
	}

	example, err := os.ReadFile("../docs/examples/rack.yaml")
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	text := strings.Replace(string(example), "mac: ", "mac: not-a-mac # ", 1) + "\nsurprise: true\n"
	if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := call("apply", "-f", broken)
	if code != exitRefused || strings.Count(stderr, broken+":") < 2 {
		t.Errorf("a broken file: exit code %d, %s", code, stderr)
	}
	if _, stdout, _ := call("servers", "-o", "json"); strings.TrimSpace(stdout) != "[]" {
		t.Errorf("a broken file left %s", stdout)
	}

	if code, stdout, stderr := call("apply", "-f", "../docs/examples/rack.yaml", "--check"); code != exitOK || !strings.Contains(stdout, "is valid") {
		t.Fatalf("check: %s %s", stdout, stderr)
	}
	if code, stdout, stderr := call("apply", "-f", "../docs/examples/rack.yaml", "--dry-run"); code != exitOK || !strings.HasPrefix(stdout, "would be added: site ") {
		t.Fatalf("dry run: %s %s", stdout, stderr)
	}
	if _, stdout, _ := call("servers", "-o", "json"); strings.TrimSpace(stdout) != "[]" {
		t.Errorf("a dry run left %s", stdout)
	}
	if code, stdout, stderr := call("apply", "-f", "../docs/examples/rack.yaml"); code != exitOK || !strings.Contains(stdout, "added") {
		t.Fatalf("apply: %s %s", stdout, stderr)
	}
	if code, stdout, _ := call("apply", "-f", "../docs/examples/rack.yaml"); code != exitOK || strings.TrimSpace(stdout) != "nothing to change" {
		t.Errorf("applied again: %s", stdout)
	}
	var servers []serverRow
	_, stdout, _ := call("servers", "-o", "json")
	if err := json.Unmarshal([]byte(stdout), &servers); err != nil || len(servers) == 0 || servers[0].State != inventory.Enrolled {
		t.Errorf("servers: %s (%v)", stdout, err)
	}
	if code, stdout, _ := call("show", servers[0].Name); code != exitOK || !strings.Contains(stdout, "enrolled") {
		t.Errorf("show: %s", stdout)
	}
	if code, _, _ := call("show", "nobody"); code != exitNotFound {
		t.Errorf("an unknown server: exit code %d", code)
	}
	for _, list := range []string{"list", "pools"} {
		if code, stdout, stderr := call("ip", list, "-o", "json"); code != exitOK || !strings.HasPrefix(stdout, "[") {
			t.Errorf("ip %s: %s %s", list, stdout, stderr)
		}
	}
}
