package main

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"ferrodur/ipam"
	"ferrodur/ipam/netbox"
)

func (c *cli) ipCommand() *cobra.Command {
	command := &cobra.Command{
		Use: "ip", Short: "Manage addresses: who holds what, how full the pools are, and what was before",
		Long: `Manage addresses: who holds what, how full the pools are, and what was before.

Instances get and lose their addresses by their workflows. What people, services and
customers hold is allocated here. Pools are declared with "starter apply".`,
	}
	command.AddCommand(
		c.ipListCommand(), c.ipPoolsCommand(), c.ipTreeCommand(), c.ipShowCommand(), c.ipHistoryCommand(),
		c.ipAllocateCommand(), c.ipReleaseCommand(), c.ipReserveCommand(), c.ipMoveCommand(),
		c.ipImportCommand(), c.ipExportCommand(), c.ipMapCommand(),
	)
	return command
}

// addresses opens the address management.
func (c *cli) addresses(ctx context.Context) (*ipam.Store, error) {
	database, err := c.facts(ctx)
	if err != nil {
		return nil, err
	}
	outside, err := netbox.FromEnvironment()
	if err != nil {
		return nil, usageError{err}
	}
	return ipam.New(database, outside...), nil
}

// addDomain gives a command the flag for a routing domain.
func addDomain(command *cobra.Command, domain *string) {
	command.Flags().StringVar(domain, "domain", ipam.DefaultDomain, "routing domain")
}

// parseBlock reads an address or a prefix.
func parseBlock(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		if address.Is4In6() {
			return netip.Prefix{}, &ipam.InvalidError{What: "address", Reason: fmt.Sprintf("%s is an IPv4 address in IPv6 form: write it as IPv4, %s", address, address.Unmap())}
		}
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return prefix, usage("%q is neither an address nor a prefix", text)
	}
	if prefix.Addr().Is4In6() {
		return prefix, &ipam.InvalidError{What: "prefix", Reason: fmt.Sprintf("%s is an IPv4 prefix in IPv6 form: write it as IPv4", prefix)}
	}
	return prefix, nil
}

// allocationRow is an allocation as the CLI shows it.
type allocationRow struct {
	Owner       string       `json:"owner"`
	Name        string       `json:"name,omitempty"`
	Domain      string       `json:"domain"`
	Pool        string       `json:"pool"`
	Prefix      netip.Prefix `json:"prefix"`
	Kind        ipam.Kind    `json:"kind"`
	Tenant      string       `json:"tenant,omitempty"`
	Instance    string       `json:"instance,omitempty"`
	Reason      string       `json:"reason,omitempty"`
	AllocatedAt time.Time    `json:"allocated_at,omitzero"`
	RestsUntil  time.Time    `json:"rests_until,omitzero"`
}

func allocationRows(found []ipam.Allocation) []allocationRow {
	rows := []allocationRow{}
	for _, a := range found {
		rows = append(rows, allocationRow{a.Owner, a.Name, a.Domain, a.Pool, a.Prefix, a.Kind, a.Tenant, a.Instance, a.Reason, a.AllocatedAt, a.RestsUntil})
	}
	return rows
}

func (c *cli) printAllocations(rows []allocationRow) error {
	return c.print(rows, func(t table.Writer) {
		t.AppendHeader(table.Row{"prefix", "kind", "owner", "name", "instance", "pool", "tenant", "since", "rests until"})
		for _, r := range rows {
			t.AppendRow(table.Row{r.Prefix, r.Kind, r.Owner, r.Name, r.Instance, poolName(r.Domain, r.Pool), r.Tenant, moment(r.AllocatedAt), moment(r.RestsUntil)})
		}
	})
}

// poolName tells pools of other routing domains apart from those of the default one.
func poolName(domain, pool string) string {
	if domain == ipam.DefaultDomain {
		return pool
	}
	return domain + "/" + pool
}

// moment is a time for people, in their own zone.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

