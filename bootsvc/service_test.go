package bootsvc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/pin/tftp/v3"

	"ferrodur/bootsvc/job"
)

// site is a boot service on loopback with what it serves.
type site struct {
	store *Store
	url   string
	log   *syncBuffer
	stop  func()
}

type syncBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}

const imageText = "a compressed image"

func startSite(t *testing.T) site {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("UDP 67 and 69 need root")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"vmlinuz": "kernel", "agent.img": "agent", "burnin.img": "tools", "debian-12.raw.zst": imageText, "other.raw.zst": "not yours",
		"undionly.kpxe": strings.Repeat("loader", 1000),
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	s := site{store: NewStore(newPool(t)), log: new(syncBuffer)}
	service, err := New(Config{
		Store: s.store, Address: netip.MustParseAddr("127.77.0.1"), BootDir: dir, ImageDir: dir,
		LoaderDirs: []string{"/nonexistent", dir}, Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	must(t, err)
	s.url = service.URL()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the service ended with %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// from is an HTTP client with a local address.
func from(address string) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
}

// call makes one request as server r1-s01 and returns status and body.
func call(t *testing.T, method, url, token string, body any, header ...string) (int, string) {
	t.Helper()
	var text io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		must(t, err)
		text = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, text)
	must(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if len(header) == 2 {
		request.Header.Set(header[0], header[1])
	}
	response, err := from("127.77.1.1").Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(answer)
}

func status(t *testing.T, s *Store, id string) Status {
	t.Helper()
	got, err := s.Status(t.Context(), id)
	must(t, err)
	return got
}

func TestDHCPOverUDP(t *testing.T) {
	s := startSite(t)
	const machines = 40
	for i := range machines {
		target := inspect(fmt.Sprintf("m/%d", i))
		target.Server, target.MAC, target.RelayPort = fmt.Sprintf("s%d", i), fmt.Sprintf("52:54:00:00:01:%02x", i), fmt.Sprintf("swp%d", i)
		target.Relay = netip.AddrFrom4([4]byte{127, 77, 9, 0})
		target.Link = netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 77, 10, byte(2*i + 1)}), 31)
		must(t, s.store.Set(t.Context(), target))
	}
	relay, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 77, 9, 0), Port: 67})
	must(t, err)
	defer func() { _ = relay.Close() }()
	send := func(packet *dhcpv4.DHCPv4) {
		t.Helper()
		_, err := relay.WriteTo(packet.ToBytes(), &net.UDPAddr{IP: net.IPv4(127, 77, 0, 1), Port: 67})
		must(t, err)
	}
	for i := range machines {
		send(request(t, dhcpv4.MessageTypeDiscover, fmt.Sprintf("52:54:00:00:01:%02x", i), "127.77.9.0", fmt.Sprintf("swp%d", i),
			class("PXEClient", iana.INTEL_X86PC)))
	}
	send(request(t, dhcpv4.MessageTypeDiscover, "52:54:00:00:ff:ff", "127.77.9.0", "swp1")) // nobody's
	_, err = relay.WriteTo([]byte("no DHCP"), &net.UDPAddr{IP: net.IPv4(127, 77, 0, 1), Port: 67})
	must(t, err)

	offers := map[string]string{}
	buffer := make([]byte, 2048)
	for len(offers) < machines {
		must(t, relay.SetReadDeadline(time.Now().Add(5*time.Second)))
		n, _, err := relay.ReadFrom(buffer)
		if err != nil {
			t.Fatalf("%d offers, want %d: %v", len(offers), machines, err)
		}
		offer, err := dhcpv4.FromBytes(buffer[:n])
		must(t, err)
		offers[offer.ClientHWAddr.String()] = offer.YourIPAddr.String() + " " + string(offer.RelayAgentInfo().Get(dhcpv4.AgentCircuitIDSubOption))
	}
	if got := offers["52:54:00:00:01:07"]; got != "127.77.10.15 swp7" {
		t.Errorf("machine 7 was offered %q", got)
	}
	if got := status(t, s.store, "m/7"); got.Phase != job.PhaseDHCP {
		t.Errorf("phase %s", got.Phase)
	}

	// A second server cabled to the wrong port gets nothing, and the operator is told.
	send(request(t, dhcpv4.MessageTypeDiscover, "52:54:00:00:01:03", "127.77.9.0", "swp4"))
	must(t, relay.SetReadDeadline(time.Now().Add(500*time.Millisecond)))
	if _, _, err := relay.ReadFrom(buffer); err == nil {
		t.Error("a request from the wrong port, or of an unknown MAC, was answered")
	}
	if got := status(t, s.store, "m/3").Trouble; !strings.Contains(got, "on port swp4, expected swp3") {
		t.Errorf("trouble %q", got)
	}
}

