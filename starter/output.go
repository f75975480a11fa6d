package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

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
	rows(escaping{writer})
	_, err := fmt.Fprintln(c.out, writer.Render())
	return err
}

// markup is text for a terminal, with its colours.
type markup string

// escaping is a table that shows what it is given, and lets nothing but markup drive the terminal:
// texts come from switches, servers and whoever may write to Temporal.
type escaping struct{ table.Writer }

func (e escaping) AppendRow(row table.Row, config ...table.RowConfig) {
	e.Writer.AppendRow(escaped(row), config...)
}

func (e escaping) AppendRows(rows []table.Row, config ...table.RowConfig) {
	for _, row := range rows {
		e.AppendRow(row, config...)
	}
}

func escaped(row table.Row) table.Row {
	cells := slices.Clone(row)
	for i, cell := range cells {
		text, coloured := cell.(markup)
		switch value := reflect.ValueOf(cell); {
		case coloured:
			cells[i] = string(text)
		case value.Kind() == reflect.String:
			cells[i] = printable(value.String())
		}
	}
	return cells
}

// printable escapes what would drive a terminal.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) || r == '\n' || r == '\t' {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// oneLine keeps what an operator gives as a reason fit for tables.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// say prints a sentence, or in JSON the value behind it.
func (c *cli) say(value any, format string, arguments ...any) error {
	if c.format == formatJSON {
		return c.print(value, nil)
	}
	_, err := fmt.Fprintln(c.out, printable(fmt.Sprintf(format, arguments...)))
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
