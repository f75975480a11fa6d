package switches_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
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
