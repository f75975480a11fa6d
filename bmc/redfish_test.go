package bmc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"ferrodur/bmc"
)

// redfishBMC keeps to DSP0266 as far as power and boot order go, over TLS with a
// certificate of its own, as BMCs do.
type redfishBMC struct {
	mutex    sync.Mutex
	power    string
	boot     map[string]any
	deaf     bool // says OK and does nothing
	resets   []string
	sessions int
}

func newRedfishBMC(t *testing.T) (*redfishBMC, bmc.Endpoint) {
	t.Helper()
	b := &redfishBMC{power: "Off", boot: map[string]any{
		"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None", "BootSourceOverrideMode": "UEFI",
	}}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /redfish/v1/{$}", b.root)
	routes.HandleFunc("POST /redfish/v1/SessionService/Sessions", b.session)
	routes.HandleFunc("GET /redfish/v1/Systems", b.guarded(b.systems))
	routes.HandleFunc("GET /redfish/v1/Systems/1", b.guarded(b.system))
	routes.HandleFunc("PATCH /redfish/v1/Systems/1", b.guarded(b.patch))
	routes.HandleFunc("POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset", b.guarded(b.reset))
	server := httptest.NewUnstartedServer(routes)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // a greeting is no TLS handshake
	server.StartTLS()
	t.Cleanup(server.Close)
	return b, bmc.Endpoint{Server: "s2", Address: strings.TrimPrefix(server.URL, "https://"), User: "admin", Password: password}
}

func (b *redfishBMC) guarded(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "admin" || pass != password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		b.mutex.Lock()
		defer b.mutex.Unlock()
		handle(w, r)
	}
}

func (b *redfishBMC) root(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{"@odata.id": "/redfish/v1/", "Id": "RootService", "RedfishVersion": "1.15.0",
		"Systems": map[string]any{"@odata.id": "/redfish/v1/Systems"},
		"Links":   map[string]any{"Sessions": map[string]any{"@odata.id": "/redfish/v1/SessionService/Sessions"}}})
}

func (b *redfishBMC) session(w http.ResponseWriter, _ *http.Request) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.sessions++
	w.WriteHeader(http.StatusServiceUnavailable)
}

func (b *redfishBMC) systems(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{"@odata.id": "/redfish/v1/Systems",
		"Members": []any{map[string]any{"@odata.id": "/redfish/v1/Systems/1"}}, "Members@odata.count": 1})
}

func (b *redfishBMC) system(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{"@odata.id": "/redfish/v1/Systems/1", "Id": "1", "PowerState": b.power, "Boot": b.boot,
		"Actions": map[string]any{"#ComputerSystem.Reset": map[string]any{
			"target":                            "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
			"ResetType@Redfish.AllowableValues": []string{"On", "ForceOff", "ForceRestart"}}}})
}

func (b *redfishBMC) patch(w http.ResponseWriter, r *http.Request) {
	var change struct{ Boot map[string]any }
	if err := json.NewDecoder(r.Body).Decode(&change); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for key, value := range change.Boot {
		if !b.deaf {
			b.boot[key] = value
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (b *redfishBMC) reset(w http.ResponseWriter, r *http.Request) {
	var action struct{ ResetType string }
	if err := json.NewDecoder(r.Body).Decode(&action); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.resets = append(b.resets, action.ResetType)
	if state := map[string]string{"On": "On", "ForceOff": "Off"}[action.ResetType]; state != "" && !b.deaf {
		b.power = state
	}
	w.WriteHeader(http.StatusNoContent)
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func TestRedfish(t *testing.T) {
	b, endpoint := newRedfishBMC(t)
	c, ctx := controller(t, quick), t.Context()

	info, err := c.Probe(ctx, endpoint)
	must(t, err)
	if want := (bmc.Info{Power: bmc.Off, Provider: "redfish"}); info != want {
		t.Errorf("got %+v, want %+v", info, want)
	}
	must(t, c.PowerOn(ctx, endpoint))
	must(t, c.PowerOn(ctx, endpoint))
	must(t, c.Cycle(ctx, endpoint))
	must(t, c.SetBootDevice(ctx, endpoint, bmc.Network, true))
	if b.boot["BootSourceOverrideTarget"] != "Pxe" || b.boot["BootSourceOverrideEnabled"] != "Once" || b.boot["BootSourceOverrideMode"] != "UEFI" {
		t.Errorf("boot %v", b.boot)
	}
	must(t, c.SetBootDevice(ctx, endpoint, bmc.Disk, true))
	if b.boot["BootSourceOverrideTarget"] != "Hdd" || b.boot["BootSourceOverrideEnabled"] != "Continuous" {
		t.Errorf("boot %v", b.boot)
	}
	if got := strings.Join(b.resets, " "); got != "On ForceOff On" {
		t.Errorf("resets %s", got)
	}
	if b.sessions != 0 {
		t.Errorf("opened %d sessions", b.sessions)
	}

	b.deaf = true
	var notKept *bmc.NotKeptError
	if err := c.PowerOff(ctx, endpoint); !errors.As(err, &notKept) || notKept.Got != "on" {
		t.Error(err)
	}
	if err := c.SetBootDevice(ctx, endpoint, bmc.Network, true); !errors.As(err, &notKept) || notKept.Got != "disk" {
		t.Error(err)
	}
	endpoint.Password = "wrong"
	if _, err := c.PowerState(ctx, endpoint); !errors.Is(err, bmc.ErrCredentials) {
		t.Error(err)
	}
	if _, err := controller(t, quick).Probe(ctx, endpoint); !errors.Is(err, bmc.ErrCredentials) {
		t.Error(err)
	}
}

// A BMC that accepts connections and answers nothing.
func TestRedfishFrozen(t *testing.T) {
	b, endpoint := newRedfishBMC(t)
	c := controller(t, quick)
	_, err := c.Probe(t.Context(), endpoint)
	must(t, err)
	b.mutex.Lock()
	started := time.Now()
	_, err = c.PowerState(t.Context(), endpoint)
	if !errors.Is(err, bmc.ErrUnreachable) {
		t.Error(err)
	}
	if took := time.Since(started); took > 4*time.Second {
		t.Errorf("took %s", took)
	}
	_, err = c.Probe(t.Context(), endpoint) // finds no way now
	if !errors.Is(err, bmc.ErrUnreachable) {
		t.Error(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	started = time.Now()
	_, err = c.PowerState(cancelled, endpoint)
	b.mutex.Unlock()
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if took := time.Since(started); took > time.Second {
		t.Errorf("took %s after the end of its context", took)
	}
}

// A web interface at Redfish's port does not keep IPMI from being found.
func TestWebInterfaceIsNotRedfish(t *testing.T) {
	r := newRig(t)
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	must(t, web.Listener.Close())
	var err error
	web.Listener, err = net.Listen("tcp", r.endpoint.Address)
	must(t, err)
	web.StartTLS()
	defer web.Close()
	info, err := controller(t, quick).Probe(t.Context(), r.endpoint)
	must(t, err)
	if info.Provider != "ipmi" {
		t.Errorf("%+v", info)
	}
}
