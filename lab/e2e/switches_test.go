package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"ferrodur/client"
	"ferrodur/lab/rack"
	"ferrodur/workflows/api"
)

// The commands of the document on switches do what it says, in its order, while somebody
// changes a port by hand and an order waits for the switch.
func TestSwitches(t *testing.T) {
	ctx := within(t, 8*time.Minute)
	enrolled(ctx, t)
	server, err := world.Inventory.Server(ctx, "s1")
	must(t, err)
	other, err := world.Inventory.Server(ctx, "s2")
	must(t, err)
	c := newTenant(t)
	sw1 := api.SwitchRef{Switch: rack.SwitchName, Site: rack.SiteName}
	approved := make(chan error, 1)
	declared, err := world.Inventory.Switch(ctx, rack.SwitchName)
	must(t, err)
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(declared.HostKey))
	must(t, err)
	here := strings.NewReplacer("SHA256:…", ssh.FingerprintSHA256(key))
	before := map[string]func(){
		"trust sw1": func() { must(t, world.Inventory.TrustSwitch(ctx, rack.SwitchName, declared.HostKey, "")) },
		"queue sw1 -o json": func() { // paused
			must(t, world.Client.Provision(ctx, c.asks()))
			await(ctx, t, c.id(), "wait for the switch", func(s api.State, _ api.Progress) bool { return s.WaitsFor == api.SwitchID(rack.SwitchName) })
			time.Sleep(time.Second) // in which a switch that is not paused would be done
		},
		"resume sw1": func() {
			_, err := world.Client.Abort(ctx, c.id()) // its port is to be closed instead
			must(t, err)
		},
		"ask sw1": func() {
			if _, err := world.Client.WaitEnded(ctx, c.id()); !errors.Is(err, client.ErrEnded) {
				t.Errorf("the order that was aborted while it waited: %v", err)
			}
		},
		"approve sw1": func() {
			go func() {
				results, err := world.Client.SetPorts(ctx, sw1, api.PortRequest{
					Port: server.Port, ConfigurePortInput: api.ConfigurePortInput{Server: "s1", Profile: api.QuarantineProfile},
				})
				approved <- errors.Join(err, problem(results))
			}()
			for state := (api.SwitchState{}); len(state.Queue) == 0 || state.Queue[0].Preview == nil; time.Sleep(100 * time.Millisecond) {
				state, err = world.Client.SwitchState(ctx, sw1)
				must(t, err)
			}
		},
		"dry-run sw1": func() { must(t, <-approved) },
		"diff sw1": func() {
			must(t, world.ConfigureByHand(ctx, "interface "+server.Port, "no shutdown", "exit", "interface "+other.Port, "no shutdown"))
		},
	}
	shows := map[string][]string{
		"trust sw1":         {ssh.FingerprintSHA256(key)},
		"trust sw1 --":      {"this key"},
		"list":              {"sw1", "apply", "frr"},
		"show sw1":          {"s1", "s2", "quarantine"},
		"pause sw1":         {"mode paused"},
		"queue sw1 -o json": {`"profile": "provisioning"`, `"reason": "change 4711"`, c.id()},
		"resume sw1":        {"mode apply"},
		"ask sw1":           {"mode ask"},
		"approve sw1":       {"1 of 1 changes"},
		"diff sw1":          {server.Port, other.Port, "+ interface " + server.Port + " / shutdown"},
		"drift":             {server.Port, "s1"},
		"apply sw1":         {server.Port, other.Port, "+ interface " + server.Port + " / shutdown"},
	}
	text, err := os.ReadFile("../../docs/switches.md")
	must(t, err)
	ran := 0
	for line := range strings.Lines(string(text)) {
		command, is := strings.CutPrefix(strings.TrimSpace(line), "starter switch ")
		if !is {
			continue
		}
		ran++
		if prepare := before[command]; prepare != nil {
			prepare()
			delete(before, command)
		}
		output, err := world.Starter(ctx, append([]string{"switch"}, words(here.Replace(command))...)...)
		t.Logf("starter switch %s\n%s", command, output)
		if err != nil {
			t.Fatalf("starter switch %s: %v", command, err)
		}
		for start, words := range shows {
			if strings.HasPrefix(command, start) && (start != "drift" || command == "drift") {
				for _, word := range words {
					if !strings.Contains(string(output), word) {
						t.Errorf("starter switch %s does not show %q", command, word)
					}
				}
			}
		}
	}
	if ran < 14 || len(before) > 0 {
		t.Errorf("%d commands were found, and none for %d of the preparations", ran, len(before))
	}
	// Nothing has drifted any more, and the switch says so itself.
	output, err := world.Starter(ctx, "switch", "diff", rack.SwitchName, "--exit-code", "-o", "json")
	must(t, err)
	var reports []api.AuditReport
	must(t, json.Unmarshal(output, &reports))
	if len(reports) != 1 || reports[0].Ports != len(declared.Ports) || len(reports[0].Drift) > 0 {
		t.Errorf("afterwards the switch is %+v", reports)
	}
	mustHoldNothing(ctx, t)
}

func problem(results []api.PortResult) error {
	for _, r := range results {
		if r.Error != "" {
			return errors.New(r.Error)
		}
	}
	return nil
}

// words splits a command line as a shell does, as far as the documents need it.
func words(command string) []string {
	var all []string
	for _, word := range regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(command, -1) {
		all = append(all, strings.Trim(word, `"`))
	}
	return all
}
