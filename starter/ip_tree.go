package main

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"ferrodur/ipam"
)

// prefixRow is a prefix of the tree as the CLI shows it.
type prefixRow struct {
	Domain      string          `json:"domain"`
	Prefix      netip.Prefix    `json:"prefix"`
	Kind        ipam.PrefixKind `json:"kind"`
	Name        string          `json:"name,omitempty"`
	Site        string          `json:"site,omitempty"`
	Role        ipam.Role       `json:"role,omitempty"`
	Plan        string          `json:"plan,omitempty"`
	Tenant      string          `json:"tenant,omitempty"`
	Tags        []string        `json:"tags"`
	Description string          `json:"description,omitempty"`
}

func prefixRowOf(p ipam.Prefix) prefixRow {
	return prefixRow{p.Domain, p.Prefix, p.Kind, p.Name, p.Site, p.Role, p.Plan, p.Tenant, orEmpty(p.Tags), p.Description}
}

// label is what a prefix is, in few words.
func (r prefixRow) label() string {
	words := []string{string(r.Kind)}
	for _, word := range []string{r.Name, r.Site, string(r.Role), r.Description} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

func (c *cli) ipTreeCommand() *cobra.Command {
	var filter ipam.TreeFilter
	command := &cobra.Command{
		Use:     "tree [PREFIX]",
		Short:   "Show how prefixes are nested, and how full they are",
		Long:    "Show how prefixes are nested, and how much of each is used: held, resting or reserved in the pools that it is or has.",
		Example: "  starter ip tree\n  starter ip tree 203.0.113.0/24 --depth 2",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, given []string) (err error) {
			if filter.Depth < 0 {
				return usage("--depth is negative")
			}
			if len(given) > 0 {
				if filter.Under, err = parseBlock(given[0]); err != nil {
					return err
				}
			}
			store, err := c.addresses(command.Context())
			if err != nil {
				return err
			}
			nodes, err := store.Tree(command.Context(), filter)
			if err != nil {
				return err
			}
			type row struct {
				prefixRow
				Depth int     `json:"depth"`
				Pools int     `json:"pools"`
				Size  float64 `json:"addresses"`
				Used  float64 `json:"used_addresses"`
			}
			rows := []row{}
			for _, n := range nodes {
				rows = append(rows, row{prefixRowOf(n.Prefix), n.Depth, n.Pools, n.Size, n.Used})
			}
			return c.print(rows, func(t table.Writer) {
				t.AppendHeader(table.Row{"prefix", "", "pools", "used"})
				for _, r := range rows {
					t.AppendRow(table.Row{strings.Repeat("  ", r.Depth) + r.Prefix.String(), r.label(), r.Pools, bar(100 * r.Used / r.Size)})
				}
			})
		},
	}
	addDomain(command, &filter.Domain)
	command.Flags().IntVar(&filter.Depth, "depth", 0, "so many levels; 0: all")
	return command
}

// showEvents is how many changes "ip show" lists.
const showEvents = 10

func (c *cli) ipShowCommand() *cobra.Command {
	var domain string
	command := &cobra.Command{
		Use:     "show ADDRESS",
		Short:   "Show what an address or prefix lies in, who has it, and what became of it lately",
		Example: "  starter ip show 203.0.113.7\n  starter ip show 2001:db8::/127 -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			of, err := parseBlock(given[0])
			if err != nil {
				return err
			}
			store, err := c.addresses(command.Context())
			if err != nil {
				return err
			}
			holder, err := store.HolderOf(command.Context(), domain, of)
			if err != nil {
				return err
			}
			events, err := store.History(command.Context(), ipam.HistoryFilter{Domain: domain, Of: of})
			if err != nil {
				return err
			}
			events = events[max(0, len(events)-showEvents):]
			document := struct {
				Prefixes   []prefixRow    `json:"prefixes"`
				Allocation *allocationRow `json:"allocation"`
				Events     []eventRow     `json:"events"`
			}{[]prefixRow{}, nil, eventRows(events)}
			for _, p := range holder.Prefixes {
				document.Prefixes = append(document.Prefixes, prefixRowOf(p))
			}
			if holder.Allocation != nil {
				document.Allocation = &allocationRows([]ipam.Allocation{*holder.Allocation})[0]
			}
			return c.print(document, func(t table.Writer) {
				for i, p := range document.Prefixes {
					t.AppendRow(table.Row{strings.Repeat("  ", i) + p.Prefix.String(), p.label()})
				}
				t.AppendRow(table.Row{of, holding(document.Allocation)})
				for _, e := range document.Events {
					t.AppendRow(table.Row{moment(e.At), e.sentence()})
				}
			})
		},
	}
	addDomain(command, &domain)
	return command
}

// holding says who has an address.
func holding(a *allocationRow) string {
	switch {
	case a == nil:
		return "nobody has it"
	case !a.RestsUntil.IsZero() && a.RestsUntil.Before(time.Now()):
		return fmt.Sprintf("nobody has it; %s was %s's", a.Prefix, a.Owner)
	case !a.RestsUntil.IsZero():
		return fmt.Sprintf("%s rests until %s; it was %s's", a.Prefix, moment(a.RestsUntil), a.Owner)
	case a.Kind == ipam.KindReserved:
		return fmt.Sprintf("%s is reserved: %s", a.Prefix, a.Reason)
	}
	text := fmt.Sprintf("%s %s held by %s", a.Kind, a.Prefix, a.Owner)
	for _, part := range []struct{ what, is string }{{"by the name", a.Name}, {"of tenant", a.Tenant}, {"at", a.Instance}, {"since", moment(a.AllocatedAt)}} {
		if part.is != "" {
			text += fmt.Sprintf(" %s %s", part.what, part.is)
		}
	}
	return text
}
