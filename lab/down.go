package main

import (
	"errors"

	"github.com/spf13/cobra"

	"ferrodur/lab/rack"
)

func downCommand() *cobra.Command {
	var (
		dir, prefix string
		remove      bool
	)
	command := &cobra.Command{
		Use:   "down",
		Short: "Take the rack down; its disks, logs and passwords stay",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := rack.Down(cmd.Context(), dir)
			switch {
			case errors.Is(err, rack.ErrNoRack) && prefix != "":
				return rack.DownPrefix(cmd.Context(), prefix)
			case errors.Is(err, rack.ErrNoRack):
				return nil // down already
			case err == nil && remove:
				return rack.Remove(dir)
			}
			return err
		},
	}
	command.Flags().StringVar(&dir, "dir", defaultDir, "state folder")
	command.Flags().StringVar(&prefix, "prefix", "", "take down what has this prefix if the state folder is lost")
	command.Flags().BoolVar(&remove, "remove", false, "delete the state folder, too")
	return command
}
