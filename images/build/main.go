// Command build builds the boot image and the Debian image, and prints where they are.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"ferrodur/images"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := build(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func build(ctx context.Context) error {
	options := images.Options{Out: os.Stderr}
	image, err := images.BuildDebian(ctx, options)
	if err != nil {
		return err
	}
	fmt.Printf("image: %s (%d bytes raw)\n", image.File, image.Bytes)
	boot, err := images.BuildBoot(ctx, options)
	if err != nil {
		return err
	}
	fmt.Println("boot:", boot.Dir)
	return nil
}
