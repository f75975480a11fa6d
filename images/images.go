// Package images builds what servers are started and installed with: the boot image (a
// kernel, the agent, and the tools of the burn-in) and a Debian image to install. Both
// are made of packages from the machine's own apt sources, so that no mirror is named
// here, and kept outside the checkout until their recipe changes.
package images

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

// ErrNoSources says that apt knows no Debian 12 to take packages from.
var ErrNoSources = errors.New("apt has no package lists of Debian 12: run apt-get update, and look at its sources")

// Options say where images are kept and who is told of the progress.
type Options struct {
	CacheDir string    // default: $FERRODUR_CACHE/images, or ferrodur/images in the user's cache folder
	Out      io.Writer // default: nobody
}

func (o Options) withDefaults() (Options, error) {
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.CacheDir != "" {
		return o, nil
	}
	if dir := os.Getenv("FERRODUR_CACHE"); dir != "" {
		o.CacheDir = filepath.Join(dir, "images")
		return o, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return o, fmt.Errorf("find a folder for images (or set FERRODUR_CACHE): %w", err)
	}
	o.CacheDir = filepath.Join(dir, "ferrodur", "images")
	return o, nil
}

// cached returns the folder that build has filled for a recipe, and has it filled if that
// was not done before. One process builds; others wait for it. What a killed build left
// is removed.
func (o Options) cached(ctx context.Context, kind string, recipe []string, build func(ctx context.Context, dir string) error) (string, error) {
	digest := sha256.Sum256([]byte(strings.Join(recipe, "\x00")))
	dir := filepath.Join(o.CacheDir, kind+"-"+hex.EncodeToString(digest[:8]))
	if err := os.MkdirAll(o.CacheDir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(o.CacheDir, kind+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := wait(ctx, lock); err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	leftovers, err := filepath.Glob(filepath.Join(o.CacheDir, kind+"-*"))
	if err != nil {
		return "", err
	}
	for _, leftover := range leftovers {
		if strings.HasSuffix(leftover, ".new") {
			if err := os.RemoveAll(leftover); err != nil {
				return "", err
			}
		}
	}
	started := time.Now()
	fmt.Fprintf(o.Out, "Building the %s image: once, and again when its recipe changes\n", kind)
	unfinished := dir + ".new"
	if err := os.MkdirAll(unfinished, 0o755); err != nil {
		return "", err
	}
	if err := build(ctx, unfinished); err != nil {
		return "", errors.Join(err, os.RemoveAll(unfinished))
	}
	if err := os.Rename(unfinished, dir); err != nil {
		return "", err
	}
	fmt.Fprintf(o.Out, "Built the %s image in %s\n", kind, time.Since(started).Round(time.Second))
	return dir, nil
}

// wait takes a lock when whoever builds is done, or gives up with ctx.
func wait(ctx context.Context, lock *os.File) error {
	for {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// run runs a program to its end. Its output is part of the error if it fails. A program
// that is interrupted gets the time to unmount what it has mounted.
func run(ctx context.Context, dir, name string, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, name, arguments...)
	command.Dir = dir
	command.Cancel = func() error { return command.Process.Signal(unix.SIGTERM) }
	command.WaitDelay = 30 * time.Second
	output, err := command.CombinedOutput()
	if err != nil {
		return output, fmt.Errorf("%s: %w\n%s", name, err, lastPart(output))
	}
	return output, nil
}

func lastPart(output []byte) string {
	const most = 4 << 10
	return strings.TrimSpace(string(output[max(0, len(output)-most):]))
}

const release = "bookworm"

// writeSources writes the machine's own sources of Debian 12 in the form of apt's
// one-line style, for mmdebstrap.
func writeSources(ctx context.Context, file string) error {
	output, err := run(ctx, "", "apt-get", "indextargets", "--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
		"Created-By: Packages", "Origin: Debian")
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	var sources []string
	for line := range strings.Lines(string(output)) {
		line = strings.TrimSpace(line)
		fields := strings.Fields(line)
		if len(fields) == 4 && strings.HasPrefix(fields[2], release) && !seen[line] {
			seen[line] = true
			sources = append(sources, line)
		}
	}
	if len(sources) == 0 {
		return ErrNoSources
	}
	return os.WriteFile(file, []byte(strings.Join(sources, "\n")+"\n"), 0o644)
}

// kernelPackage is the package that a metapackage such as linux-image-amd64 stands for
// today, so that a new kernel is a new recipe.
func kernelPackage(ctx context.Context, meta string) (string, error) {
	output, err := run(ctx, "", "apt-cache", "depends", "--important", meta)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(output)) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "Depends: linux-image-"); found {
			return "linux-image-" + name, nil
		}
	}
	return "", fmt.Errorf("%s: %w", meta, ErrNoSources)
}
