package activities_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	"ferrodur/activities"
	"ferrodur/inventory"
	"ferrodur/switches"
	"ferrodur/switches/emulator"
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

// A change that a worker's stop has cut off is worth a retry, whatever the error is made of.
func TestSwitchWorkerStops(t *testing.T) {
	p := newPlace(t)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	p.worker.SetWorkerOptions(worker.Options{BackgroundActivityContext: stopped})
	p.serves(&activities.Switch{Inventory: p.inventory, Sessions: switches.NewSessions(switches.Config{})})
	_, err := run(p, api.ConfigurePort, api.ConfigurePortInput{Server: "s1", Profile: api.QuarantineProfile})
	requireError(t, err, "", "canceled")
}

// Each platform that may be declared has a driver.
func TestPlatforms(t *testing.T) {
	for _, platform := range inventory.Platforms() {
		_, err := switches.NewSessions(switches.Config{Connect: time.Second}).Open(t.Context(), switches.Device{Platform: platform})
		require.Error(t, err)
		require.NotErrorIs(t, err, switches.ErrUnknownPlatform)
	}
}

// newEmulated makes sw1 an emulated switch, with servers s1 and s2 on it.
func newEmulated(t *testing.T, heal bool) (*place, *emulator.Device) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	device, err := emulator.Start(listener, emulator.Config{
		Platform: "arista_eos", Name: "sw1", Ports: []string{"Ethernet1", "Ethernet2", "Ethernet3"}, User: "ferrodur", Password: secret, Hurry: 1000,
	})
	require.NoError(t, err)
	t.Cleanup(device.Close)
	p := newPlace(t, func(d *inventory.Declaration) {
		sw := &d.Switches[0]
		sw.Platform, sw.Address, sw.HostKey, sw.Heal = "arista_eos", device.Address(), device.HostKey(), heal
		sw.Ports = []string{"Ethernet1", "Ethernet2", "Ethernet3"}
		d.Servers[0].Port = "Ethernet1"
		second := d.Servers[0]
		second.Name, second.Port, second.MAC, second.BMC.Address = "s2", "Ethernet2", "02:00:00:00:00:02", "127.0.0.1:2"
		d.Servers = append(d.Servers, second)
	})
	return p.serves(&activities.Switch{Inventory: p.inventory, Sessions: switches.NewSessions(switches.Config{})}), device
}

func tenantPort(server, link string) api.ConfigurePortInput {
	prefix := netip.MustParsePrefix(link)
	return api.ConfigurePortInput{
		Server: server, Profile: api.TenantProfile, Instance: "instance/o-1",
		Links: api.Links{IPv4: api.Link{Switch: prefix, Server: netip.PrefixFrom(prefix.Addr().Next(), 31)}},
	}
}

// An operator who holds a switch back after a transaction was begun is heeded before it writes; what
// is written has not drifted any more.
func TestConfigurePortsHeld(t *testing.T) {
	ctx := t.Context()
	p, device := newEmulated(t, false)
	ask := api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{tenantPort("s1", "198.51.100.0/31")}}
	before := device.Running()
	for n, mode := range []api.SwitchMode{api.ModePaused, api.ModeDryRun, api.ModeApprove} {
		require.NoError(t, p.inventory.KeepSwitchMode(ctx, "sw1", inventory.SwitchMode{Mode: string(mode), Since: time.Unix(int64(n), 0)}))
		_, err := run(p, api.ConfigurePorts, ask)
		requireError(t, err, api.ErrorHeld, "sw1", string(mode))
	}
	require.Equal(t, before, device.Running())
	require.NoError(t, p.inventory.KeepSwitchMode(ctx, "sw1", inventory.SwitchMode{Mode: string(api.ModeApply), Since: time.Unix(9, 0)}))
	drifted := []inventory.Drift{{Switch: "sw1", Port: "Ethernet1", Lines: []string{"+ no shutdown"}}, {Switch: "sw1", Port: "Ethernet2", Problem: "it is gone"}}
	require.NoError(t, p.inventory.KeepDrift(ctx, "sw1", drifted, nil))
	_, err := run(p, api.ConfigurePorts, ask)
	require.NoError(t, err)
	left, err := p.inventory.Drift(ctx, "sw1")
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, "Ethernet2", left[0].Port)
}

