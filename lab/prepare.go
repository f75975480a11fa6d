package main

import (
	"github.com/spf13/cobra"

	"ferrodur/lab/stack"
)

func prepareCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "prepare",
		Short: "Install and build what demo and tests need, and what takes time",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return stack.Prepare(cmd.Context(), stack.Config{Out: cmd.OutOrStdout()})
		},
	}
}
