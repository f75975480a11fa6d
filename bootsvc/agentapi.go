package bootsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"ferrodur/bootsvc/job"
)

const (
	releasePatience = 25 * time.Second       // how long GET /agent/release waits
	releasePoll     = 250 * time.Millisecond // how often it looks
)

// agent lets a handler see the target whose token the request carries (RFC 6750). 401 means
// that the token is dead, and makes the agent power off; trouble of our own is a 503.
func (w *web) agent(handle func(http.ResponseWriter, *http.Request, live)) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		scheme, token, _ := strings.Cut(request.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			response.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(response, "a bearer token is needed", http.StatusUnauthorized)
			return
		}
		target, err := w.policy.targetOfToken(request.Context(), token)
		if err != nil {
			w.fail(response, http.StatusUnauthorized, err)
			return
		}
		concerns(response, target.Target)
		handle(response, request, target)
	}
}

func (w *web) job(response http.ResponseWriter, request *http.Request, t live) {
	work := job.Job{Target: t.ID, Server: t.Server, Kind: t.Kind, Inspect: t.Inspect, BurnIn: t.BurnIn}
	if t.Install != nil {
		seed := t.Install.Seed
		seed.CallHomeURL = w.base + "/call-home/" + t.callHomeToken
		drive, err := seed.Files()
		if err != nil {
			w.log.Error("config drive not built", "target", t.ID, "error", err)
			http.Error(response, "the config drive cannot be built", http.StatusInternalServerError)
			return
		}
		work.Install = &job.InstallSpec{Image: t.Install.Image, Disk: t.Install.Disk, ConfigDrive: drive}
	}
	if err := w.policy.reach(request.Context(), t.ID, job.PhaseAgent); err != nil {
		w.fail(response, http.StatusUnauthorized, err)
		return
	}
	writeJSON(response, work)
}

func (w *web) progress(response http.ResponseWriter, request *http.Request, t live) {
	var p job.Progress
	if !readJSON(response, request, &p) {
		return
	}
	switch p.Phase {
	case job.PhaseAgent, job.PhaseInspect, job.PhaseWrite, job.PhaseConfig, job.PhaseTest, job.PhaseWipe, job.PhaseProve:
	default:
		http.Error(response, fmt.Sprintf("phase %q is not one an agent reports", p.Phase), http.StatusBadRequest)
		return
	}
	p.Message = plainText(p.Message)
	if err := w.policy.progress(request.Context(), t.ID, p); err != nil {
		w.fail(response, http.StatusUnauthorized, err)
		return
	}
	response.WriteHeader(http.StatusNoContent)
}

// result answers 204 only when the result is committed: after it the agent forgets.
func (w *web) result(response http.ResponseWriter, request *http.Request, t live) {
	var r job.Result
	if !readJSON(response, request, &r) {
		return
	}
	// The commit is not to depend on whether the agent still waits for the answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(request.Context()), 20*time.Second)
	defer cancel()
	if err := w.policy.storeResult(ctx, t.ID, r); err != nil {
		w.fail(response, http.StatusUnauthorized, err)
		return
	}
	response.WriteHeader(http.StatusNoContent)
}

// release waits for the release of the agent. Asked again it answers the same, should the
// first answer have been lost.
func (w *web) release(response http.ResponseWriter, request *http.Request, t live) {
	ctx := request.Context()
	end := time.NewTimer(releasePatience)
	defer end.Stop()
	poll := time.NewTicker(releasePoll)
	defer poll.Stop()
	token := t.token
	for t.release == "" {
		select {
		case <-ctx.Done():
			return
		case <-w.stopping:
			response.WriteHeader(http.StatusNoContent)
			return
		case <-end.C:
			response.WriteHeader(http.StatusNoContent)
			return
		case <-poll.C:
		}
		var err error
		if t, err = w.policy.targetOfToken(ctx, token); err != nil {
			w.fail(response, http.StatusUnauthorized, err)
			return
		}
	}
	if err := w.policy.reach(ctx, t.ID, job.PhaseLeaving); err != nil {
		w.fail(response, http.StatusUnauthorized, err)
		return
	}
	writeJSON(response, job.Release{Then: t.release})
}

func (w *web) image(response http.ResponseWriter, request *http.Request, t live) {
	name := request.PathValue("name")
	if t.Install == nil || t.Install.Image.Name != name {
		http.Error(response, "this boot target installs another image", http.StatusForbidden)
		return
	}
	w.serveFile(response, request, w.imageDir, name)
}

// hostKeyFields are the form fields in which cloud-init posts public host keys
// (cc_phone_home). A key that a machine does not have is posted as "N/A".
func hostKeyFields() []string { return []string{"pub_key_ed25519", "pub_key_ecdsa", "pub_key_rsa"} }

func (w *web) callHome(response http.ResponseWriter, request *http.Request) {
	if err := request.ParseForm(); err != nil {
		http.Error(response, "not a form that can be read", http.StatusBadRequest)
		return
	}
	call := CallHome{Remote: remoteAddr(request), Hostname: plainText(request.PostForm.Get("hostname")), HostKeys: []string{}}
	for _, field := range hostKeyFields() {
		if key := strings.TrimSpace(plainText(request.PostForm.Get(field))); key != "" && key != "N/A" {
			call.HostKeys = append(call.HostKeys, key)
		}
	}
	if err := w.policy.recordCallHome(request.Context(), request.PathValue("token"), call); err != nil {
		w.fail(response, http.StatusNotFound, err)
		return
	}
	response.WriteHeader(http.StatusNoContent)
}

// note records trouble; that it could not is worth a line in the log only.
func (w *web) note(ctx context.Context, target, what string) {
	if err := w.policy.trouble(ctx, target, what); err != nil {
		w.log.Warn("trouble not recorded", "trouble", what, "error", err)
	}
}

// plainText is text from outside as PostgreSQL takes it: UTF-8 without NUL.
func plainText(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "�"), "\x00", "�")
}

// printableMAC is a MAC in lower-case colon form, or one that nothing has: what came in a
// path is not for a script or a look-up as it is.
func printableMAC(text string) string {
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 {
		return "00:00:00:00:00:00"
	}
	return mac.String()
}

func writeJSON(response http.ResponseWriter, value any) {
	response.Header().Set("Content-Type", "application/json")
	response.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(response).Encode(value) // a client that left asks again
}

// readJSON decodes the body, or answers 400 or 413.
func readJSON(response http.ResponseWriter, request *http.Request, into any) bool {
	err := json.NewDecoder(request.Body).Decode(into)
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case errors.As(err, &tooLarge):
		http.Error(response, fmt.Sprintf("more than %d bytes", tooLarge.Limit), http.StatusRequestEntityTooLarge)
	default:
		http.Error(response, "not the JSON that is expected here", http.StatusBadRequest)
	}
	return false
}
