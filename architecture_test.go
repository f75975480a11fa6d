// The rooms of Ferrodur and who may know whom. Arrows point down only: what is not allowed
// here is forbidden, and a new folder needs a row.
package ferrodur_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "ferrodur/"

// A room is a folder with all that is below it, but for folders that are rooms themselves.
type room struct {
	folder string
	knows  string // rooms that it may import
	direct string // import paths from outside that it may import, with all below; "": any
	never  string // import paths that it may not even reach through others
}

var rooms = []room{
	// The programs.
	{folder: "starter", knows: "starter/progress client inventory ipam workflows/api report"},
	{folder: "starter/progress", knows: "client workflows/api"},
	{folder: "worker", knows: "workflows activities client inventory ipam bootsvc bmc switches images workflows/api bootsvc/job report"},

	// What callers import: nothing comes with it but Temporal.
	{folder: "client", knows: "workflows/api",
		direct: "go.temporal.io " + plain + " crypto/tls log/slog os", never: drivers},

	// The story of an instance: no I/O, no clock, no driver.
	{folder: "workflows", knows: "workflows/api report", direct: "go.temporal.io/sdk " + plain, never: drivers},
	{folder: "activities", knows: "workflows/api ipam inventory bootsvc bmc switches bootsvc/job report"},

	// The domain: none knows Temporal or another.
	{folder: "ipam", knows: "schema report", never: temporal},
	{folder: "inventory", knows: "schema report", never: temporal},
	{folder: "bootsvc", knows: "bootsvc/job schema report", never: temporal},
	{folder: "bmc", knows: "report", never: temporal},
	{folder: "switches", knows: "report", never: temporal},

	// What those with tables have in common.
	{folder: "schema", knows: "", never: temporal},

	// What runs on, and what is written to, a server.
	{folder: "images", knows: "bootsvc/agent bootsvc/job report", never: temporal},
	{folder: "bootsvc/agent", knows: "bootsvc/job report", never: temporal + " " + drivers},

	// Plain data.
	{folder: "workflows/api", knows: "report", direct: plain},
	{folder: "bootsvc/job", knows: "report", direct: plain},
	{folder: "report", direct: plain},

	// The virtual rack drives the programs from outside, as an operator does. Nobody
	// imports it but tests.
	{folder: "lab", knows: "starter/progress client activities workflows/api ipam inventory bootsvc bootsvc/agent bootsvc/job bmc switches images schema report"},
	{folder: "docs", knows: "starter client workflows/api report"},
}

const (
	temporal = "go.temporal.io"
	drivers  = "github.com/jackc/pgx github.com/scrapli github.com/bmc-toolbox github.com/stmcginnis " +
		"github.com/insomniacslk github.com/pin"
	// plain packages of the standard library do no I/O and hold no state.
	plain = "bytes cmp context encoding errors fmt hash iter maps math/bits net/netip path regexp slices sort strconv strings time unicode"
)

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
	Deps                               []string
}

func TestArrowsPointDown(t *testing.T) {
	packages := list(t)
	if len(packages) == 0 {
		t.Fatal("no packages")
	}
	for _, p := range packages {
		for _, complaint := range judge(p) {
			t.Error(complaint)
		}
	}
}

