package stack

import (
	"context"
	"fmt"
	"strings"

	"ferrodur/ipam"
	"ferrodur/lab/rack"
)

// The methods of this file make trouble, for tests, where it happens in a data centre: on
// the wire and in the pool. Each has one that ends it.

// SilenceSwitch drops whatever is sent to the switch's management address.
func (s *Stack) SilenceSwitch(ctx context.Context) error {
	return s.drop(ctx, "silence", fmt.Sprintf("ip daddr %s", rack.Layout().Switch))
}

// HearSwitch ends SilenceSwitch.
func (s *Stack) HearSwitch(ctx context.Context) error { return s.undrop(ctx, "silence") }

// BlockCallHome drops what tenants' systems send to the boot service.
func (s *Stack) BlockCallHome(ctx context.Context) error {
	return s.drop(ctx, "callhome", fmt.Sprintf("ip saddr %s ip daddr %s", rack.Layout().Tenant, rack.Layout().Boot))
}

// AllowCallHome ends BlockCallHome.
func (s *Stack) AllowCallHome(ctx context.Context) error { return s.undrop(ctx, "callhome") }

// drop has the site's kernel drop packets that match, whichever way they go.
func (s *Stack) drop(ctx context.Context, table, match string) error {
	for _, hook := range []string{"input", "output"} {
		for _, command := range []string{
			"add table inet " + table,
			fmt.Sprintf("add chain inet %s %s { type filter hook %s priority 0 ; }", table, hook, hook),
			fmt.Sprintf("add rule inet %s %s %s drop", table, hook, match),
		} {
			if output, err := s.Site().Run(ctx, "nft", strings.Fields(command)...); err != nil {
				return fmt.Errorf("nft %s: %w\n%s", command, err, output)
			}
		}
	}
	return nil
}

func (s *Stack) undrop(ctx context.Context, table string) error {
	if output, err := s.Site().Run(ctx, "nft", "delete", "table", "inet", table); err != nil {
		return fmt.Errorf("nft delete table %s: %w\n%s", table, err, output)
	}
	return nil
}

// hoarder owns the links that LeaveLinks takes.
const hoarder = "server/hoarder"

// LeaveLinks takes all links of the tenants' IPv4 pool but some.
func (s *Stack) LeaveLinks(ctx context.Context, some int) error {
	usage, err := s.Addresses.Usage(ctx)
	if err != nil {
		return err
	}
	for _, pool := range usage {
		if pool.Role != ipam.Tenant || !pool.Prefix.Addr().Is4() {
			continue
		}
		for n := range int(pool.Capacity-pool.Held-pool.Resting)/2 - some {
			_, err := s.Addresses.AllocateLinks(ctx, ipam.Request{Owner: fmt.Sprint(hoarder, n), Site: pool.Site, Role: pool.Role})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// FreeLinks gives back what LeaveLinks took.
func (s *Stack) FreeLinks(ctx context.Context) error {
	held, err := s.Addresses.Allocations(ctx, ipam.Filter{})
	if err != nil {
		return err
	}
	for _, allocation := range held {
		if strings.HasPrefix(allocation.Owner, hoarder) {
			if err := s.Addresses.Release(ctx, allocation.Owner, ipam.By{Actor: "the tests"}); err != nil {
				return err
			}
		}
	}
	return nil
}
