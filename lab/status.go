package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"ferrodur/lab/rack"
)

func statusCommand() *cobra.Command {
	var dir, output string
	command := &cobra.Command{
		Use:   "status",
		Short: "Show what there is of the rack",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := rack.Inspect(dir)
			if err != nil {
				return err
			}
			switch output {
			case "table":
				return printTable(cmd.OutOrStdout(), status)
			case "json":
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(status)
			default:
				return fmt.Errorf("output %q: use table or json", output)
			}
		},
	}
	command.Flags().StringVar(&dir, "dir", defaultDir, "state folder")
	command.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return command
}

func printTable(out io.Writer, status rack.Status) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tADDRESS\tSTATE\tPOWER\tBOOT\tFIRMWARE\tMAC\tPORT")
	for _, tor := range status.Switches {
		fmt.Fprintf(table, "%s\t%s\t%s\n", tor.Name, tor.Address, word(tor.Running, "up", "down"))
	}
	for _, server := range status.Servers {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			server.Name, server.BMC, word(server.BMCRunning, "up", "down"), word(server.Powered, "on", "off"),
			server.BootDevice, server.Firmware, server.MAC, server.Switch+" "+server.Port)
	}
	for _, relay := range status.Relays {
		fmt.Fprintf(table, "relay\t127.0.0.1:%d\t%s\n", relay.Port, word(relay.Running, "up", "down"))
	}
	return table.Flush()
}

func word(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
