package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"go4.org/netipx"

	"ferrodur/client"
	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/workflows/api"
)

func (c *cli) ipAllocateCommand() *cobra.Command {
	var (
		request    ipam.Request
		role, kind string
		name       string
		ipv4, ipv6 string
		chosen     []string
	)
	command := &cobra.Command{
		Use:   "allocate OWNER",
		Short: "Allocate addresses to an owner",
		Long: `Allocate addresses to an owner, from the pools of a site that have a role. Asked again with
the same owner and name, the answer is the same. An address of each family that has pools
is allocated, unless families are named. A block needs a length: --ipv4=28, --ipv6=56.`,
		Example: `  starter ip allocate desk/printer --site ewr1 --role service --kind address
  starter ip allocate customer/acme --name first --site ewr1 --role elastic --kind elastic --ipv4=28 --ipv6=56 --tenant acme
  starter ip allocate dns --site ewr1 --role service --kind address --chosen 203.0.113.53`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, given []string) (err error) {
			request.Owner, request.Role, request.By = given[0], ipam.Role(role), by()
			request.Wants, err = wants(name, ipam.Kind(kind), ipv4, ipv6, chosen)
			if err != nil {
				return err
			}
			store, err := c.addresses(command.Context())
			if err != nil {
				return err
			}
			answer, err := store.Allocate(command.Context(), request)
			if err != nil {
				return err
			}
			held := answer[:0]
			for _, a := range answer {
				if a.Prefix.IsValid() {
					held = append(held, a)
				}
			}
			rows := allocationRows(held)
			return c.print(rows, func(t table.Writer) {
				t.AppendHeader(table.Row{"prefix", "kind", "owner", "name", "pool"})
				for _, r := range rows {
					t.AppendRow(table.Row{r.Prefix, r.Kind, r.Owner, r.Name, poolName(r.Domain, r.Pool)})
				}
			})
		},
	}
	addDomain(command, &request.Domain)
	flags := command.Flags()
	flags.StringVar(&request.Site, "site", "", "site")
	flags.StringVar(&role, "role", string(ipam.Service), "role of the pools")
	flags.StringVar(&kind, "kind", string(ipam.KindAddress), "address, link, block, or elastic")
	flags.StringVar(&name, "name", "", "tells the owner's allocations apart")
	flags.StringVar(&ipv4, "ipv4", "", "IPv4, of this prefix length")
	flags.StringVar(&ipv6, "ipv6", "", "IPv6, of this prefix length")
	flags.Lookup("ipv4").NoOptDefVal = "0"
	flags.Lookup("ipv6").NoOptDefVal = "0"
	flags.StringSliceVar(&chosen, "chosen", nil, "this very address or prefix")
	flags.StringVar(&request.Plan, "plan", "", "where pools are kept for plans")
	flags.StringVar(&request.Tenant, "tenant", "", "where pools are kept for tenants, and whose limit counts")
	_ = command.MarkFlagRequired("site")
	command.MarkFlagsMutuallyExclusive("chosen", "ipv4")
	command.MarkFlagsMutuallyExclusive("chosen", "ipv6")
	return command
}

// wants are what the flags of "ip allocate" ask for.
func wants(name string, kind ipam.Kind, ipv4, ipv6 string, chosen []string) ([]ipam.Want, error) {
	switch kind {
	case ipam.KindAddress, ipam.KindLink, ipam.KindBlock, ipam.KindElastic:
	default:
		return nil, usage("kind %q is none of address, link, block, elastic", kind)
	}
	var wants []ipam.Want
	for _, text := range chosen {
		prefix, err := parseBlock(text)
		if err != nil {
			return nil, err
		}
		wants = append(wants, ipam.Want{Name: name, Kind: kind, Chosen: prefix})
	}
	for _, family := range []struct {
		family ipam.Family
		length string
	}{{ipam.IPv4, ipv4}, {ipam.IPv6, ipv6}} {
		if family.length == "" {
			continue
		}
		bits, err := strconv.Atoi(family.length)
		if err != nil {
			return nil, usage("%q is no prefix length: write --ipv4=28", family.length)
		}
		wants = append(wants, ipam.Want{Name: name, Kind: kind, Family: family.family, Bits: bits})
	}
	if len(wants) == 0 {
		for _, family := range []ipam.Family{ipam.IPv4, ipam.IPv6} {
			wants = append(wants, ipam.Want{Name: name, Kind: kind, Family: family, IfPooled: true})
		}
	}
	return wants, nil
}

