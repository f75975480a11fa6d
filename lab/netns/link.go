package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// End is one end of a cable: an interface in a namespace. Linux allows interface names of
// up to 15 bytes.
type End struct {
	Namespace Namespace
	Interface string
}

// Connect lays a cable (a pair of veth interfaces, veth(4)) between a and b and brings
// both ends up.
func Connect(a, b End) error {
	err := a.Namespace.with(func(kernel *netlink.Handle) error {
		if _, err := kernel.LinkByName(a.Interface); !missing(err) {
			return err
		}
		peer, err := b.Namespace.handle()
		if err != nil {
			return err
		}
		defer func() { _ = peer.Close() }()
		return kernel.LinkAdd(&netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: a.Interface},
			PeerName:      b.Interface,
			PeerNamespace: netlink.NsFd(peer),
		})
	})
	if err != nil {
		return fmt.Errorf("connect %s of %s with %s of %s: %w",
			a.Interface, a.Namespace, b.Interface, b.Namespace, err)
	}
	return errors.Join(a.Namespace.Up(a.Interface), b.Namespace.Up(b.Interface))
}

// AddTap makes a tap that stays when nobody holds it open and brings it up. It has no
// carrier until a machine opens it.
func (n Namespace) AddTap(name string) error {
	// Taps come from /dev/net/tun, which knows only the namespace of the calling thread.
	err := n.Do(func() error {
		if _, err := netlink.LinkByName(name); !missing(err) {
			return err
		}
		tap := &netlink.Tuntap{
			LinkAttrs: netlink.LinkAttrs{Name: name},
			Mode:      netlink.TUNTAP_MODE_TAP,
			Flags:     netlink.TUNTAP_ONE_QUEUE,
		}
		return netlink.LinkAdd(tap)
	})
	if err != nil {
		return fmt.Errorf("add tap %s in %s: %w", name, n, err)
	}
	return n.Up(name)
}

// OpenTap opens a tap of the namespace for a machine, whichever namespace that runs in: tun(4),
// "Universal TUN/TAP device driver" in the kernel's documentation.
func (n Namespace) OpenTap(name string) (tap *os.File, err error) {
	err = n.Do(func() error {
		const device = "/dev/net/tun"
		number, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		request, err := unix.NewIfreq(name)
		if err == nil {
			request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR | unix.IFF_ONE_QUEUE)
			err = unix.IoctlIfreq(number, unix.TUNSETIFF, request)
		}
		if err != nil {
			return errors.Join(err, unix.Close(number))
		}
		tap = os.NewFile(uintptr(number), device)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open tap %s of %s: %w", name, n, err)
	}
	return tap, nil
}

// Up brings an interface up.
func (n Namespace) Up(name string) error {
	return n.change("bring up", name, func(kernel *netlink.Handle, link netlink.Link) error {
		return kernel.LinkSetUp(link)
	})
}

// RemoveInterface deletes an interface, and with it the other end of its cable.
func (n Namespace) RemoveInterface(name string) error {
	return n.with(func(kernel *netlink.Handle) error {
		link, err := kernel.LinkByName(name)
		if missing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return kernel.LinkDel(link)
	})
}

// AddAddress gives an interface an address. IPv6 addresses skip duplicate address
// detection (RFC 4862 §5.4), so that they can be used at once, carrier or not.
func (n Namespace) AddAddress(name string, address netip.Prefix) error {
	return n.change("add address to", name, func(kernel *netlink.Handle, link netlink.Link) error {
		entry := &netlink.Addr{IPNet: network(address)}
		if address.Addr().Is6() {
			entry.Flags = unix.IFA_F_NODAD
		}
		return kernel.AddrReplace(link, entry)
	})
}

// AddRoute sends destination to a gateway.
func (n Namespace) AddRoute(destination netip.Prefix, gateway netip.Addr) error {
	err := n.with(func(kernel *netlink.Handle) error {
		return kernel.RouteReplace(&netlink.Route{
			Dst: network(destination.Masked()),
			Gw:  gateway.AsSlice(),
		})
	})
	if err != nil {
		return fmt.Errorf("route %s via %s in %s: %w", destination, gateway, n, err)
	}
	return nil
}

// Interfaces returns the names of the interfaces in the namespace.
func (n Namespace) Interfaces() ([]string, error) {
	var names []string
	err := n.with(func(kernel *netlink.Handle) error {
		links, err := kernel.LinkList()
		for _, link := range links {
			names = append(names, link.Attrs().Name)
		}
		return err
	})
	return names, err
}

// change applies one change to the named interface.
func (n Namespace) change(what, name string, apply func(*netlink.Handle, netlink.Link) error) error {
	err := n.with(func(kernel *netlink.Handle) error {
		link, err := kernel.LinkByName(name)
		if err != nil {
			return err
		}
		return apply(kernel, link)
	})
	if err != nil {
		return fmt.Errorf("%s %s in %s: %w", what, name, n, err)
	}
	return nil
}

// with calls fn with a netlink socket that belongs to the namespace.
func (n Namespace) with(fn func(*netlink.Handle) error) error {
	namespace, err := n.handle()
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", n, err)
	}
	defer func() { _ = namespace.Close() }()
	kernel, err := netlink.NewHandleAt(namespace, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer kernel.Close()
	return fn(kernel)
}

func (n Namespace) handle() (vnetns.NsHandle, error) {
	return vnetns.GetFromPath(n.path())
}

func missing(err error) bool {
	var notFound netlink.LinkNotFoundError
	return errors.As(err, &notFound)
}

func network(prefix netip.Prefix) *net.IPNet {
	address := prefix.Addr()
	return &net.IPNet{
		IP:   address.AsSlice(),
		Mask: net.CIDRMask(prefix.Bits(), address.BitLen()),
	}
}
