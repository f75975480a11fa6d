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