func (c *cli) ipReleaseCommand() *cobra.Command {
	var (
		name, domain string
		force        bool
	)
	command := &cobra.Command{
		Use:   "release OWNER",
		Short: "Release what an owner holds; it rests before it is handed out again",
		Long: `Release all that an owner holds, or what he holds by one name. It rests for the quarantine
of its pool. Without --domain that is in all routing domains. What an instance or an
enrolment holds is released by its workflow: by hand only with --force, where the workflow
is no more.`,
		Example: "  starter ip release desk/printer\n  starter ip release customer/acme --name first",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			ctx, owner := command.Context(), given[0]
			if api.HoldsByWorkflow(owner) && !force {
				return fmt.Errorf("%w: %s releases what it holds by itself: use \"starter return\" or \"starter abort\", or give --force where the workflow is no more", client.ErrRefused, owner)
			}
			store, err := c.addresses(ctx)
			if err != nil {
				return err
			}
			held, err := store.Allocations(ctx, ipam.Filter{Owner: owner, Name: name, Domain: domain})
			if err != nil {
				return err
			}
			for _, a := range held {
				if a.Owner == owner && a.Instance != "" {
					return fmt.Errorf("%w: %s is routed to %s: first move it away: starter ip move %s %s --away", client.ErrRefused, a.Prefix, a.Instance, owner, a.Name)
				}
			}
			if err := c.checkCarried(ctx, owner, held); err != nil {
				return err
			}
			switch {
			case domain != "":
				err = store.ReleaseIn(ctx, domain, owner, name, by())
			case name != "":
				err = store.ReleaseName(ctx, owner, name, by())
			default:
				err = store.Release(ctx, owner, by())
			}
			if err != nil {
				return err
			}
			released := []netip.Prefix{}
			for _, a := range held {
				released = append(released, a.Prefix)
			}
			if len(released) == 0 {
				return c.say(released, "%s holds nothing", owner)
			}
			return c.say(released, "released: %s", listed(texts(released)))
		},
	}
	command.Flags().StringVar(&name, "name", "", "only what is held by this name")
	command.Flags().StringVar(&domain, "domain", "", "only what is held in this routing domain")
	command.Flags().BoolVar(&force, "force", false, "also what belongs to a workflow")
	return command
}

// checkCarried refuses to release an elastic block that a port carries still, whatever the book says:
// somebody else's would be routed there.
func (c *cli) checkCarried(ctx context.Context, owner string, held []ipam.Allocation) error {
	store, err := c.inventory(ctx)
	if err != nil {
		return err
	}
	for _, a := range held {
		if a.Owner != owner || a.Kind != ipam.KindElastic {
			continue
		}
		carriers, err := store.Carriers(ctx, []netip.Prefix{a.Prefix})
		if err != nil {
			return err
		}
		if len(carriers) > 0 {
			return fmt.Errorf("%w: the port of %s carries %s still, which a move did not reach: starter ip move %s %s --away", client.ErrRefused, carriers[0], a.Prefix, owner, a.Name)
		}
	}
	return nil
}

func texts(prefixes []netip.Prefix) []string {
	all := []string{}
	for _, p := range prefixes {
		all = append(all, p.String())
	}
	return all
}

