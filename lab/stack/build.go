package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"ferrodur/images"
	"ferrodur/lab/debian"
	"ferrodur/lab/temporal"
)

// Prepare installs and builds what takes time on a first run: Debian packages, Temporal,
// the boot image, the Debian image. It is all kept outside the checkout.
func Prepare(ctx context.Context, config Config) error {
	s := &Stack{config: config}
	return s.prepare(ctx)
}

func (s *Stack) prepare(ctx context.Context) error {
	if err := debian.Install(ctx, s.config.Out); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		s.parts.temporal, err = temporal.Build(ctx, s.config.Out)
		return err
	})
	group.Go(func() (err error) {
		if s.parts.boot, err = images.BuildBoot(ctx, images.Options{Out: s.config.Out}); err != nil {
			return fmt.Errorf("boot image: %w", err)
		}
		if s.parts.image, err = images.BuildDebian(ctx, images.Options{Out: s.config.Out}); err != nil {
			return fmt.Errorf("image of Debian: %w", err)
		}
		return nil
	})
	return group.Wait()
}

// build does what Prepare does, and builds the programs of this checkout.
func (s *Stack) build(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	s.parts.programs = filepath.Join(s.config.Dir, "bin")
	if err := os.MkdirAll(s.parts.programs, 0o755); err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "go", "build", "-o", s.parts.programs+"/",
		"ferrodur/worker", "ferrodur/starter", "ferrodur/lab")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, output)
	}
	return nil
}
