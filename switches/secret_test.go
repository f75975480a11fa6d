package switches

import (
	"strings"
	"testing"
)

// What leads back to a port whose password is not known any more has no stand-in for it.
func TestUnknownPasswordIsNotWritten(t *testing.T) {
	was, err := frr{}.render(Device{ASN: 65000}, Intent{
		Port: "swp1", Profile: Tenant, Addresses: parse("198.51.100.0/31"),
		BGP: &BGP{ASN: 65010, Password: "correct-horse", Accept: parse("203.0.113.0/28"), MaxPrefixes: 10},
	})
	if err != nil {
		t.Fatal(err)
	}
	session := &Session{driver: frr{}}
	commands := session.commands(look{}, []*plan{{intent: Intent{Port: "swp1", Profile: Quarantine}, want: was}})
	neighbours := 0
	for _, c := range commands {
		if strings.Contains(c.text, Hidden) || strings.Contains(c.text, "correct-horse") {
			t.Errorf("the switch would be told %q", c.text)
		}
		if strings.Contains(c.text, "remote-as 65010") {
			neighbours++
		}
	}
	if neighbours != 1 {
		t.Errorf("%d neighbours in %v", neighbours, commands)
	}
}

// What others keep secret on a port is not shown, either.
func TestForeignSecretsAreHidden(t *testing.T) {
	for line, want := range map[statement]string{
		under("interface swp1", "ip ospf message-digest-key 1 md5 mule"): "interface swp1 / ip ospf message-digest-key 1 md5 " + Hidden,
		under("interface swp1", "isis password clear mule"):              "interface swp1 / isis password " + Hidden,
		under("interface Gi1", "ip ospf authentication-key 7 0822455D"):  "interface Gi1 / ip ospf authentication-key " + Hidden,
		`interfaces xe-0/0/1 hold-time up 100 down 100`:                  "interfaces xe-0/0/1 hold-time up 100 down 100",
		`protocols ospf authentication md5 1 key "$9$abc"`:               "protocols ospf authentication md5 " + Hidden,
		under("Port swp1", `external_ids:secret="mule"`):                 "Port swp1 / external_ids:secret=" + Hidden,
	} {
		if got := line.withoutSecrets(); got != want {
			t.Errorf("%q is shown as %q, want %q", line, got, want)
		}
	}
}
