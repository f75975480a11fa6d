package main

import (
	"net/netip"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"ferrodur/ipam"
)

func (c *cli) ipCommand() *cobra.Command {
	command := &cobra.Command{Use: "ip", Short: "Look at addresses: pools, and who holds what"}
	command.AddCommand(c.ipListCommand(), c.ipPoolsCommand())
	return command
}

func (c *cli) ipListCommand() *cobra.Command {
	var filter ipam.Filter
	command := &cobra.Command{
		Use:     "list",
		Short:   "List what is held",
		Example: "  starter ip list --owner instance/o-42\n  starter ip list --resting -o json",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			database, err := c.facts(command.Context())
			if err != nil {
				return err
			}
			found, err := ipam.New(database).Allocations(command.Context(), filter)
			if err != nil {
				return err
			}
			type row struct {
				Owner       string       `json:"owner"`
				Pool        string       `json:"pool"`
				Prefix      netip.Prefix `json:"prefix"`
				AllocatedAt time.Time    `json:"allocated_at"`
				RestsUntil  time.Time    `json:"rests_until,omitzero"`
			}
			rows := []row{}
			for _, a := range found {
				rows = append(rows, row{a.Owner, a.Pool, a.Prefix, a.AllocatedAt, a.RestsUntil})
			}
			return c.print(rows, func(t table.Writer) {
				t.AppendHeader(table.Row{"prefix", "owner", "pool", "since", "rests until"})
				for _, r := range rows {
					rests := ""
					if !r.RestsUntil.IsZero() {
						rests = r.RestsUntil.Format(time.DateTime)
					}
					t.AppendRow(table.Row{r.Prefix, r.Owner, r.Pool, r.AllocatedAt.Format(time.DateTime), rests})
				}
			})
		},
	}
	command.Flags().StringVar(&filter.Owner, "owner", "", "of one owner")
	command.Flags().StringVar(&filter.Pool, "pool", "", "of one pool")
	command.Flags().StringVar(&filter.Site, "site", "", "of one site")
	command.Flags().BoolVar(&filter.Resting, "resting", false, "what was released and rests too")
	return command
}

func (c *cli) ipPoolsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "pools",
		Short:   "List the pools, and how full they are",
		Example: "  starter ip pools",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			database, err := c.facts(command.Context())
			if err != nil {
				return err
			}
			usage, err := ipam.New(database).Usage(command.Context())
			if err != nil {
				return err
			}
			type row struct {
				Name     string       `json:"name"`
				Site     string       `json:"site"`
				Role     ipam.Role    `json:"role"`
				Prefix   netip.Prefix `json:"prefix"`
				Capacity float64      `json:"addresses"`
				Held     float64      `json:"held"`
				Resting  float64      `json:"resting"`
			}
			rows := []row{}
			for _, u := range usage {
				rows = append(rows, row{u.Name, u.Site, u.Role, u.Prefix, u.Capacity, u.Held, u.Resting})
			}
			return c.print(rows, func(t table.Writer) {
				t.AppendHeader(table.Row{"pool", "site", "role", "prefix", "addresses", "held", "resting"})
				for _, r := range rows {
					t.AppendRow(table.Row{r.Name, r.Site, r.Role, r.Prefix, r.Capacity, r.Held, r.Resting})
				}
			})
		},
	}
}
