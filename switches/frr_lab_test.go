package switches_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ferrodur/lab/tor"
	"ferrodur/switches"
)

func TestFRR(t *testing.T) {
	t.Parallel()
	shared := newRig(t)
	for name, test := range map[string]func(*testing.T, *rig){
		"life of a port":         lifeOfAPort,
		"foreign configuration":  foreignConfiguration,
		"drift is seen":          driftIsSeen,
		"blocks behind a port":   blocksBehindAPort,
		"refused line":           refusedLine,
		"bounds of the device":   boundsOfTheDevice,
		"unknown port":           unknownPort,
		"diff changes nothing":   diffChangesNothing,
		"closed tap":             closedTap,
		"two at once":            twoAtOnce,
		"filters whole or not":   filtersWholeOrNot,
		"login by key":           loginByKey,
		"wrong host key":         wrongHostKey,
		"offered host key":       offeredHostKey,
		"wrong password":         wrongPassword,
		"unreachable":            unreachable,
		"silent server":          silentServer,
		"context ends a command": contextEndsCommand,
		"busy":                   busy,
	} {
		t.Run(name, func(t *testing.T) { test(t, shared) })
	}
	t.Run("survives a restart", func(t *testing.T) { survivesRestart(t, shared) })
}

func lifeOfAPort(t *testing.T, rig *rig) {
	port := port(1)
	provisioning := switches.Intent{
		Port: port, Profile: switches.Provisioning, Description: "ams1-r1-s1 instance/o-42",
		Addresses: prefixes("198.51.100.0/31", "2001:db8:0:1::/127"), Advertise: true,
	}
	change := rig.apply(t, provisioning)
	if !change.Changed || !reflect.DeepEqual(change.Running, provisioning) {
		t.Fatalf("create: got %+v", change)
	}
	want := []string{
		"+ interface " + port + " / description ferrodur provisioning ams1-r1-s1 instance/o-42",
		"+ interface " + port + " / ip address 198.51.100.0/31",
		"+ interface " + port + " / ipv6 address 2001:db8:0:1::/127",
		"+ interface " + port + " / no ipv6 nd suppress-ra",
		"+ interface " + port + " / ipv6 nd ra-interval 3",
	}
	if !slices.Equal(change.Diff, want) {
		t.Errorf("create: diff %q, want %q", change.Diff, want)
	}
	expect(t, rig.kernel(t, port), "198.51.100.0/31", "2001:db8:0:1::/127", ",UP")
	expect(t, rig.vtysh(t, "show interface "+port), "ND router advertisements are sent every 3 seconds")
	expect(t, rig.startup(t), "description ferrodur provisioning ams1-r1-s1 instance/o-42")

	if change = rig.apply(t, provisioning); change.Changed || len(change.Diff) > 0 {
		t.Errorf("repeat: got %+v, want no change", change)
	}

	tenant := switches.Intent{
		Port: port, Profile: switches.Tenant, Description: "ams1-r1-s1 instance/o-42",
		Addresses: prefixes("203.0.113.8/31", "2001:db8:0:1::/127"),
	}
	change = rig.apply(t, tenant)
	if !change.Changed || !reflect.DeepEqual(change.Running, tenant) {
		t.Fatalf("tenant: got %+v", change)
	}
	expect(t, rig.kernel(t, port), "203.0.113.8/31", "2001:db8:0:1::/127")
	expectNot(t, rig.kernel(t, port), "198.51.100.0/31")
	expectNot(t, rig.vtysh(t, "show interface "+port), "router advertisements are sent")

	quarantine := switches.Intent{Port: port, Profile: switches.Quarantine, Description: "ams1-r1-s1"}
	change = rig.apply(t, quarantine)
	if !change.Changed || !reflect.DeepEqual(change.Running, quarantine) {
		t.Fatalf("quarantine: got %+v", change)
	}
	expectNot(t, rig.kernel(t, port), "203.0.113.8", "2001:db8", ",UP")

	change = rig.apply(t, provisioning)
	if !change.Changed || !reflect.DeepEqual(change.Running, provisioning) {
		t.Fatalf("out of quarantine: got %+v", change)
	}
	expect(t, rig.kernel(t, port), "198.51.100.0/31", "2001:db8:0:1::/127", ",UP")
}

