// Package bind runs BIND's named, an authoritative DNS server that takes signed dynamic
// updates, for tests.
package bind

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Server is a running named.
type Server struct {
	Address string // host and port
	Key     string // TSIG key that may update all zones
	Secret  string // base64
}

// Algorithm is that of the key.
const Algorithm = "hmac-sha256"

// Start serves zones until the test ends. A server that is started at the address of one
// before it stands for a server that comes back.
func Start(t testing.TB, zones ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("named"); err != nil {
		t.Fatal("named is missing: install Debian's bind9, or run `go run ./lab prepare`")
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		t.Fatal(err)
	}
	server := &Server{Key: "ferrodur", Secret: base64.StdEncoding.EncodeToString(secret)}
	dir, port := t.TempDir(), freePort(t)
	server.Address = fmt.Sprintf("127.0.0.1:%d", port)
	var config strings.Builder
	fmt.Fprintf(&config, `
options {
	directory %q;
	listen-on port %d { 127.0.0.1; };
	listen-on-v6 { none; };
	pid-file none;
	session-keyfile none;
	managed-keys-directory %q;
	recursion no;
	notify no;
	dnssec-validation no;
};
controls { };
key %q { algorithm %s; secret %q; };
`, dir, port, dir, server.Key, Algorithm, server.Secret)
	for i, zone := range zones {
		file := fmt.Sprintf("zone%d", i)
		content := "$TTL 60\n@ IN SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 60\n@ IN NS ns.invalid.\n"
		write(t, filepath.Join(dir, file), content)
		fmt.Fprintf(&config, "zone %q { type primary; file %q; allow-update { key %q; }; };\n", zone, file, server.Key)
	}
	write(t, filepath.Join(dir, "named.conf"), config.String())

	var log bytes.Buffer
	named := exec.Command("named", "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
	named.Stdout, named.Stderr = &log, &log
	if err := named.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = named.Process.Kill()
		_ = named.Wait()
		if t.Failed() {
			t.Logf("named:\n%s", log.String())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		query := new(dns.Msg).SetQuestion(dns.Fqdn(zones[0]), dns.TypeSOA)
		if answer, err := dns.Exchange(query, server.Address); err == nil && answer.Rcode == dns.RcodeSuccess {
			return server
		}
		if time.Now().After(deadline) {
			t.Fatal("named does not answer")
		}
	}
}

// Lookup asks for the records of a name.
func (s *Server) Lookup(t testing.TB, name string, kind uint16) (values []string) {
	t.Helper()
	answer, err := dns.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), kind), s.Address)
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range answer.Answer {
		values = append(values, strings.TrimPrefix(record.String(), record.Header().String()))
	}
	return values
}

func write(t testing.TB, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
