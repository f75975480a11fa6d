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
			if errors.Is(err, rack.ErrNoRack) { // never there, or its folder is lost
				err = rack.DownPrefix(cmd.Context(), prefix)
			}
			if err != nil || !remove {
				return err
			}
			return rack.Remove(dir)
		},
	}
	command.Flags().StringVar(&dir, "dir", defaultDir, "state folder")
	command.Flags().StringVar(&prefix, "prefix", defaultPrefix, "what to take down when the state folder is lost")
	command.Flags().BoolVar(&remove, "remove", false, "delete the state folder, too")
	return command
}
