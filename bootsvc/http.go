package bootsvc

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"ferrodur/bootsvc/job"
)

// What a client may send at most, in bytes.
const (
	maxProgress = 64 << 10
	maxResult   = 4 << 20
	maxCallHome = 64 << 10
)

// web serves everything after the first loader.
type web struct {
	policy     policy
	base       string // URL of this service
	bootDir    *os.Root
	imageDir   *os.Root
	loaderDirs []string
	stopping   <-chan struct{} // closed when long polls are to end
	log        *slog.Logger
}

// routes is all that is served. Who may ask: anyone, a target's address, a target's agent
// by its bearer token, or a call-home token in the path.
func (w *web) routes() http.Handler {
	mux := http.NewServeMux()
	for _, route := range []struct {
		pattern string
		maxBody int64
		handler http.HandlerFunc
	}{
		{"GET /healthz", 0, w.health},                              // anyone
		{"GET /loader/{name}", 0, w.loader},                        // anyone: first loader, UEFI HTTP boot
		{"GET /ipxe/{mac}", 0, w.script},                           // the target's address
		{"GET /boot/{name}", 0, w.bootFile},                        // anyone: kernel and images
		{"GET /agent/job", 0, w.agent(w.job)},                      // bearer token
		{"POST /agent/progress", maxProgress, w.agent(w.progress)}, // bearer token
		{"POST /agent/result", maxResult, w.agent(w.result)},       // bearer token
		{"GET /agent/release", 0, w.agent(w.release)},              // bearer token
		{"GET /images/{name}", 0, w.agent(w.image)},                // bearer token, the target's own image
		{"POST /call-home/{token}", maxCallHome, w.callHome},       // the token in the path
	} {
		mux.Handle(route.pattern, http.MaxBytesHandler(route.handler, route.maxBody))
	}
	return w.logged(mux)
}

// logged writes a line for each request. The call-home token is the only secret in a path;
// headers and bodies are never logged.
func (w *web) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		start := time.Now()
		recorder := &statusRecorder{ResponseWriter: response, status: http.StatusOK}
		next.ServeHTTP(recorder, request)
		path := request.URL.Path
		if strings.HasPrefix(path, "/call-home/") {
			path = "/call-home/…"
		}
		log := w.log
		if recorder.target.ID != "" {
			log = log.With("target", recorder.target.ID, "server", recorder.target.Server)
		}
		log.Info("HTTP", "method", request.Method, "path", path, "client", request.RemoteAddr,
			"status", recorder.status, "seconds", time.Since(start).Seconds())
	})
}

// statusRecorder keeps what the log tells of a request.
type statusRecorder struct {
	http.ResponseWriter
	status int
	target Target // that the request is about, if one is
}

// concerns has the log tell which boot target a request is about.
func concerns(response http.ResponseWriter, target Target) {
	if recorder, is := response.(*statusRecorder); is {
		recorder.target = target
	}
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets net/http find the connection, for sendfile and deadlines.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// fail answers a failure of the store: gone for good, or worth another try.
func (w *web) fail(response http.ResponseWriter, gone int, err error) {
	if errors.Is(err, ErrNoTarget) {
		http.Error(response, http.StatusText(gone), gone)
		return
	}
	w.log.Error("boot targets out of reach", "error", err)
	response.Header().Set("Retry-After", "1")
	http.Error(response, "the boot service cannot reach its database; try again", http.StatusServiceUnavailable)
}

func (w *web) health(response http.ResponseWriter, _ *http.Request) {
	_, _ = response.Write([]byte("ok\n"))
}

// script answers iPXE with what the machine is to boot. A boot script holds a token, so
// that only the address of the target gets it, and the port that has this address is the
// one its DHCP came through.
func (w *web) script(response http.ResponseWriter, request *http.Request) {
	ctx, remote := request.Context(), remoteAddr(request)
	mac := request.PathValue("mac")
	response.Header().Set("Content-Type", "text/plain; charset=utf-8")
	response.Header().Set("Cache-Control", "no-store")
	refuse := func(why string) {
		_, _ = response.Write([]byte(refusalScript(printableMAC(mac), remote, why)))
	}

	target, err := w.policy.targetOfMAC(ctx, printableMAC(mac))
	switch {
	case errors.Is(err, ErrNoTarget):
		refuse("No boot target is set for this MAC.")
		return
	case err != nil:
		w.fail(response, http.StatusNotFound, err)
		return
	}
	concerns(response, target.Target)
	switch {
	case remote != target.Link.Addr():
		w.note(ctx, target.ID, "boot script asked for from "+remote.String()+", expected "+target.Link.Addr().String())
		refuse("The request came from an unexpected address.")
		return
	case target.release != "":
		w.note(ctx, target.ID, "the machine booted from the network again after its release: check its boot order")
		refuse("The job of this boot target is done.")
		return
	}
	if err := w.policy.reach(ctx, target.ID, job.PhaseLoader); err != nil {
		w.fail(response, http.StatusNotFound, err)
		return
	}
	_, _ = response.Write([]byte(bootScript(w.base, target)))
}

// bootFile serves the kernel and the agent. Whose turn it is tells the client's address.
func (w *web) bootFile(response http.ResponseWriter, request *http.Request) {
	name := request.PathValue("name")
	if !slices.Contains(bootFileNames(), name) {
		http.NotFound(response, request)
		return
	}
	// Ask HEAD and later ranges change nothing; a failure to record is no reason not to boot.
	if name == kernelFile && request.Method == http.MethodGet {
		if target, err := w.policy.targetOfAddress(request.Context(), remoteAddr(request)); err == nil {
			concerns(response, target.Target)
			if err := w.policy.reach(request.Context(), target.ID, job.PhaseKernel); err != nil {
				w.log.Warn("phase not recorded", "error", err)
			}
		}
	}
	w.serveFile(response, request, w.bootDir, name)
}

func (w *web) loader(response http.ResponseWriter, request *http.Request) {
	name := request.PathValue("name")
	file, err := openLoader(name, w.loaderDirs)
	if err != nil {
		http.NotFound(response, request)
		return
	}
	defer func() { _ = file.Close() }()
	http.ServeContent(response, request, name, time.Time{}, file)
}

// serveFile serves a file with ranges. os.Root keeps the name inside the folder.
func (w *web) serveFile(response http.ResponseWriter, request *http.Request, dir *os.Root, name string) {
	file, err := dir.Open(name)
	if err != nil {
		w.log.Error("file not served", "file", name, "error", err)
		http.NotFound(response, request)
		return
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(response, request)
		return
	}
	response.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(response, request, name, info.ModTime(), file)
}

// remoteAddr is the client's address; IPv4 as such, not mapped into IPv6.
func remoteAddr(request *http.Request) netip.Addr {
	remote, err := netip.ParseAddrPort(request.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return remote.Addr().Unmap()
}
