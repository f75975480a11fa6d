package activities_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	wire "github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"ferrodur/activities"
	"ferrodur/inventory"
	"ferrodur/ipam/dns"
	"ferrodur/lab/bind"
	"ferrodur/workflows/api"
)

var links = api.Links{
	IPv4: api.Link{Switch: netip.MustParsePrefix("198.51.100.0/31"), Server: netip.MustParsePrefix("198.51.100.1/31")},
	IPv6: api.Link{Switch: netip.MustParsePrefix("2001:db8::/127"), Server: netip.MustParsePrefix("2001:db8::1/127")},
}

func TestNames(t *testing.T) {
	server := bind.Start(t, "example.net", "ewr1.example.net", "100.51.198.in-addr.arpa")
	var secret string
	zones := func(names ...string) func(*inventory.Declaration) {
		return func(d *inventory.Declaration) {
			for _, name := range names {
				d.Zones = append(d.Zones, inventory.Zone{
					Name: name, Site: "ewr1", Server: server.Address, Key: server.Key, Algorithm: bind.Algorithm,
					Secret: inventory.SecretRef("file:" + secret),
				})
			}
		}
	}
	secret = filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(secret, []byte(server.Secret+"\n"), 0o600))
	p := newPlace(t, zones("ewr1.example.net", "100.51.198.in-addr.arpa")) // and none for the IPv6 addresses
	p.serves(&activities.IPAM{Addresses: p.addresses, Inventory: p.inventory})
	in := api.NameInput{Owner: "instance/o-1", Site: "ewr1", Hostname: "web", Links: links}
	host := links.IPv4.Server.Addr()
	for range 2 {
		named, err := run(p, api.NameAddresses, in)
		require.NoError(t, err)
		require.Equal(t, "web.ewr1.example.net", named.Name)
		require.Equal(t, []string{host.String()}, server.Lookup(t, named.Name, wire.TypeA))
		require.Equal(t, []string{links.IPv6.Server.Addr().String()}, server.Lookup(t, named.Name, wire.TypeAAAA))
		require.Equal(t, []string{named.Name + "."}, server.Lookup(t, dns.Reverse(host), wire.TypePTR))
	}
	other := in
	other.Owner = "instance/o-2"
	_, err := run(p, api.NameAddresses, other)
	requireError(t, err, api.ErrorOperator, "belongs to somebody else", "web.ewr1.example.net")
	for range 2 {
		_, err := run(p, api.RemoveNames, in)
		require.NoError(t, err)
		require.Empty(t, server.Lookup(t, "web.ewr1.example.net", wire.TypeA))
		require.Empty(t, server.Lookup(t, dns.Reverse(host), wire.TypePTR))
	}

	require.NoError(t, os.WriteFile(secret, []byte("bm90IHRoZSBzZWNyZXQ="), 0o600))
	_, err = run(p, api.NameAddresses, in)
	requireError(t, err, api.ErrorOperator, "refuses the update")
	require.NotContains(t, err.Error(), "bm90IHRoZSBzZWNyZXQ=")
	require.NoError(t, os.Remove(secret))
	_, err = run(p, api.NameAddresses, in)
	requireError(t, err, "", secret)

	nowhere := newPlace(t)
	nowhere.serves(&activities.IPAM{Addresses: nowhere.addresses, Inventory: nowhere.inventory})
	named, err := run(nowhere, api.NameAddresses, in)
	require.NoError(t, err)
	require.Empty(t, named.Name, "a site without zones")
	_, err = run(nowhere, api.RemoveNames, in)
	require.NoError(t, err)
}
