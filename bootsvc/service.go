// Package bootsvc boots servers from the network: DHCP, TFTP and HTTP, and the boot targets
// that say what each machine gets. Targets are kept in PostgreSQL (Store); the Service that
// answers the machines keeps nothing of its own, so that it may be killed at any time.
//
// A boot, phase by phase (see job.Phase): the firmware asks for an address through the
// switch's DHCP relay and is given a loader, iPXE, by TFTP or UEFI HTTP boot. iPXE asks for
// an address itself, and by its user class is given the URL of its script. The script
// names kernel and agent; the agent asks for its job, reports, posts its result, and waits
// for its release.
package bootsvc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"golang.org/x/sync/errgroup"
)

const (
	tftpPort = 69
	// httpTransfer bounds one HTTP exchange; an image of 10 GB takes that at 3 MB/s.
	httpTransfer = time.Hour
	stopTime     = 5 * time.Second // what exchanges get to end when the service stops
)

// Config says what a Service serves.
type Config struct {
	Store      *Store
	Address    netip.Addr // IPv4; listens there, and is what machines are told
	HTTPPort   uint16     // 0 picks a free one, see Service.URL
	BootDir    string     // vmlinuz, agent.img, burnin.img
	ImageDir   string     // compressed images
	LoaderDirs []string   // iPXE's builds; the first folder that has a file counts
	Log        *slog.Logger
}

// Service answers the machines of a site. Sockets are open from New on, so that a port in
// use is told at once.
type Service struct {
	config Config
	dhcp   net.PacketConn
	tftp   net.PacketConn
	http   net.Listener
	boot   bootFiles
	roots  [2]*os.Root // boot, images
}

// New opens the sockets (UDP 67 and 69 need root or CAP_NET_BIND_SERVICE) and the folders.
func New(config Config) (*Service, error) {
	if !config.Address.Is4() || config.Address.IsUnspecified() {
		return nil, fmt.Errorf("boot service: %s is not an IPv4 address that machines can be told", config.Address)
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{config: config}
	if err := s.open(); err != nil {
		s.close()
		return nil, fmt.Errorf("boot service: %w", err)
	}
	port := s.http.Addr().(*net.TCPAddr).Port
	s.boot = bootFiles{server: config.Address, base: fmt.Sprintf("http://%s:%d", config.Address, port)}
	return s, nil
}

func (s *Service) open() (err error) {
	for i, dir := range []string{s.config.BootDir, s.config.ImageDir} {
		if s.roots[i], err = os.OpenRoot(dir); err != nil {
			return err
		}
	}
	udp := func(port uint16) (net.PacketConn, error) {
		return net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.config.Address, port)))
	}
	if s.dhcp, err = udp(dhcpPort); err != nil {
		return err
	}
	if s.tftp, err = udp(tftpPort); err != nil {
		return err
	}
	s.http, err = net.Listen("tcp4", netip.AddrPortFrom(s.config.Address, s.config.HTTPPort).String())
	return err
}

func (s *Service) close() {
	for _, root := range s.roots {
		if root != nil {
			_ = root.Close()
		}
	}
	for _, conn := range []net.PacketConn{s.dhcp, s.tftp} {
		if conn != nil {
			_ = conn.Close()
		}
	}
	if s.http != nil {
		_ = s.http.Close()
	}
}

// URL is the base URL of the HTTP service.
func (s *Service) URL() string { return s.boot.base }

// Run serves until ctx ends, then lets what is under way end and returns nil. It returns
// an error when a listener fails. A Service runs once.
func (s *Service) Run(ctx context.Context) error {
	defer s.close()
	group, ctx := errgroup.WithContext(ctx)
	for _, serve := range []func(context.Context) error{s.serveDHCP, s.serveTFTP, s.serveHTTP} {
		group.Go(func() error { return serve(ctx) })
	}
	s.config.Log.Info("boot service is up", "url", s.boot.base)
	return group.Wait()
}

func (s *Service) serveDHCP(ctx context.Context) error {
	d := &dhcpServer{policy: s.config.Store, boot: s.boot, log: s.config.Log}
	server, err := server4.NewServer("", nil, d.handler(ctx), server4.WithConn(s.dhcp))
	if err != nil {
		return fmt.Errorf("DHCP: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(); ctx.Err() == nil {
		return fmt.Errorf("DHCP: %w", err)
	}
	return nil
}

func (s *Service) serveTFTP(ctx context.Context) error {
	server := newTFTP(s.config.LoaderDirs, s.config.Log)
	defer context.AfterFunc(ctx, server.Shutdown)()
	if err := server.Serve(s.tftp); err != nil && ctx.Err() == nil {
		return fmt.Errorf("TFTP: %w", err)
	}
	return nil
}

func (s *Service) serveHTTP(ctx context.Context) error {
	routes := &web{
		policy: s.config.Store, base: s.boot.base, bootDir: s.roots[0], imageDir: s.roots[1],
		loaderDirs: s.config.LoaderDirs, stopping: ctx.Done(), log: s.config.Log,
	}
	server := &http.Server{
		Handler:           routes.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      httpTransfer,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.config.Log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close() // an image download goes on by range, with the next process
		}
	})()
	if err := server.Serve(s.http); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("HTTP: %w", err)
	}
	<-stopped
	return nil
}
