// Command lab runs a virtual rack on one Linux machine: servers, BMCs and a switch that
// speak the real protocols, in network namespaces of their own. It needs root.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "lab",
		Short:         "Run a virtual rack: servers, BMCs and a switch",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(demoCommand(), benchCommand(), prepareCommand(), upCommand(), downCommand(), statusCommand(), chassisCommand(), relayCommand(), guardCommand())
	return root
}