// What is routed to a host comes and goes with its port, changes without its links being
// touched, and nobody else's routes are.
func blocksBehindAPort(t *testing.T, rig *rig) {
	port := port(14)
	foreign := "ip route 203.0.113.160/28 198.51.100.51 " + port + " tag 7"
	rig.vtysh(t, "configure terminal", foreign)
	tenant := tenantOn(port, "198.51.100.50/31", "2001:db8:0:14::/127")
	tenant.Behind = prefixes("203.0.113.64/28", "2001:db8:8000::/56")
	change := rig.apply(t, tenant)
	if !change.Changed || !reflect.DeepEqual(change.Running, tenant) || !slices.Equal(change.Foreign, []string{foreign}) {
		t.Fatalf("create: got %+v", change)
	}
	expect(t, rig.vtysh(t, "show ip route static"), "203.0.113.64/28", "via 198.51.100.51, "+port)
	expect(t, rig.vtysh(t, "show ipv6 route static"), "2001:db8:8000::/56", "via 2001:db8:0:14::1, "+port)
	expect(t, rig.startup(t), "ip route 203.0.113.64/28 198.51.100.51 "+port)
	// One that leads to the host and does not name the port is on it, too; so is one that names the
	// port alone.
	for _, another := range []string{"ip route 203.0.113.176/28 198.51.100.51", "ip route 203.0.113.176/28 " + port, "ipv6 route 2001:db8:bad::/48 " + port} {
		rig.vtysh(t, "configure terminal", another)
		if change = rig.apply(t, tenant); change.Changed || len(change.Foreign) != 2 || !slices.Contains(change.Foreign, another) {
			t.Errorf("repeat: got %+v, want no change, and %s", change, another)
		}
		rig.vtysh(t, "configure terminal", "no "+another)
	}

	rig.vtysh(t, "configure terminal", "no ip route 203.0.113.64/28 198.51.100.51 "+port)
	session := rig.open(t)
	if running, err := readOne(t, session, port); err != nil || running.Equal(tenant) || !slices.Equal(running.Behind, tenant.Behind[1:]) {
		t.Errorf("a route is missing, and the port is read as %+v (%v)", running, err)
	}
	session.Close()

	other := tenant
	other.Behind = prefixes("2001:db8:8000::/56", "203.0.113.80/28")
	change = rig.apply(t, other)
	if want := []string{"+ ip route 203.0.113.80/28 198.51.100.51 " + port}; !slices.Equal(change.Diff, want) || !change.Running.Equal(other) {
		t.Errorf("another block: got %+v, want %q", change, want)
	}

	change = rig.apply(t, switches.Intent{Port: port, Profile: switches.Quarantine})
	routes := rig.vtysh(t, "show running-config")
	expectNot(t, routes, "203.0.113.80/28", "2001:db8:8000::/56")
	expect(t, routes, foreign)
}

// The driver itself leaves neither the ports nor the prefixes that it is given.
func boundsOfTheDevice(t *testing.T, rig *rig) {
	inside := tenantOn(port(12), "198.51.100.40/31", "2001:db8:0:12::/127")
	rig.apply(t, inside)
	device := rig.device
	device.Ports, device.Prefixes = []string{port(12)}, prefixes("198.51.100.0/24", "2001:db8::/32")
	session, err := rig.sessions.Open(t.Context(), device)
	check(t, err)
	defer session.Close()
	if change, err := applyOne(t, session, inside); err != nil || change.Changed {
		t.Errorf("inside of the bounds: %+v (%v)", change, err)
	}
	for what, intent := range map[string]switches.Intent{
		"another port":      tenantOn(port(13), "198.51.100.42/31"),
		"another prefix":    tenantOn(port(12), "203.0.113.42/31"),
		"one of two inside": tenantOn(port(12), "198.51.100.40/31", "2001:db9::/127"),
	} {
		before := rig.vtysh(t, "show running-config")
		var forbidden *switches.ForbiddenError
		if _, err := applyOne(t, session, intent); !errors.As(err, &forbidden) || forbidden.Device != device.Name {
			t.Errorf("%s: got %v, want a ForbiddenError", what, err)
		}
		if _, err := diffOne(t, session, intent); !errors.As(err, &forbidden) {
			t.Errorf("%s: its diff answers %v", what, err)
		}
		if after := rig.vtysh(t, "show running-config"); after != before {
			t.Errorf("%s: the configuration became\n%s", what, after)
		}
	}
}

func foreignConfiguration(t *testing.T, rig *rig) {
	port := port(2)
	rig.vtysh(t, "configure terminal", "ip route 203.0.113.128/25 blackhole",
		"interface "+port, "bandwidth 12345", "ip address 198.51.100.66/24")
	change := rig.apply(t, tenantOn(port, "198.51.100.2/31"))
	if !slices.Equal(change.Foreign, []string{"interface " + port + " / bandwidth 12345"}) {
		t.Errorf("foreign lines %q", change.Foreign)
	}
	if !slices.Contains(change.Diff, "- interface "+port+" / ip address 198.51.100.66/24") {
		t.Errorf("an address by hand stayed: diff %q", change.Diff)
	}
	rig.apply(t, switches.Intent{Port: port, Profile: switches.Quarantine})
	expect(t, rig.vtysh(t, "show running-config"), "bandwidth 12345", "ip route 203.0.113.128/25 blackhole")
}

