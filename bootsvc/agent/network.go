package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"
)

// connect gives the NIC its address and the way to the boot service, and returns its name.
// It waits for a NIC whose driver takes its time, until ctx ends.
func connect(ctx context.Context, p parameters) (nic string, err error) {
	link, err := awaitNIC(ctx, p.mac)
	if err != nil {
		return "", err
	}
	nic = link.Attrs().Name
	if loopback, err := netlink.LinkByName("lo"); err == nil {
		_ = netlink.LinkSetUp(loopback) // for the tools of the burn-in; the job needs none
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nic, fmt.Errorf("bring %s up: %w", nic, err)
	}
	address := &net.IPNet{IP: p.address.Addr().AsSlice(), Mask: net.CIDRMask(p.address.Bits(), p.address.Addr().BitLen())}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: address}); err != nil {
		return nic, fmt.Errorf("give %s the address %s: %w", nic, p.address, err)
	}
	if err := netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: p.gateway.AsSlice()}); err != nil {
		return nic, fmt.Errorf("route by %s: %w", p.gateway, err)
	}
	return nic, nil
}

// raiseAll brings all Ethernet interfaces up: those without are silent, and tell nothing of
// their links.
func raiseAll() ([]net.Interface, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	var nics []net.Interface
	var errs []error
	for _, link := range links {
		attributes := link.Attrs()
		if link.Type() != "device" || attributes.EncapType != "ether" {
			continue
		}
		errs = append(errs, netlink.LinkSetUp(link))
		nics = append(nics, net.Interface{Index: attributes.Index, Name: attributes.Name, HardwareAddr: attributes.HardwareAddr, MTU: attributes.MTU})
	}
	return nics, errors.Join(errs...)
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
