package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/lab/postgres"
)

// withAddresses has the CLI work on a database that the example was applied to.
func withAddresses(t *testing.T) {
	dsn := postgres.Database(t)
	t.Setenv("FERRODUR_DATABASE_URL", dsn)
	database, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	if err := inventory.Migrate(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	if err := ipam.Migrate(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call("apply", "-f", "../docs/examples/addresses.yaml"); code != exitOK {
		t.Fatal(stderr)
	}
}

// What cannot be done is told with its exit code, and changes nothing. The page on
// addresses, whose commands the tests of the documents run, shows what can.
func TestAddressesRefused(t *testing.T) {
	withAddresses(t)
	allocate := []string{"ip", "allocate", "me", "--site", "ewr1"}
	for _, setup := range [][]string{
		append(allocate, "--chosen", "203.0.113.9"),
		{"ip", "reserve", "203.0.113.1", "--reason", "gateway"},
		{"ip", "allocate", "instance/o-1", "--site", "ewr1", "--chosen", "203.0.113.10"},
	} {
		if code, _, stderr := call(setup...); code != exitOK {
			t.Fatal(stderr)
		}
	}
	if code, _, stderr := call("ip", "allocate", "you", "--site", "ewr1", "--role", "elastic", "--kind", "elastic", "--name", "first", "--ipv6=60"); code != exitOK {
		t.Fatal(stderr)
	}
	database, err := pgxpool.New(t.Context(), os.Getenv("FERRODUR_DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	if err := ipam.New(database).Move(t.Context(), "", "you", "first", "instance/o-7", ipam.By{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	if code, table, stderr := call("ip", "list", "--owner", "you"); code != exitOK || !strings.Contains(table, "instance/o-7") {
		t.Errorf("a block at an instance is listed as %s%s", table, stderr)
	}
	_, before, _ := call("ip", "list", "-o", "json")
	file := filepath.Join(t.TempDir(), "bad.csv")
	if err := os.WriteFile(file, []byte("prefix,status\n10.0.0.1/8,container\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		arguments []string
		code      int
		want      string
	}{
		{[]string{"ip", "allocate", "me"}, exitUsage, "required flag"},
		{append(allocate, "--kind", "lump"), exitUsage, "none of address, link, block, elastic"},
		{append(allocate, "--chosen", "here"), exitUsage, `"here" is neither`},
		{append(allocate, "--ipv4=x"), exitUsage, `"x" is no prefix length`},
		{append(allocate, "--ipv4", "--chosen", "203.0.113.9"), exitUsage, "none of the others can be"},
		{append(allocate, "--kind", "block", "--ipv4"), exitRefused, "a block needs a prefix length"},
		{append(allocate, "--name", "x", "--ipv4=24"), exitRefused, "/24 is no length of an IPv4 address"},
		{append(allocate, "--name", "x", "--chosen", "203.0.113.9"), exitRefused, "203.0.113.9/32 is held by me"},
		{append(allocate, "--name", "x", "--chosen", "203.0.113.1"), exitRefused, "203.0.113.1/32 is reserved (203.0.113.1/32): gateway"},
		{append(allocate, "--name", "x", "--chosen", "8.8.8.8"), exitRefused, "no pool"},
		{append(allocate, "--name", "x", "--role", "nothing"), exitRefused, "no pool"},
		{append(allocate, "--domain", "nowhere"), exitRefused, `there is no routing domain "nowhere"`},
		{append(allocate, "--name", "x", "--role", "elastic", "--kind", "elastic", "--tenant", "acme", "--ipv4=26"), exitRefused, "tenant acme holds 0 of the 32 IPv4 addresses he may have, and 64 more are wanted"},
		{[]string{"ip", "release", "instance/o-1"}, exitRefused, "starter return"},
		{[]string{"ip", "release", ""}, exitRefused, "names no owner"},
		{[]string{"ip", "release", "you"}, exitRefused, "routed to instance/o-7: first move it away: starter ip move you first --away"},
		{[]string{"ip", "reserve", "203.0.113.1"}, exitUsage, "give a --reason"},
		{[]string{"ip", "reserve", "203.0.113.9-203.0.113.8", "--reason", "r"}, exitUsage, "is no range"},
		{[]string{"ip", "reserve", "203.0.113.8-203.0.113.9", "--reason", "r"}, exitRefused, "203.0.113.8/31 is held by me"},
		{[]string{"ip", "reserve", "203.0.113.200", "--reason", "r"}, exitRefused, "it is of no pool"},
		{[]string{"ip", "reserve", "203.0.113.2", "--remove"}, exitNotFound, "not held"},
		{[]string{"ip", "move", "nobody", "x", "o-1"}, exitNotFound, "not held"},
		{[]string{"ip", "move", "me", "x"}, exitUsage, "name the instance"},
		{[]string{"ip", "move", "me", "x", ""}, exitUsage, `"" is no order`},
		{[]string{"ip", "move", "me", "x", "enroll/s7"}, exitUsage, "is no order"},
		{[]string{"ip", "move", "me", "x", "o 7\nx"}, exitUsage, "is no order"},
		{[]string{"ip", "frob"}, exitUsage, `no command "frob"`},
		{[]string{"ip", "allocate", "reserved/me", "--site", "ewr1"}, exitRefused, "those of reservations"},
		{append(allocate, "--tenant", "acme", "--chosen", "203.0.113.9"), exitRefused, "release it first"},
		{[]string{"ip", "reserve", "203.0.113.1", "--reason", "other"}, exitRefused, `with the reason "gateway"`},
		{[]string{"ip", "release", "me", "--domain", "nowhere"}, exitRefused, `"nowhere"`},
		{[]string{"ip", "history", "::ffff:203.0.113.9"}, exitRefused, "write it as IPv4"},
		{[]string{"ip", "history", "203.0.113.9/24"}, exitRefused, "write 203.0.113.0/24"},
		{append(allocate, "--name", "x", "--kind", "block", "--ipv4=8"), exitRefused, "no free /8: add a pool"},
		{[]string{"ip", "history"}, exitUsage, "name an address"},
		{[]string{"ip", "history", "203.0.113.9", "--at", "noon"}, exitUsage, `"noon" is no time`},
		{[]string{"ip", "history", "203.0.113.9", "--at", "2001-01-01"}, exitNotFound, "not held"},
		{[]string{"ip", "history", "203.0.113.0/24", "--at", "2001-01-01"}, exitUsage, "a single address"},
		{[]string{"ip", "show", "203.0.113.9/24"}, exitRefused, "write 203.0.113.0/24"},
		{[]string{"ip", "tree", "--depth", "-1"}, exitUsage, "negative"},
		{[]string{"ip", "map", "::ffff:1.2.3.4"}, exitRefused, "write it as IPv4"},
		{[]string{"ip", "export", "vlans"}, exitUsage, "invalid argument"},
		{[]string{"ip", "import", filepath.Join(t.TempDir(), "absent")}, exitUsage, "no such file"},
		{[]string{"ip", "import", file}, exitRefused, "line 2: 10.0.0.1/8 has bits set"},
	} {
		code, stdout, stderr := call(test.arguments...)
		if code != test.code || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: exit code %d, %q %q; want %d and %q", strings.Join(test.arguments, " "), code, stdout, stderr, test.code, test.want)
		}
	}
	if _, after, _ := call("ip", "list", "-o", "json"); after != before {
		t.Errorf("refused commands left\n%s\nof\n%s", after, before)
	}
}

// What a port carries still, whatever the book says, is not given to others.
func TestReleaseOfACarriedBlock(t *testing.T) {
	withAddresses(t)
	database, err := pgxpool.New(t.Context(), os.Getenv("FERRODUR_DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	code, stdout, stderr := call("-o", "json", "ip", "allocate", "acme", "--site", "ewr1", "--role", "elastic", "--kind", "elastic", "--name", "first", "--ipv4=28")
	var held []allocationRow
	if err := json.Unmarshal([]byte(stdout), &held); code != exitOK || err != nil || len(held) != 1 {
		t.Fatalf("%d %v: %s%s", code, err, stdout, stderr)
	}
	store := inventory.New(database)
	if _, err := store.Apply(t.Context(), inventory.Declaration{Switches: []inventory.Switch{{
		Name: "sw1", Site: "ewr1", Platform: "frr", Address: "192.0.2.1:22", User: "u", Password: "env:P", Ports: []string{"swp1"},
	}}}); err != nil {
		t.Fatal(err)
	}
	carry := func(blocks string) {
		if err := store.KeepAsked(t.Context(), []inventory.AskedPort{{Switch: "sw1", Port: "swp1", Server: "s1", Asked: []byte(`{"instance": "instance/o-1", "blocks": [` + blocks + `]}`)}}); err != nil {
			t.Fatal(err)
		}
	}
	carry(`"` + held[0].Prefix.String() + `"`)
	if code, _, stderr := call("ip", "release", "acme"); code != exitRefused || !strings.Contains(stderr, "starter ip move acme first --away") {
		t.Errorf("released while it is carried: %d %s", code, stderr)
	}
	carry("")
	if code, _, stderr := call("ip", "release", "acme"); code != exitOK {
		t.Error(stderr)
	}
}

// A file is declared as a whole or not at all, and what it changes is told.
func TestApplyAddressesWholeOrNot(t *testing.T) {
	withAddresses(t)
	apply := func(content string) (int, string) {
		file := filepath.Join(t.TempDir(), "rack.yaml")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := call("apply", "-f", file)
		return code, stdout + stderr
	}
	_, before, _ := call("ip", "tree", "-o", "json")
	code, said := apply("sites: [{name: s9}]\ndomains: [{name: d9}]\nprefixes: [{prefix: 11.0.0.0/8, kind: reserved}]\npools: [{name: a, site: s9, role: service, prefix: 11.1.0.0/24}]\n")
	if code != exitRefused || !strings.Contains(said, "pool a") || !strings.Contains(said, "overlaps reserved 11.0.0.0/8") {
		t.Errorf("%d: %s", code, said)
	}
	if _, after, _ := call("ip", "tree", "-o", "json"); after != before {
		t.Errorf("a refused file left\n%s", after)
	}
	if code, _, said := call("ip", "tree", "--domain", "d9"); code != exitRefused || !strings.Contains(said, "d9") {
		t.Errorf("a refused file left its domain: %d %s", code, said)
	}
	if code, said := apply("prefixes: [{prefix: 12.0.0.0/8, tags: [\"a,b\"]}]\n"); code != exitRefused || !strings.Contains(said, ":1:") || !strings.Contains(said, "comma") {
		t.Errorf("%d: %s", code, said)
	}
	for _, step := range []struct{ file, want string }{
		{"domains: [{name: d9}]\nprefixes: [{prefix: 12.0.0.0/8, description: old}]\nlimits: [{tenant: t9, ipv4: 32}]\n", "added: domain d9, prefix 12.0.0.0/8, IPv4 limit of t9"},
		{"domains: [{name: d9, description: new}]\nprefixes: [{prefix: 12.0.0.0/8, description: new}]\nlimits: [{tenant: t9, ipv4: 16}]\n", "changed: domain d9, prefix 12.0.0.0/8, IPv4 limit of t9"},
		{"limits: [{tenant: t9, ipv4: 16}]\n", "nothing to change"},
	} {
		if code, said := apply(step.file); code != exitOK || !strings.Contains(said, step.want) {
			t.Errorf("%d: %s, want %q", code, said, step.want)
		}
	}
	if code, said := apply("limits: [{tenant: t9, ipv4: 16}, {tenant: t9, ipv4: 17}]\n"); code != exitRefused || !strings.Contains(said, "twice") {
		t.Errorf("%d: %s", code, said)
	}
}

// An import says nothing of what its columns do not say, and changes nothing that is there.
func TestImportLeavesWhatIsThere(t *testing.T) {
	withAddresses(t)
	_, before, _ := call("ip", "export", "prefixes")
	dir := t.TempDir()
	for i, test := range []struct {
		lines string
		code  int
		want  string
	}{
		{"prefix,status,is_pool,role,site,cf_ferrodur_pool\n203.0.113.0/26,Active,true,service,ewr1,ewr1-service\n", exitOK, "1 were there already"},
		{"prefix,status,is_pool,role,site,cf_ferrodur_pool,cf_ferrodur_quarantine\n203.0.113.0/26,active,true,service,ewr1,ewr1-service,7s\n", exitRefused, `cf_ferrodur_quarantine`},
		{"prefix,status,is_pool,role,site\n10.62.0.0/24,active,true,service,typo-site\n", exitRefused, `line 2: site "typo-site" is not declared`},
		{"prefix,status,is_pool,role,site\n10.62.0.0/24,active,true,not-a-role,ewr1\n", exitRefused, `line 2: role "not-a-role"`},
	} {
		file := filepath.Join(dir, strconv.Itoa(i)+".csv")
		if err := os.WriteFile(file, []byte(test.lines), 0o600); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := call("ip", "import", file)
		if code != test.code || !strings.Contains(stdout+stderr, test.want) {
			t.Errorf("%q: %d, %s%s, want %q", test.lines, code, stdout, stderr, test.want)
		}
	}
	if _, after, _ := call("ip", "export", "prefixes"); after != before {
		t.Errorf("the imports left\n%s\nof\n%s", after, before)
	}
}

// Every command has a JSON form.
func TestAddressesAsJSON(t *testing.T) {
	withAddresses(t)
	for _, arguments := range []string{
		"allocate me --site ewr1", "allocate me --name e --site ewr1 --role elastic --kind elastic --ipv4=28", "list", "pools", "tree", "tree 203.0.113.0/24 --depth 1",
		"show 203.0.113.0", "history --owner me", "history 203.0.113.0 --at 2099-01-01", "reserve 203.0.113.1 --reason r",
		"reserve 203.0.113.1 --remove", "map 203.0.113.0/24", "export prefixes", "export ip-addresses", "release me --name e", "release me", "release me",
	} {
		code, stdout, stderr := call(append([]string{"-o", "json", "ip"}, strings.Fields(arguments)...)...)
		var document any
		if err := json.Unmarshal([]byte(stdout), &document); code != exitOK || err != nil || document == nil {
			t.Errorf("ip %s: exit code %d, %v: %s%s", arguments, code, err, stdout, stderr)
		}
	}
	file := filepath.Join(t.TempDir(), "prefixes.json")
	if code, _, stderr := call("ip", "export", "prefixes", "-o", "json", "--file", file); code != exitOK {
		t.Fatal(stderr)
	}
	if code, stdout, stderr := call("ip", "import", "-o", "json", file); code != exitOK || !strings.Contains(stdout, `"unchanged": 7`) {
		t.Errorf("import: %d %s%s", code, stdout, stderr)
	}
}
