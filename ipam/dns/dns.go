// Package dns keeps the names of addresses on authoritative servers, by dynamic updates
// (RFC 2136) that are signed (TSIG, RFC 8945). Every call may be made again after its
// answer was lost.
package dns

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Errors that asking again does not mend: a person must act.
var (
	ErrRefused = errors.New("the DNS server refuses the update: check the key, its algorithm, and that the server lets it update the zone")
	ErrNotZone = errors.New("the DNS server does not serve the zone")
	ErrTaken   = errors.New("the name belongs to somebody else")
)

// Zone is a zone that may be updated.
type Zone struct {
	Name      string // such as "example.net" or "100.51.198.in-addr.arpa"
	Server    string // the primary's host and port; updates go there over TCP
	Key       string // name of the TSIG key
	Algorithm string // such as "hmac-sha256"
	Secret    string // of the key, base64
}

// Algorithms are those of RFC 8945, section 6, that are not deprecated.
var Algorithms = []string{"hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"}

// timeToLive is that of every record, in seconds: short, since an address goes to another
// owner after its rest.
const timeToLive = 300

// patience bounds one exchange with a server.
const patience = 10 * time.Second

// PutName gives a name its addresses, for an owner, who is kept beside them in a TXT record:
// a name that the zone has already, and that is not the owner's, stays as it is. (RFC 4703,
// section 5.3, does so with DHCID records.)
//
// Errors: ErrTaken, ErrRefused, ErrNotZone. Any other is worth a retry.
func (z Zone) PutName(ctx context.Context, name, owner string, addresses []netip.Addr) error {
	records := []dns.RR{mark(name, owner)}
	for _, address := range addresses {
		if address.Is4() {
			records = append(records, &dns.A{Hdr: header(name, dns.TypeA), A: address.AsSlice()})
		} else {
			records = append(records, &dns.AAAA{Hdr: header(name, dns.TypeAAAA), AAAA: address.AsSlice()})
		}
	}
	fresh := z.update()
	fresh.NameNotUsed([]dns.RR{everything(name)})
	fresh.Insert(records)
	code, err := z.exchange(ctx, fresh)
	if err != nil || code != dns.RcodeYXDomain {
		return z.explain(name, code, err)
	}
	again := z.update()
	again.Used([]dns.RR{mark(name, owner)})
	again.RemoveRRset(both(name))
	again.Insert(records[1:])
	code, err = z.exchange(ctx, again)
	return z.explain(name, code, err)
}

// RemoveName takes a name and its addresses away, if they are the owner's.
func (z Zone) RemoveName(ctx context.Context, name, owner string) error {
	update := z.update()
	update.Used([]dns.RR{mark(name, owner)})
	update.RemoveRRset(both(name))
	update.Remove([]dns.RR{mark(name, owner)})
	code, err := z.exchange(ctx, update)
	if code == dns.RcodeNXRrset { // gone, or another's
		return err
	}
	return z.explain(name, code, err)
}

// PutReverse has an address point to a name, and to no other.
func (z Zone) PutReverse(ctx context.Context, address netip.Addr, name string) error {
	at, err := dns.ReverseAddr(address.String())
	if err != nil {
		return err
	}
	update := z.update()
	update.RemoveRRset([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: at, Rrtype: dns.TypePTR}}})
	update.Insert([]dns.RR{pointer(at, name)})
	code, err := z.exchange(ctx, update)
	return z.explain(at, code, err)
}

// RemoveReverse has an address no longer point to a name. What else it points to stays.
func (z Zone) RemoveReverse(ctx context.Context, address netip.Addr, name string) error {
	at, err := dns.ReverseAddr(address.String())
	if err != nil {
		return err
	}
	update := z.update()
	update.Remove([]dns.RR{pointer(at, name)})
	code, err := z.exchange(ctx, update)
	return z.explain(at, code, err)
}

// ZoneOf is the zone that a name is in: the one with the longest suffix of it. ok is false
// where there is none.
func ZoneOf(zones []Zone, name string) (zone Zone, ok bool) {
	for _, z := range zones {
		if dns.IsSubDomain(dns.Fqdn(z.Name), dns.Fqdn(name)) && (!ok || len(z.Name) > len(zone.Name)) {
			zone, ok = z, true
		}
	}
	return zone, ok
}

