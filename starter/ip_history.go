package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"ferrodur/ipam"
)

// eventRow is a change as the CLI shows it.
type eventRow struct {
	At       time.Time       `json:"at"`
	Prefix   netip.Prefix    `json:"prefix"`
	Action   ipam.Action     `json:"action"`
	Kind     ipam.Kind       `json:"kind"`
	Owner    string          `json:"owner,omitempty"`
	Name     string          `json:"name,omitempty"`
	Tenant   string          `json:"tenant,omitempty"`
	Actor    string          `json:"actor,omitempty"`
	Workflow string          `json:"workflow,omitempty"`
	Before   json.RawMessage `json:"before,omitempty"`
	After    json.RawMessage `json:"after,omitempty"`
}

func eventRows(events []ipam.Event) []eventRow {
	rows := []eventRow{}
	for _, e := range events {
		rows = append(rows, eventRow{e.At, e.Prefix, e.Action, e.Kind, e.Owner, e.Name, e.Tenant, e.By.Actor, e.By.Workflow, e.Before, e.After})
	}
	return rows
}

// sentence tells of a change.
func (e eventRow) sentence() string {
	text := fmt.Sprintf("%s %s %s", e.Action, e.Kind, e.Prefix)
	for _, part := range []struct{ what, is string }{
		{"owner", e.Owner}, {"name", e.Name}, {"tenant", e.Tenant}, {"by", e.Actor}, {"workflow", e.Workflow}, {"with", e.changes()},
	} {
		if part.is != "" {
			text += fmt.Sprintf(", %s %s", part.what, part.is)
		}
	}
	return text
}

// changes tells which fields have changed, and to what.
func (e eventRow) changes() string {
	var before, after map[string]any
	if json.Unmarshal(e.After, &after) != nil {
		return ""
	}
	_ = json.Unmarshal(e.Before, &before) // none where it is new
	var changed []string
	for _, field := range slices.Sorted(maps.Keys(after)) {
		was, is := fmt.Sprint(before[field]), fmt.Sprint(after[field])
		switch {
		case was == is, before == nil && slices.Contains([]string{"", "[]", "<nil>"}, is):
		case before == nil:
			changed = append(changed, fmt.Sprintf("%s %s", field, is))
		default:
			changed = append(changed, fmt.Sprintf("%s %q → %q", field, was, is))
		}
	}
	return strings.Join(changed, "; ")
}

func (c *cli) ipHistoryCommand() *cobra.Command {
	var (
		filter           ipam.HistoryFilter
		since, until, at string
	)
	command := &cobra.Command{
		Use:   "history [ADDRESS]",
		Short: "Tell what became of an address or an owner, and who held an address at a time",
		Long: `Tell what became of an address or a prefix and of all that it lies in, or what an owner
held. With --at, tell who held an address at that time. Times are dates, which are those of
this machine, or RFC 3339; tables show them as this machine has them.`,
		Example: "  starter ip history 203.0.113.7 --at 2026-03-01T12:00:00Z\n  starter ip history --owner instance/o-42\n  starter ip history 203.0.113.0/24 --since 2026-03-01 -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, given []string) (err error) {
			if len(given) > 0 {
				if filter.Of, err = parseBlock(given[0]); err != nil {
					return err
				}
			}
			if len(given) == 0 && filter.Owner == "" {
				return usage("name an address, or an owner with --owner")
			}
			for _, bound := range []struct {
				flag, text string
				to         *time.Time
			}{{"since", since, &filter.Since}, {"until", until, &filter.Until}} {
				if *bound.to, err = parseMoment(bound.flag, bound.text); err != nil {
					return err
				}
			}
			moment, err := parseMoment("at", at)
			if err != nil {
				return err
			}
			if at != "" && !filter.Of.IsSingleIP() {
				return usage("--at needs a single address")
			}
			store, err := c.addresses(command.Context())
			if err != nil {
				return err
			}
			var events []ipam.Event
			if at != "" {
				event, err := store.HeldAt(command.Context(), filter.Domain, filter.Of.Addr(), moment)
				if err != nil {
					return err
				}
				events = append(events, event)
			} else if events, err = store.History(command.Context(), filter); err != nil {
				return err
			}
			return c.printEvents(eventRows(events))
		},
	}
	command.Flags().StringVar(&filter.Domain, "domain", "", "routing domain; if left out, default, or for an owner all")
	command.Flags().StringVar(&filter.Owner, "owner", "", "of one owner")
	command.Flags().StringVar(&since, "since", "", "from this time on")
	command.Flags().StringVar(&until, "until", "", "before this time")
	command.Flags().StringVar(&at, "at", "", "who held the address at this time")
	command.MarkFlagsMutuallyExclusive("at", "since")
	command.MarkFlagsMutuallyExclusive("at", "until")
	command.MarkFlagsMutuallyExclusive("at", "owner")
	return command
}

func (c *cli) printEvents(rows []eventRow) error {
	return c.print(rows, func(t table.Writer) {
		t.AppendHeader(table.Row{"time", "prefix", "action", "kind", "owner", "name", "tenant", "by", "workflow", "with"})
		for _, r := range rows {
			t.AppendRow(table.Row{moment(r.At), r.Prefix, r.Action, r.Kind, r.Owner, r.Name, r.Tenant, r.Actor, r.Workflow, r.changes()})
		}
	})
}

// parseMoment reads a date, or a time of RFC 3339; the zero time where the text is empty.
func parseMoment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return day, nil
	}
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return moment, usage("--%s %q is no time: write 2026-03-01 or 2026-03-01T12:00:00Z", flag, text)
	}
	return moment, nil
}