func TestTFTP(t *testing.T) {
	startSite(t)
	client, err := tftp.NewClient("127.77.0.1:69")
	must(t, err)
	client.SetBlockSize(1400)
	client.RequestTSize(true)
	transfer, err := client.Receive("/undionly.kpxe", "octet")
	must(t, err)
	if size, ok := transfer.(tftp.IncomingTransfer).Size(); !ok || size != 6000 {
		t.Errorf("tsize %d, %v", size, ok)
	}
	var got bytes.Buffer
	if n, err := transfer.WriteTo(&got); err != nil || n != 6000 {
		t.Errorf("%d bytes, %v", n, err)
	}
	for _, name := range []string{"vmlinuz", "../etc/passwd", "/etc/passwd", "snponly.efi"} {
		if _, err := client.Receive(name, "octet"); err == nil {
			t.Errorf("%s was served", name)
		}
	}
}

func TestInstallOverHTTP(t *testing.T) {
	s := startSite(t)
	must(t, s.store.Set(t.Context(), install("i/1")))
	token := tokenOf(t, s.store, "52:54:00:00:00:01")

	_, script := call(t, "GET", s.url+"/ipxe/52:54:00:00:00:01", "", nil)
	if !strings.Contains(script, "ferrodur.token="+token) {
		t.Errorf("script\n%s", script)
	}
	if code, kernel := call(t, "GET", s.url+"/boot/vmlinuz", "", nil); code != 200 || kernel != "kernel" {
		t.Errorf("kernel: %d %q", code, kernel)
	}
	if got := status(t, s.store, "i/1").Phase; got != job.PhaseKernel {
		t.Errorf("phase %s", got)
	}
	code, body := call(t, "GET", s.url+"/agent/job", token, nil)
	var work job.Job
	if err := json.Unmarshal([]byte(body), &work); err != nil || code != 200 || work.Install.ConfigDrive["user-data"] != "the tenant's secret" {
		t.Fatalf("job: %d %v %s", code, err, body)
	}
	for _, test := range []struct {
		method, path, token string
		body                any
		header              []string
		code                int
		text                string
	}{
		{"GET", "/agent/job", "", nil, nil, 401, ""},
		{"GET", "/agent/job", "wrong", nil, nil, 401, ""},
		{"GET", "/images/debian-12.raw.zst", token, nil, []string{"Range", "bytes=2-11"}, 206, "compressed"},
		{"GET", "/images/other.raw.zst", token, nil, nil, 403, ""},
		{"GET", "/images/debian-12.raw.zst", "", nil, nil, 401, ""},
		{"GET", "/boot/debian-12.raw.zst", "", nil, nil, 404, ""},
		{"POST", "/agent/progress", token, job.Progress{Phase: job.PhaseWrite, Done: 1, Total: 4, Message: "at \x00"}, nil, 204, ""},
		{"POST", "/agent/progress", token, job.Progress{Phase: "leaving"}, nil, 400, ""},
		{"POST", "/agent/progress", token, strings.Repeat("x", maxProgress), nil, 413, ""},
		{"GET", "/healthz", "", nil, nil, 200, "ok\n"},
	} {
		code, text := call(t, test.method, s.url+test.path, test.token, test.body, test.header...)
		if code != test.code || test.text != "" && text != test.text {
			t.Errorf("%s %s: %d %q, want %d %q", test.method, test.path, code, text, test.code, test.text)
		}
	}

	// The agent's connection drops before the answer: the result counts, and may come again.
	result := job.Result{Installed: &job.Installed{Bytes: 7}}
	raw, err := json.Marshal(result)
	must(t, err)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	must(t, err)
	_, err = fmt.Fprintf(conn, "POST /agent/result HTTP/1.1\r\nHost: boot\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", token, len(raw), raw)
	must(t, err)
	must(t, conn.Close())
	for status(t, s.store, "i/1").Result == nil {
		time.Sleep(20 * time.Millisecond) // the test's own deadline ends this
	}
	if code, _ := call(t, "POST", s.url+"/agent/result", token, job.Result{Error: "again"}); code != 204 {
		t.Errorf("the result again: %d", code)
	}
	if got := status(t, s.store, "i/1"); got.Result.Error != "" || got.Result.Installed.Bytes != 7 || got.Phase != job.PhaseDone {
		t.Errorf("result %+v in phase %s", got.Result, got.Phase)
	}

	// The release reaches an agent that waits.
	time.AfterFunc(300*time.Millisecond, func() { _ = s.store.Release(context.Background(), "i/1", job.Reboot) })
	if code, body := call(t, "GET", s.url+"/agent/release", token, nil); code != 200 || !strings.Contains(body, `"then":"reboot"`) {
		t.Errorf("release: %d %s", code, body)
	}
	if got := status(t, s.store, "i/1").Phase; got != job.PhaseLeaving {
		t.Errorf("phase %s", got)
	}
	if _, script := call(t, "GET", s.url+"/ipxe/52:54:00:00:00:01", "", nil); !strings.Contains(script, "poweroff") || strings.Contains(script, token) {
		t.Errorf("a released machine that network-boots got\n%s", script)
	}

	// The tenant calls home, though the boot target is gone.
	must(t, s.store.Clear(t.Context(), "r1-s01"))
	if code, _ := call(t, "GET", s.url+"/agent/job", token, nil); code != 401 {
		t.Errorf("a dead token got %d", code)
	}
	vendor := work.Install.ConfigDrive["vendor-data"]
	_, home, _ := strings.Cut(vendor, "url: ")
	home, _, _ = strings.Cut(home, "\n")
	for _, hostname := range []string{"web1", "forged"} {
		response, err := from("127.77.5.5").PostForm(home, url.Values{
			"hostname": {hostname}, "instance_id": {"o-1"}, "pub_key_rsa": {"N/A"}, "pub_key_ed25519": {"ssh-ed25519 AAAA root@web1\n"}})
		must(t, err)
		_ = response.Body.Close()
		if response.StatusCode != 204 {
			t.Errorf("call home: %d", response.StatusCode)
		}
	}
	called, ok, err := s.store.CallHome(t.Context(), "o-1")
	if err != nil || !ok || called.Hostname != "web1" || called.Remote.String() != "127.77.5.5" || len(called.HostKeys) != 1 {
		t.Errorf("call home %+v, %v, %v", called, ok, err)
	}
	must(t, s.store.ForgetInstance(t.Context(), "o-1"))
	if code, _ := call(t, "POST", home, "", nil); code != 404 {
		t.Errorf("a forgotten instance's token got %d", code)
	}

	s.stop()
	log := s.log.String()
	if !strings.Contains(log, "target=i/1 server=r1-s01 method=POST path=/agent/result") {
		t.Errorf("the log does not tell whose result came:\n%s", log)
	}
	for _, secret := range []string{token, home[strings.LastIndex(home, "/")+1:], "tenant's secret"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestScriptOnlyForTheTargetsAddress(t *testing.T) {
	s := startSite(t)
	must(t, s.store.Set(t.Context(), inspect("a/1")))
	token := tokenOf(t, s.store, "52:54:00:00:00:01")
	response, err := from("127.77.6.6").Get(s.url + "/ipxe/52:54:00:00:00:01")
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	script, err := io.ReadAll(response.Body)
	must(t, err)
	if strings.Contains(string(script), token) || !strings.Contains(string(script), "poweroff") {
		t.Errorf("a stranger got\n%s", script)
	}
	if got := status(t, s.store, "a/1").Trouble; !strings.Contains(got, "127.77.6.6") {
		t.Errorf("trouble %q", got)
	}
}

func TestBurnInScript(t *testing.T) {
	target := live{Target: inspect("b/1"), token: "TOKEN"}
	target.Kind = job.BurnIn
	want := `#!ipxe
echo Ferrodur: burn-in
kernel http://192.0.2.1/boot/vmlinuz initrd=agent.img initrd=burnin.img ferrodur.url=http://192.0.2.1 ferrodur.token=TOKEN ferrodur.mac=52:54:00:00:00:01 ferrodur.address=127.77.1.1/31 ferrodur.gateway=127.77.1.0 console=tty0 console=ttyS0,115200 panic=10 || goto failed
initrd http://192.0.2.1/boot/agent.img || goto failed
initrd http://192.0.2.1/boot/burnin.img || goto failed
boot || goto failed
:failed
echo Ferrodur: the boot service did not deliver. Trying again in 10 seconds.
sleep 10 || goto failed
reboot || goto failed
`
	if got := bootScript("http://192.0.2.1", target); got != want {
		t.Errorf("script\n%s\nwant\n%s", got, want)
	}
}
