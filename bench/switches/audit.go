package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"ferrodur/inventory"
	"ferrodur/switches/emulator"
	"ferrodur/workflows/api"
)

const (
	auditSwitches = 100
	auditPorts    = 48
)

// audit fills a hundred switches with tenants, and has all of them compared.
func (b *bench) audit(ctx context.Context) error {
	var (
		devices  []*emulator.Device
		declared []inventory.Switch
	)
	for n := range auditSwitches {
		device, s, err := b.emulate(fmt.Sprintf("rack%d", n+1), auditPorts, emulator.Faults{})
		if err != nil {
			return err
		}
		devices, declared = append(devices, device), append(declared, s)
	}
	if err := b.declare(ctx, declared...); err != nil {
		return err
	}
	group, filling := errgroup.WithContext(ctx)
	group.SetLimit(10)
	for _, s := range declared {
		group.Go(func() error {
			var ports []api.ConfigurePortInput
			for n := range auditPorts {
				ports = append(ports, tenant(s.Name, n, 0))
			}
			return b.set(filling, s.Name, ports...)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	sessions := func() (n int) {
		for _, device := range devices {
			n += device.Counts().Sessions
		}
		return n
	}
	before, begun := sessions(), time.Now()
	result, err := b.client.Audit(ctx, api.AuditInput{Site: site})
	if err != nil {
		return err
	}
	b.Audit = audit{Seconds: time.Since(begun).Seconds(), Sessions: sessions() - before}
	for _, report := range result.Reports {
		if report.Problem != "" || len(report.Drift) > 0 {
			return fmt.Errorf("switch %s: %s, %d ports differ", report.Switch, report.Problem, len(report.Drift))
		}
		if len(report.Switch) > 4 && report.Switch[:4] == "rack" {
			b.Audit.Switches++
			b.Audit.Ports += report.Ports
		}
	}
	return nil
}
