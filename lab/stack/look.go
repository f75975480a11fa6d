package stack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"ferrodur/inventory"
	"ferrodur/lab/machine"
	"ferrodur/lab/rack"
	"ferrodur/workflows/api"
)

// The methods of this file look at the real things, and never ask a workflow.

// Held lists what somebody holds, in the database, on the switch, of the power: when all
// servers are back in the pool, nothing. What servers hold themselves, and reservations,
// are not listed.
func (s *Stack) Held(ctx context.Context) ([]string, error) {
	var held []string
	for _, look := range []func(context.Context) ([]string, error){s.heldInDatabase, s.heldOnSwitches, s.heldPower} {
		found, err := look(ctx)
		if err != nil {
			return nil, err
		}
		held = append(held, found...)
	}
	return held, nil
}

// heldInDatabase reads the tables themselves.
func (s *Stack) heldInDatabase(ctx context.Context) ([]string, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT 'server ' || name || ' is ' || state FROM inventory.servers WHERE state NOT IN ('available', 'enrolled')
		UNION ALL SELECT 'server ' || name || ' is held by ' || holder FROM inventory.servers WHERE holder IS NOT NULL
		UNION ALL SELECT 'instance ' || id || ' is ' || state FROM inventory.instances WHERE state <> 'ended'
		UNION ALL SELECT owner || ' holds ' || prefix FROM ipam.allocations WHERE released_at IS NULL AND owner NOT LIKE 'server/%' AND kind <> 'reserved'
		UNION ALL SELECT 'boot target ' || id || ' is live' FROM bootsvc.targets WHERE ended_at IS NULL
		ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("read what is held: %w", err)
	}
	defer rows.Close()
	var held []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, err
		}
		held = append(held, line)
	}
	return held, rows.Err()
}

// heldOnSwitches reads the switches' running configuration: a closed port is shut and has
// no address, or is on the bridge that forwards nothing.
func (s *Stack) heldOnSwitches(ctx context.Context) (held []string, err error) {
	servers, err := s.Inventory.Servers(ctx, inventory.ServerFilter{})
	if err != nil {
		return nil, err
	}
	running := map[string]string{} // of routers
	for _, server := range servers {
		for _, uplink := range server.Uplinks() {
			var found []string
			if uplink.Switch == rack.BridgeName {
				found, err = s.heldOnBridge(ctx, uplink.Port)
			} else {
				if running[uplink.Switch] == "" {
					running[uplink.Switch], err = s.RunningConfig(ctx, uplink.Switch)
				}
				found = heldOnRouter(PortLines(running[uplink.Switch], uplink.Port), uplink.Port)
			}
			if err != nil {
				return nil, err
			}
			held = append(held, found...)
		}
	}
	return held, nil
}

func (s *Stack) heldOnBridge(ctx context.Context, port string) ([]string, error) {
	text, err := s.OnSwitch(ctx, rack.BridgeName, "sudo ovs-vsctl iface-to-br "+port)
	bridge := strings.TrimSpace(text)
	if err != nil || bridge == "ferrodur-shut" {
		return nil, err
	}
	return []string{fmt.Sprintf("port %s is open on %s", port, bridge)}, nil
}

func heldOnRouter(lines []string, port string) (held []string) {
	for _, line := range lines {
		if strings.HasPrefix(line, "ip address") || strings.HasPrefix(line, "ipv6 address") {
			held = append(held, fmt.Sprintf("port %s has %s", port, line))
		}
	}
	if !slices.Contains(lines, "shutdown") {
		held = append(held, fmt.Sprintf("port %s is open", port))
	}
	return held
}

func (s *Stack) heldPower(context.Context) ([]string, error) {
	status, err := rack.Inspect(s.Rack)
	if err != nil {
		return nil, err
	}
	var held []string
	for _, server := range status.Servers {
		if server.Powered {
			held = append(held, fmt.Sprintf("server %s is on", server.Name))
		}
	}
	return held, nil
}

// RunningConfig reads a router's running configuration over SSH, with OpenSSH's protocol
// library and the operators' password: none of Ferrodur's own driver.
func (s *Stack) RunningConfig(ctx context.Context, router string) (string, error) {
	return s.OnSwitch(ctx, router, "vtysh -c 'show running-config'")
}

