package rackfile_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/starter/rackfile"
)

const example = "../../docs/examples/rack.yaml"

func read(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(data)
}

func TestExample(t *testing.T) {
	rack, err := rackfile.Parse("rack.yaml", []byte(read(t, example)))
	require.NoError(t, err)

	require.Equal(t, []inventory.Site{{Name: "ewr1", Description: "Newark, hall 3"}}, rack.Sites)
	require.Len(t, rack.Addresses.Pools, 5)
	require.Equal(t, inventory.Network{
		Name: "ewr1-blue", Site: "ewr1", VLAN: 100,
		Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/26"), netip.MustParsePrefix("2001:db8:2::/64")},
	}, rack.Networks[0])
	require.Equal(t, ipam.Role("network/ewr1-blue"), rack.Addresses.Pools[3].Role)
	require.Equal(t, 1500, rack.Switches[0].MTU)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, rack.Switches[0].Provisioning.Reach)
	require.Equal(t, ipam.Pool{
		Name: "ewr1-tenant-v4", Site: "ewr1", Role: ipam.Tenant,
		Prefix: netip.MustParsePrefix("198.51.100.0/24"), Quarantine: 24 * time.Hour,
	}, rack.Addresses.Pools[0])
	require.Equal(t, []inventory.Plan{{
		Name: "c1.small", Description: "2 threads, 1.5 GiB, one disk", Threads: 2, MemoryMiB: 1536, Disks: 1, DiskBytes: 4 << 30,
	}}, rack.Plans)
	require.Equal(t, uint64(2<<30), rack.Images[0].Bytes)
	require.Equal(t, inventory.SecretRef("file:/etc/ferrodur/sw1.key"), rack.Switches[0].PrivateKey)
	require.Equal(t, netip.MustParseAddr("192.0.2.1"), rack.Switches[0].DHCPRelay)
	require.Equal(t, []string{"swp1", "swp2", "swp3"}, rack.Switches[0].Ports)
	require.Equal(t, inventory.Server{
		Name: "srv1", Site: "ewr1", Rack: "r1", Plan: "c1.small",
		Uplink: inventory.Uplink{Switch: "sw1", Port: "swp1", MAC: "02:00:00:00:00:01"},
		Others: []inventory.Uplink{{Switch: "sw1", Port: "swp3", MAC: "02:00:00:00:01:01"}},
		BMC:    inventory.BMC{Address: "192.0.2.65", User: "admin", Password: "env:BMC_PASSWORD"},
		Disk:   "/dev/vda", Declared: inventory.Declared{CPUThreads: 2, MemoryMiB: 2048, DiskBytes: 8 << 30},
	}, rack.Servers[0])
	require.Equal(t, "env:BMC_PASSWORD", string(rack.Servers[1].BMC.Password))
}

