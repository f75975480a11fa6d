package activities

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"golang.org/x/crypto/ssh"

	"ferrodur/bootsvc"
	"ferrodur/workflows/api"
)

// Verify waits for an installed system's call home, and then finds it on each of its
// addresses from outside. The host key that answers there must be one that was called
// home: it is the same machine, and nobody else has the address.
func (b *Boot) Verify(ctx context.Context, in api.VerifyInput) (api.Verified, error) {
	deadline := activity.GetInfo(ctx).ScheduledTime.Add(in.CallHome)
	call, err := b.awaitCallHome(ctx, in.Instance, deadline)
	if err != nil {
		return api.Verified{}, err
	}
	verified := api.Verified{Hostname: call.Hostname}
	for _, link := range in.Links.List() {
		address := link.Server.Addr().String()
		if err := b.awaitSSH(ctx, address, call, deadline, &verified); err != nil {
			return api.Verified{}, err
		}
	}
	return verified, nil
}

func (b *Boot) awaitCallHome(ctx context.Context, instance string, deadline time.Time) (bootsvc.CallHome, error) {
	for {
		call, came, err := b.Targets.CallHome(ctx, instance)
		if err != nil {
			return call, fail(err)
		}
		if came {
			return call, nil
		}
		activity.RecordHeartbeat(ctx, api.Progress{Phase: "waiting for the call home"})
		if time.Now().After(deadline) {
			return call, stalled("the installed system of %s did not call home in time: look at the server's console, and at the route from its port to the boot service", instance)
		}
		if err := pause(ctx); err != nil {
			return call, err
		}
	}
}

func (b *Boot) awaitSSH(ctx context.Context, address string, call bootsvc.CallHome, deadline time.Time, verified *api.Verified) error {
	for {
		activity.RecordHeartbeat(ctx, api.Progress{Phase: "waiting for SSH at " + address})
		banner, key, err := greetSSH(ctx, net.JoinHostPort(address, "22"))
		switch {
		case err == nil && !called(call, key):
			return temporal.NewNonRetryableApplicationError(fmt.Sprintf(
				"who answers at %s shows the host key %s, which is not of the machine that called home: does another machine have this address?",
				address, ssh.FingerprintSHA256(key)), api.ErrorOperator, nil)
		case err == nil:
			verified.SSHBanner, verified.HostKey = banner, ssh.FingerprintSHA256(key)
			return nil
		case time.Now().After(deadline):
			return stalled("the installed system called home and does not answer SSH at %s: %v", address, err)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

func called(call bootsvc.CallHome, key ssh.PublicKey) bool {
	return slices.ContainsFunc(call.HostKeys, func(line string) bool {
		known, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		return err == nil && string(known.Marshal()) == string(key.Marshal())
	})
}

// sshPatience bounds one greeting.
const sshPatience = 5 * time.Second

// greetSSH reads a server's banner (RFC 4253 §4.2) and the host key that it proves to have
// (§8), and goes before it would have to log in.
func greetSSH(ctx context.Context, address string) (string, ssh.PublicKey, error) {
	ctx, cancel := context.WithTimeout(ctx, sshPatience)
	defer cancel()
	banner, err := readBanner(ctx, address)
	if err != nil {
		return "", nil, err
	}
	connection, err := dial(ctx, address)
	if err != nil {
		return "", nil, err
	}
	defer connection.Close()
	var seen ssh.PublicKey
	errSeen := errors.New("host key seen")
	_, _, _, err = ssh.NewClientConn(connection, address, &ssh.ClientConfig{
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			seen = key
			return errSeen
		},
	})
	if seen == nil {
		return "", nil, err
	}
	return banner, seen, nil
}

func readBanner(ctx context.Context, address string) (string, error) {
	connection, err := dial(ctx, address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	line, err := bufio.NewReaderSize(connection, 256).ReadSlice('\n')
	if err != nil {
		return "", fmt.Errorf("read the SSH banner: %w", err)
	}
	banner := strings.TrimSpace(string(line))
	if !strings.HasPrefix(banner, "SSH-") {
		return "", fmt.Errorf("%s speaks something else than SSH", address)
	}
	return banner, nil
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := connection.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, connection.Close())
		}
	}
	return connection, nil
}

// pause is how often something outside is looked at.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
		return nil
	}
}
