package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"ferrodur/workflows/api"
)

// What comes from elsewhere does not drive the terminal; the colours of diffs are shown.
func TestPrintable(t *testing.T) {
	for text, want := range map[any]string{
		"two lines\n\tof text, ähnlich":                  "two lines\n\tof text, ähnlich",
		markup("\x1b[31m-no\x1b[0m\n\x1b[32m+ip\x1b[0m"): "\x1b[31m-no\x1b[0m\n\x1b[32m+ip\x1b[0m",
		"\x1b[31mred\x1b[0m":                             `\x1b[31mred\x1b[0m`,
		api.Stage("\x1b[2J\x1b]0;title\a\r"):             `\x1b[2J\x1b]0;title\a\r`,
		"safe\u202eetirw":                                `safe\u202eetirw`,
	} {
		if got := escaped(table.Row{text, 7}); got[0] != want || got[1] != 7 {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// A terminal that answers no questions, such as a serial console's, is not waited for.
func TestSilentTerminal(t *testing.T) {
	script, err := exec.LookPath("script")
	if err != nil {
		t.Skip("skipped: script(1), which makes a terminal, is not installed")
	}
	program := filepath.Join(t.TempDir(), "starter")
	if output, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if output, err := exec.CommandContext(ctx, script, "-qec", program+" --help", "/dev/null").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}
