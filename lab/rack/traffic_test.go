package rack_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/crypto/ssh"

	"ferrodur/lab/rack"
)

// A server that its BMC has boot from the network is heard by whoever listens where the
// site's boot service will, by way of the switch's relay, which says at which port.
func TestServerAsksTheBootService(t *testing.T) {
	config := describe(t)
	must(t, rack.Up(t.Context(), config))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	configure(t, ctx, config, "interface swp1", "ip address 203.0.113.0/31", "no shutdown")
	var requests net.PacketConn
	must(t, config.Site().Do(func() (err error) {
		requests, err = new(net.ListenConfig).ListenPacket(ctx, "udp4", rack.Layout().Boot.String()+":67")
		return err
	}))
	defer func() { _ = requests.Close() }()
	must(t, requests.SetDeadline(time.Now().Add(25*time.Second)))

	password, err := os.ReadFile(filepath.Join(config.Dir, "secrets", "s1-bmc"))
	must(t, err)
	t.Setenv("IPMI_PASSWORD", string(bytes.TrimSpace(password)))
	for _, command := range []string{"bootdev pxe", "power on"} {
		_, err := config.Site().Run(ctx, "ipmitool", append(strings.Fields(
			"-I lanplus -C 3 -H 192.0.2.11 -E -U "+rack.BMCUser+" chassis"), strings.Fields(command)...)...)
		must(t, err)
	}

	packet := make([]byte, 1500)
	n, _, err := requests.ReadFrom(packet)
	must(t, err)
	request, err := dhcpv4.FromBytes(packet[:n])
	must(t, err)
	if mac := request.ClientHWAddr.String(); mac != "52:54:00:fd:00:01" {
		t.Errorf("asked by %s", mac)
	}
	if giaddr := request.GatewayIPAddr.String(); giaddr != "203.0.113.0" {
		t.Errorf("relayed by %s", giaddr)
	}
	if circuit := request.RelayAgentInfo().Get(dhcpv4.AgentCircuitIDSubOption); string(circuit) != "swp1" {
		t.Errorf("circuit ID is %q", circuit)
	}
}

// configure logs in to the switch over SSH, from the site, as the switch's workers do.
func configure(t *testing.T, ctx context.Context, config rack.Config, lines ...string) {
	t.Helper()
	password, err := os.ReadFile(filepath.Join(config.Dir, "secrets", rack.SwitchName))
	must(t, err)
	address := rack.Layout().Switch.String() + ":22"
	conn, err := config.Site().Dial(ctx, "tcp", address)
	must(t, err)
	connection, channels, requests, err := ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		User:            rack.SwitchUser,
		Auth:            []ssh.AuthMethod{ssh.Password(string(bytes.TrimSpace(password)))},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // only the way in is tried here
	})
	must(t, err)
	client := ssh.NewClient(connection, channels, requests)
	defer func() { _ = client.Close() }()
	session, err := client.NewSession()
	must(t, err)
	session.Stdin = strings.NewReader(fmt.Sprintf("configure terminal\n%s\nend\nexit\n", strings.Join(lines, "\n")))
	var output bytes.Buffer
	session.Stdout = &output
	must(t, session.Start("vtysh"))
	err = session.Wait()
	if err != nil || bytes.ContainsRune(output.Bytes(), '%') {
		t.Fatalf("configure the switch: %v: %s", err, &output)
	}
}

// Whoever is inside reaches a service on the host's loopback, both ways and to the end.
func TestRelay(t *testing.T) {
	config := describe(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				var heard bytes.Buffer
				_, _ = heard.ReadFrom(conn) // to the end of what the client has to say
				_, _ = fmt.Fprintf(conn, "you said %s", &heard)
				_ = conn.Close()
			}()
		}
	}()
	port := listener.Addr().(*net.TCPAddr).Port
	config.Relays = []uint16{uint16(port)}
	must(t, rack.Up(t.Context(), config))

	conn, err := config.Site().Dial(t.Context(), "tcp", listener.Addr().String())
	must(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte("hello"))
	must(t, err)
	must(t, conn.(*net.TCPConn).CloseWrite())
	var answer bytes.Buffer
	_, err = answer.ReadFrom(conn)
	must(t, err)
	if answer.String() != "you said hello" {
		t.Errorf("heard %q", &answer)
	}
}
