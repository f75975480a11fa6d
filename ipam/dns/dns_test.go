package dns_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"

	wire "github.com/miekg/dns"

	"ferrodur/ipam/dns"
	"ferrodur/lab/bind"
)

const forward, reverse4, reverse6 = "ewr1.example.net", "100.51.198.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"

func zones(server *bind.Server) []dns.Zone {
	var all []dns.Zone
	for _, name := range []string{forward, reverse4, reverse6} {
		all = append(all, dns.Zone{Name: name, Server: server.Address, Key: server.Key, Algorithm: bind.Algorithm, Secret: server.Secret})
	}
	return all
}

var (
	v4 = netip.MustParseAddr("198.51.100.1")
	v6 = netip.MustParseAddr("2001:db8::1")
)

func expect(t *testing.T, server *bind.Server, name string, kind uint16, want ...string) {
	t.Helper()
	if got := server.Lookup(t, name, kind); !slices.Equal(got, want) {
		t.Errorf("%s %s: %v, want %v", name, wire.TypeToString[kind], got, want)
	}
}

func TestNames(t *testing.T) {
	ctx := t.Context()
	server := bind.Start(t, forward, reverse4, reverse6)
	zone := zones(server)[0]
	const name = "o-1." + forward
	for range 2 { // again, as after a lost answer
		if err := zone.PutName(ctx, name, "instance/o-1", []netip.Addr{v4, v6}); err != nil {
			t.Fatal(err)
		}
		expect(t, server, name, wire.TypeA, "198.51.100.1")
		expect(t, server, name, wire.TypeAAAA, "2001:db8::1")
	}
	// Other addresses take the place of those before.
	if err := zone.PutName(ctx, name, "instance/o-1", []netip.Addr{netip.MustParseAddr("198.51.100.3")}); err != nil {
		t.Fatal(err)
	}
	expect(t, server, name, wire.TypeA, "198.51.100.3")
	expect(t, server, name, wire.TypeAAAA)

	if err := zone.PutName(ctx, name, "instance/o-2", []netip.Addr{v4}); !errors.Is(err, dns.ErrTaken) {
		t.Errorf("another's name: %v", err)
	}
	if err := zone.RemoveName(ctx, name, "instance/o-2"); err != nil {
		t.Errorf("removing another's name: %v", err)
	}
	expect(t, server, name, wire.TypeA, "198.51.100.3")
	for range 2 {
		if err := zone.RemoveName(ctx, name, "instance/o-1"); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []uint16{wire.TypeA, wire.TypeAAAA, wire.TypeTXT} {
			expect(t, server, name, kind)
		}
	}
	if err := zone.PutName(ctx, name, "instance/o-2", []netip.Addr{v4}); err != nil {
		t.Errorf("a name that is free again: %v", err)
	}
}

func TestReverse(t *testing.T) {
	ctx := t.Context()
	server := bind.Start(t, forward, reverse4, reverse6)
	for _, address := range []netip.Addr{v4, v6} {
		zone, found := dns.ZoneOf(zones(server), dns.Reverse(address))
		if !found || !zone.IsReverse() {
			t.Fatalf("%s is in zone %q", address, zone.Name)
		}
		for _, name := range []string{"o-1." + forward, "o-1." + forward, "o-2." + forward} {
			if err := zone.PutReverse(ctx, address, name); err != nil {
				t.Fatal(err)
			}
			expect(t, server, dns.Reverse(address), wire.TypePTR, name+".")
		}
		if err := zone.RemoveReverse(ctx, address, "o-1."+forward); err != nil { // it is another's by now
			t.Fatal(err)
		}
		expect(t, server, dns.Reverse(address), wire.TypePTR, "o-2."+forward+".")
		for range 2 {
			if err := zone.RemoveReverse(ctx, address, "o-2."+forward); err != nil {
				t.Fatal(err)
			}
			expect(t, server, dns.Reverse(address), wire.TypePTR)
		}
	}
}

func TestWhatAPersonMustMend(t *testing.T) {
	ctx := t.Context()
	server := bind.Start(t, forward)
	good := zones(server)[0]
	for what, test := range map[string]struct {
		spoil func(*dns.Zone)
		want  error
	}{
		"another secret":      {func(z *dns.Zone) { z.Secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQ=" }, dns.ErrRefused},
		"an unknown key":      {func(z *dns.Zone) { z.Key = "nobody" }, dns.ErrRefused},
		"a secret not base64": {func(z *dns.Zone) { z.Secret = "%%%" }, dns.ErrRefused},
		"another's zone":      {func(z *dns.Zone) { z.Name = "example.org" }, dns.ErrNotZone},
	} {
		zone := good
		test.spoil(&zone)
		if err := zone.PutName(ctx, "o-1."+zone.Name, "instance/o-1", []netip.Addr{v4}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	away := good
	away.Server = "127.0.0.1:1"
	if err := away.PutName(ctx, "o-1."+forward, "instance/o-1", []netip.Addr{v4}); err == nil || errors.Is(err, dns.ErrRefused) {
		t.Errorf("a server that is away: %v", err)
	}
	for _, zone := range []dns.Zone{{}, {Name: "a..b", Key: "k", Algorithm: "hmac-sha256"}, {Name: "a", Algorithm: "hmac-sha256"}, {Name: "a", Key: "k", Algorithm: "hmac-md5"}} {
		if zone.Validate() == nil {
			t.Errorf("%+v is valid", zone)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

// An answer that is lost does no harm: the update is made, and made again.
func TestLostAnswers(t *testing.T) {
	ctx := t.Context()
	server := bind.Start(t, forward, reverse4, reverse6)
	var lose atomic.Bool
	cut := proxy(t, server.Address, &lose)
	zone := zones(server)[0]
	zone.Server = cut
	const name = "o-1." + forward
	put := func() error { return zone.PutName(ctx, name, "instance/o-1", []netip.Addr{v4}) }
	remove := func() error { return zone.RemoveName(ctx, name, "instance/o-1") }
	for _, do := range []func() error{put, remove, put} {
		lose.Store(true)
		if err := do(); err == nil {
			t.Fatal("no answer was lost")
		}
		lose.Store(false)
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, server, name, wire.TypeA, "198.51.100.1")
}

// proxy hands connections through, and loses the answers when it is told to.
func proxy(t *testing.T, to string, lose *atomic.Bool) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := new(net.Dialer).DialContext(context.Background(), "tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			go io.Copy(server, client)
			go func() {
				defer client.Close()
				defer server.Close()
				answer := make([]byte, 65536)
				for {
					n, err := server.Read(answer)
					if err != nil || lose.Load() {
						return
					}
					if _, err := client.Write(answer[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}
