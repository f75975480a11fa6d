// Package temporal runs Temporal's development server, with its Web UI, in a folder.
package temporal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"ferrodur/lab/process"
)

const (
	processName = "temporal"
	patience    = time.Minute
)

// Config describes a server.
type Config struct {
	Dir     string // state folder; workflows that are there go on
	Program string // see Build
	Port    uint16 // of 127.0.0.1, for gRPC; 0: a free one
	UIPort  uint16 // of 127.0.0.1, for the Web UI; 0: a free one
	// Limits are settings of Temporal's dynamic configuration, such as
	// "limit.historyCount.suggestContinueAsNew=100".
	Limits []string
}

// Server is a running server.
type Server struct {
	Address netip.AddrPort // of gRPC
	UIURL   string

	process *process.Process
}

// Start runs the server and returns when it answers. It ends with this process, at the
// latest.
func Start(ctx context.Context, config Config) (*Server, error) {
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, err
	}
	address, err := choose(config.Port)
	if err != nil {
		return nil, err
	}
	ui, err := choose(config.UIPort)
	if err != nil {
		return nil, err
	}
	s := &Server{Address: address, UIURL: "http://" + ui.String()}
	command := []string{
		config.Program, "server", "start-dev", "--ip", address.Addr().String(),
		"--port", fmt.Sprint(address.Port()), "--ui-port", fmt.Sprint(ui.Port()),
		"--db-filename", filepath.Join(config.Dir, "temporal.db"), "--log-level", "warn",
	}
	for _, limit := range config.Limits {
		command = append(command, "--dynamic-config-value", limit)
	}
	s.process, err = process.Start(process.Spec{Name: processName, Dir: config.Dir, DieWithParent: true, Command: command})
	if err != nil {
		return nil, err
	}
	if err := s.awaitHealth(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start Temporal: %w; see %s.log in %s", err, processName, config.Dir), s.Stop(ctx))
	}
	return s, nil
}

// Stop ends the server. What it holds stays in the folder.
func (s *Server) Stop(ctx context.Context) error { return s.process.Stop(ctx, 10*time.Second) }

// Kill ends the server as a crash does.
func (s *Server) Kill() error { return s.process.Stop(context.Background(), 0) }

// PID is the server's process.
func (s *Server) PID() int { return s.process.PID }

func (s *Server) awaitHealth(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	silent := log.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	for {
		temporal, err := client.DialContext(ctx, client.Options{HostPort: s.Address.String(), Logger: silent})
		if err == nil {
			// The namespace comes a moment after the server.
			_, err = temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: client.DefaultNamespace})
			temporal.Close()
			if err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return err
		case <-s.process.Exited():
			return errors.New("it ended at once")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// choose finds a free port where none is given.
func choose(port uint16) (netip.AddrPort, error) {
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	listener, err := net.Listen("tcp", netip.AddrPortFrom(loopback, port).String())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port for Temporal: %w", err)
	}
	chosen := listener.Addr().(*net.TCPAddr).AddrPort()
	return chosen, listener.Close()
}
