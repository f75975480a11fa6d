package ipam_test

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"ferrodur/ipam"
)

// furnished is a store with some of everything that is exported.
func furnished(t *testing.T) *ipam.Store {
	store, database := open(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(store.CreateDomain(ctx, "lab", "overlaps"))
	must(store.PutPrefix(ctx, ipam.Prefix{Prefix: netip.MustParsePrefix("198.51.100.0/24"), Kind: ipam.Container, Site: "ewr1", Tags: []string{"edge", "two words"}, Description: `said "so", and so`}, ipam.By{}))
	must(store.PutPrefix(ctx, ipam.Prefix{Prefix: netip.MustParsePrefix("203.0.113.128/25"), Kind: ipam.Reserved, Description: "the office"}, ipam.By{}))
	must(store.PutPrefix(ctx, ipam.Prefix{Domain: "lab", Prefix: netip.MustParsePrefix("198.51.100.0/24"), Kind: ipam.Container}, ipam.By{}))
	must(store.PutPools(ctx, []ipam.Pool{
		{Name: "links", Site: "ewr1", Role: ipam.Tenant, Prefix: netip.MustParsePrefix("198.51.100.0/25"), Quarantine: 90 * time.Minute, Threshold: 75, Plan: "c1.small", Tags: []string{"a"}},
		{Name: "links6", Site: "ewr1", Role: ipam.Tenant, Prefix: netip.MustParsePrefix("2001:db8:0:1::/64")},
		{Name: "blocks", Site: "ewr1", Role: ipam.Elastic, Prefix: netip.MustParsePrefix("2001:db8:8000::/33"), Tenant: "acme", Description: "for ACME"},
		{Name: "service", Site: "ewr1", Role: ipam.Service, Prefix: netip.MustParsePrefix("203.0.113.0/28"), Quarantine: time.Hour},
		{Domain: "lab", Name: "links", Site: "lab", Role: ipam.Tenant, Prefix: netip.MustParsePrefix("198.51.100.0/26")},
		{Name: "outside", Site: "sjc1", Role: ipam.Tenant, Prefix: netip.MustParsePrefix("192.0.2.0/24"), Source: "netbox"},
	}, ipam.By{}))
	for _, owner := range []string{"instance/o-1", "instance/o-2", "instance/o-3"} {
		r := request(owner)
		r.Plan = "c1.small"
		_, err := store.AllocateLinks(ctx, r)
		must(err)
	}
	must(store.Release(ctx, "instance/o-2", ipam.By{}))
	_, err := store.Allocate(ctx, ipam.Request{Owner: "acme", Site: "ewr1", Role: ipam.Elastic, Tenant: "acme", Wants: []ipam.Want{{Name: "first", Kind: ipam.KindElastic, Family: ipam.IPv6, Bits: 56}}})
	must(err)
	must(store.Move(ctx, "", "acme", "first", "instance/o-1", ipam.By{}))
	_, err = store.Allocate(ctx, ipam.Request{Owner: "desk", Site: "ewr1", Role: ipam.Service, Wants: []ipam.Want{{Name: "printer", Kind: ipam.KindAddress, Family: ipam.IPv4}}})
	must(err)
	service := ipam.Pool{Site: "ewr1", Role: ipam.Service}
	must(store.Reserve(ctx, service, netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.6"), "the routers", ipam.By{}))
	_, err = store.AllocateLinks(ctx, ipam.Request{Owner: "instance/o-1", Domain: "lab", Site: "lab", Role: ipam.Tenant})
	must(err)
	// Taken from the outside system, as far as this database knows.
	_, err = database.Exec(ctx, `INSERT INTO ipam.allocations (domain, pool, prefix, kind, owner)
		SELECT domain, id, '192.0.2.4/31', 'link', 'instance/o-9' FROM ipam.prefixes WHERE name = 'outside'`)
	must(err)
	return store
}

var forms = map[string]struct {
	write func(*bytes.Buffer, ipam.Table, []ipam.Record) error
	read  func(string) ([]ipam.Record, error)
}{
	"CSV": {
		func(b *bytes.Buffer, table ipam.Table, records []ipam.Record) error {
			return ipam.WriteCSV(b, table, records)
		},
		func(text string) ([]ipam.Record, error) { return ipam.ReadCSV(strings.NewReader(text)) },
	},
	"JSON": {
		func(b *bytes.Buffer, _ ipam.Table, records []ipam.Record) error { return ipam.WriteJSON(b, records) },
		func(text string) ([]ipam.Record, error) { return ipam.ReadJSON(strings.NewReader(text)) },
	},
}

var tables = []ipam.Table{ipam.Prefixes, ipam.IPAddresses}

func TestRoundTrip(t *testing.T) {
	for form, as := range forms {
		t.Run(form, func(t *testing.T) {
			from := furnished(t)
			export := func(store *ipam.Store, table ipam.Table) string {
				t.Helper()
				records, err := store.Export(t.Context(), table)
				if err != nil {
					t.Fatal(err)
				}
				var b bytes.Buffer
				if err := as.write(&b, table, records); err != nil {
					t.Fatal(err)
				}
				return b.String()
			}
			to, database := open(t)
			if err := to.CreateDomain(t.Context(), "lab", ""); err != nil {
				t.Fatal(err)
			}
			files := map[ipam.Table]string{}
			total := 0
			for _, table := range tables {
				files[table] = export(from, table)
				records, err := as.read(files[table])
				if err != nil {
					t.Fatal(err)
				}
				total += len(records)
				slices.Reverse(records) // any order will do
				done, err := to.Import(t.Context(), records, ipam.By{Actor: "me"})
				if err != nil || done.Unchanged != 0 || done.Prefixes+done.Allocations != len(records) {
					t.Fatalf("%s: %+v of %d (%v)", table, done, len(records), err)
				}
			}
			if total != 9+10+3 { // prefixes; links, blocks and reserved ranges; single addresses
				t.Errorf("%d records were exported:\n%s\n%s", total, files[tables[0]], files[tables[1]])
			}
			for _, table := range tables {
				if again := export(to, table); again != files[table] {
					t.Errorf("%s came back as\n%s\nof\n%s", table, again, files[table])
				}
				records, _ := as.read(files[table])
				done, err := to.Import(t.Context(), records, ipam.By{})
				if err != nil || done != (ipam.Imported{Unchanged: len(records)}) {
					t.Errorf("%s imported again: %+v (%v)", table, done, err)
				}
			}
			var asked string
			if err := database.QueryRow(t.Context(), `SELECT string_agg(owner, ' ') FROM ipam.asked`).Scan(&asked); err != nil || asked != "instance/o-9" {
				t.Errorf("%q are known to hold something outside (%v)", asked, err)
			}
			// What is free is the same too.
			for _, owner := range []string{"instance/o-4", "instance/o-5"} {
				r := request(owner)
				r.Plan = "c1.small"
				a, errA := from.AllocateLinks(t.Context(), r)
				b, errB := to.AllocateLinks(t.Context(), r)
				if errA != nil || errB != nil || a != b {
					t.Errorf("%s: %v (%v), and after the import %v (%v)", owner, a, errA, b, errB)
				}
			}
		})
	}
}

// What NetBox 4.4 itself exports: columns that Ferrodur does not know, and none of its own.
const netboxPrefixes = "\ufeff" + `prefix,vrf,tenant,status,role,scope_type,scope_name,is_pool,mark_utilized,description,tags,id
203.0.113.0/24,,,container,,,,False,False,ours,,1
203.0.113.0/26,,,active,service,dcim.site,ewr1,True,False,,"edge,two words",2
`

const netboxAddresses = `address,vrf,tenant,status,role,assigned_object_type,dns_name,description,id
203.0.113.1/26,,,reserved,vrrp,,,the gateway,1
203.0.113.9/26,,acme,active,,,www.example.net,,2
203.0.113.10/26,,,active,,,,,3
`

func TestImportFromNetBox(t *testing.T) {
	store, _ := open(t)
	for _, text := range []string{netboxPrefixes, netboxAddresses} {
		records, err := ipam.ReadCSV(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Import(t.Context(), records, ipam.By{Actor: "me"}); err != nil {
			t.Fatal(err)
		}
	}
	held, err := store.Allocations(t.Context(), ipam.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, a := range held {
		got = append(got, strings.Join([]string{a.Pool, a.Prefix.String(), string(a.Kind), a.Owner, a.Tenant}, " "))
	}
	want := []string{
		"203.0.113.0/26 203.0.113.1/32 reserved the gateway ",
		"203.0.113.0/26 203.0.113.9/32 address www.example.net acme",
		"203.0.113.0/26 203.0.113.10/32 address netbox/203.0.113.10/32 ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	history, err := store.History(t.Context(), ipam.HistoryFilter{Of: netip.MustParsePrefix("203.0.113.9/32")})
	if err != nil || len(history) != 3 || history[2].By.Actor != "me" { // with the two prefixes around it
		t.Errorf("the history is %v (%v)", history, err)
	}
}

func TestImportRefuses(t *testing.T) {
	const header = "prefix,vrf,status,role,scope_name,is_pool,cf_ferrodur_pool,cf_ferrodur_kind,cf_ferrodur_owner,cf_ferrodur_name,cf_ferrodur_quarantine,cf_ferrodur_released_at\n"
	const pool = "203.0.113.0/24,,active,tenant,ewr1,true,p,,,,,\n"
	for name, test := range map[string]struct {
		text string
		want []string // one for each error, a part of it
	}{
		"nothing":             {"", []string{"line 1: the file has no header"}},
		"other columns":       {"a,b\n1,2\n", []string{"line 1: the header has no column"}},
		"an open quote":       {header + "\"203.0.113.0/24,\n", []string{"line 2: extraneous or missing"}},
		"no boolean":          {header + "203.0.113.0/24,,active,,,perhaps,,,,,,\n", []string{"line 2:"}},
		"no prefix":           {header + "203.0.113.0/33,,active\n,,active\n", []string{`line 2: "203.0.113.0/33" is no prefix`, "line 3: it needs a prefix"}},
		"host bits":           {header + "203.0.113.1/24,,container\n", []string{"line 2: 203.0.113.1/24 has bits set behind its length: write 203.0.113.0/24"}},
		"IPv4 in IPv6":        {header + "::ffff:203.0.113.0/120,,container\n", []string{"line 2: ::ffff:203.0.113.0/120 is an IPv4 address in IPv6 form"}},
		"no status":           {header + "203.0.113.0/24,,gone\n", []string{`line 2: status "gone" is none of`}},
		"no site":             {header + "203.0.113.0/24,,active,tenant,,true\n", []string{"line 2: pool 203.0.113.0/24: it needs a name and a site"}},
		"no such domain":      {header + "203.0.113.0/24,red,container\n", []string{`line 2: vrf: there is no routing domain "red"`}},
		"no duration":         {header + "203.0.113.0/24,,active,tenant,ewr1,true,p,,,,soon\n", []string{`line 2: cf_ferrodur_quarantine "soon"`}},
		"a link too long":     {header + pool + "203.0.113.0/28,,active,,,,,link,o\n", []string{"line 3: 203.0.113.0/28 is no link"}},
		"twice":               {header + pool + "203.0.113.0/24,,container\n", []string{"line 3: 203.0.113.0/24 is on line 2 already"}},
		"a name twice":        {header + pool + "192.0.2.0/24,,active,tenant,ewr1,true,p\n", []string{"line 3: pool p is on line 2 already"}},
		"an owner twice":      {header + pool + "203.0.113.0/31,,active,,,,,,o\n203.0.113.2/31,,active,,,,,,o\n", []string{`line 4: what o holds by the name "" is on line 3 already`}},
		"overlap":             {header + pool + "203.0.113.4/31,,active,,,,,,a\n203.0.113.0/29,,active,,,,,,b\n203.0.113.6/31,,active,,,,,,c\n", []string{"line 4: 203.0.113.0/29 overlaps 203.0.113.4/31 on line 3", "line 5: 203.0.113.6/31 overlaps 203.0.113.0/29 on line 4"}},
		"overlapping pools":   {header + pool + "203.0.113.0/25,,active,tenant,ewr1,true,q\n", []string{"line 3: q: 203.0.113.0/25 overlaps pool p 203.0.113.0/24"}},
		"in no pool":          {header + pool + "192.0.2.0/31,,active,,,,,,o\n198.51.100.0/31,,active,,,,,,p\n", []string{"line 3: 192.0.2.0/31 lies in no pool", "line 4: 198.51.100.0/31 lies in no pool"}},
		"held by another":     {header + "192.0.2.128/31,,active,,,,,,o\n", []string{"line 2: 192.0.2.128/31 overlaps 192.0.2.128/31, which instance/o-1 holds"}},
		"holds another":       {header + "192.0.2.132/31,,active,,,,,,instance/o-1,tenant\n", []string{"line 2: instance/o-1 holds 192.0.2.128/31 by the name tenant already"}},
		"another site in use": {header + "192.0.2.128/25,,active,tenant,sjc1,true,there\n", []string{"line 2: 192.0.2.128/25 is declared already, with the site"}},
		"released and active": {header + pool + "203.0.113.0/31,,active,,,,,,o,,,2026-01-01T00:00:00Z\n", []string{"line 3: what is released"}},
	} {
		t.Run(name, func(t *testing.T) {
			store, database := open(t, ipam.Pool{Name: "there", Site: "ewr1", Role: ipam.Tenant, Prefix: netip.MustParsePrefix("192.0.2.128/25")})
			if _, err := store.AllocateLinks(t.Context(), request("instance/o-1")); err != nil {
				t.Fatal(err)
			}
			// A good line too, of which nothing must stay.
			text := test.text
			if strings.HasPrefix(text, header) {
				text += "198.51.100.128/25,,container\n"
			}
			records, err := ipam.ReadCSV(strings.NewReader(text))
			if err == nil {
				_, err = store.Import(t.Context(), records, ipam.By{})
			}
			var wrong ipam.ImportErrors
			if !errors.As(err, &wrong) || len(wrong) != len(test.want) {
				t.Fatalf("got %v, want %d errors", err, len(test.want))
			}
			for i, want := range test.want {
				if !strings.HasPrefix(wrong[i].Error(), want) {
					t.Errorf("got  %v\nwant %s", wrong[i], want)
				}
			}
			var prefixes int
			if err := database.QueryRow(t.Context(), `SELECT count(*) FROM ipam.prefixes`).Scan(&prefixes); err != nil || prefixes != 1 {
				t.Errorf("%d prefixes stay (%v)", prefixes, err)
			}
		})
	}
}

func TestReadJSONRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                              "line 1: the file is no JSON array",
		`{}`:                            "line 1: the file is no JSON array",
		"[\n {\"prefix\": 3}\n]":        "line 2: ",
		"[\n {\"prefix\": \"a\"},\n {":  "line 3: ",
		"[{\"prefix\": \"a\"}":          "line 1: the array is not closed",
		"[\n{},\n{\"is_pool\": \"a\"}]": "line 3: ",
	} {
		_, err := ipam.ReadJSON(strings.NewReader(text))
		if wrong := (ipam.ImportErrors)(nil); !errors.As(err, &wrong) || !strings.HasPrefix(wrong[0].Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// FuzzRecords reads whatever comes, and writes what it has read so that it is read again.
func FuzzRecords(f *testing.F) {
	f.Add(netboxPrefixes)
	f.Add(netboxAddresses)
	f.Add(`[{"prefix": "203.0.113.0/24", "status": "active", "is_pool": true}]`)
	f.Add("prefix,description\n192.0.2.0/24,\"a\r\nb\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		for form, as := range forms {
			records, err := as.read(text)
			if err != nil {
				if wrong := (ipam.ImportErrors)(nil); !errors.As(err, &wrong) || len(wrong) == 0 {
					t.Fatalf("%s: %v is no ImportErrors", form, err)
				}
				continue
			}
			sound := slices.DeleteFunc(records, func(r ipam.Record) bool { return r.Check() != nil })
			for _, table := range tables {
				of := slices.DeleteFunc(slices.Clone(sound), func(r ipam.Record) bool { return (r.Prefix == "") != (table == ipam.IPAddresses) })
				if table == ipam.IPAddresses { // their networks' are not theirs
					for i := range of {
						of[i].IsPool, of[i].ScopeType, of[i].ScopeName = false, "", ""
					}
				}
				var b bytes.Buffer
				if err := as.write(&b, table, of); err != nil {
					t.Fatal(err)
				}
				again, err := as.read(b.String())
				if err != nil {
					t.Fatalf("%s: %v of\n%s", form, err, b.String())
				}
				for i := range of {
					of[i].Line, again[i].Line = 0, 0
					if table == ipam.Prefixes {
						of[i].DNSName = ""
						again[i].DNSName = ""
					}
				}
				if !slices.Equal(again, of) {
					t.Fatalf("%s: %+v came back as %+v", form, of, again)
				}
			}
		}
	})
}