// Ports are configured together; one that cannot be had is its own caller's trouble.
func TestConfigurePorts(t *testing.T) {
	p, device := newEmulated(t, false)
	ask := api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{
		tenantPort("s1", "198.51.100.0/31"), tenantPort("s9", "198.51.100.4/31"), tenantPort("s2", "198.51.100.2/31"),
	}}
	ask.DryRun = true
	shown, err := run(p, api.ConfigurePorts, ask)
	require.NoError(t, err)
	require.Contains(t, shown[0].Lines, "+ interface Ethernet1 / ip address 198.51.100.0/31")
	require.Zero(t, device.Counts().Commits)
	asked, err := p.inventory.AskedPorts(t.Context(), "sw1")
	require.NoError(t, err)
	require.Empty(t, asked)

	ask.DryRun = false
	results, err := run(p, api.ConfigurePorts, ask)
	require.NoError(t, err)
	require.Equal(t, 1, device.Counts().Commits)
	require.Equal(t, []bool{true, false, true}, []bool{results[0].Changed, results[1].Changed, results[2].Changed})
	require.Equal(t, []string{"", api.ErrorRefused, ""}, []string{results[0].ErrorType, results[1].ErrorType, results[2].ErrorType})
	require.Contains(t, device.Running(), "ip address 198.51.100.2/31")
	asked, err = p.inventory.AskedPorts(t.Context(), "sw1")
	require.NoError(t, err)
	require.Len(t, asked, 2)
	require.True(t, asked[0].Linked && asked[1].Linked)

	again, err := run(p, api.ConfigurePorts, ask)
	require.NoError(t, err)
	require.False(t, again[0].Changed)
	require.Equal(t, 1, device.Counts().Commits)
}

// What is declared for all ports of a switch is on each: where hosts may send from, what
// servers reach while they are provisioned, and who serves them DHCP.
func TestDeclaredPorts(t *testing.T) {
	p, device := newEmulated(t, false)
	declare := func(change func(*inventory.Switch)) {
		t.Helper()
		sw1, err := p.inventory.Switch(t.Context(), "sw1")
		require.NoError(t, err)
		change(&sw1)
		_, err = p.inventory.Apply(t.Context(), inventory.Declaration{
			Networks: []inventory.Network{
				{Name: "boot", Site: "ewr1", VLAN: 100, Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/26")}},
				{Name: "blue", Site: "ewr1", VLAN: 200, Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.64/26")}},
			},
			Switches: []inventory.Switch{sw1},
		})
		require.NoError(t, err)
	}
	shows := func(port api.ConfigurePortInput, lines ...string) string {
		t.Helper()
		results, err := run(p, api.ConfigurePorts, api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{port}})
		require.NoError(t, err)
		require.Empty(t, results[0].Error)
		running := device.Running()
		for _, line := range lines {
			require.Contains(t, running, line)
		}
		return running
	}
	require.NoError(t, device.ByHand("vlan 100", "vlan 200"))
	tenant := tenantPort("s1", "198.51.100.0/31")
	provisioning := tenant
	provisioning.Profile, provisioning.Instance = api.ProvisioningProfile, ""

	shows(tenant, "permit ip host 198.51.100.1 any")
	declare(func(s *inventory.Switch) { s.AnySource, s.MTU = true, 9000 })
	require.NotContains(t, shows(tenant, "mtu 9000"), "access-list")

	declare(func(s *inventory.Switch) {
		s.AnySource = false
		s.Provisioning = inventory.ProvisioningPorts{Reach: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, Relay: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
	})
	shows(provisioning, "permit ip host 198.51.100.1 host 192.0.2.1", "ip helper-address 192.0.2.1")

	declare(func(s *inventory.Switch) { s.Provisioning.Network = "boot" })
	require.NotContains(t, shows(provisioning, "switchport access vlan 100"), "198.51.100.0/31")
	tenant.Network = "blue"
	shows(tenant, "switchport access vlan 200")
	quarantine := api.ConfigurePortInput{Server: "s1", Profile: api.QuarantineProfile}
	require.NotContains(t, shows(quarantine, "shutdown"), "switchport access")

	tenant.Network = "green"
	results, err := run(p, api.ConfigurePorts, api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{tenant}})
	require.NoError(t, err)
	require.Equal(t, api.ErrorRefused, results[0].ErrorType)
	require.Contains(t, results[0].Error, "green")
}

// What an operator has approved of is carried out as it was shown, or not at all.
func TestConfigureApproved(t *testing.T) {
	p, device := newEmulated(t, false)
	ask := api.ConfigurePortsInput{Switch: "sw1", DryRun: true, Ports: []api.ConfigurePortInput{
		tenantPort("s1", "198.51.100.0/31"), tenantPort("s2", "198.51.100.2/31"),
	}}
	shown, err := run(p, api.ConfigurePorts, ask)
	require.NoError(t, err)
	require.NoError(t, device.ByHand("interface Ethernet2", "mtu 9000"))
	ask.DryRun, ask.Approved = false, []api.PortChange{shown[0].PortChange, shown[1].PortChange}
	results, err := run(p, api.ConfigurePorts, ask)
	require.NoError(t, err)
	require.Equal(t, []string{"", api.ErrorOutdated}, []string{results[0].ErrorType, results[1].ErrorType})
	require.Equal(t, []bool{true, false}, []bool{results[0].Changed, results[1].Changed})
	require.Contains(t, device.Running(), "mtu 9000")
	again, err := run(p, api.ConfigurePorts, ask) // the answer was lost
	require.NoError(t, err)
	require.Equal(t, []string{api.ErrorOutdated, api.ErrorOutdated}, []string{again[0].ErrorType, again[1].ErrorType})
}

// What is asked for again is what was last asked for, whatever whoever asks has seen.
func TestConfigureAgain(t *testing.T) {
	p, device := newEmulated(t, false)
	ask := func(port api.ConfigurePortInput) api.PortResult {
		t.Helper()
		results, err := run(p, api.ConfigurePorts, api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{port}})
		require.NoError(t, err)
		return results[0]
	}
	seen := tenantPort("s1", "198.51.100.0/31")
	require.Empty(t, ask(seen).Error)
	require.Empty(t, ask(api.ConfigurePortInput{Server: "s1", Profile: api.QuarantineProfile}).Error)
	require.NoError(t, device.ByHand("interface Ethernet1", "no shutdown"))
	seen.Again = true
	require.Empty(t, ask(seen).Error)
	require.NotContains(t, device.Running(), "198.51.100.0/31")
	require.Contains(t, device.Running(), "shutdown")
	again := tenantPort("s2", "198.51.100.2/31")
	again.Again = true
	require.Contains(t, ask(again).Error, "nothing was asked for")
}

