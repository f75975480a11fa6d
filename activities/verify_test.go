package activities_test

import (
	"crypto/ed25519"
	"encoding/json"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"ferrodur/bootsvc/job"
	"ferrodur/workflows/api"
)

// sshServer is an SSH server with a host key of its own, in authorized_keys form.
type sshServer struct{ address, hostKey string }

func startSSH(t *testing.T, address string) sshServer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	config := &ssh.ServerConfig{NoClientAuth: true, ServerVersion: "SSH-2.0-OpenSSH_test"}
	config.AddHostKey(signer)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				_, _, _, _ = ssh.NewServerConn(connection, config)
			}()
		}
	}()
	return sshServer{listener.Addr().String(), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))}
}

func TestVerify(t *testing.T) {
	p := newBootPlace(t)
	p.target("t1", api.JobInstall)
	var work job.Job
	require.NoError(t, json.Unmarshal([]byte(p.asServer("GET", "/agent/job", p.boots(), nil)), &work))
	_, home, found := strings.Cut(work.Install.ConfigDrive["vendor-data"], "url: "+p.url)
	require.True(t, found)
	home, _, _ = strings.Cut(home, "\n")

	verify := func(address string, patience time.Duration) (api.Verified, error) {
		links := api.Links{IPv4: api.Link{Server: netip.PrefixFrom(netip.MustParseAddr(address), 31)}}
		return run(p.place, api.VerifyInstance, api.VerifyInput{Instance: "instance/o-1", Links: links, CallHome: patience})
	}
	_, err := verify("127.78.0.21", 10*time.Millisecond)
	requireError(t, err, api.ErrorStalled, "did not call home")

	ours := startSSH(t, "127.78.0.21:22").hostKey
	p.asServer("POST", home, "", url.Values{"hostname": {"web1"}, "pub_key_ed25519": {ours + " root@web1\n"}})
	verified, err := verify("127.78.0.21", 10*time.Second)
	require.NoError(t, err)
	require.Equal(t, "web1", verified.Hostname)
	require.Equal(t, "SSH-2.0-OpenSSH_test", verified.SSHBanner)
	require.True(t, strings.HasPrefix(verified.HostKey, "SHA256:"))

	startSSH(t, "127.78.0.23:22")
	_, err = verify("127.78.0.23", 10*time.Second)
	requireError(t, err, api.ErrorOperator, "127.78.0.23", "another machine")
	_, err = verify("127.78.0.25", 10*time.Millisecond)
	requireError(t, err, api.ErrorStalled, "does not answer SSH at 127.78.0.25")
}
