package images

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// buildTools builds the initramfs of the burn-in's tools: Debian's packages, unpacked and
// not configured, since nothing of Debian's system runs there.
func buildTools(ctx context.Context, dir string) error {
	sources := filepath.Join(dir, "sources.list")
	if err := writeSources(ctx, sources); err != nil {
		return err
	}
	tree := filepath.Join(dir, "tree.tar")
	_, err := run(ctx, dir, "mmdebstrap", "--quiet", "--variant=extract", "--architectures=amd64",
		"--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
		"--include="+strings.Join(burnInTools, ","), release, tree, sources)
	if err != nil {
		return err
	}
	archive, err := createInitramfs(filepath.Join(dir, BurnIn))
	if err != nil {
		return err
	}
	in, err := os.Open(tree)
	if err != nil {
		return errors.Join(err, archive.close())
	}
	defer in.Close()
	if err := errors.Join(archive.addTree(in), archive.close()); err != nil {
		return err
	}
	return errors.Join(os.Remove(tree), os.Remove(sources))
}