// A password that was changed behind its reference is sent when the port is asked for again.
func TestConfigurePasswordAgain(t *testing.T) {
	p, device := newEmulated(t, false)
	sw1, err := p.inventory.Switch(t.Context(), "sw1")
	require.NoError(t, err)
	sw1.ASN = 65000
	_, err = p.inventory.Apply(t.Context(), inventory.Declaration{Switches: []inventory.Switch{sw1}})
	require.NoError(t, err)
	require.NoError(t, device.ByHand("router bgp 65000"))
	file := filepath.Join(t.TempDir(), "acme")
	port := tenantPort("s1", "198.51.100.0/31")
	port.Blocks = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/28")}
	port.BGP = &api.BGP{ASN: 65010, Password: "file:" + file}
	ask := func(password string, again bool) (changed bool, running string) {
		t.Helper()
		require.NoError(t, os.WriteFile(file, []byte(password), 0o600))
		port.Again, port.Renew = again, again
		results, err := run(p, api.ConfigurePorts, api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{port}})
		require.NoError(t, err)
		require.Empty(t, results[0].Error)
		return results[0].Changed, device.Running()
	}
	_, first := ask("wrong-mule", false)
	changed, second := ask("stubborn-mule", false)
	require.False(t, changed)
	require.Equal(t, first, second)
	changed, third := ask("stubborn-mule", true)
	require.True(t, changed)
	require.NotEqual(t, first, third)
}

// A further uplink of a server is a port like the first.
func TestConfigureUplink(t *testing.T) {
	p, device := newEmulated(t, false)
	second := tenantPort("s1", "198.51.100.6/31")
	second.Uplink = 1
	ask := api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{tenantPort("s1", "198.51.100.0/31"), second}}
	results, err := run(p, api.ConfigurePorts, ask)
	require.NoError(t, err)
	require.Empty(t, results[0].Error)
	require.Contains(t, results[1].Error, "uplink 2 of server s1")

	s1, err := p.inventory.Server(t.Context(), "s1")
	require.NoError(t, err)
	s1.Others = []inventory.Uplink{{Switch: "sw1", Port: "Ethernet3", MAC: "02:00:00:00:01:01"}}
	_, err = p.inventory.Apply(t.Context(), inventory.Declaration{Servers: []inventory.Server{s1}})
	require.NoError(t, err)
	results, err = run(p, api.ConfigurePorts, ask)
	require.NoError(t, err)
	require.Empty(t, results[1].Error)
	require.Equal(t, "Ethernet3", results[1].Port)
	require.Contains(t, device.Running(), "ip address 198.51.100.6/31")
	report, err := run(p, api.AuditSwitch, api.AuditSwitchInput{Switch: "sw1"})
	require.NoError(t, err)
	require.Empty(t, report.Drift)
	require.Equal(t, 2, report.Ports)
}