// Reverse is the name under which an address is looked up, such as
// "1.100.51.198.in-addr.arpa." (RFC 1035, section 3.5; RFC 3596, section 2.5).
func Reverse(address netip.Addr) string {
	name, err := dns.ReverseAddr(address.String())
	if err != nil {
		panic(err) // an address has always one
	}
	return name
}

// IsReverse says whether a zone holds the names of addresses.
func (z Zone) IsReverse() bool {
	name := dns.Fqdn(strings.ToLower(z.Name))
	return dns.IsSubDomain("in-addr.arpa.", name) || dns.IsSubDomain("ip6.arpa.", name)
}

// Validate checks the form of a zone's fields, but for the secret.
func (z Zone) Validate() error {
	switch _, valid := dns.IsDomainName(z.Name); {
	case z.Name == "" || !valid:
		return fmt.Errorf("%q is no name of a zone", z.Name)
	case z.Key == "":
		return fmt.Errorf("zone %s has no key: updates are signed", z.Name)
	case !slices.Contains(Algorithms, z.Algorithm):
		return fmt.Errorf("zone %s: algorithm %q is none of %s", z.Name, z.Algorithm, strings.Join(Algorithms, ", "))
	}
	return nil
}

func (z Zone) update() *dns.Msg {
	return new(dns.Msg).SetUpdate(dns.Fqdn(z.Name))
}

func (z Zone) exchange(ctx context.Context, update *dns.Msg) (code int, err error) {
	if _, err := base64.StdEncoding.DecodeString(z.Secret); err != nil {
		return 0, fmt.Errorf("%w (the key's secret is not base64)", ErrRefused)
	}
	key := dns.Fqdn(strings.ToLower(z.Key))
	client := &dns.Client{Net: "tcp", Timeout: patience, TsigSecret: map[string]string{key: z.Secret}}
	update.SetTsig(key, dns.Fqdn(z.Algorithm), 300, time.Now().Unix()) // fudge: RFC 8945, section 10
	answer, _, err := client.ExchangeContext(ctx, update, z.Server)
	if answer != nil && answer.Rcode == dns.RcodeNotAuth {
		// The same code says that a signature is refused and that a zone is not served
		// (RFC 8945, section 5.2; RFC 2136, section 3.1.1).
		if tsig := answer.IsTsig(); tsig == nil || tsig.Error != dns.RcodeSuccess {
			return 0, ErrRefused
		}
		return answer.Rcode, nil
	}
	if err != nil {
		return 0, fmt.Errorf("DNS server %s: %w", z.Server, err)
	}
	return answer.Rcode, nil
}

// explain makes an error of a response code.
func (z Zone) explain(name string, code int, err error) error {
	switch {
	case err != nil:
	case code == dns.RcodeSuccess:
		return nil
	case code == dns.RcodeNXRrset, code == dns.RcodeYXDomain:
		err = ErrTaken
	case code == dns.RcodeNotZone, code == dns.RcodeNotAuth:
		err = fmt.Errorf("%w (%s)", ErrNotZone, dns.RcodeToString[code])
	case code == dns.RcodeRefused:
		err = ErrRefused
	default:
		err = fmt.Errorf("DNS server %s answers %s", z.Server, dns.RcodeToString[code])
	}
	return fmt.Errorf("%s in zone %s: %w", name, z.Name, err)
}

func header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: dns.Fqdn(name), Rrtype: kind, Class: dns.ClassINET, Ttl: timeToLive}
}

// mark is the record that says whose a name is. A string of it has 255 bytes at most.
func mark(name, owner string) dns.RR {
	return &dns.TXT{Hdr: header(name, dns.TypeTXT), Txt: []string{"ferrodur", owner[:min(len(owner), 255)]}}
}

func pointer(at, name string) dns.RR {
	return &dns.PTR{Hdr: header(at, dns.TypePTR), Ptr: dns.Fqdn(name)}
}

func everything(name string) dns.RR {
	return &dns.ANY{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeANY}}
}

// both are the record sets of a name's addresses.
func both(name string) []dns.RR {
	return []dns.RR{
		&dns.ANY{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeA}},
		&dns.ANY{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeAAAA}},
	}
}
