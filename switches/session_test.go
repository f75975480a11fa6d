package switches_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"ferrodur/switches"
)

func twoAtOnce(t *testing.T, rig *rig) {
	intents := []switches.Intent{tenantOn(port(6), "198.51.100.14/31"), tenantOn(port(7), "198.51.100.16/31")}
	var group sync.WaitGroup
	for _, intent := range intents {
		group.Go(func() {
			session, err := rig.sessions.Open(t.Context(), rig.device)
			if err != nil {
				t.Error(err)
				return
			}
			defer session.Close()
			if change, err := applyOne(t, session, intent); err != nil || !reflect.DeepEqual(change.Running, intent) {
				t.Errorf("got %+v, %v", change, err)
			}
		})
	}
	group.Wait()
}

// A connection that breaks off anywhere, from the first byte to the last, is reported as
// such or was not needed any more; what it left behind, the next Apply completes.
func cutAnywhere(t *testing.T, rig *rig) {
	intents := []switches.Intent{
		tenantOn(port(10), "198.51.100.30/31", "2001:db8:0:10::/127"),
		{Port: port(10), Profile: switches.Quarantine, Description: "ams1-r1-s2"},
	}
	whole := 0
	count := func(n int) { whole += n }
	applyOver(t, rig, intents[0], count, -1)
	const cuts = 16
	failed := 0
	for n := range cuts {
		intent := intents[(n+1)%len(intents)]
		if err := applyOver(t, rig, intent, nil, whole*n/cuts); err != nil {
			failed++
			if !errors.Is(err, switches.ErrUnreachable) {
				t.Errorf("cut %d of %d: got %v, want ErrUnreachable", n, cuts, err)
			}
		}
		if change := rig.apply(t, intent); !reflect.DeepEqual(change.Running, intent) {
			t.Errorf("cut %d of %d: the next Apply left %+v", n, cuts, change.Running)
		}
	}
	if failed < cuts/2 {
		t.Errorf("only %d of %d cuts were felt", failed, cuts)
	}
}

// applyOver applies an intent over a connection that breaks after so many bytes were sent;
// never if limit is negative.
func applyOver(t *testing.T, rig *rig, intent switches.Intent, count func(int), limit int) error {
	sessions := switches.NewSessions(switches.Config{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := rig.namespace.Dial(ctx, network, address)
		return &fragile{Conn: conn, count: count, limit: limit}, err
	}})
	session, err := sessions.Open(t.Context(), rig.device)
	if err != nil {
		return err
	}
	defer session.Close()
	_, err = applyOne(t, session, intent)
	return err
}

// fragile breaks after so many bytes were written.
type fragile struct {
	net.Conn
	count func(int)
	limit int
	sent  int
}

func (f *fragile) Write(b []byte) (int, error) {
	if f.sent += len(b); f.limit >= 0 && f.sent > f.limit {
		_ = f.Close()
		return 0, net.ErrClosed
	}
	if f.count != nil {
		f.count(len(b))
	}
	return f.Conn.Write(b)
}

func loginByKey(t *testing.T, rig *rig) {
	device := rig.device
	device.Password, device.PrivateKey = "", rig.privateKey
	session, err := rig.sessions.Open(t.Context(), device)
	check(t, err)
	defer session.Close()
	_, err = readOne(t, session, port(11))
	check(t, err)
}

func wrongHostKey(t *testing.T, rig *rig) {
	ofSameKind, _, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	ofOtherKind, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	for _, key := range []any{ofSameKind, ofOtherKind.Public()} {
		public, err := ssh.NewPublicKey(key)
		check(t, err)
		device := rig.device
		device.HostKey = string(ssh.MarshalAuthorizedKey(public))
		refuse(t, rig, device, switches.ErrHostKey)
	}
}

func wrongPassword(t *testing.T, rig *rig) {
	device := rig.device
	device.Password = "not-the-password"
	if err := refuse(t, rig, device, switches.ErrAuth); strings.Contains(err.Error(), device.Password) {
		t.Errorf("the error tells the password: %v", err)
	}
}

func unreachable(t *testing.T, rig *rig) {
	device := rig.device
	device.Address = "192.0.2.2:2222" // refused
	refuse(t, rig, device, switches.ErrUnreachable)
	device.Address = "203.0.113.1:22" // no route
	refuse(t, rig, device, switches.ErrUnreachable)
}

// A server that accepts the connection and says nothing ends with the time-out.
func silentServer(t *testing.T, rig *rig) {
	listener, err := rig.namespace.Listen(t.Context(), "tcp", "192.0.2.2:2022")
	check(t, err)
	defer func() { _ = listener.Close() }()
	sessions := switches.NewSessions(switches.Config{Dial: rig.namespace.Dial, Connect: 300 * time.Millisecond})
	device := rig.device
	device.Address = listener.Addr().String()
	begun := time.Now()
	if _, err := sessions.Open(t.Context(), device); !errors.Is(err, switches.ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want ErrUnreachable and DeadlineExceeded", err)
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func contextEndsCommand(t *testing.T, rig *rig) {
	session := rig.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := session.Read(ctx, port(8)); !errors.Is(err, switches.ErrUnreachable) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want ErrUnreachable and Canceled", err)
	}
}

func busy(t *testing.T, rig *rig) {
	first := rig.open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := rig.sessions.Open(ctx, rig.device); !errors.Is(err, switches.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	first.Close()
	first.Close()
	rig.open(t)
}

func refuse(t *testing.T, rig *rig, device switches.Device, want error) error {
	t.Helper()
	session, err := rig.sessions.Open(t.Context(), device)
	if err == nil {
		session.Close()
		t.Fatalf("%s let us in, want %v", device, want)
	}
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	return err
}

// The key that a switch offers is seen without logging in; who says nothing has none.
func offeredHostKey(t *testing.T, rig *rig) {
	offered, err := rig.sessions.HostKey(t.Context(), rig.device.Address)
	check(t, err)
	if text := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(offered))); text != rig.device.HostKey {
		t.Errorf("got %s, want %s", text, rig.device.HostKey)
	}
	silent, err := rig.namespace.Listen(t.Context(), "tcp", "192.0.2.2:2222")
	check(t, err)
	defer func() { _ = silent.Close() }()
	hurried := switches.NewSessions(switches.Config{Dial: rig.namespace.Dial, Connect: 100 * time.Millisecond})
	for _, address := range []string{"192.0.2.2:2222", "192.0.2.2:2223"} {
		if key, err := hurried.HostKey(t.Context(), address); !errors.Is(err, switches.ErrUnreachable) {
			t.Errorf("%s: got %v, %v, want ErrUnreachable", address, key, err)
		}
	}
}
