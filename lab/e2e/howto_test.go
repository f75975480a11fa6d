package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"ferrodur/lab/rack"
)

// The how-to is followed with servers of the router, while the one of the switch of VLANs is
// brought into service.
func TestHowTo(t *testing.T) {
	ctx := within(t, 12*time.Minute)
	inService := make(chan struct{}) // the servers of the router
	t.Run("servers", func(t *testing.T) {
		t.Run("HowTo", func(t *testing.T) { howTo(t, inService) })
		t.Run("CabledElsewhere", func(t *testing.T) { cabledElsewhere(t, inService) })
	})
	mustHoldNothing(ctx, t)
}

// howTo: the commands do what it says, run in its order, up to where it comes to what goes
// wrong: that is told by the other tests.
func howTo(t *testing.T, inService chan<- struct{}) {
	t.Parallel()
	signal := sync.OnceFunc(func() { close(inService) })
	defer signal() // whatever comes
	ctx := within(t, 12*time.Minute)
	key := filepath.Join(t.TempDir(), "key.pub")
	must(t, os.WriteFile(key, ssh.MarshalAuthorizedKey(newTenant(t).key.PublicKey()), 0o600))
	here := strings.NewReplacer(
		"rack.yaml", filepath.Join(world.Rack, "rack.yaml"), "key.pub", key,
		"ewr1", rack.SiteName, "burn-in=1h", "burn-in=2s",
	)
	shows := map[string][]string{
		"servers":    {"s1", "s2", "available"},
		"show s1":    {"available", "/dev/vda", "burn-in", "bios"},
		"provision":  {"active", "198.51.100."},
		"status":     {"verify", "done"},
		"ip list":    {"instance/o-42", "/31", "/127"},
		"return":     {"wipe (undoing)", "  done\n"},
		"list -o":    {"[]"},
		"list --nee": {"[]"},
	}
	text, err := os.ReadFile("../../docs/howto.md")
	must(t, err)
	normal, _, found := strings.Cut(string(text), "## When something is parked")
	if !found {
		t.Fatal("the how-to has changed its sections")
	}
	ran := 0
	for line := range strings.Lines(normal) {
		command, is := strings.CutPrefix(strings.TrimSpace(line), "starter ")
		if !is {
			continue
		}
		ran++
		if strings.HasPrefix(command, "provision") {
			signal()
		}
		output, err := world.Starter(ctx, strings.Fields(here.Replace(command))...)
		t.Logf("starter %s\n%s", command, output)
		if err != nil {
			t.Fatalf("starter %s: %v", command, err)
		}
		for start, words := range shows {
			for _, word := range words {
				if strings.HasPrefix(command, start) && !strings.Contains(string(output), word) {
					t.Errorf("starter %s does not show %q", command, word)
				}
			}
		}
	}
	if ran < 12 {
		t.Errorf("only %d commands were found", ran)
	}
}
