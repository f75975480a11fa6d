package ipam_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"ferrodur/ipam"
	"ferrodur/lab/postgres"
)

const (
	killOrders  = 10_000
	killClients = 32
)

// PostgreSQL crashes again and again under 32 clients who place 10 000 orders: what was
// acknowledged is there, nobody has two links of a family or half of what he asked for,
// and who asks again gets the same.
func TestPostgresCrashes(t *testing.T) {
	cluster, database := crashable(t)
	store := prepared(t, database)
	var done atomic.Int64
	stop := make(chan struct{})
	var crashes int
	var crasher sync.WaitGroup
	crasher.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(100+rand.IntN(250)) * time.Millisecond):
			}
			if err := cluster.cluster.Kill(); err != nil {
				t.Error(err)
			}
			cluster.start(t)
			crashes++
		}
	})
	acknowledged := make([]ipam.Links, killOrders)
	var clients sync.WaitGroup
	for client := range killClients {
		clients.Go(func() {
			for n := client; n < killOrders && t.Context().Err() == nil; n += killClients {
				for {
					links, err := store.AllocateLinks(t.Context(), request(fmt.Sprint("instance/", n)))
					if err == nil {
						acknowledged[n] = links
						done.Add(1)
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	crasher.Wait()
	if crashes < 3 {
		t.Errorf("PostgreSQL crashed %d times only", crashes)
	}
	t.Logf("%d orders, %d crashes", done.Load(), crashes)
	database.Reset() // of connections that the last crash has cut
	mustBeHeld(t, store, acknowledged)
}

// A client is killed again and again among its orders, and another goes on: the same.
func TestClientsAreKilled(t *testing.T) {
	if dsn := os.Getenv("FERRODUR_KILLED_CLIENT"); dsn != "" {
		killedClient(t, dsn)
		return
	}
	database, err := pgxpool.New(context.Background(), postgres.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	store := prepared(t, database)
	acknowledged := make([]ipam.Links, killOrders)
	kills, told := 0, 0
	for told < killOrders {
		client := exec.Command(os.Args[0], "-test.run=^TestClientsAreKilled$", "-test.v")
		client.Env = append(os.Environ(), "FERRODUR_KILLED_CLIENT="+database.Config().ConnString(), fmt.Sprint("FERRODUR_KILLED_FROM=", told))
		output, err := client.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		var kill *time.Timer // from the first answer on, so that each client gets something done
		for lines := bufio.NewScanner(output); lines.Scan(); {
			var n int
			var v4, v6 string
			if _, err := fmt.Sscanf(lines.Text(), "order %d %s %s", &n, &v4, &v6); err != nil || !strings.HasSuffix(lines.Text(), " .") {
				continue // not an order, or one that the kill cut off
			}
			links := ipam.Links{IPv4: ipam.Link{Pool: "a4", Prefix: netip.MustParsePrefix(v4)}, IPv6: ipam.Link{Pool: "a6", Prefix: netip.MustParsePrefix(v6)}}
			if was := acknowledged[n]; was.IPv4.Prefix.IsValid() && was != links {
				t.Fatalf("order %d was answered %v, and then %v", n, was, links)
			}
			acknowledged[n] = links
			if kill == nil {
				kill = time.AfterFunc(time.Duration(20+rand.IntN(200))*time.Millisecond, func() { _ = client.Process.Kill() })
			}
		}
		if err := client.Wait(); err != nil {
			kills++
		}
		if kill != nil {
			kill.Stop()
		}
		for told < killOrders && acknowledged[told].IPv4.Prefix.IsValid() {
			told++
		}
	}
	if kills < 2 {
		t.Errorf("a client was killed %d times only", kills)
	}
	t.Logf("%d kills", kills)
	mustBeHeld(t, store, acknowledged)
}

// killedClient places the orders from a number on, and tells each answer on a line.
func killedClient(t *testing.T, dsn string) {
	database, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	store := ipam.New(database)
	var from int
	if _, err := fmt.Sscan(os.Getenv("FERRODUR_KILLED_FROM"), &from); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var clients sync.WaitGroup
	for client := range killClients {
		clients.Go(func() {
			for n := from + client; n < killOrders; n += killClients {
				links, err := store.AllocateLinks(t.Context(), request(fmt.Sprint("instance/", n)))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				fmt.Printf("order %d %s %s .\n", n, links.IPv4.Prefix, links.IPv6.Prefix)
				mu.Unlock()
			}
		})
	}
	clients.Wait()
}

// mustBeHeld compares the answers with what is stored, and with what is answered now.
func mustBeHeld(t *testing.T, store *ipam.Store, acknowledged []ipam.Links) {
	t.Helper()
	held, err := store.Allocations(t.Context(), ipam.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if len(held) != 2*len(acknowledged) {
		t.Errorf("%d links are held, want %d", len(held), 2*len(acknowledged))
	}
	stored := map[string]ipam.Links{}
	for _, h := range held {
		links := stored[h.Owner]
		if h.Prefix.Addr().Is4() {
			links.IPv4 = h.Link
		} else {
			links.IPv6 = h.Link
		}
		stored[h.Owner] = links
	}
	for n, links := range acknowledged {
		owner := fmt.Sprint("instance/", n)
		if stored[owner] != links {
			t.Fatalf("%s was answered %v and has %v", owner, links, stored[owner])
		}
		if n%100 == 0 {
			if again, err := store.AllocateLinks(t.Context(), request(owner)); err != nil || again != links {
				t.Fatalf("%s was answered %v, and then %v (%v)", owner, links, again, err)
			}
		}
	}
}

// crashing is a cluster that can be killed and started again on the same port.
type crashing struct {
	dir     string
	cluster *postgres.Cluster
}

func crashable(t *testing.T) (*crashing, *pgxpool.Pool) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ferrodur-crash-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c := &crashing{dir: dir + "/postgres"}
	t.Cleanup(func() {
		if err := c.cluster.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	c.start(t)
	if err := c.cluster.CreateDatabase(t.Context(), "crash"); err != nil {
		t.Fatal(err)
	}
	database, err := pgxpool.New(context.Background(), c.cluster.DSN("crash"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	return c, database
}

func (c *crashing) start(t *testing.T) {
	var err error
	if c.cluster, err = postgres.Start(t.Context(), postgres.Config{Dir: c.dir}); err != nil {
		t.Error(err)
	}
}

// prepared is a store with pools enough.
func prepared(t *testing.T, database *pgxpool.Pool) *ipam.Store {
	t.Helper()
	if err := ipam.Migrate(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	store := ipam.New(database)
	if err := store.PutPools(t.Context(), []ipam.Pool{pool("a4", "10.0.0.0/16", 0), pool("a6", "2001:db8::/64", 0)}, ipam.By{}); err != nil {
		t.Fatal(err)
	}
	return store
}
