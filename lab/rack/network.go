package rack

import (
	"errors"
	"net/netip"

	"ferrodur/lab/netns"
)

// cable lays the networks of the drawing: namespaces, cables, taps, addresses, routes.
func (c Config) cable() error {
	site := c.Site()
	if err := errors.Join(site.Create(), site.Forward(), site.AddAddress("lo", host(Layout().Boot))); err != nil {
		return err
	}
	for _, d := range c.devices() {
		if err := c.cableSwitch(d); err != nil {
			return err
		}
	}
	for n, server := range c.numbers() {
		err := errors.Join(
			site.AddAddress("lo", host(bmcAddress(n).Addr())),
			c.switchOf(server).AddTap(portName(n)),
		)
		if err == nil && server.DualHomed {
			at, _ := c.secondSwitchOf(server)
			err = at.AddTap(secondPortName(n))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cableSwitch joins a switch to the site.
func (c Config) cableSwitch(d device) error {
	site, tor := c.Site(), d.Namespace
	if err := errors.Join(tor.Create(), tor.Forward()); err != nil {
		return err
	}
	err := netns.Connect(netns.End{Namespace: site, Interface: d.Name}, netns.End{Namespace: tor, Interface: uplinkOfSwitch})
	if err != nil {
		return err
	}
	for i, everything := range []string{"0.0.0.0/0", "::/0"} {
		err := errors.Join(
			site.AddAddress(d.Name, d.UplinkSite[i]),
			tor.AddAddress(uplinkOfSwitch, d.UplinkSwitch[i]),
			tor.AddRoute(netip.MustParsePrefix(everything), d.UplinkSite[i].Addr()),
		)
		if err != nil {
			return err
		}
	}
	if err := tor.AddAddress("lo", host(d.Management)); err != nil {
		return err
	}
	for _, prefix := range append(d.Routed, host(d.Management)) {
		to := d.UplinkSwitch[0]
		if prefix.Addr().Is6() {
			to = d.UplinkSwitch[1]
		}
		if err := site.AddRoute(prefix, to.Addr()); err != nil {
			return err
		}
	}
	return nil
}

// host returns the prefix that holds one address.
func host(address netip.Addr) netip.Prefix {
	return netip.PrefixFrom(address, address.BitLen())
}