func driftIsSeen(t *testing.T, rig *rig) {
	port := port(3)
	intent := tenantOn(port, "198.51.100.4/31")
	rig.apply(t, intent)
	rig.vtysh(t, "configure terminal", "interface "+port, "shutdown")
	session := rig.open(t)
	running, err := readOne(t, session, port)
	check(t, err)
	if running.Profile != "" || running.Description != intent.Description {
		t.Errorf("a port that was shut by hand reads as %+v", running)
	}
	change, err := applyOne(t, session, intent)
	check(t, err)
	if !slices.Equal(change.Diff, []string{"- interface " + port + " / shutdown"}) || !reflect.DeepEqual(change.Running, intent) {
		t.Errorf("healed with %+v", change)
	}
}

// FRR takes no class E addresses (RFC 1112 §4); the intent's own rules do.
func refusedLine(t *testing.T, rig *rig) {
	port := port(4)
	before := tenantOn(port, "198.51.100.6/31")
	rig.apply(t, before)
	session := rig.open(t)
	_, err := applyOne(t, session, tenantOn(port, "255.255.255.254/31", "2001:db8:0:4::/127"))
	var refused *switches.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a RefusedError", err)
	}
	if refused.Line != "ip address 255.255.255.254/31" || refused.Answer != "% Invalid address" {
		t.Errorf("got %+v", refused)
	}
	running, err := readOne(t, session, port)
	check(t, err)
	if !reflect.DeepEqual(running, before) {
		t.Errorf("after the refusal the port is %+v, want it as it was", running)
	}
}

func unknownPort(t *testing.T, rig *rig) {
	session := rig.open(t)
	_, err := applyOne(t, session, tenantOn("swp99", "198.51.100.8/31"))
	if !errors.Is(err, switches.ErrUnknownPort) {
		t.Errorf("got %v, want ErrUnknownPort", err)
	}
	expectNot(t, rig.vtysh(t, "show running-config"), "swp99")
	rig.vtysh(t, "configure terminal", "interface swp98", "description by hand")
	if _, err := readOne(t, session, "swp98"); !errors.Is(err, switches.ErrUnknownPort) {
		t.Errorf("configured but not there: got %v, want ErrUnknownPort", err)
	}
}

func diffChangesNothing(t *testing.T, rig *rig) {
	port := port(5)
	session := rig.open(t)
	change, err := diffOne(t, session, tenantOn(port, "198.51.100.10/31"))
	check(t, err)
	if !change.Changed || len(change.Diff) != 2 {
		t.Errorf("got %+v", change)
	}
	expectNot(t, rig.vtysh(t, "show running-config"), "198.51.100.10/31")
}

func closedTap(t *testing.T, rig *rig) {
	intent := switches.Intent{Port: "tap1", Profile: switches.Provisioning, Addresses: prefixes("198.51.100.12/31", "2001:db8:0:5::/127")}
	if change := rig.apply(t, intent); !reflect.DeepEqual(change.Running, intent) {
		t.Errorf("got %+v", change)
	}
	expect(t, rig.kernel(t, "tap1"), "198.51.100.12/31", "2001:db8:0:5::/127", "NO-CARRIER")
}

// The switch loses its power and the kernel its addresses; a session that was open ends.
func survivesRestart(t *testing.T, rig *rig) {
	port := port(9)
	intent := switches.Intent{Port: port, Profile: switches.Provisioning, Addresses: prefixes("198.51.100.20/31", "2001:db8:0:9::/127")}
	rig.apply(t, intent)
	cut := rig.open(t)
	check(t, tor.Stop(t.Context(), rig.config.Dir))
	if _, err := readOne(t, cut, port); !errors.Is(err, switches.ErrUnreachable) {
		t.Errorf("a session to a dead switch: got %v, want ErrUnreachable", err)
	}
	cut.Close()
	_, err := rig.namespace.Run(t.Context(), "ip", "address", "flush", "dev", port)
	check(t, err)

	_, err = tor.Start(t.Context(), rig.config)
	check(t, err)
	session := rig.open(t)
	running, err := readOne(t, session, port)
	check(t, err)
	if !reflect.DeepEqual(running, intent) {
		t.Errorf("after the restart: %+v", running)
	}
	expect(t, rig.kernel(t, port), "198.51.100.20/31", "2001:db8:0:9::/127")
}

func tenantOn(port string, addresses ...string) switches.Intent {
	return switches.Intent{Port: port, Profile: switches.Tenant, Description: "ams1-r1-s2 instance/o-43", Addresses: prefixes(addresses...)}
}

func expect(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}

func expectNot(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(text, part) {
			t.Errorf("%q in\n%s", part, text)
		}
	}
}
