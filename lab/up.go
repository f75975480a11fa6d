package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"ferrodur/lab/machine"
	"ferrodur/lab/rack"
)

const (
	defaultDir    = ".state/rack"
	defaultPrefix = "lab"
)

func upCommand() *cobra.Command {
	var (
		config    rack.Config
		servers   int
		firmwares []string
		relays    []uint
		image     rack.Image
	)
	command := &cobra.Command{
		Use:   "up",
		Short: "Build the rack, or what is missing of it",
		Long: `Up builds the rack in network namespaces and returns when its BMCs and its switch answer.
The servers are off: powering them on is their BMC's business. It writes rack.yaml into the
state folder, with which the rack can be enrolled: starter apply -f DIR/rack.yaml.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(firmwares) == 0 {
				return fmt.Errorf("--firmware is empty: name bios, uefi, or both")
			}
			for n := range servers {
				firmware := machine.Firmware(firmwares[n%len(firmwares)])
				config.Servers = append(config.Servers, rack.Server{Firmware: firmware})
			}
			for _, port := range relays {
				config.Relays = append(config.Relays, uint16(port))
			}
			if image.File != "" {
				config.Image = &image
			}
			if err := rack.Up(cmd.Context(), config); err != nil {
				return err
			}
			status, err := rack.Inspect(config.Dir)
			if err != nil {
				return err
			}
			return printTable(cmd.OutOrStdout(), status)
		},
	}
	flags := command.Flags()
	flags.StringVar(&config.Dir, "dir", defaultDir, "state folder")
	flags.StringVar(&config.Prefix, "prefix", defaultPrefix, "begins the names of the network namespaces")
	flags.IntVar(&servers, "servers", 2, fmt.Sprintf("how many servers, up to %d", rack.MaxServers))
	flags.StringSliceVar(&firmwares, "firmware", []string{string(machine.BIOS), string(machine.UEFI)},
		"firmware of the servers in turn: "+strings.Join([]string{string(machine.BIOS), string(machine.UEFI)}, ", "))
	flags.UintSliceVar(&relays, "relay", nil, "TCP ports of 127.0.0.1 that the site can reach, for Temporal and PostgreSQL")
	flags.BoolVar(&config.KVM, "kvm", false, "use hardware virtualisation")
	flags.StringVar(&image.File, "image", "", "zstd-compressed raw image for rack.yaml to offer")
	flags.StringVar(&image.Name, "image-name", "debian-12", "its name")
	flags.StringVar(&image.SSHUser, "image-user", "debian", "who logs in to it")
	return command
}
