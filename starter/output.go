package main

import (
	"encoding/json"
	"fmt"
	"regexp"
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
	rows(writer)
	_, err := fmt.Fprintln(c.out, printable(writer.Render()))
	return err
}

// diffColours are those of c.coloured.
var diffColours = regexp.MustCompile(`\x1b\[(0|31|32)m`)

// printable escapes what would drive a terminal: texts come from switches, servers and whoever may
// write to Temporal.
func printable(text string) string {
	var b strings.Builder
	escape := func(text string) {
		for _, r := range text {
			if unicode.IsPrint(r) || r == '\n' || r == '\t' {
				b.WriteRune(r)
			} else {
				b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
			}
		}
	}
	for at := diffColours.FindStringIndex(text); at != nil; at = diffColours.FindStringIndex(text) {
		escape(text[:at[0]])
		b.WriteString(text[at[0]:at[1]])
		text = text[at[1]:]
	}
	escape(text)
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