func TestProblems(t *testing.T) {
	tests := map[string]struct {
		old, new string // in testdata/rack.yaml
		want     []string
	}{
		"unknown field":   {"    rack: r1\n    plan: c1.small\n    switch: sw1\n    port: swp1", "    colour: r1\n    plan: c1.small\n    switch: sw1\n    port: swp1", []string{`46:5: server srv1: there is no field "colour"; the fields are bmc, bond, declared, disk, mac, name, plan, port, rack, site, switch, uplinks`}},
		"unknown section": {"plans:", "flavours:", []string{`19:1: rack file: there is no field "flavours"; the fields are domains, images, limits, networks, plans, pools, prefixes, servers, sites, switches, zones`, `47:11: server srv1: plan "c1.small" is not declared in this file; declared are: none`, `63:11: server srv2: plan "c1.small" is not declared in this file; declared are: none`}},
		"a lone bond":     {"    disk: /dev/vda", "    bond: 17\n    disk: /dev/vda", []string{"55:11: server srv1: bond needs a second cable: declare it under uplinks"}},
		"wrong type":      {" threads: 2\n", " threads: two\n", []string{"22:14: plan c1.small: threads must be a whole number, not text"}},
		"a list for text": {"user: ferrodur", "user: [a]", []string{"37:11: switch sw1: user must be text, not a list"}},
		"missing field":   {"    plan: c1.small\n    switch: sw1\n    port: swp1\n", "    switch: sw1\n    port: swp1\n", []string{"44:5: server srv1: plan is missing"}},
		"no such driver":  {"platform: frr", "platform: cumulus", []string{`35:15: switch sw1: platform "cumulus" is none of frr, ovs, juniper_junos, nokia_srl, sonic, arista_eos, cisco_nxos, cisco_iosxe`}},
		"a huge MTU":      {"user: ferrodur", "user: ferrodur\n    mtu: 99999", []string{"38:10: switch sw1: mtu must be from 1280 to 9190: the largest IP packet in bytes"}},
		"duplicate name":  {"name: srv2", "name: srv1", []string{"60:11: server srv1: name is declared already at line 44"}},
		"duplicate key":   {"user: ferrodur", "user: ferrodur\n    user: root", []string{`38:5: mapping key "user" already defined at [37:5]`}},
		"dangling site":   {"site: ewr1\n    role: provisioning", "site: lhr1\n    role: provisioning", []string{`16:11: pool ewr1-provisioning: site "lhr1" is not declared in this file; declared are: ewr1`}},
		"dangling switch": {"switch: sw1\n    port: swp2", "switch: sw9\n    port: swp2", []string{`64:13: server srv2: switch "sw9" is not declared in this file; declared are: sw1`}},
		"dangling port":   {"port: swp2", "port: swp7", []string{`65:11: server srv2: port "swp7" is not among the ports of switch sw1`}},
		"port taken":      {"port: swp2", "port: swp1", []string{"65:11: server srv2: port swp1 of switch sw1 is taken by server srv1"}},
		"MAC taken":       {"02:00:00:00:00:02", "0200.0000.0001", []string{"66:10: server srv2: mac 02:00:00:00:00:01 is taken by server srv1"}},
		"BMC taken":       {"address: 192.0.2.66", "address: 192.0.2.65", []string{"67:10: server srv2: bmc 192.0.2.65 at site ewr1 is taken by server srv1"}},
		"bad MAC":         {"02:00:00:00:00:02", "02:00:00:00:00", []string{`66:10: server srv2: mac must be a MAC such as "02:00:00:00:00:01", not "02:00:00:00:00"`}},
		"group MAC":       {"02:00:00:00:00:02", "01:00:5e:00:00:01", []string{"66:10: server srv2: mac 01:00:5e:00:00:01 is not the address of one NIC"}},
		"bad prefix":      {"192.0.2.128/25", "192.0.2.128/33", []string{`18:13: pool ewr1-provisioning: prefix must be a prefix such as "198.51.100.0/24", not "192.0.2.128/33"`}},
		"host bits":       {"192.0.2.128/25", "192.0.2.129/25", []string{"18:13: pool ewr1-provisioning: prefix 192.0.2.129/25 has host bits set: write 192.0.2.128/25"}},
		"forbidden VLAN": {"ports: [swp1, swp2]", "ports: [swp1, swp2]\n    vlans: [7]\nnetworks:\n  - {name: blue, site: ewr1, vlan: 8, prefixes: [203.0.113.0/26]}", []string{
			"45:5: network blue: no switch of site ewr1 may carry VLAN 8: name it in its vlans",
		}},
		"VLAN taken": {"switches:\n", "networks:\n  - {name: blue, site: ewr1, vlan: 8, prefixes: [203.0.113.0/26]}\n  - {name: red, site: ewr1, vlan: 8, prefixes: [203.0.113.64/26]}\nswitches:\n", []string{
			"34:5: network red: VLAN 8 of site ewr1 is network blue already",
		}},
		"network's overlap": {"switches:\n", "networks:\n  - {name: blue, site: ewr1, vlan: 5000, prefixes: [198.51.100.64/26, 192.0.2.7/31]}\nswitches:\n", []string{
			"33:36: network blue: vlan must be from 1 to 4094", "33:52: network blue: prefixes 192.0.2.7/31 has host bits set: write 192.0.2.6/31",
			"33:52: pool blue-ipv4: prefix 198.51.100.64/26 overlaps 198.51.100.0/24 of pool ewr1-tenant-v4"}},
		"overlap":              {"192.0.2.128/25", "198.51.100.128/25", []string{"18:13: pool ewr1-provisioning: prefix 198.51.100.128/25 overlaps 198.51.100.0/24 of pool ewr1-tenant-v4"}},
		"bad role":             {"role: provisioning", "role: guest", []string{`17:11: pool ewr1-provisioning: role must be one of tenant, provisioning, routed, elastic, service, not "guest"`}},
		"no unit":              {"prefix: 198.51.100.0/24\n    quarantine: 24h", "prefix: 198.51.100.0/24\n    quarantine: 24", []string{`9:17: pool ewr1-tenant-v4: quarantine must be a time with its unit such as "30s" or "24h", not "24"`}},
		"negative time":        {"prefix: 198.51.100.0/24\n    quarantine: 24h", "prefix: 198.51.100.0/24\n    quarantine: -1h", []string{"9:17: pool ewr1-tenant-v4: quarantine must not be negative, as -1h is"}},
		"negative number":      {"memory_mib: 1536", "memory_mib: -1", []string{"23:17: plan c1.small: memory_mib must be from 0 to 2147483647, not -1"}},
		"short digest":         {"9f86d081884c", "9f86", []string{"29:13: image debian-12: sha256 must be 64 lower-case hexadecimal digits, as sha256sum prints them"}},
		"no size":              {"    bytes: 2147483648\n", "", []string{"27:5: image debian-12: bytes is missing: the size of the raw image, not of the compressed file"}},
		"password in clear":    {"password: env:BMC_PASSWORD\n    disk", "password: hunter2\n    disk", []string{`54:17: server srv1: bmc: password is not a secret reference: write "env:NAME" or "file:/absolute/path" and keep the secret there`}},
		"numeric password":     {"password: env:BMC_PASSWORD\n    disk", "password: 8675309\n    disk", []string{`54:17: server srv1: bmc: password is not a secret reference: write "env:NAME" or "file:/absolute/path" and keep the secret there`}},
		"no way to log in":     {"    private_key: file:/etc/ferrodur/sw1.key\n", "", []string{"33:5: switch sw1: private_key or password is missing: how else does one log in"}},
		"bad host key":         {"ssh-ed25519 AAAA", "ssh-ed25519 AA", []string{`40:15: switch sw1: host_key must be the type and key that ssh-keyscan prints after the host, such as "ssh-ed25519 AAAA…"`}},
		"no SSH port":          {"192.0.2.1:22", "192.0.2.1", []string{`36:14: switch sw1: address must be host:port, not "192.0.2.1"`}},
		"alias":                {"rack: r1\n    plan: c1.small\n    switch: sw1\n    port: swp2", "rack: *r\n    plan: c1.small\n    switch: sw1\n    port: swp2", []string{"62:11: server srv2: rack must be text, not an anchor or alias, which a rack file does not use: write it out"}},
		"not a list":           {"ports: [swp1, swp2]", "ports: swp1", []string{`42:12: switch sw1: ports must be a list, each element after a "-", not text`}},
		"a name for a command": {"ports: [swp1, swp2]", `ports: [swp1, swp2, "swp3; reload"]`, []string{`42:25: switch sw1: port "swp3; reload" is no interface name`}},
		"two problems at once": {"site: ewr1\n    role: provisioning", "site: lhr1\n    role: guest", []string{`16:11: pool ewr1-provisioning: site "lhr1" is not declared in this file; declared are: ewr1`, `17:11: pool ewr1-provisioning: role must be one of tenant, provisioning, routed, elastic, service, not "guest"`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := read(t, "testdata/rack.yaml")
			require.Equal(t, 1, strings.Count(file, test.old), "%q must be there once", test.old)

			_, err := rackfile.Parse("rack.yaml", []byte(strings.Replace(file, test.old, test.new, 1)))
			var problems rackfile.Problems
			require.ErrorAs(t, err, &problems)
			var got []string
			for _, problem := range problems {
				got = append(got, strings.TrimPrefix(problem.String(), "rack.yaml:"))
			}
			require.Equal(t, test.want, got)
		})
	}
}