// ConfigureByHand configures the router as an operator does at its CLI, past Ferrodur.
func (s *Stack) ConfigureByHand(ctx context.Context, lines ...string) error {
	answer, err := s.OnSwitch(ctx, rack.SwitchName, "vtysh -c 'configure terminal' -c '"+strings.Join(lines, "' -c '")+"'")
	if err == nil && strings.Contains(answer, "%") {
		err = fmt.Errorf("the switch answers %s", answer)
	}
	return err
}

// OnSwitch runs a program on a switch, as its operators do.
func (s *Stack) OnSwitch(ctx context.Context, name, command string) (string, error) {
	device, err := s.Inventory.Switch(ctx, name)
	if err != nil {
		return "", err
	}
	password, err := device.Password.Resolve()
	if err != nil {
		return "", err
	}
	hostKey, _, _, _, err := ssh.ParseAuthorizedKey([]byte(device.HostKey))
	if err != nil {
		return "", err
	}
	return s.ssh(ctx, device.Address, &ssh.ClientConfig{
		User: device.User, Auth: []ssh.AuthMethod{ssh.Password(password)}, HostKeyCallback: ssh.FixedHostKey(hostKey),
	}, command)
}

// BridgePort reads a port's VLANs on the switch of VLANs: its mode, trunks and tag.
func (s *Stack) BridgePort(ctx context.Context, port string) (string, error) {
	text, err := s.OnSwitch(ctx, rack.BridgeName, "sudo ovs-vsctl get Port "+port+" vlan_mode trunks tag")
	return strings.Join(strings.Fields(text), " "), err
}

// PortLines are the lines of one port in a running configuration.
func PortLines(running, port string) []string {
	var lines []string
	within := false
	for line := range strings.Lines(running) {
		line = strings.TrimRight(line, "\r\n ")
		switch {
		case line == "interface "+port:
			within = true
		case !strings.HasPrefix(line, " "):
			within = false
		case within:
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// Login logs in to a tenant's machine from the site's network, as a customer does from
// the world, and runs a command there.
func (s *Stack) Login(ctx context.Context, links api.Links, user string, key ssh.Signer, command string) (string, error) {
	return s.ssh(ctx, net.JoinHostPort(links.IPv4.Server.Addr().String(), "22"), &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		// Verify has compared the host key with the one that was called home.
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	}, command)
}

// Banner is what the SSH server of a tenant's machine says first.
func (s *Stack) Banner(ctx context.Context, links api.Links) (string, error) {
	connection, err := s.Site().Dial(ctx, "tcp", net.JoinHostPort(links.IPv4.Server.Addr().String(), "22"))
	if err != nil {
		return "", err
	}
	defer connection.Close()
	line, err := bufio.NewReader(connection).ReadString('\n')
	return strings.TrimSpace(line), err
}

func (s *Stack) ssh(ctx context.Context, address string, config *ssh.ClientConfig, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	connection, err := s.Site().Dial(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := connection.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	sshConnection, channels, requests, err := ssh.NewClientConn(connection, address, config)
	if err != nil {
		return "", fmt.Errorf("log in to %s: %w", address, err)
	}
	client := ssh.NewClient(sshConnection, channels, requests)
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return "", err
	}
	defer session.Close()
	output, err := session.CombinedOutput(command)
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w: %s", address, command, err, output)
	}
	return string(output), nil
}

// Machine is the virtual server behind a server of the inventory.
func (s *Stack) Machine(server string) (*machine.Machine, error) {
	for n := range s.config.Servers {
		m, err := rack.Machine(s.Rack, n+1)
		if err != nil {
			return nil, err
		}
		if m.Config().Name == server {
			return m, nil
		}
	}
	return nil, fmt.Errorf("the rack has no server %s", server)
}

// DiskHolds says whether any byte of a server's disk is not zero. It reads the disk's file
// where it has data, behind the server's back.
func (s *Stack) DiskHolds(server string) (bool, error) {
	disk, err := os.Open(filepath.Join(s.Rack, "servers", server, "disk.raw"))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer disk.Close()
	zero := make([]byte, 1<<20)
	block := make([]byte, len(zero))
	for offset := int64(0); ; {
		start, err := disk.Seek(offset, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		n, err := disk.ReadAt(block, start)
		if !bytes.Equal(block[:n], zero[:n]) {
			return true, nil
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		offset = start + int64(n)
	}
}