// A bond, a VRF and tagged VLANs are on the port as the order has them.
func TestConfigureBond(t *testing.T) {
	p, device := newEmulated(t, false)
	s1, err := p.inventory.Server(t.Context(), "s1")
	require.NoError(t, err)
	s1.Others, s1.Bond = []inventory.Uplink{{Switch: "sw1", Port: "Ethernet3", MAC: "02:00:00:00:01:01"}}, 17
	network := func(name string, vlan int, prefix string) inventory.Network {
		return inventory.Network{Name: name, Site: "ewr1", VLAN: vlan, Prefixes: []netip.Prefix{netip.MustParsePrefix(prefix)}}
	}
	_, err = p.inventory.Apply(t.Context(), inventory.Declaration{
		Servers: []inventory.Server{s1}, Networks: []inventory.Network{network("blue", 200, "203.0.113.0/26"), network("green", 300, "203.0.113.64/26")},
	})
	require.NoError(t, err)
	require.NoError(t, device.ByHand("vlan 200", "vlan 300", "vrf instance red"))
	both := func(port api.ConfigurePortInput) string {
		t.Helper()
		second := port
		second.Uplink = 1
		results, err := run(p, api.ConfigurePorts, api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{port, second}})
		require.NoError(t, err)
		require.Empty(t, results[0].Error+results[1].Error)
		report, err := run(p, api.AuditSwitch, api.AuditSwitchInput{Switch: "sw1"})
		require.NoError(t, err)
		require.Empty(t, report.Drift)
		return device.Running()
	}
	running := both(api.ConfigurePortInput{
		Server: "s1", Profile: api.TenantProfile, Instance: "instance/o-1", Network: "blue", Tagged: []string{"green"}, Bond: 17, MultiChassis: true,
	})
	for _, line := range []string{"channel-group 17 mode active", "switchport trunk allowed vlan 200,300", "switchport trunk native vlan 200", "mlag 17", "lacp fallback"} {
		require.Contains(t, running, line)
	}
	require.NotContains(t, both(api.ConfigurePortInput{Server: "s1", Profile: api.QuarantineProfile}), "channel-group")

	routed := tenantPort("s1", "198.51.100.0/31")
	routed.Bond, routed.Domain, routed.Blocks = 17, "red", []netip.Prefix{netip.MustParsePrefix("192.0.2.64/28")}
	running = both(routed)
	for _, line := range []string{"vrf red", "ip address 198.51.100.0/31", "ip route vrf red 192.0.2.64/28 198.51.100.1"} {
		require.Contains(t, running, line)
	}
	routed.Bond, routed.Domain = 0, "default"
	results, err := run(p, api.ConfigurePorts, api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{routed}})
	require.NoError(t, err)
	require.Empty(t, results[0].Error)
	require.Contains(t, device.Running(), "\nip route 192.0.2.64/28 198.51.100.1")
}

// A tenant who speaks BGP announces his blocks, and they are not routed to him besides. The
// password is looked up at the last moment, and one that is missing is his trouble alone.
func TestBGPOfAnOrder(t *testing.T) {
	p, device := newEmulated(t, false)
	sw1, err := p.inventory.Switch(t.Context(), "sw1")
	require.NoError(t, err)
	sw1.ASN = 64500
	_, err = p.inventory.Apply(t.Context(), inventory.Declaration{Switches: []inventory.Switch{sw1}})
	require.NoError(t, err)
	require.NoError(t, device.ByHand("router bgp 64500", "address-family ipv4", "address-family ipv6"))
	t.Setenv("BGP_ACME", secret)

	speaker := tenantPort("s1", "198.51.100.0/31")
	speaker.BGP = &api.BGP{ASN: 65010, Password: "env:BGP_ACME"}
	other := tenantPort("s2", "198.51.100.2/31")
	ask := func() []api.PortResult {
		t.Helper()
		results, err := run(p, api.ConfigurePorts, api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{speaker, other}})
		require.NoError(t, err)
		return results
	}
	require.Empty(t, ask()[0].Error)
	require.NotContains(t, device.Running(), "neighbor", "a session though there are no blocks")

	speaker.Blocks = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/28")}
	results := ask()
	require.Empty(t, results[0].Error)
	require.NotContains(t, strings.Join(results[0].Lines, "\n"), secret)
	running := device.Running()
	require.Contains(t, running, "neighbor 198.51.100.1 remote-as 65010")
	require.Contains(t, running, "permit 203.0.113.0/28")
	require.NotContains(t, running, "ip route 203.0.113.0/28")

	speaker.BGP.Password, other.Links = "env:NOBODY_SET_THIS", tenantPort("s2", "198.51.100.4/31").Links
	results = ask()
	require.Contains(t, results[0].Error, "env:NOBODY_SET_THIS")
	require.Empty(t, results[1].Error)
	require.Contains(t, device.Running(), "ip address 198.51.100.4/31")
}

