package main

import (
	"fmt"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/starter/rackfile"
)

func command() *cobra.Command {
	root := &cobra.Command{Use: "starter", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(applyCommand())
	return root
}

func applyCommand() *cobra.Command {
	var file string
	command := &cobra.Command{
		Use:   "apply -f rack.yaml",
		Short: "Declare sites, pools, images, plans, switches and servers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			declared, err := rackfile.Parse(file, text)
			if err != nil {
				return err
			}
			pool, err := pgxpool.New(cmd.Context(), os.Getenv("FERRODUR_DATABASE_URL"))
			if err != nil {
				return err
			}
			defer pool.Close()
			if err := ipam.New(pool).PutPools(cmd.Context(), declared.Pools); err != nil {
				return err
			}
			changes, err := inventory.New(pool).Apply(cmd.Context(), declared.Declaration)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), changes)
			return nil
		},
	}
	command.Flags().StringVarP(&file, "file", "f", "", "the file")
	return command
}
