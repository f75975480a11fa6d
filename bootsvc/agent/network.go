package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"
)

// connect gives the NIC its address and the way to the boot service. It waits for a NIC
// whose driver takes its time, until ctx ends.
func connect(ctx context.Context, p parameters) error {
	link, err := awaitNIC(ctx, p.mac)
	if err != nil {
		return err
	}
	if loopback, err := netlink.LinkByName("lo"); err == nil {
		_ = netlink.LinkSetUp(loopback) // for the tools of the burn-in; the job needs none
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring %s up: %w", link.Attrs().Name, err)
	}
	address := &net.IPNet{IP: p.address.Addr().AsSlice(), Mask: net.CIDRMask(p.address.Bits(), p.address.Addr().BitLen())}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: address}); err != nil {
		return fmt.Errorf("give %s the address %s: %w", link.Attrs().Name, p.address, err)
	}
	if err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: p.gateway.AsSlice()}); err != nil {
		return fmt.Errorf("route by %s: %w", p.gateway, err)
	}
	return nil
}

func awaitNIC(ctx context.Context, mac net.HardwareAddr) (netlink.Link, error) {
	for {
		links, err := netlink.LinkList()
		if err != nil {
			return nil, fmt.Errorf("list network interfaces: %w", err)
		}
		for _, link := range links {
			if bytes.Equal(link.Attrs().HardwareAddr, mac) {
				return link, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no network interface has the MAC %s that the server booted from: is its driver in the boot image?", mac)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
