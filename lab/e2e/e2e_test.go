// Package e2e tests all of Ferrodur on the virtual rack: real servers, BMCs, switch,
// Temporal and PostgreSQL. Every check looks at the real thing, never at a workflow's
// word alone. The tests share one stack and run one after another, but for those that are
// at work on different servers.
package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"ferrodur/lab/machine"
	"ferrodur/lab/rack"
	"ferrodur/lab/stack"
	"ferrodur/workflows/api"
)

// world is the stack that the tests share.
var world *stack.Stack

func TestMain(m *testing.M) {
	// Not stopped, which would look like an interrupt at the end.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	os.Exit(run(ctx, m))
}

func run(ctx context.Context, m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Println("skipped: the end-to-end tests need root, for the network namespaces of the virtual rack")
		return 0
	}
	dir, err := emptyFolder()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	servers := stack.Servers()
	for i := range servers {
		servers[i].DualHomed = true
	}
	world, err = stack.Start(ctx, stack.Config{
		Dir: filepath.Join(dir, "s"), Prefix: "e2e", Out: os.Stdout,
		Servers: append(servers, rack.Server{Firmware: machine.BIOS, Bridged: true, DualHomed: true}),
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	go func() { // a test that hangs is interrupted by hand, and must leave nothing behind
		<-ctx.Done()
		if err := world.Stop(context.Background()); err != nil {
			fmt.Println(err)
		}
		os.Exit(1)
	}()
	code := m.Run()
	if err := world.Stop(context.Background()); err != nil {
		fmt.Println(err)
		code = 1
	}
	if code != 0 {
		fmt.Println("logs and consoles are kept in", dir)
		return code
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Println(err)
		return 1
	}
	return code
}

// emptyFolder is where all of it is kept. It is the same each time, for a run that was killed
// leaves gigabytes of disks behind.
func emptyFolder() (string, error) {
	dir := filepath.Join(os.TempDir(), "ferrodur-e2e")
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil { // until the process ends
		return "", fmt.Errorf("%s: another run of these tests is under way: %w", lock.Name(), err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	// PostgreSQL's user has to get to his folder below.
	return dir, errors.Join(os.Mkdir(dir, 0o755), os.Chmod(dir, 0o755))
}

// limits are those of a rack whose servers are emulated.
func limits() api.Limits {
	return api.Limits{Boot: 2 * time.Minute, Stall: time.Minute, CallHome: 5 * time.Minute, BurnIn: 2 * time.Second}
}

// tenant is a customer with an order.
type tenant struct {
	order string
	key   ssh.Signer
}

// newTenant makes an order that is not placed yet. Its ID tells the test.
func newTenant(t *testing.T) tenant {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	key, err := ssh.NewSignerFromKey(private)
	must(t, err)
	name := regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(strings.TrimPrefix(path.Base(t.Name()), "Test"), "$1-$2")
	return tenant{order: strings.ToLower(name + "-" + rand.Text()[:8]), key: key}
}

func (c tenant) id() string { return api.InstanceID(c.order) }

func (c tenant) asks() api.Order {
	return api.Order{
		ID: c.order, Site: rack.SiteName, Plan: rack.PlanName, Image: stack.Image, Limits: limits(),
		SSHKeys: []string{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(c.key.PublicKey())))},
	}
}

// login logs in and returns what the machine says of itself.
func (c tenant) login(ctx context.Context, t *testing.T, state api.State) string {
	t.Helper()
	return c.says(ctx, t, state, "hostname; ip -brief address show dev eth0; cat /etc/debian_version; cat /etc/tenant || true")
}

// says is what a program on the machine prints.
func (c tenant) says(ctx context.Context, t *testing.T, state api.State, program string) string {
	t.Helper()
	output, err := world.Login(ctx, state.Addresses, "debian", c.key, program)
	must(t, err)
	return output
}

// giveBack returns an active order and waits until it has ended.
func (c tenant) giveBack(ctx context.Context, t *testing.T) {
	t.Helper()
	_, err := world.Client.Return(ctx, c.order)
	must(t, err)
	_, err = world.Client.WaitEnded(ctx, c.id())
	must(t, err)
}

// enrolled has every server of the router in service.
func enrolled(ctx context.Context, t *testing.T) {
	t.Helper()
	status, err := rack.Inspect(world.Rack)
	must(t, err)
	var servers []string
	for _, server := range status.Servers {
		if server.Switch == rack.SwitchName {
			servers = append(servers, server.Name)
		}
	}
	enroll(ctx, t, servers...)
	awaitEnrolled(ctx, t, servers...)
}

// enroll begins to bring servers into service that are not on their way there.
func enroll(ctx context.Context, t *testing.T, servers ...string) {
	t.Helper()
	for _, server := range servers {
		found, err := world.Inventory.Server(ctx, server)
		must(t, err)
		if found.State == "enrolled" {
			must(t, world.Client.Enroll(ctx, api.EnrollInput{Server: server, Limits: limits()}))
		}
	}
}

func awaitEnrolled(ctx context.Context, t *testing.T, servers ...string) {
	t.Helper()
	for _, server := range servers {
		found, err := world.Inventory.Server(ctx, server)
		must(t, err)
		if found.State != "available" {
			await(ctx, t, api.EnrollID(server), "the end", func(state api.State, _ api.Progress) bool {
				if state.Status == api.StatusParked {
					t.Fatalf("%s is parked: %s", server, state.Reason)
				}
				return state.Status == api.StatusDone
			})
		}
	}
}

// mustHoldNothing looks at database, switch and power.
func mustHoldNothing(ctx context.Context, t *testing.T) {
	t.Helper()
	held, err := world.Held(ctx)
	must(t, err)
	if len(held) > 0 {
		t.Errorf("still held: %s", strings.Join(held, "; "))
	}
}

// mustBeWiped reads the disk's own bytes.
func mustBeWiped(t *testing.T, server string) {
	t.Helper()
	holds, err := world.DiskHolds(server)
	must(t, err)
	if holds {
		t.Errorf("the disk of %s holds data", server)
	}
}

// powerOns counts how often a server was powered on so far.
func powerOns(t *testing.T, server string) int {
	t.Helper()
	m, err := world.Machine(server)
	must(t, err)
	events, err := m.PowerEvents()
	must(t, err)
	count := 0
	for _, event := range events {
		if event.Kind == machine.PowerOn {
			count++
		}
	}
	return count
}

// await waits until a workflow's snapshot is as wanted.
func await(ctx context.Context, t *testing.T, id, what string, reached func(api.State, api.Progress) bool) api.State {
	t.Helper()
	var last api.State
	for snapshot, err := range world.Client.Watch(ctx, id, 200*time.Millisecond) {
		must(t, err)
		var progress api.Progress
		for _, activity := range snapshot.Activities {
			progress = activity.Progress
		}
		if last = snapshot.State; reached(snapshot.State, progress) {
			return snapshot.State
		}
	}
	t.Fatalf("%s ended as %s (%s) before %s", id, last.Status, last.Reason, what)
	return last
}

// within bounds a test, and says what it did when it ran out of time.
func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	if world == nil {
		t.Fatal("there is no stack")
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
