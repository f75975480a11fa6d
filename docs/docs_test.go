package docs_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ferrodur/lab/postgres"
	"ferrodur/lab/temporal"
)

// commandLine is a line of a fenced block that runs one of the project's programs.
var commandLine = regexp.MustCompile(`(?m)^(starter|worker) (.+)$`)

// Every command line of the documents is understood by the program it names: the
// subcommand is there, and so are the flags. With --help nothing is done.
func TestCommandLinesAreUnderstood(t *testing.T) {
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin+"/", "ferrodur/starter", "ferrodur/worker")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	documents, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, document := range append(documents, "../README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range fences(string(text)) {
			for _, match := range commandLine.FindAllStringSubmatch(block, -1) {
				lines++
				arguments := append(strings.Fields(match[2]), "--help")
				output, err := exec.Command(filepath.Join(bin, match[1]), arguments...).CombinedOutput()
				if err != nil {
					t.Errorf("%s: %s: %s", document, match[0], output)
				}
				// cobra shows a parent's help for a subcommand that is not there.
				if !strings.Contains(string(output), "Usage:\n  "+match[1]+" "+arguments[0]) {
					t.Errorf("%s: %s: there is no such command", document, match[0])
				}
			}
		}
	}
	if lines < 15 {
		t.Errorf("only %d command lines were found", lines)
	}
}

// Every task that the documents name is in the Taskfile.
func TestTasksAreThere(t *testing.T) {
	// As JSON: the list for people is coloured where CI is set.
	output, err := exec.Command("go", "tool", "task", "--dir", "..", "--list-all", "--json").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	var list struct {
		Tasks []struct{ Name string }
	}
	if err := json.Unmarshal(output, &list); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	there := map[string]bool{}
	for _, task := range list.Tasks {
		there[task.Name] = true
	}
	named := regexp.MustCompile(`go tool task ([a-z:0-9]+)`)
	for _, document := range []string{"../README.md", "howto.md", "reference.md", "addresses.md", "addresses-reference.md", "switches.md", "architecture.md", "../.ci/run"} {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range named.FindAllStringSubmatch(string(text), -1) {
			if !there[match[1]] {
				t.Errorf("%s names the task %s", document, match[1])
			}
		}
	}
}

// The task that no whole run makes, for it takes too long, begins and ends: it has no dialogue to cut.
func TestCutsBegin(t *testing.T) {
	output, err := exec.Command("go", "tool", "task", "--dir", "..", "test:cuts", "--", "-run", "^$").CombinedOutput()
	if err != nil || !regexp.MustCompile(`(?m)^ok\s+ferrodur/switches\s.*no tests to run`).Match(output) {
		t.Errorf("%v\n%s", err, output)
	}
}

// The commands of the page on addresses do what they say, on a real PostgreSQL, from the
// first to the last.
func TestAddressesPage(t *testing.T) {
	bin, dir := t.TempDir(), t.TempDir()
	build := exec.Command("go", "build", "-o", bin+"/", "ferrodur/starter", "ferrodur/worker")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Setenv("FERRODUR_DATABASE_URL", postgres.Database(t))
	run := func(program string, arguments ...string) string {
		t.Helper()
		command := exec.Command(filepath.Join(bin, program), arguments...)
		command.Dir = dir
		output, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("%s %s: %v\n%s", program, strings.Join(arguments, " "), err, output)
		}
		return string(output)
	}
	run("worker", "migrate")
	startTemporal(t)
	for _, role := range []string{"ipam", "lifecycle"} {
		command := exec.Command(filepath.Join(bin, "worker"), role)
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(command.Process.Signal(os.Interrupt), command.Wait()); err != nil {
				t.Errorf("worker %s: %v", role, err)
			}
		})
	}
	example, err := os.ReadFile("examples/addresses.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "addresses.yaml"), example, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("addresses.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile(`"[^"]*"|\S+`)
	outputs := map[string]string{}
	for _, block := range fences(string(text)) {
		for _, match := range commandLine.FindAllStringSubmatch(block, -1) {
			var arguments []string
			for _, word := range quoted.FindAllString(match[2], -1) {
				arguments = append(arguments, strings.Trim(word, `"`))
			}
			outputs[match[0]] = run(match[1], arguments...)
		}
	}
	for line, want := range map[string]string{
		"starter ip allocate dns --site ewr1 --role service --chosen 203.0.113.53": "203.0.113.53/32  address  dns",
		"starter ip move customer/acme first o-42":                                 "is at instance/o-42",
		"starter ip list --owner customer/acme":                                    "203.0.113.64/28",
		"starter ip release customer/acme --name first":                            "released: 203.0.113.64/28, 2001:db8:8000::/56",
		"starter ip history 203.0.113.53 --at 2030-01-01T12:00:00Z":                "dns",
		"starter ip import prefixes.csv --dry-run":                                 "0 prefixes, 0 allocations",
		"starter ip list --resting":                                                "203.0.113.0/32",
	} {
		if !strings.Contains(outputs[line], want) {
			t.Errorf("%s: %q is not in\n%s", line, want, outputs[line])
		}
	}
	if picture, err := os.ReadFile(filepath.Join(dir, "map.svg")); err != nil || !strings.Contains(string(picture), "203.0.113.53/32: held, dns") {
		t.Errorf("the map: %v", err)
	}
	for line, output := range outputs {
		t.Logf("%s\n%s", line, output)
	}
}

// startTemporal has programs use a Temporal of their own.
func startTemporal(t *testing.T) {
	t.Helper()
	program, err := temporal.Build(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	server, err := temporal.Start(t.Context(), temporal.Config{Dir: t.TempDir(), Program: program})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("TEMPORAL_ADDRESS", server.Address.String())
}

// fences are the blocks of code of a document.
func fences(text string) []string {
	var blocks []string
	for i, part := range strings.Split(text, "```") {
		if i%2 == 1 {
			blocks = append(blocks, part)
		}
	}
	return blocks
}
