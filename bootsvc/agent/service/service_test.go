package service_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ferrodur/bootsvc/agent/service"
	"ferrodur/bootsvc/job"
)

const token = "the-token-of-this-target"

// boot is a boot service that is spoilt by a test.
func boot(t *testing.T, handler http.HandlerFunc) (*service.Service, *bytes.Buffer) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	var said bytes.Buffer
	return service.New(server.URL, token, log.New(&said, "", 0)), &said
}

// image is 300 kB in which every place is different from the others.
func image() []byte {
	text := make([]byte, 300_000)
	for i := range text {
		text[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return text
}

// The connection is cut after every 7001 bytes, with an error of the service between; the
// reader notices nothing.
func TestImageSurvivesCuts(t *testing.T) {
	want := image()
	var requests atomic.Int32
	s, said := boot(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1)%5 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		http.ServeContent(&cut{ResponseWriter: w, left: 7001}, r, "", time.Time{}, bytes.NewReader(want))
	})
	source := s.Image(t.Context(), "debian-12")
	defer source.Close()
	got, err := io.ReadAll(source)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came, and not those that were sent", len(got))
	}
	if requests.Load() < 40 {
		t.Errorf("only %d requests: the connection was not cut", requests.Load())
	}
	if strings.Contains(said.String(), token) {
		t.Error("the token is in the log")
	}
}

// cut aborts the connection after some bytes.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(text []byte) (int, error) {
	if len(text) > c.left {
		_, _ = c.ResponseWriter.Write(text[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(text)
	return c.ResponseWriter.Write(text)
}

// An image that is replaced while it is read is an error, not a mixture.
func TestImageThatChanges(t *testing.T) {
	want := image()
	var requests atomic.Int32
	s, _ := boot(t, func(w http.ResponseWriter, r *http.Request) {
		content := want
		if requests.Add(1) > 1 {
			content = append(content, 1)
		}
		http.ServeContent(&cut{ResponseWriter: w, left: 7001}, r, "", time.Time{}, bytes.NewReader(content))
	})
	if _, err := io.ReadAll(s.Image(t.Context(), "x")); err == nil || !strings.Contains(err.Error(), "changed its length") {
		t.Errorf("got %v", err)
	}
}

// The result is stored, the answer is lost: it is delivered again.
func TestResultWhoseAnswerIsLost(t *testing.T) {
	var stored atomic.Int32
	s, _ := boot(t, func(w http.ResponseWriter, r *http.Request) {
		if stored.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if err := s.Finish(t.Context(), job.Result{}); err != nil || stored.Load() != 2 {
		t.Errorf("%d deliveries (%v)", stored.Load(), err)
	}
}

func TestReleaseIsAwaited(t *testing.T) {
	var asked atomic.Int32
	s, _ := boot(t, func(w http.ResponseWriter, r *http.Request) {
		switch asked.Add(1) {
		case 1:
			w.WriteHeader(http.StatusNoContent)
		case 2:
			w.WriteHeader(http.StatusBadGateway)
		default:
			_, _ = io.WriteString(w, `{"then":"power-off"}`)
		}
	})
	release, err := s.Release(t.Context())
	if err != nil || release.Then != job.PowerOff {
		t.Errorf("%+v (%v)", release, err)
	}
}

func TestDeadToken(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer server.Close()
	s := service.New(server.URL, token, log.New(io.Discard, "", 0))
	_, err := s.Job(t.Context())
	if !errors.Is(err, service.ErrUnauthorized) {
		t.Errorf("job: %v", err)
	}
	if _, err := io.ReadAll(s.Image(t.Context(), "x")); !errors.Is(err, service.ErrUnauthorized) {
		t.Errorf("image: %v", err)
	}
	if err := s.Report(t.Context(), job.Progress{}); !errors.Is(err, service.ErrUnauthorized) {
		t.Errorf("report: %v", err)
	}
}

func TestGivesUpWithItsContext(t *testing.T) {
	s, _ := boot(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := s.Job(ctx); err == nil || time.Until(time.Now()) > time.Second {
		t.Errorf("got %v", err)
	}
}
