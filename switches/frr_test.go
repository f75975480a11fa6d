package switches

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// running is what FRR 8.4.4 shows, with lines that its other daemons put on an interface.
const running = `Building configuration...

Current configuration:
!
frr version 8.4.4
frr defaults traditional
hostname sw1
service integrated-vtysh-config
!
ip route 203.0.113.128/25 blackhole
!
interface swp1
 bandwidth 12345
 description ferrodur provisioning ams1-r1-s1 instance/o-42
 ip address 198.51.100.0/31
 ipv6 address 2001:db8:0:1::/127
 ipv6 nd ra-interval 3
 no ipv6 nd suppress-ra
 link-params
  enable
  shutdown
 exit-link-params
exit
!
interface swp10 vrf red
 description uplink to sp1
 ip address 198.51.100.66/24 label spare
exit
!
interface swp1
 ip ospf area 0
exit
!
end
`

func TestParseFRR(t *testing.T) {
	got, err := parseFRR(running, "swp1")
	if err != nil {
		t.Fatal(err)
	}
	want := section{
		owned: []string{
			"description ferrodur provisioning ams1-r1-s1 instance/o-42",
			"ip address 198.51.100.0/31",
			"ipv6 address 2001:db8:0:1::/127",
			"ipv6 nd ra-interval 3",
			"no ipv6 nd suppress-ra",
		},
		foreign: []string{"bandwidth 12345", "link-params", " enable", " shutdown", "exit-link-params", "ip ospf area 0"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	intent, err := got.intent(frr{}, "swp1")
	if err != nil {
		t.Fatal(err)
	}
	if want := (Intent{"swp1", Provisioning, "ams1-r1-s1 instance/o-42", parse("198.51.100.0/31", "2001:db8:0:1::/127"), nil}); !reflect.DeepEqual(intent, want) {
		t.Errorf("got %+v, want %+v", intent, want)
	}
}

func TestParseFRROfOthers(t *testing.T) {
	got, err := parseFRR(running, "swp10")
	if err != nil {
		t.Fatal(err)
	}
	intent, err := got.intent(frr{}, "swp10")
	if err != nil {
		t.Fatal(err)
	}
	if want := (Intent{Port: "swp10", Description: "uplink to sp1"}); !reflect.DeepEqual(intent, want) {
		t.Errorf("got %+v, want %+v", intent, want)
	}
	if nothing, err := parseFRR(running, "swp2"); err != nil || len(nothing.owned)+len(nothing.foreign) > 0 {
		t.Errorf("got %+v, %v for a port without configuration", nothing, err)
	}
}

func TestParseFRROfAPart(t *testing.T) {
	part, _, _ := strings.Cut(running, " link-params")
	if _, err := parseFRR(part, "swp1"); !errors.Is(err, ErrUnreadable) {
		t.Errorf("got %v, want ErrUnreadable", err)
	}
}

func TestEditFRR(t *testing.T) {
	provisioning := Intent{"swp1", Provisioning, "s1", parse("198.51.100.0/31", "2001:db8::/127"), nil}
	tenant := Intent{"swp1", Tenant, "s1 instance/o-42", parse("203.0.113.0/31", "2001:db8::/127"), nil}
	quarantine := Intent{"swp1", Quarantine, "s1", nil, nil}
	customer := tenant
	customer.Behind = parse("192.0.2.64/28", "2001:db8:8000::/56")
	other := tenant
	other.Behind = parse("192.0.2.64/28", "192.0.2.80/28")
	for _, test := range []struct {
		name     string
		from, to Intent
		want     []string
	}{
		{"provisioning to tenant", provisioning, tenant, []string{
			"interface swp1",
			"no ip address 198.51.100.0/31",
			"ipv6 nd suppress-ra",
			"no ipv6 nd ra-interval 3",
			"description ferrodur tenant s1 instance/o-42",
			"ip address 203.0.113.0/31",
		}},
		{"tenant to quarantine", tenant, quarantine, []string{
			"interface swp1",
			"shutdown",
			"no ip address 203.0.113.0/31",
			"no ipv6 address 2001:db8::/127",
			"description ferrodur quarantine s1",
		}},
		{"quarantine to provisioning", quarantine, provisioning, []string{
			"interface swp1",
			"description ferrodur provisioning s1",
			"ip address 198.51.100.0/31",
			"ipv6 address 2001:db8::/127",
			"no ipv6 nd suppress-ra",
			"ipv6 nd ra-interval 3",
			"no shutdown",
		}},
		{"quarantine to a customer", quarantine, customer, []string{
			"interface swp1",
			"description ferrodur tenant s1 instance/o-42",
			"ip address 203.0.113.0/31",
			"ipv6 address 2001:db8::/127",
			"exit",
			"ip route 192.0.2.64/28 203.0.113.1 swp1",
			"ipv6 route 2001:db8:8000::/56 2001:db8::1 swp1",
			"interface swp1",
			"no shutdown",
		}},
		{"one block for another", customer, other, []string{
			"interface swp1",
			"exit",
			"no ipv6 route 2001:db8:8000::/56 2001:db8::1 swp1",
			"ip route 192.0.2.80/28 203.0.113.1 swp1",
		}},
		{"customer to quarantine", customer, quarantine, []string{
			"interface swp1",
			"shutdown",
			"no ip address 203.0.113.0/31",
			"no ipv6 address 2001:db8::/127",
			"description ferrodur quarantine s1",
			"exit",
			"no ip route 192.0.2.64/28 203.0.113.1 swp1",
			"no ipv6 route 2001:db8:8000::/56 2001:db8::1 swp1",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			have, err := frr{}.render(test.from)
			if err != nil {
				t.Fatal(err)
			}
			want, err := frr{}.render(test.to)
			if err != nil {
				t.Fatal(err)
			}
			if got := (frr{}).edit("swp1", have, want); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// The way back to a port without configuration takes the description, too.
func TestEditFRRBackToNothing(t *testing.T) {
	have, err := frr{}.render(Intent{"swp1", Quarantine, "s1", nil, nil})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"interface swp1", "no description", "no shutdown"}
	if got := (frr{}).edit("swp1", have, nil); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever a switch prints, parsing does not panic, and what it takes for an intent of
// Ferrodur's is one: valid, and rendered again it is what was on the port.
func FuzzParseFRR(f *testing.F) {
	f.Add(running, "swp1")
	f.Add(running, "swp10")
	f.Add("interface swp1\n description ferrodur tenant\n ip address 192.0.2.0/31\nend\n", "swp1")
	f.Add("interface swp1\n description ferrodur quarantine x\r\n shutdown\r\nend", "swp1")
	f.Add("interface\ninterface swp1\n ip address\n ip address ::1/127\n ipv6 address fe80::1%eth0/127\nend", "swp1")
	f.Add("ip route 192.0.2.64/28 192.0.2.1 swp1\nip route 0.0.0.0/0 192.0.2.1 swp1 tag 7\ninterface swp1\n description ferrodur tenant\n ip address 192.0.2.0/31\nend\n", "swp1")
	f.Add("interface p\n description ferrodur tenant a\n description ferrodur quarantine b\n shutdown\nend", "p")
	f.Fuzz(func(t *testing.T, text, port string) {
		section, err := parseFRR(text, port)
		if err != nil {
			return
		}
		intent, err := section.intent(frr{}, port)
		if err != nil {
			t.Fatal(err)
		}
		if intent.Profile == "" {
			return
		}
		if err := intent.Validate(); err != nil {
			t.Fatal(err)
		}
		lines, err := frr{}.render(intent)
		if err != nil {
			t.Fatal(err)
		}
		if diff := difference(section.owned, lines); len(diff) > 0 {
			t.Fatalf("%+v leaves a difference: %q", intent, diff)
		}
	})
}
