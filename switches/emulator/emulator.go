// Package emulator is a switch that is not there: an SSH server whose command line keeps a
// running configuration, candidates, confirm timers and locks as the documents of one
// vendor say. It serves tests of drivers whose platform cannot be had, tests of faults, and
// tests of scale. What it does not do: forward packets.
package emulator

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Config describes a device.
type Config struct {
	Platform string // "arista_eos", …
	Name     string // in the prompt
	Ports    []string
	User     string
	Password string
	Banner   string // shown after login
	// Hurry is how many times as fast as real time its confirm timers run; 0: 1.
	Hurry float64
}

// Faults are what goes wrong, until they are changed.
type Faults struct {
	Refuse     func(line string) string // the device's complaint about a line; "": none
	Ignore     func(line string) bool   // lines that are taken and do nothing
	Slow       time.Duration            // before each answer
	CommitTime time.Duration            // that a commit takes
	FailCommit string                   // a commit's complaint; "": it succeeds
	LockedBy   string                   // a human who keeps others from configuring; "": nobody
	EditedBy   string                   // a human who has changed a Junos' candidate of all, and not committed it; "": nobody
	Sessions   int                      // at once; 0: any number
	// Upgraded has an IOS-XE ask before it overwrites what its earlier release has saved.
	Upgraded bool
	// CutAfter is how many bytes of a login's dialogue, typed or printed, come through before
	// its connection breaks off; 0: all.
	CutAfter int
}

// Counts are what happened to a device.
type Counts struct {
	Sessions int // logins
	Commits  int // that took effect
	Lines    int // that were typed
	// Dialogue is how many bytes were typed and printed in the last login, and Steps are the
	// places in it where a line had been typed.
	Dialogue int
	Steps    []int
}

// Device is an emulated switch.
type Device struct {
	config   Config
	listener net.Listener
	signer   ssh.Signer
	work     sync.WaitGroup

	mu        sync.Mutex
	platform  platform // guarded by mu, as is what it keeps
	faults    Faults
	counts    Counts
	open      map[net.Conn]bool
	shells    int
	last      *talk // of the last login
	heard     []heard
	answering []answering
	watch     func(running string) // nil: nobody does
}

// platform is the dialect of one vendor. Its methods run one at a time.
type platform interface {
	// login begins a command line.
	login(line *shell) dialogue
	// running is the configuration in use, as the device shows it.
	running() string
	// byHand changes the running configuration by lines of the configuration mode.
	byHand(lines []string) error
}

// dialogue is one session's command line.
type dialogue interface {
	prompt() string
	// answer carries out a line. logout ends the session.
	answer(line string) (output string, logout bool)
	// hangUp is told that the session has ended.
	hangUp()
}

// Start serves a device on a listener, until Close.
func Start(listener net.Listener, config Config) (*Device, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, err
	}
	if config.Hurry == 0 {
		config.Hurry = 1
	}
	d := &Device{config: config, listener: listener, signer: signer, open: map[net.Conn]bool{}}
	switch config.Platform {
	case "juniper_junos":
		d.platform = newJunos(d)
	case "cisco_nxos":
		d.platform = newNXOS(d)
	case "cisco_iosxe":
		d.platform = newIOSXE(d)
	case "nokia_srl":
		d.platform = newSRL(d)
	case "arista_eos":
		d.platform = newEOS(d)
	case "sonic":
		d.platform = newSonic(d)
	default:
		return nil, fmt.Errorf("no emulated platform %q", config.Platform)
	}
	d.work.Go(d.serve)
	return d, nil
}

// HostKey is the SSH server's public key in authorized_keys form.
func (d *Device) HostKey() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(d.signer.PublicKey())))
}

// Address is where it listens.
func (d *Device) Address() string { return d.listener.Addr().String() }

// Fail sets what goes wrong.
func (d *Device) Fail(faults Faults) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = faults
}

// Watch has a function called with the configuration in use after each step that changes it. It
// calls no methods of the device.
func (d *Device) Watch(watch func(running string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch = watch
}

// changed lets know who watches.
func (d *Device) changed() {
	if d.watch != nil {
		d.watch(d.platform.running())
	}
}

// Counts returns what has happened so far.
func (d *Device) Counts() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	counts := d.counts
	if d.last != nil {
		counts.Dialogue, counts.Steps = d.last.soFar()
	}
	return counts
}

// Running is the configuration in use, as the device shows it.
func (d *Device) Running() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.platform.running()
}

// ByHand changes the running configuration as an operator at its console would.
func (d *Device) ByHand(lines ...string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.platform.byHand(lines)
}

// Close ends the device and its sessions.
func (d *Device) Close() {
	_ = d.listener.Close()
	d.mu.Lock()
	for conn := range d.open {
		_ = conn.Close()
	}
	d.mu.Unlock()
	d.work.Wait()
}

func (d *Device) serve() {
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		d.open[conn] = true
		d.mu.Unlock()
		d.work.Go(func() {
			d.login(conn)
			_ = conn.Close()
			d.mu.Lock()
			delete(d.open, conn)
			d.mu.Unlock()
		})
	}
}

func (d *Device) login(conn net.Conn) {
	config := &ssh.ServerConfig{PasswordCallback: func(user ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if user.User() != d.config.User || string(password) != d.config.Password {
			return nil, errors.New("refused")
		}
		return nil, nil
	}}
	config.AddHostKey(d.signer)
	server, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go ssh.DiscardRequests(requests)
	d.mu.Lock()
	talk := &talk{conn: conn, limit: d.faults.CutAfter}
	d.last = talk
	if _, is := d.platform.(programs); is {
		d.counts.Sessions++
	}
	d.mu.Unlock()
	for offered := range channels {
		if offered.ChannelType() != "session" {
			_ = offered.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		channel, asked, err := offered.Accept()
		if err != nil {
			return
		}
		if line := d.begin(talk, channel, asked); line != nil {
			line.run()
			return
		}
	}
}

// begin waits for what a session is opened for. A shell is returned, and programs run on
// their own.
func (d *Device) begin(talk *talk, channel ssh.Channel, asked <-chan *ssh.Request) *shell {
	dialect, hasPrograms := d.platform.(programs)
	for request := range asked {
		var execution struct{ Line string }
		switch {
		case request.Type == "exec" && hasPrograms && ssh.Unmarshal(request.Payload, &execution) == nil:
			_ = request.Reply(true, nil)
			go ssh.DiscardRequests(asked)
			d.work.Go(func() { d.execute(dialect, &program{device: d, talk: talk, channel: channel, line: execution.Line}) })
			return nil
		case request.Type == "shell" && !hasPrograms:
			_ = request.Reply(true, nil)
			go ssh.DiscardRequests(asked)
			return &shell{device: d, talk: talk, channel: channel}
		}
		_ = request.Reply(request.Type == "pty-req" || request.Type == "env", nil)
	}
	return nil
}
