package rack

import (
	"errors"
	"net/netip"

	"ferrodur/lab/netns"
)

// cable lays the networks of the drawing: namespaces, cable, taps, addresses, routes.
func (c Config) cable() error {
	site, tor, at := c.Site(), c.Switch(), Layout()
	for _, namespace := range []netns.Namespace{site, tor} {
		if err := errors.Join(namespace.Create(), namespace.Forward()); err != nil {
			return err
		}
	}
	err := netns.Connect(
		netns.End{Namespace: site, Interface: uplinkOfSite},
		netns.End{Namespace: tor, Interface: uplinkOfSwitch},
	)
	if err != nil {
		return err
	}
	for i := range at.UplinkSite {
		err := errors.Join(
			site.AddAddress(uplinkOfSite, at.UplinkSite[i]),
			tor.AddAddress(uplinkOfSwitch, at.UplinkSwitch[i]),
		)
		if err != nil {
			return err
		}
	}
	for n := range c.numbers() {
		err := errors.Join(
			site.AddAddress("lo", host(bmcAddress(n).Addr())),
			tor.AddTap(portName(n)),
		)
		if err != nil {
			return err
		}
	}
	toSwitch, toSwitch6 := at.UplinkSwitch[0].Addr(), at.UplinkSwitch[1].Addr()
	toSite, toSite6 := at.UplinkSite[0].Addr(), at.UplinkSite[1].Addr()
	return errors.Join(
		site.AddAddress("lo", host(at.Boot)),
		tor.AddAddress("lo", host(at.Switch)),
		site.AddRoute(host(at.Switch), toSwitch),
		site.AddRoute(at.Provisioning, toSwitch),
		site.AddRoute(at.Tenant, toSwitch),
		site.AddRoute(at.Tenant6, toSwitch6),
		tor.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), toSite),
		tor.AddRoute(netip.MustParsePrefix("::/0"), toSite6),
	)
}

// host returns the prefix that holds one address.
func host(address netip.Addr) netip.Prefix {
	return netip.PrefixFrom(address, address.BitLen())
}
