package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

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
