package activities_test

import (
	"testing"
	"time"

	"ferrodur/activities"
	"ferrodur/inventory"
	"ferrodur/switches"
	"ferrodur/workflows/api"
)

// What a switch does is tested on a real one, in switches and end to end; here it is how
// its trouble is classified.
func TestSwitchTrouble(t *testing.T) {
	imposter := ""
	tests := map[string]struct {
		declare func(*inventory.Declaration)
		kind    string
		word    string
	}{
		"away":             {func(*inventory.Declaration) {}, "", "unreachable"},
		"another host key": {func(d *inventory.Declaration) { d.Switches[0].Address = imposter }, api.ErrorOperator, "host key"},
		"unknown platform": {func(d *inventory.Declaration) { d.Switches[0].Platform = "abacus" }, api.ErrorOperator, "abacus"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			imposter = startSSH(t, "127.0.0.1:0").address
			p := newPlace(t, test.declare)
			p.serves(&activities.Switch{Inventory: p.inventory, Sessions: switches.NewSessions(switches.Config{Connect: 2 * time.Second})})
			_, err := run(p, api.ConfigurePort, api.ConfigurePortInput{Server: "s1", Profile: api.QuarantineProfile})
			requireError(t, err, test.kind, "sw1", test.word)
		})
	}
	p := newPlace(t)
	p.serves(&activities.Switch{Inventory: p.inventory, Sessions: switches.NewSessions(switches.Config{})})
	_, err := run(p, api.ConfigurePort, api.ConfigurePortInput{Server: "s9", Profile: api.QuarantineProfile})
	requireError(t, err, api.ErrorRefused, "s9")
}