func (c *cli) ipReserveCommand() *cobra.Command {
	var (
		domain, reason string
		remove         bool
	)
	command := &cobra.Command{
		Use:     "reserve ADDRESS|PREFIX|FIRST-LAST",
		Short:   "Keep addresses of a pool from being handed out",
		Example: "  starter ip reserve 203.0.113.1 --reason gateway\n  starter ip reserve 203.0.113.2-203.0.113.7 --reason \"VRRP of the routers\"\n  starter ip reserve 203.0.113.1 --remove",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			if remove == (reason != "") {
				return usage("give a --reason, or --remove")
			}
			addresses, err := parseRange(given[0])
			if err != nil {
				return err
			}
			ctx := command.Context()
			store, err := c.addresses(ctx)
			if err != nil {
				return err
			}
			if remove {
				held, err := store.Allocations(ctx, ipam.Filter{Owner: ipam.ReservationOwner(addresses.From(), addresses.To())})
				if err != nil {
					return err
				}
				if len(held) == 0 {
					return fmt.Errorf("%s as a reservation of its own: %w; see: starter ip show %s", given[0], ipam.ErrNotHeld, addresses.From())
				}
				if err := store.Unreserve(ctx, addresses.From(), addresses.To(), by()); err != nil {
					return err
				}
				return c.say(map[string]string{"unreserved": given[0]}, "%s is no longer reserved", given[0])
			}
			pool, err := store.PoolOf(ctx, domain, addresses.From())
			if err != nil {
				return err
			}
			if err := store.Reserve(ctx, pool, addresses.From(), addresses.To(), reason, by()); err != nil {
				return err
			}
			return c.say(map[string]string{"reserved": given[0], "pool": pool.Name}, "%s is reserved, of pool %s", given[0], pool.Name)
		},
	}
	addDomain(command, &domain)
	command.Flags().StringVar(&reason, "reason", "", "why")
	command.Flags().BoolVar(&remove, "remove", false, "make what was reserved free again")
	return command
}

// parseRange reads an address, a prefix, or a range of addresses.
func parseRange(text string) (netipx.IPRange, error) {
	if strings.Contains(text, "-") {
		parsed, err := netipx.ParseIPRange(text)
		if err != nil {
			return parsed, usage("%q is no range such as 203.0.113.2-203.0.113.7: %w", text, err)
		}
		return parsed, nil
	}
	prefix, err := parseBlock(text)
	if err != nil {
		return netipx.IPRange{}, err
	}
	if prefix != prefix.Masked() {
		return netipx.IPRange{}, usage("%s has bits set behind its length: write %s", prefix, prefix.Masked())
	}
	return netipx.RangeOfPrefix(prefix), nil
}

func (c *cli) ipMoveCommand() *cobra.Command {
	var (
		domain string
		away   bool
	)
	command := &cobra.Command{
		Use:   "move OWNER NAME [INSTANCE]",
		Short: "Move an elastic block that an owner keeps to another of his instances, or away from any",
		Long: `Move an elastic block that an owner keeps to another of his instances, or away from any. The
workflow "move/…" takes it off the one server's port and puts it onto the other's.`,
		Example: "  starter ip move customer/acme first o-42\n  starter ip move customer/acme first --away",
		Args:    cobra.RangeArgs(2, 3),
		RunE: func(command *cobra.Command, given []string) error {
			if away == (len(given) == 3) {
				return usage("name the instance, or give --away")
			}
			instance := ""
			if !away {
				instance = workflowID(given[2])
				if order := api.OrderOf(instance); instance != api.InstanceID(order) || client.CheckOrderID(order) != nil {
					return usage("%q is no order", given[2])
				}
			}
			ctx := command.Context()
			store, err := c.addresses(ctx)
			if err != nil {
				return err
			}
			key := api.ElasticKey{Domain: domain, Owner: given[0], Name: given[1]}
			held, err := store.Allocations(ctx, ipam.Filter{Domain: cmp.Or(domain, ipam.DefaultDomain), Owner: key.Owner, Name: key.Name})
			if err != nil {
				return err
			}
			if len(held) == 0 {
				return fmt.Errorf("%q of %s: %w", key.Name, key.Owner, ipam.ErrNotHeld)
			}
			temporal, err := c.workflows(ctx)
			if err != nil {
				return err
			}
			if _, err := temporal.Move(ctx, api.MoveInput{ElasticKey: key, Instance: instance, By: by().Actor}); err != nil {
				return err
			}
			if away {
				return c.say(map[string]string{"instance": ""}, "%s of %s is at no instance", given[1], given[0])
			}
			facts, err := c.inventory(ctx)
			if err != nil {
				return err
			}
			later := ""
			switch found, err := facts.Instance(ctx, instance); {
			case is[inventory.NotFoundError](err):
				later = ", which carries it once somebody orders it"
			case err == nil && found.State != inventory.InstanceActive:
				later = ", which carries it once it is active"
			}
			return c.say(map[string]string{"instance": instance}, "%s of %s is at %s%s", given[1], given[0], instance, later)
		},
	}
	addDomain(command, &domain)
	command.Flags().BoolVar(&away, "away", false, "away from any instance")
	return command
}