// The test above is worth what this one shows: that it sees what is forbidden.
func TestForbiddenArrowsAreSeen(t *testing.T) {
	const fine = ""
	tests := []struct {
		p    pkg
		want string
	}{
		{pkg{ImportPath: "ferrodur/inventory", Imports: []string{"ferrodur/report", "net"}}, fine},
		{pkg{ImportPath: "ferrodur/inventory", Imports: []string{"ferrodur/ipam"}}, "inventory imports ferrodur/ipam"},
		{pkg{ImportPath: "ferrodur/inventory/rack", Imports: []string{"ferrodur/inventory"}}, fine},
		{pkg{ImportPath: "ferrodur/inventory/rack", Imports: []string{"ferrodur/activities"}}, "imports ferrodur/activities"},
		{pkg{ImportPath: "ferrodur/bootsvc", Imports: []string{"ferrodur/bootsvc/dhcp"}}, fine},
		{pkg{ImportPath: "ferrodur/bootsvc", Imports: []string{"ferrodur/bootsvc/agent"}}, "imports ferrodur/bootsvc/agent"},
		{pkg{ImportPath: "ferrodur/bmc", Deps: []string{"go.temporal.io/sdk/temporal"}}, "reaches go.temporal.io"},
		{pkg{ImportPath: "ferrodur/bmc", Imports: []string{"ferrodur/lab/bmcsim"}}, "imports ferrodur/lab/bmcsim"},
		{pkg{ImportPath: "ferrodur/bmc", XTestImports: []string{"ferrodur/lab/bmcsim"}}, fine},
		{pkg{ImportPath: "ferrodur/bmc", XTestImports: []string{"ferrodur/worker"}}, "imports ferrodur/worker"},
		{pkg{ImportPath: "ferrodur/workflows", Imports: []string{"net/http"}}, "imports net/http"},
		{pkg{ImportPath: "ferrodur/workflows", Imports: []string{"go.temporal.io/sdk/workflow"}, Deps: []string{"net/http"}}, fine},
		{pkg{ImportPath: "ferrodur/workflows", Deps: []string{"github.com/jackc/pgx/v5"}}, "reaches github.com/jackc/pgx"},
		{pkg{ImportPath: "ferrodur/workflows/api", Imports: []string{"ferrodur/workflows"}}, "imports ferrodur/workflows"},
		{pkg{ImportPath: "ferrodur/client", Imports: []string{"github.com/spf13/cobra"}}, "imports github.com/spf13/cobra"},
		{pkg{ImportPath: "ferrodur/lab/rack", Imports: []string{"ferrodur/worker"}}, "imports ferrodur/worker"},
		{pkg{ImportPath: "ferrodur/util"}, "no room"},
	}
	for _, test := range tests {
		got := strings.Join(judge(test.p), "; ")
		if (test.want == fine) != (got == fine) || !strings.Contains(got, test.want) {
			t.Errorf("%+v: got %q, want %q", test.p, got, test.want)
		}
	}
}

func TestEveryRoomThatIsNamedHasARow(t *testing.T) {
	for _, r := range rooms {
		for known := range strings.FieldsSeq(r.knows) {
			if !slices.ContainsFunc(rooms, func(r room) bool { return r.folder == known }) {
				t.Errorf("%s knows %s, which has no row", r.folder, known)
			}
		}
	}
}

func judge(p pkg) (complaints []string) {
	if p.ImportPath+"/" == module {
		return nil // this test
	}
	home, err := roomOf(p.ImportPath)
	if err != nil {
		return []string{err.Error()}
	}
	complain := func(format string, args ...any) {
		complaints = append(complaints, p.ImportPath+" "+fmt.Sprintf(format, args...))
	}
	for _, path := range p.Imports {
		if !home.mayImport(path) {
			complain("imports %s: not in its row of architecture_test.go", path)
		}
	}
	for _, path := range append(p.TestImports, p.XTestImports...) {
		if strings.HasPrefix(path, module) && !home.mayImport(path) && !within(path, module+"lab") {
			complain("imports %s in a test: not in its row of architecture_test.go, and not the lab", path)
		}
	}
	for path := range strings.FieldsSeq(home.never) {
		if slices.ContainsFunc(p.Deps, func(dep string) bool { return within(dep, path) }) {
			complain("reaches %s, through one of its imports", path)
		}
	}
	return complaints
}

func (r room) mayImport(path string) bool {
	if !strings.HasPrefix(path, module) {
		return r.direct == "" || anyOf(r.direct, path)
	}
	other, err := roomOf(path)
	return err == nil && (other.folder == r.folder || slices.Contains(strings.Fields(r.knows), other.folder))
}

// roomOf returns the innermost room that a package is in.
func roomOf(path string) (found room, err error) {
	for _, r := range rooms {
		if within(path, module+r.folder) && len(r.folder) > len(found.folder) {
			found = r
		}
	}
	if found.folder == "" {
		err = fmt.Errorf("%s is in no room: give it a row in architecture_test.go", path)
	}
	return found, err
}

func anyOf(list, path string) bool {
	return slices.ContainsFunc(strings.Fields(list), func(root string) bool { return within(path, root) })
}

func within(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

func list(t *testing.T) (packages []pkg) {
	t.Helper()
	watchSources(t)
	command := exec.CommandContext(t.Context(), "go", "list", "-e",
		"-json=ImportPath,Imports,TestImports,XTestImports,Deps", "./...")
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// watchSources looks at every source file. The result of a test is cached until a file
// that it looked at changes, and what `go list` looks at does not count.
func watchSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && len(path) > 1 && strings.HasPrefix(path, ".") {
			return filepath.SkipDir
		}
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		_, err = os.Stat(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
