package main

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"ferrodur/client"
	"ferrodur/workflows/api"
)

func (c *cli) listCommand() *cobra.Command {
	var (
		all, attention bool
		site           string
	)
	command := &cobra.Command{
		Use:     "list",
		Short:   "List orders and other workflows that are under way",
		Example: "  starter list --needs-attention\n  starter list --site ewr1 --all",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			temporal, err := c.workflows(command.Context())
			if err != nil {
				return err
			}
			if strings.ContainsAny(site, `'"\`) {
				return usage("--site %q is no name of a site", site)
			}
			types := fmt.Sprintf("%q, %q, %q, %q", api.WorkflowInstance, api.WorkflowEnroll, api.WorkflowBurnIn, api.WorkflowMove)
			if attention { // switches have workflows for ever: they are listed when they wait for somebody
				types += fmt.Sprintf(", %q", api.WorkflowSwitch)
			}
			conditions := []string{"WorkflowType IN (" + types + ")"}
			if !all {
				conditions = append(conditions, `ExecutionStatus = "Running"`)
			}
			if attention {
				conditions = append(conditions, api.SearchNeedsAttention+" = true")
			}
			if site != "" {
				conditions = append(conditions, api.SearchSite+` = "`+site+`"`)
			}
			found := []client.Listed{}
			for listed, err := range temporal.List(command.Context(), strings.Join(conditions, " AND ")) {
				if err != nil {
					return err
				}
				found = append(found, listed)
			}
			return c.print(found, func(t table.Writer) {
				t.AppendHeader(table.Row{"workflow", "status", "stage", "server", "site", "plan", "attention", "started"})
				for _, l := range found {
					needs := ""
					if l.NeedsAttention {
						needs = "needed"
					}
					t.AppendRow(table.Row{l.ID, l.Status, l.Stage, l.Server, l.Site, l.Plan, needs, since(l.Started)})
				}
			})
		},
	}
	command.Flags().BoolVar(&all, "all", false, "those that have ended too")
	command.Flags().BoolVar(&attention, "needs-attention", false, "only those that wait for an operator")
	command.Flags().StringVar(&site, "site", "", "of one site")
	return command
}