// What someone changes by hand is found, kept while it is there, and forgotten after.
func TestAuditSwitch(t *testing.T) {
	for _, heal := range []bool{false, true} {
		p, device := newEmulated(t, heal)
		first := tenantPort("s1", "198.51.100.0/31")
		_, err := run(p, api.ConfigurePorts, api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{first, tenantPort("s2", "198.51.100.2/31")}})
		require.NoError(t, err)
		report, err := run(p, api.AuditSwitch, api.AuditSwitchInput{Switch: "sw1"})
		require.NoError(t, err)
		require.Equal(t, api.AuditReport{Switch: "sw1", Ports: 2}, report)

		require.NoError(t, device.ByHand("interface Ethernet1", "shutdown", "load-interval 30"))
		links := func() (linked []bool) {
			asked, err := p.inventory.AskedPorts(t.Context(), "sw1")
			require.NoError(t, err)
			for _, port := range asked {
				linked = append(linked, port.Linked)
			}
			return linked
		}
		require.Equal(t, []bool{true, true}, links())
		sessions := device.Counts().Sessions
		for range 2 {
			report, err = run(p, api.AuditSwitch, api.AuditSwitchInput{Switch: "sw1"})
			require.NoError(t, err)
		}
		require.Equal(t, sessions+2, device.Counts().Sessions)
		require.Equal(t, []bool{false, true}, links())
		want := api.Drift{Port: "Ethernet1", Server: "s1", Lines: []string{"- interface Ethernet1 / shutdown"}}
		if heal {
			want.Heal = &first
		}
		require.Equal(t, []api.Drift{want}, report.Drift)
		require.Equal(t, map[string][]string{"Ethernet1": {"interface Ethernet1 / load-interval 30"}}, report.Foreign)
		kept, err := p.inventory.Drift(t.Context(), "sw1")
		require.NoError(t, err)
		require.Len(t, kept, 1)
		require.Equal(t, want.Lines, kept[0].Lines)
		require.True(t, kept[0].SeenAt.After(kept[0].Since))

		_, err = run(p, api.ConfigurePorts, api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{first}})
		require.NoError(t, err)
		_, err = run(p, api.AuditSwitch, api.AuditSwitchInput{Switch: "sw1"})
		require.NoError(t, err)
		kept, err = p.inventory.Drift(t.Context(), "")
		require.NoError(t, err)
		require.Empty(t, kept)
	}
}

// Of a long difference a workflow's history has the first lines, and the inventory has all.
func TestAuditKeepsAllLines(t *testing.T) {
	p, device := newEmulated(t, false)
	port := tenantPort("s1", "198.51.100.0/31")
	for n := range 50 {
		port.Blocks = append(port.Blocks, netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(4 * n)}), 30))
	}
	_, err := run(p, api.ConfigurePorts, api.ConfigurePortsInput{Switch: "sw1", Ports: []api.ConfigurePortInput{port}})
	require.NoError(t, err)
	var gone []string
	for line := range strings.Lines(device.Running()) {
		if strings.HasPrefix(line, "ip route 203.0.113.") {
			gone = append(gone, "no "+strings.TrimSpace(line))
		}
	}
	require.Len(t, gone, 50)
	require.NoError(t, device.ByHand(append(gone, "no ip access-list ferrodur-Ethernet1-filter4")...))
	report, err := run(p, api.AuditSwitch, api.AuditSwitchInput{Switch: "sw1"})
	require.NoError(t, err)
	kept, err := p.inventory.Drift(t.Context(), "sw1")
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Greater(t, len(kept[0].Lines), 100)
	require.Equal(t, kept[0].Lines[:60], report.Drift[0].Lines[:60])
	require.Len(t, report.Drift[0].Lines, 61)
}