func (c *cli) ipListCommand() *cobra.Command {
	var filter ipam.Filter
	command := &cobra.Command{
		Use:     "list",
		Short:   "List what is held",
		Example: "  starter ip list --owner instance/o-42\n  starter ip list --resting -o json",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			store, err := c.addresses(command.Context())
			if err != nil {
				return err
			}
			found, err := store.Allocations(command.Context(), filter)
			if err != nil {
				return err
			}
			return c.printAllocations(allocationRows(found))
		},
	}
	command.Flags().StringVar(&filter.Owner, "owner", "", "of one owner")
	command.Flags().StringVar(&filter.Pool, "pool", "", "of one pool")
	command.Flags().StringVar(&filter.Site, "site", "", "of one site")
	command.Flags().BoolVar(&filter.Resting, "resting", false, "what was released and rests too")
	return command
}

// poolRow is a pool as the CLI shows it.
type poolRow struct {
	Name          string       `json:"name"`
	Domain        string       `json:"domain"`
	Site          string       `json:"site"`
	Role          ipam.Role    `json:"role"`
	Plan          string       `json:"plan,omitempty"`
	Tenant        string       `json:"tenant,omitempty"`
	Prefix        netip.Prefix `json:"prefix"`
	Source        string       `json:"source,omitempty"`
	Capacity      float64      `json:"addresses"`
	Held          float64      `json:"held"`
	Resting       float64      `json:"resting"`
	Reserved      float64      `json:"reserved"`
	Free          float64      `json:"free"`
	Used          float64      `json:"used_percent"`
	Threshold     int          `json:"threshold_percent"`
	PastThreshold bool         `json:"past_threshold"`
	Unknown       string       `json:"unknown,omitempty"` // why its source did not tell
}

func (c *cli) ipPoolsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pools",
		Short: "List the pools, and how full they are",
		Long: `List the pools, and how full they are. A pool that has passed its threshold is marked with
"!": it is time to add another one.`,
		Example: "  starter ip pools\n  starter ip pools -o json",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			store, err := c.addresses(command.Context())
			if err != nil {
				return err
			}
			usage, err := store.Usage(command.Context())
			if err != nil {
				return err
			}
			rows := []poolRow{}
			for _, u := range usage {
				row := poolRow{
					u.Name, u.Domain, u.Site, u.Role, u.Plan, u.Tenant, u.Prefix, u.Source,
					u.Capacity, u.Held, u.Resting, u.Reserved, u.Free, u.Used(), u.Threshold, u.PastThreshold(), "",
				}
				if u.Unknown != nil {
					row.Unknown = u.Unknown.Error()
				}
				rows = append(rows, row)
			}
			return c.print(rows, func(t table.Writer) {
				t.AppendHeader(table.Row{"", "pool", "site", "role", "prefix", "addresses", "held", "resting", "reserved", "free", "used", "threshold"})
				for _, r := range rows {
					mark := ""
					if r.PastThreshold {
						mark = "!"
					}
					t.AppendRow(table.Row{
						mark, poolName(r.Domain, r.Name), r.Site, r.Role, r.Prefix, amount(r.Capacity), amount(r.Held), amount(r.Resting), amount(r.Reserved), amount(r.Free),
						bar(r.Used), fmt.Sprintf("%d %%", r.Threshold),
					})
					if r.Unknown != "" {
						t.AppendRow(table.Row{"?", r.Unknown})
					}
				}
			})
		},
	}
}

// amount is a number of addresses: of IPv6, as a power of 2.
func amount(n float64) string {
	if n < 1<<24 {
		return fmt.Sprintf("%.0f", n)
	}
	return "2^" + strconv.FormatFloat(math.Round(10*math.Log2(n))/10, 'f', -1, 64)
}

// bar shows a share in percent.
func bar(percent float64) string {
	const width = 10
	filled := min(width, int(math.Ceil(percent/100*width-1e-9)))
	return fmt.Sprintf("%s%s %5.1f %%", strings.Repeat("█", filled), strings.Repeat("░", width-filled), percent)
}
