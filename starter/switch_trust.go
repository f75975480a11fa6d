package main

import (
	"fmt"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"ferrodur/client"
)

func (c *cli) switchTrustCommand() *cobra.Command {
	var fingerprint string
	command := &cobra.Command{
		Use:   "trust SWITCH",
		Short: "Show the host key that a switch offers, and trust it if it is the one that you name",
		Long: `Show the host key that a switch offers, as a worker near it sees it. With --fingerprint,
that key is trusted from now on, in place of any other, if it has this fingerprint. Compare
it with what the switch itself says on its console: anyone could pose as the switch.`,
		Example: "  starter switch trust sw1\n  starter switch trust sw1 --fingerprint SHA256:…",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			ctx := command.Context()
			ref, temporal, err := c.switchWorkflow(ctx, given[0])
			if err != nil {
				return err
			}
			if c.format == formatTable {
				fmt.Fprintf(os.Stderr, "a worker at %s looks which key %s offers\n", ref.Site, ref.Switch)
			}
			offered, err := temporal.HostKey(ctx, ref)
			if err != nil {
				return err
			}
			if fingerprint != "" && fingerprint != offered.Fingerprint {
				return fmt.Errorf("%w: switch %s offers a key with the fingerprint %s, not %s: nothing is changed", client.ErrRefused, ref.Switch, offered.Fingerprint, fingerprint)
			}
			if fingerprint != "" && offered.Trusted != offered.Key {
				store, err := c.inventory(ctx)
				if err != nil {
					return err
				}
				if err := store.TrustSwitch(ctx, ref.Switch, offered.Trusted, offered.Key); err != nil {
					return err
				}
				offered.Trusted = offered.Key
			}
			return c.print(offered, func(t table.Writer) {
				trusted := "no key"
				switch offered.Trusted {
				case offered.Key:
					trusted = "this key"
				case "":
				default:
					trusted = "another key: " + offered.Trusted
				}
				t.AppendRows([]table.Row{
					{"switch", ref.Switch}, {"address", offered.Address}, {"offers", offered.Key}, {"fingerprint", offered.Fingerprint}, {"trusted", trusted},
				})
			})
		},
	}
	command.Flags().StringVar(&fingerprint, "fingerprint", "", "trust the key that has it")
	return command
}
