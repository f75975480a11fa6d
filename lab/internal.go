package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"ferrodur/lab/machine"
	"ferrodur/lab/netns"
	"ferrodur/lab/rack"
)

// The commands of this file are the lab's own, called by its parts.

// chassisTime bounds one command of a BMC, which answers nobody meanwhile.
const chassisTime = 30 * time.Second

// chassisCommand is called by a BMC to drive its server.
func chassisCommand() *cobra.Command {
	var dir string
	command := &cobra.Command{
		Use:    "chassis get|set|check power|boot|reset|shutdown [value]",
		Short:  "Do what a BMC asks of its chassis",
		Hidden: true,
		Args:   cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := machine.Open(dir)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), chassisTime)
			defer cancel()
			return server.Chassis(ctx, cmd.OutOrStdout(), args)
		},
	}
	command.Flags().StringVar(&dir, "dir", "", "folder of the machine")
	return command
}

// relayCommand brings one port of the host's loopback to the site.
func relayCommand() *cobra.Command {
	var (
		namespace string
		port      uint16
	)
	command := &cobra.Command{
		Use:    "relay",
		Short:  "Let a namespace reach a port of this one's loopback",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return rack.Relay(cmd.Context(), netns.Namespace(namespace), port)
		},
	}
	command.Flags().StringVar(&namespace, "namespace", "", "who is to reach it")
	command.Flags().Uint16Var(&port, "port", 0, "TCP port")
	return command
}

// guardCommand takes the rack down when its parent has ended.
func guardCommand() *cobra.Command {
	var (
		dir    string
		parent int
	)
	command := &cobra.Command{
		Use:    "guard",
		Short:  "Take the rack down when a process has ended",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return rack.Guard(cmd.Context(), dir, parent)
		},
	}
	command.Flags().StringVar(&dir, "dir", "", "state folder")
	command.Flags().IntVar(&parent, "parent", 0, "PID of the process to wait for")
	return command
}
