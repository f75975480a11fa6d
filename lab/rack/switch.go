package rack

import (
	"context"
	"net/netip"

	"ferrodur/lab/tor"
)

const sshPort = 22

// startSwitch starts the switch, whose DHCP relay asks the site's boot service.
func (c Config) startSwitch(ctx context.Context) (hostKey string, err error) {
	password, err := c.secret(SwitchName)
	if err != nil {
		return "", err
	}
	var ports []string
	for n := range c.numbers() {
		ports = append(ports, portName(n))
	}
	running, err := tor.Start(ctx, tor.Config{
		Name:      SwitchName,
		Namespace: c.Switch(),
		Dir:       c.switchDir(),
		Address:   switchAddress(),
		User:      SwitchUser,
		Password:  password,
		Relay:     tor.Relay{Server: Layout().Boot, Uplink: uplinkOfSwitch, Ports: ports},
	})
	if err != nil {
		return "", err
	}
	return running.HostKey(), nil
}

func (c Config) stopSwitch(ctx context.Context) error {
	return tor.Stop(ctx, c.switchDir())
}

func (c Config) inspectSwitch() SwitchStatus {
	return SwitchStatus{
		Name:      SwitchName,
		Namespace: string(c.Switch()),
		Address:   switchAddress(),
		Running:   running(c.switchDir(), "switch"),
	}
}

func switchAddress() netip.AddrPort {
	return netip.AddrPortFrom(Layout().Switch, sshPort)
}