const addresses = `
sites: [{name: ewr1}]
zones:
  - {name: ewr1.example.net, site: ewr1, server: "192.0.2.53:53", key: ferrodur, secret: "env:DNS_KEY"}
domains: [{name: blue, description: private}]
prefixes:
  - {prefix: 10.0.0.0/8, domain: blue, tags: [ours]}
  - {prefix: 10.9.0.0/16, domain: blue, kind: reserved, site: ewr1, description: the office}
pools:
  - {name: vips, site: ewr1, role: service, prefix: 203.0.113.7/32}
  - name: links
    site: ewr1
    domain: blue
    role: tenant
    prefix: 10.1.0.0/16
    plan: c1.small
    tenant: acme
    threshold: 75
    source: netbox
    tags: [a, b]
    description: for acme
limits:
  - {tenant: acme, ipv4: 64, ipv6: /48}
`

func TestAddresses(t *testing.T) {
	rack, err := rackfile.Parse("rack.yaml", []byte(addresses))
	require.NoError(t, err)
	require.Equal(t, []ipam.Domain{{Name: "blue", Description: "private"}}, rack.Addresses.Domains)
	require.Equal(t, []inventory.Zone{{
		Name: "ewr1.example.net", Site: "ewr1", Server: "192.0.2.53:53", Key: "ferrodur", Algorithm: "hmac-sha256", Secret: "env:DNS_KEY",
	}}, rack.Zones)
	require.Equal(t, []ipam.Prefix{
		{Domain: "blue", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Kind: ipam.Container, Tags: []string{"ours"}},
		{Domain: "blue", Prefix: netip.MustParsePrefix("10.9.0.0/16"), Kind: ipam.Reserved, Site: "ewr1", Description: "the office"},
	}, rack.Addresses.Prefixes)
	require.Equal(t, ipam.Pool{
		Domain: "blue", Name: "links", Site: "ewr1", Role: ipam.Tenant, Prefix: netip.MustParsePrefix("10.1.0.0/16"),
		Plan: "c1.small", Tenant: "acme", Threshold: 75, Source: "netbox", Tags: []string{"a", "b"}, Description: "for acme",
	}, rack.Addresses.Pools[1])
	require.Equal(t, []ipam.Limit{
		{Tenant: "acme", Family: ipam.IPv4, Addresses: 64}, {Tenant: "acme", Family: ipam.IPv6, Addresses: 1 << 80},
	}, rack.Addresses.Limits)

	for _, test := range []struct{ old, new, want string }{
		{"secret: \"env:DNS_KEY\"", "secret: hunter2", `zone ewr1.example.net: secret is not a secret reference`},
		{"key: ferrodur, ", "", `zone[s]?.*key is missing`},
		{"domain: blue, tags", "domain: red, tags", `prefix.* domain "red" is not declared in this file; declared are: blue`},
		{"kind: reserved", "kind: pool", `prefix 10.9.0.0/16: kind must be container or reserved, not "pool"`},
		{"site: ewr1, description: the office", "site: lhr1", `site "lhr1" is not declared`},
		{"threshold: 75", "threshold: 101", `pool links: threshold must be from 1 to 100`},
		{"source: netbox", "source: infoblox", `pool links: source must be netbox`},
		{"role: tenant\n    prefix: 10.1.0.0/16", "role: tenant\n    prefix: 10.1.0.0/32", `10.1.0.0/32 is one address: a link needs two`},
		{"ipv4: 64", "ipv4: -1", `limits of acme: ipv4 must be a number of addresses`},
		{"ipv6: /48", "ipv6: /129", `limits of acme: ipv6 must be a number of addresses`},
		{"ipv4: 64, ipv6: /48", "", `has neither an ipv4 nor an ipv6 limit`},
		{"tags: [a, b]", "tags: [[a]]", `tags must be a list of texts`},
	} {
		require.Equal(t, 1, strings.Count(addresses, test.old), test.old)
		_, err := rackfile.Parse("rack.yaml", []byte(strings.Replace(addresses, test.old, test.new, 1)))
		require.Error(t, err, test.new)
		require.Regexp(t, test.want, err.Error())
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestNotARackFile(t *testing.T) {
	for data, want := range map[string]string{
		"":                  "rack.yaml:1:1: the file declares nothing",
		"# only a comment":  "rack.yaml:1:1: the file declares nothing",
		"- a list":          "rack.yaml:1:1: rack file: must be fields with values, not a list",
		"sites: [a":         "rack.yaml:1:8: sequence end token ']' not found",
		"sites:\n---\na: b": "rack.yaml:3:1: a rack file is one document: take the --- away",
		"sites: [3]":        "rack.yaml:1:9: sites[0]: must be fields with values, not a whole number",
	} {
		_, err := rackfile.Parse("rack.yaml", []byte(data))
		require.EqualError(t, err, want, "%q", data)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(read(f, example)))
	for _, seed := range []string{"", "sites: [", "- a", "? a\n: b", "a: &x {b: *x}", "<<: *a", "!!binary x", "{", "pools: [{prefix: 0/0}]", "servers: [{bmc: 1, mac: ~}]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rack, err := rackfile.Parse("rack.yaml", data)
		if (rack == nil) == (err == nil) {
			t.Fatalf("a rack or problems, not %v and %v", rack, err)
		}
	})
}
