package rack

import (
	"context"
	"net/netip"
	"slices"

	"golang.org/x/sync/errgroup"

	"ferrodur/lab/netns"
	"ferrodur/lab/tor"
)

const sshPort = 22

// device is one of the rack's switches.
type device struct {
	Name       string
	Platform   string
	Namespace  netns.Namespace
	Management netip.Addr
	// The two ends of the cable to the site, which is named after the switch there.
	UplinkSite, UplinkSwitch [2]netip.Prefix
	Routed                   []netip.Prefix // what the site sends to it
	Ports                    []string       // that servers boot by
	Seconds                  []string       // of their second NICs
	Networks                 []Network      // of a switch of VLANs
}

// devices are the router, and the switch of VLANs and the second router where servers are
// cabled to them.
func (c Config) devices() []device {
	at := Layout()
	router := device{
		Name: SwitchName, Platform: "frr", Namespace: c.Switch(), Management: at.Switch,
		UplinkSite: at.UplinkSite, UplinkSwitch: at.UplinkSwitch, Routed: []netip.Prefix{at.Provisioning, at.Tenant, at.Routed, at.Elastic, at.Tenant6},
	}
	bridge := device{
		Name: BridgeName, Platform: "ovs", Namespace: c.Bridge(), Management: at.Bridge,
		UplinkSite: at.BridgeUplinkSite, UplinkSwitch: at.BridgeUplinkSwitch, Networks: Networks(),
	}
	for _, network := range bridge.Networks {
		bridge.Routed = append(bridge.Routed, network.Prefixes...)
	}
	second := device{
		Name: SecondName, Platform: "frr", Namespace: c.Second(), Management: at.Second,
		UplinkSite: at.SecondUplinkSite, UplinkSwitch: at.SecondUplinkSwitch,
	}
	for n, server := range c.numbers() {
		first, further := &router, &second
		if server.Bridged {
			first, further = &bridge, &bridge
		}
		first.Ports = append(first.Ports, portName(n))
		if server.DualHomed {
			further.Seconds = append(further.Seconds, secondPortName(n))
		}
	}
	all := []device{router}
	for _, d := range []device{bridge, second} {
		if len(d.AllPorts()) > 0 {
			all = append(all, d)
		}
	}
	return all
}

// AllPorts are those that servers boot by, and those of second NICs.
func (d device) AllPorts() []string { return slices.Concat(d.Ports, d.Seconds) }

// Address is where its SSH server listens.
func (d device) Address() netip.AddrPort { return netip.AddrPortFrom(d.Management, sshPort) }

// switchOf is the namespace of the switch that a server is cabled to.
func (c Config) switchOf(server Server) netns.Namespace {
	if server.Bridged {
		return c.Bridge()
	}
	return c.Switch()
}

// secondSwitchOf is the namespace, and the name, of the switch that a server's second NIC is
// cabled to.
func (c Config) secondSwitchOf(server Server) (netns.Namespace, string) {
	if server.Bridged {
		return c.Bridge(), BridgeName
	}
	return c.Second(), SecondName
}

// startSwitches starts the switches, whose DHCP relays ask the site's boot service, and
// returns their host keys in the order of devices.
func (c Config) startSwitches(ctx context.Context) ([]string, error) {
	devices := c.devices()
	hostKeys := make([]string, len(devices))
	group, ctx := errgroup.WithContext(ctx)
	for i, d := range devices {
		password, err := c.secret(d.Name)
		if err != nil {
			return nil, err
		}
		group.Go(func() error {
			running, err := tor.Start(ctx, d.config(c.switchDir(d.Name), password))
			if err == nil {
				hostKeys[i] = running.HostKey()
			}
			return err
		})
	}
	return hostKeys, group.Wait()
}

func (d device) config(dir, password string) tor.Config {
	config := tor.Config{
		Name: d.Name, Namespace: d.Namespace, Dir: dir, Address: d.Address(), User: SwitchUser, Password: password, Ports: d.AllPorts(),
		Relay: tor.Relay{Server: Layout().Boot, Uplink: uplinkOfSwitch, Ports: d.Ports},
	}
	if len(d.Networks) == 0 {
		return config
	}
	config.Bridge = &tor.Bridge{}
	for _, network := range d.Networks {
		config.Bridge.Gateways = append(config.Bridge.Gateways, tor.Gateway{VLAN: network.VLAN, Addresses: network.gateways()})
	}
	config.Relay.Ports = []string{Networks()[0].CircuitID()}
	return config
}

func (c Config) stopSwitches(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, d := range c.devices() {
		group.Go(func() error { return tor.Stop(ctx, c.switchDir(d.Name)) })
	}
	return group.Wait()
}

func (c Config) inspectSwitches() (all []SwitchStatus) {
	for _, d := range c.devices() {
		all = append(all, SwitchStatus{
			Name: d.Name, Namespace: string(d.Namespace), Address: d.Address(), Running: running(c.switchDir(d.Name), "switch"),
		})
	}
	return all
}
