package temporal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Build returns the program temporal: the one that is installed, or one built from the
// version that the tools module of this checkout pins. That takes about two minutes, once:
// it is kept outside the checkout, in $FERRODUR_CACHE or the user's cache folder.
func Build(ctx context.Context, out io.Writer) (string, error) {
	if installed, err := exec.LookPath("temporal"); err == nil {
		return installed, nil
	}
	tools, err := toolsModule(ctx)
	if err != nil {
		return "", err
	}
	sums, err := os.ReadFile(filepath.Join(tools, "go.sum"))
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256(sums)
	program := filepath.Join(cache, "temporal-"+hex.EncodeToString(digest[:8]))

	lock, err := os.OpenFile(filepath.Join(cache, "temporal.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if _, err := os.Stat(program); err == nil || !errors.Is(err, os.ErrNotExist) {
		return program, err
	}
	fmt.Fprintln(out, "Building Temporal: about two minutes, once")
	started := time.Now()
	command := exec.CommandContext(ctx, "go", "build", "-o", program+".new", "github.com/temporalio/cli/cmd/temporal")
	command.Dir = tools
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build Temporal: %w\n%s", err, output)
	}
	fmt.Fprintf(out, "Built Temporal in %s\n", time.Since(started).Round(time.Second))
	return program, os.Rename(program+".new", program)
}

// toolsModule is the folder of the tools module of the checkout that this runs in.
func toolsModule(ctx context.Context) (string, error) {
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "ferrodur").Output()
	if err != nil {
		return "", fmt.Errorf("find the checkout of Ferrodur (run this inside one, with Go installed): %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(module)), "tools"), nil
}

func cacheDir() (string, error) {
	dir := os.Getenv("FERRODUR_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a folder for programs (or set FERRODUR_CACHE): %w", err)
		}
		dir = filepath.Join(user, "ferrodur")
	}
	return dir, os.MkdirAll(dir, 0o755)
}
