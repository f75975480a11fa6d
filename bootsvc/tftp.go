package bootsvc

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pin/tftp/v3"
)

// newTFTP returns a read-only TFTP server (RFC 1350, 2347–2349) of the loaders.
func newTFTP(dirs []string, log *slog.Logger) *tftp.Server {
	server := tftp.NewServer(func(name string, to io.ReaderFrom) error {
		return sendLoader(name, to, dirs, log)
	}, nil)
	server.SetTimeout(2 * time.Second)
	server.SetRetries(5)
	return server
}

func sendLoader(name string, to io.ReaderFrom, dirs []string, log *slog.Logger) error {
	file, err := openLoader(strings.TrimLeft(name, "/"), dirs)
	if err != nil {
		log.Info("TFTP request refused", "file", name, "reason", err.Error())
		return err
	}
	defer func() { _ = file.Close() }()
	if out, ok := to.(tftp.OutgoingTransfer); ok {
		remote := out.RemoteAddr()
		log = log.With("client", remote.IP.String())
		if info, err := file.Stat(); err == nil {
			out.SetSize(info.Size())
		}
	}
	sent, err := to.ReadFrom(file)
	if err != nil && sent == 0 {
		// PXE ROMs ask for the size first, and break off when they have it.
		log.Debug("TFTP client asked for the size only", "file", name, "reason", err.Error())
		return err
	}
	if err != nil {
		log.Warn("TFTP transfer broken off", "file", name, "bytes", sent, "error", err)
		return err
	}
	log.Info("TFTP loader sent", "file", name, "bytes", sent)
	return nil
}

// openLoader opens a loader in the first folder that has it.
func openLoader(name string, dirs []string) (*os.File, error) {
	if !slices.Contains(loaders(), name) {
		return nil, fmt.Errorf("%q is not one of the loaders: %w", name, fs.ErrNotExist)
	}
	for _, dir := range dirs {
		file, err := os.Open(filepath.Join(dir, name))
		if !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
	return nil, fmt.Errorf("no loader %s in %s; install Debian's ipxe: %w", name, strings.Join(dirs, ", "), fs.ErrNotExist)
}
