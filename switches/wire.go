package switches

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/scrapli/scrapligo/transport"
	"golang.org/x/crypto/ssh"
)

// wire is a login over SSH, with a terminal session where the platform has a CLI. It is a
// transport of scrapligo's, in place of its own "standard" one, which cannot be cancelled,
// waits for ever on a server that accepts connections and says nothing, and takes host keys
// from a file only.
type wire struct {
	client *ssh.Client
	input  io.Writer // of the terminal session
	output io.Reader
}

var _ transport.Implementation = (*wire)(nil)

// The terminal is wide, so that the switch does not wrap the echo of a long line.
const (
	terminalType = "xterm"
	terminalRows = 255
	terminalCols = 511
)

// dialer opens a network connection, as net.Dialer.DialContext does.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// connect logs in, and opens a terminal if the platform is spoken to on one. ctx bounds
// connecting only. ErrUnreachable, ErrHostKey, ErrAuth, *InvalidDeviceError.
func connect(ctx context.Context, dial dialer, device Device, cli definition) (*wire, error) {
	config, err := device.login()
	if err != nil {
		return nil, err
	}
	conn, err := dial(ctx, "tcp", device.Address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	client, err := handshake(conn, device.Address, config)
	if err != nil {
		_ = conn.Close()
		return nil, errors.Join(err, ctx.Err())
	}
	w := &wire{client: client}
	if cli.prompts != nil {
		err = w.openTerminal(cli.program)
	}
	if err == nil && !stop() {
		err = ctx.Err()
	}
	if err != nil {
		_ = client.Close()
		return nil, errors.Join(fmt.Errorf("%w: open a terminal: %w", ErrUnreachable, err), ctx.Err())
	}
	return w, nil
}

// handshake exchanges keys and logs in. The library has no error type for a refused login:
// what fails after the host key was found right, and is not the network, is the login.
func handshake(conn net.Conn, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	verified := false
	verify := config.HostKeyCallback
	config.HostKeyCallback = func(name string, remote net.Addr, key ssh.PublicKey) error {
		err := verify(name, remote, key)
		verified = err == nil
		return err
	}
	connection, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err == nil {
		return ssh.NewClient(connection, channels, requests), nil
	}
	var negotiation *ssh.AlgorithmNegotiationError
	var network net.Error
	switch {
	case errors.Is(err, ErrHostKey):
		return nil, err
	case errors.As(err, &negotiation) && negotiation.What == "host key":
		return nil, fmt.Errorf("%w: %w", ErrHostKey, err)
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), !verified:
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	default:
		return nil, fmt.Errorf("%w for user %s: %w", ErrAuth, config.User, err)
	}
}

// openTerminal runs a program on a terminal; none: the login's own shell.
func (w *wire) openTerminal(program string) error {
	session, err := w.client.NewSession()
	if err != nil {
		return err
	}
	if w.input, err = session.StdinPipe(); err != nil {
		return err
	}
	if w.output, err = session.StdoutPipe(); err != nil {
		return err
	}
	if err := session.RequestPty(terminalType, terminalRows, terminalCols, ssh.TerminalModes{ssh.ECHO: 1}); err != nil {
		return err
	}
	if program == "" {
		return session.Shell()
	}
	return session.Start(program)
}

// run runs a program beside the terminal, and returns what it says. Its input may hold what
// its arguments, which others can see, must not. *RefusedError with its complaint if it
// fails; what a signal has ended has refused nothing.
func (w *wire) run(program, input string) (output string, err error) {
	session, err := w.client.NewSession()
	if err != nil {
		return "", err
	}
	defer func() { _ = session.Close() }()
	var said, complaint bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = strings.NewReader(input), &said, &complaint
	err = session.Run(program)
	if err == nil {
		// OpenSSH may tell the exit status before the last of what was said. Where the connection breaks
		// off between the two, that looks whole.
		_, _, err = w.client.SendRequest("keepalive@openssh.com", true, nil)
	}
	var exit *ssh.ExitError
	if errors.As(err, &exit) && !killed(exit) {
		return "", &RefusedError{Line: program, Answer: strings.TrimSpace(complaint.String())}
	}
	return said.String(), err
}

// killed tells whether a signal has ended a program, or one that its shell has started (IEEE
// 1003.1, XCU §2.8.2).
func killed(exit *ssh.ExitError) bool {
	const signal, signals = 128, 64
	return exit.Signal() != "" || exit.ExitStatus() > signal && exit.ExitStatus() <= signal+signals
}

// errSeen ends the exchange of keys when the host's is known.
var errSeen = errors.New("the host key was seen")

// HostKey returns the key that the switch at an address offers, and trusts it in nothing. ErrUnreachable.
func (s *Sessions) HostKey(ctx context.Context, address string) (ssh.PublicKey, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.Connect)
	defer cancel()
	conn, err := s.config.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	var offered ssh.PublicKey
	_, _, _, err = ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		// The strongest that the switch has.
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			offered = key
			return errSeen
		},
	})
	if offered == nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, errors.Join(err, ctx.Err()))
	}
	return offered, nil
}

// pin accepts the pinned host key and no other.
func pin(device string, pinned ssh.PublicKey) ssh.HostKeyCallback {
	return func(_ string, _ net.Addr, offered ssh.PublicKey) error {
		if !bytes.Equal(offered.Marshal(), pinned.Marshal()) {
			return fmt.Errorf("%w: the switch offers %s, pinned is %s; if it has a new one: starter switch trust %s",
				ErrHostKey, ssh.FingerprintSHA256(offered), ssh.FingerprintSHA256(pinned), device)
		}
		return nil
	}
}

// algorithms asks for the kind of key that is pinned: a switch that has several would
// otherwise offer another kind, and be taken for an impostor.
func algorithms(pinned ssh.PublicKey) []string {
	if pinned.Type() == ssh.KeyAlgoRSA { // signed with SHA-1 only under this name, RFC 8332
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{pinned.Type()}
}

// Open does nothing: a wire is made by connect.
func (w *wire) Open(*transport.Args) error { return nil }

// IsAlive is required by scrapligo, which does not call it.
func (w *wire) IsAlive() bool { return true }

// Close ends the connection, and with it every Read and Write under way.
func (w *wire) Close() error { return w.client.Close() }

// Read returns io.EOF for whatever ends the connection: scrapligo reads on after any
// other error.
func (w *wire) Read(n int) ([]byte, error) {
	buffer := make([]byte, n)
	n, err := w.output.Read(buffer)
	if err != nil {
		return nil, io.EOF
	}
	return buffer[:n], nil
}

// Write sends what is typed.
func (w *wire) Write(typed []byte) error {
	_, err := w.input.Write(typed)
	return err
}
