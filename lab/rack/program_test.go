package rack_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ferrodur/lab/rack"
)

// lab runs the program as an operator does.
func lab(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := exec.Command(program, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("lab %s: %v: %s", strings.Join(arguments, " "), err, output)
	}
	return string(output)
}

func TestProgram(t *testing.T) {
	config := describe(t)
	table := lab(t, "up", "--dir", config.Dir, "--prefix", config.Prefix, "--servers", "3")
	for _, want := range []string{"sw1", "s1", "bios", "s2", "uefi", "s3", "192.0.2.13:623", "swp3"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %s in:\n%s", want, table)
		}
	}
	var status rack.Status
	must(t, json.Unmarshal([]byte(lab(t, "status", "--dir", config.Dir, "-o", "json")), &status))
	if want, err := rack.Inspect(config.Dir); err != nil || len(status.Servers) != 3 || status.Servers[2] != want.Servers[2] {
		t.Errorf("status: %+v, want %+v, %v", status, want, err)
	}
	for range 2 {
		lab(t, "down", "--dir", config.Dir, "--prefix", config.Prefix, "--remove")
		awaitNoTraces(t, config)
	}
	if _, err := os.Stat(config.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state folder is still there: %v", err)
	}
	// A folder that holds no rack is not the lab's to delete.
	other := t.TempDir()
	lab(t, "down", "--dir", other, "--prefix", config.Prefix, "--remove")
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
	output, err := exec.Command(program, "status", "--dir", other).CombinedOutput()
	if err == nil || !strings.Contains(string(output), "lab up") {
		t.Errorf("status of nothing: %v, %s", err, output)
	}
}
