package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// The forms of the output.
const (
	formatTable = "table"
	formatJSON  = "json"
)

// print prints a value as one JSON document, or as the table that rows makes of it.
func (c *cli) print(value any, rows func(table.Writer)) error {
	if c.format == formatJSON {
		encoder := json.NewEncoder(c.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	}
	writer := table.NewWriter()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	writer.SetStyle(style)
	rows(writer)
	_, err := fmt.Fprintln(c.out, writer.Render())
	return err
}

// say prints a sentence, or in JSON the value behind it.
func (c *cli) say(value any, format string, arguments ...any) error {
	if c.format == formatJSON {
		return c.print(value, nil)
	}
	_, err := fmt.Fprintf(c.out, format+"\n", arguments...)
	return err
}

func since(t time.Time) string { return time.Since(t).Round(time.Second).String() + " ago" }

// orEmpty makes a list that has nothing an empty JSON array.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
