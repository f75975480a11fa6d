package activities_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ferrodur/activities"
	"ferrodur/bootsvc"
	"ferrodur/bootsvc/job"
	"ferrodur/workflows/api"
)

// The link of s1; both ends are on loopback.
var bootLink = api.Link{Switch: netip.MustParsePrefix("127.78.0.0/31"), Server: netip.MustParsePrefix("127.78.0.1/31")}

// bootPlace has a boot service on loopback beside the activities, and this test as server.
type bootPlace struct {
	*place
	url string
}

func newBootPlace(t *testing.T) bootPlace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the boot service listens on UDP 67 and 69, and an SSH server on TCP 22, which needs root")
	}
	p := newPlace(t)
	p.serves(&activities.Boot{Inventory: p.inventory, Targets: p.targets})
	dir := t.TempDir()
	for _, name := range []string{"vmlinuz", "agent.img", "burnin.img", "debian-12.raw.zst"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}
	service, err := bootsvc.New(bootsvc.Config{
		Store: p.targets, Address: netip.MustParseAddr("127.78.1.1"), BootDir: dir, ImageDir: dir, LoaderDirs: []string{dir},
		Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ended) })
	return bootPlace{place: p, url: service.URL()}
}

// asServer makes a request from the server's address, and returns the answer.
func (p bootPlace) asServer(method, path, token string, body any) string {
	p.t.Helper()
	var text bytes.Buffer
	if form, is := body.(url.Values); is {
		text.WriteString(form.Encode())
	} else if body != nil {
		require.NoError(p.t, json.NewEncoder(&text).Encode(body))
	}
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, &text)
	require.NoError(p.t, err)
	if _, is := body.(url.Values); is {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	request.Header.Set("Authorization", "Bearer "+token)
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: bootLink.Server.Addr().AsSlice()}}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	require.NoError(p.t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	require.Less(p.t, response.StatusCode, 300, "%s %s: %s", method, path, answer)
	return string(answer)
}

// boots takes the server as far as the agent's first request, and returns the agent's token.
func (p bootPlace) boots() string {
	p.t.Helper()
	script := p.asServer("GET", "/ipxe/02:00:00:00:00:01", "", nil)
	token := regexp.MustCompile(job.ParamToken + `=(\S+)`).FindStringSubmatch(script)
	require.Len(p.t, token, 2, script)
	p.asServer("GET", "/boot/vmlinuz", "", nil)
	p.asServer("GET", "/agent/job", token[1], nil)
	return token[1]
}

func (p bootPlace) target(id string, kind api.JobKind) {
	p.t.Helper()
	in := api.SetBootTargetInput{Target: id, Server: "s1", Link: bootLink, Job: kind}
	if kind == api.JobInstall {
		in.Install = &api.InstallTarget{
			Instance: "instance/o-1", Image: "debian-12", Hostname: "web1", SSHKeys: []string{hostKey}, Links: api.Links{IPv4: bootLink},
		}
	}
	for range 2 {
		_, err := run(p.place, api.SetBootTarget, in)
		require.NoError(p.t, err)
	}
}

// A boot that hangs names the phase that it hangs in, and what to look at.
func TestBootHangs(t *testing.T) {
	p := newBootPlace(t)
	wait := func(id string, words ...string) {
		t.Helper()
		_, err := run(p.place, api.AwaitAgent, api.AwaitAgentInput{Target: id, Phase: 300 * time.Millisecond})
		requireError(t, err, api.ErrorStalled, words...)
	}
	p.target("t1", api.JobInspect)
	wait("t1", "phase waiting", "asked for no address")
	p.asServer("GET", "/ipxe/02:00:00:00:00:01", "", nil)
	wait("t1", "phase loader", "no kernel")
	p.asServer("GET", "/boot/vmlinuz", "", nil)
	wait("t1", "phase kernel", "no agent came up")

	p.target("t2", api.JobInspect)
	wait("t1", "replaced or cleared")
	_, err := run(p.place, api.AwaitAgent, api.AwaitAgentInput{Target: "t9", Phase: time.Second})
	requireError(t, err, api.ErrorStalled, "t9")
}

// An agent's progress and result become the activity's, and its failure too; one that
// falls silent is given up.
func TestAgentWorks(t *testing.T) {
	p := newBootPlace(t)
	p.target("t1", api.JobInstall)
	token := p.boots()
	_, err := run(p.place, api.AwaitAgent, api.AwaitAgentInput{Target: "t1", Phase: time.Second})
	require.NoError(t, err)

	p.asServer("POST", "/agent/progress", token, job.Progress{Phase: job.PhaseWrite, Done: 42, Total: 100, Message: "onto /dev/vda"})
	_, err = run(p.place, api.AwaitInstall, api.AwaitJobInput{Target: "t1", Stall: 300 * time.Millisecond})
	requireError(t, err, api.ErrorStalled, "last heard", "onto /dev/vda")

	p.asServer("POST", "/agent/result", token, job.Result{Installed: &job.Installed{Bytes: 7}})
	for range 2 { // the first answer may be lost
		result, err := run(p.place, api.AwaitInstall, api.AwaitJobInput{Target: "t1", Stall: time.Minute})
		require.NoError(t, err)
		require.EqualValues(t, 7, result.Written)
	}
	released := make(chan string, 1)
	go func() { released <- p.asServer("GET", "/agent/release", token, nil) }()
	for range 2 {
		_, err = run(p.place, api.ReleaseAgent, api.ReleaseAgentInput{Target: "t1", Reboot: true})
		require.NoError(t, err)
	}
	require.Contains(t, <-released, "reboot")

	p.target("t2", api.JobWipe)
	p.asServer("POST", "/agent/result", p.boots(), job.Result{Error: "write /dev/vda: input/output error"})
	_, err = run(p.place, api.AwaitWipe, api.AwaitJobInput{Target: "t2", Stall: time.Minute})
	requireError(t, err, api.ErrorStalled, "s1", "input/output error")
	for range 2 {
		_, err = run(p.place, api.ClearBootTarget, api.ClearBootTargetInput{Server: "s1", Instance: "instance/o-1"})
		require.NoError(t, err)
	}
	_, err = run(p.place, api.AwaitWipe, api.AwaitJobInput{Target: "t2", Stall: time.Minute})
	requireError(t, err, api.ErrorStalled)
}

// A target with a second server on the same link, or a job that nobody knows, is for an
// operator to look at.
func TestBootTargetRefused(t *testing.T) {
	p := newBootPlace(t)
	_, err := run(p.place, api.SetBootTarget, api.SetBootTargetInput{Target: "t1", Server: "s9", Link: bootLink, Job: api.JobWipe})
	requireError(t, err, api.ErrorRefused, "s9")
	_, err = run(p.place, api.SetBootTarget, api.SetBootTargetInput{Target: "t1", Server: "s1", Link: bootLink, Job: "polish"})
	requireError(t, err, api.ErrorOperator, "polish")
}
