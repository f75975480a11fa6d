package switches_test

import (
	"errors"
	"strings"
	"testing"

	"ferrodur/switches"
	"ferrodur/switches/emulator"
)

// After a refusal a port is what it was, also where its filter had been switched off, or its
// password was to be another.
func TestUndone(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.device.ASN = 65000
	was := intentsOf(port(1))["BGP"]
	was.SourceFilter = true
	rig.apply(t, was)
	before := rig.vtysh(t, "show running-config") + rig.filters(t)

	refused := was // FRR takes no class E addresses (RFC 1112 §4)
	refused.Addresses = prefixes("255.255.255.254/31", was.Addresses[1].String())
	renewed := *was.BGP
	renewed.Renew = true
	for name, test := range map[string]struct {
		by  func()
		bgp *switches.BGP
	}{
		"a filter that is switched off": {by: func() {
			_, err := rig.namespace.Run(t.Context(), "nft", "flush", "chain", "inet", "ferrodur", "hosts")
			check(t, err)
		}, bgp: was.BGP},
		"a password that is sent again": {by: func() {}, bgp: &renewed},
	} {
		t.Run(name, func(t *testing.T) {
			test.by()
			refused.BGP = test.bgp
			session := rig.open(t)
			defer session.Close()
			_, err := applyOne(t, session, refused)
			var no *switches.RefusedError
			if !errors.As(err, &no) || errors.Is(err, switches.ErrNotUndone) {
				t.Errorf("got %v, want a RefusedError that was undone", err)
			}
			if now := rig.vtysh(t, "show running-config") + rig.filters(t); now != before {
				t.Errorf("a refusal left\n%s\nand it was\n%s", now, before)
			}
		})
	}
}

// What could be undone in no way is not what the switch starts with.
func TestNotUndone(t *testing.T) {
	b := benches["cisco_nxos"](t)
	intents := intentsOf(b.port(1))
	b.must(t, intents["quarantine"])
	failing, saved := false, false
	b.emulated.Fail(emulator.Faults{Refuse: func(line string) string {
		saved = saved || line == "copy running-config startup-config"
		failing = failing || strings.HasPrefix(line, "ipv6 address ")
		if failing && line != "end" && !strings.HasPrefix(line, "no checkpoint ") && !strings.HasPrefix(line, "show ") {
			return refusal(b, line)
		}
		return ""
	}})
	_, err := applyOne(t, b.open(t), intents["routed"])
	var refused *switches.RefusedError
	if !errors.Is(err, switches.ErrNotUndone) || !errors.As(err, &refused) {
		t.Errorf("got %v, want ErrNotUndone", err)
	}
	if saved {
		t.Error("what is half undone was saved")
	}
}
