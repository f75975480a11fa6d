package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/starter/hilbert"
)

func (c *cli) ipImportCommand() *cobra.Command {
	var dryRun bool
	command := &cobra.Command{
		Use:   "import FILE",
		Short: "Import prefixes or addresses from CSV or JSON with NetBox's columns",
		Long: `Import prefixes or addresses from CSV, or a JSON array, with the columns that NetBox's own
bulk import takes (prefix, status, vrf, role, scope_type, …); "-" is standard input.
The whole file is checked before anything is written, and every mistake is told with its
line. What is there already is left as it is; what contradicts it is a mistake. Pools are
prefixes with is_pool, a site as their scope, and a role. Limits of tenants do not count.`,
		Example: "  starter ip import prefixes.csv --dry-run\n  starter ip import prefixes.csv\n  starter ip import addresses.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, given []string) error {
			records, err := readRecords(given[0], command.InOrStdin())
			if err != nil {
				return err
			}
			store, err := c.addresses(command.Context())
			if err != nil {
				return err
			}
			if err := c.checkSites(command.Context(), records); err != nil {
				return err
			}
			act, word := store.Import, "imported"
			if dryRun {
				act, word = store.CheckImport, "would import"
			}
			done, err := act(command.Context(), records, by())
			if err != nil {
				return err
			}
			return c.say(map[string]int{"prefixes": done.Prefixes, "allocations": done.Allocations, "unchanged": done.Unchanged},
				"%s: %d prefixes, %d allocations; %d were there already", word, done.Prefixes, done.Allocations, done.Unchanged)
		},
	}
	command.Flags().BoolVar(&dryRun, "dry-run", false, "check the file, and what it contradicts, only")
	return command
}

// checkSites refuses records of sites that the inventory does not know: a pool of a site
// that is misspelt would be found by nobody.
func (c *cli) checkSites(ctx context.Context, records []ipam.Record) error {
	store, err := c.inventory(ctx)
	if err != nil {
		return err
	}
	sites, err := store.Sites(ctx)
	if err != nil {
		return err
	}
	var wrong ipam.ImportErrors
	for _, record := range records {
		known := slices.ContainsFunc(sites, func(s inventory.Site) bool { return s.Name == record.ScopeName })
		if record.ScopeName != "" && !known {
			wrong = append(wrong, &ipam.LineError{Line: record.Line, Err: fmt.Errorf("site %q is not declared: declare it with starter apply", record.ScopeName)})
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

// readRecords reads a file of either form: JSON is an array.
func readRecords(name string, stdin io.Reader) (records []ipam.Record, err error) {
	var content []byte
	if name == "-" {
		content, err = io.ReadAll(stdin)
	} else {
		content, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, usageError{err}
	}
	if bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(content, []byte("\ufeff"))), []byte("[")) {
		return ipam.ReadJSON(bytes.NewReader(content))
	}
	return ipam.ReadCSV(bytes.NewReader(content))
}

func (c *cli) ipExportCommand() *cobra.Command {
	var file string
	command := &cobra.Command{
		Use:   "export prefixes|ip-addresses",
		Short: "Export prefixes or single addresses as CSV or JSON with NetBox's columns",
		Long: `Export prefixes, with links and blocks that are held, or single addresses, as NetBox keeps
them apart: as CSV, or with -o json as JSON. What NetBox has no column for are its custom
fields cf_ferrodur_…; a file that is imported again gives the same.`,
		Example:   "  starter ip export prefixes --file prefixes.csv\n  starter ip export ip-addresses -o json",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{string(ipam.Prefixes), string(ipam.IPAddresses)},
		RunE: func(command *cobra.Command, given []string) error {
			store, err := c.addresses(command.Context())
			if err != nil {
				return err
			}
			table := ipam.Table(given[0])
			records, err := store.Export(command.Context(), table)
			if err != nil {
				return err
			}
			return c.writeFile(file, func(w io.Writer) error {
				if c.format == formatJSON {
					return ipam.WriteJSON(w, records)
				}
				return ipam.WriteCSV(w, table, records)
			})
		},
	}
	command.Flags().StringVar(&file, "file", "", "write to this file instead of standard output")
	return command
}

// writeFile writes to a file, or to standard output, when all is known to be well.
func (c *cli) writeFile(name string, write func(io.Writer) error) error {
	var content bytes.Buffer
	if err := write(&content); err != nil {
		return err
	}
	if name == "" || name == "-" {
		_, err := content.WriteTo(c.out)
		return err
	}
	if err := os.WriteFile(name, content.Bytes(), 0o644); err != nil {
		return usageError{err}
	}
	return c.say(map[string]any{"file": name, "bytes": content.Len()}, "wrote %s", name)
}

func (c *cli) ipMapCommand() *cobra.Command {
	var domain, file string
	command := &cobra.Command{
		Use:   "map PREFIX",
		Short: "Draw what becomes of the addresses of a prefix, as an SVG picture for a browser",
		Long: `Draw what becomes of the addresses of a prefix as an SVG picture, along a Hilbert curve:
blocks are squares, or two beside each other. The pointer shows what a block is. With
-o json the blocks are listed instead.`,
		Example: "  starter ip map 203.0.113.0/24 --file map.svg",
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
			spaces, err := store.Spaces(command.Context(), domain, of)
			if err != nil {
				return err
			}
			return c.writeFile(file, func(w io.Writer) error {
				if c.format == formatJSON {
					encoder := json.NewEncoder(w)
					encoder.SetIndent("", "  ")
					return encoder.Encode(orEmpty(spaces))
				}
				return hilbert.Draw(w, of, spaces)
			})
		},
	}
	addDomain(command, &domain)
	command.Flags().StringVar(&file, "file", "", "write to this file instead of standard output")
	return command
}
