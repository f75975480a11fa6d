package inventory_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

func freshDSN(t *testing.T) string {
	t.Helper()
	pg, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(pg.Uid)
	gid, _ := strconv.Atoi(pg.Gid)
	dir, err := os.MkdirTemp("/tmp", "invpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chown(dir, uid, gid)
	cred := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	bin := "/usr/lib/postgresql/15/bin/"
	c := exec.Command(bin+"initdb", "-A", "trust", "-N", "-U", "postgres", "-D", filepath.Join(dir, "d"))
	c.SysProcAttr = cred
	c.Dir = "/"
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	c = exec.Command(bin+"postgres", "-D", filepath.Join(dir, "d"), "-k", dir, "-c", "listen_addresses=", "-F")
	c.SysProcAttr = cred
	c.Dir = "/"
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Signal(syscall.SIGINT); c.Wait() })
	for range 200 {
		if conn, err := net.Dial("unix", dir+"/.s.PGSQL.5432"); err == nil {
			conn.Close()
			break
		}
		exec.Command("sleep", "0.05").Run()
	}
	_ = context.Background
	return "postgres://postgres@/postgres?host=" + dir
}
