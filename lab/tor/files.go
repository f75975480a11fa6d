package tor

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	_ "embed"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// The files of a switch's folder.
const (
	readyFile    = "ready" // there while the switch is up
	hostKeyFile  = "ssh_host_ed25519_key"
	sshdFile     = "sshd_config"
	keysFile     = "authorized_keys"
	passwordFile = "password.hash" // crypt(5)
	scriptFile   = "switch.sh"
	softwareFile = "software.sh" // what the script runs as the switch's software
	frrDir       = "frr"         // a router's /etc/frr
)

//go:embed switch.sh
var script string

//go:embed router.sh
var router string

//go:embed bridge.sh
var bridge string

const daemons = `zebra=yes
staticd=yes
bgpd=yes
vtysh_enable=yes
zebra_options="-A 127.0.0.1"
staticd_options="-A 127.0.0.1"
bgpd_options="-A 127.0.0.1"
`

// startup is what a new switch starts with: a router. zebra writes the kernel's forwarding
// switches into the configuration that it saves, and sets them when it starts.
const startup = `hostname %s
ip forwarding
ipv6 forwarding
`

const sshd = `ListenAddress %s
HostKey %s
AuthorizedKeysFile /run/authorized_keys
PasswordAuthentication %s
UsePAM no
PermitRootLogin no
PidFile none
PrintMotd no
PrintLastLog no
UseDNS no
`

// prepare writes the switch's files. The host key and the start-up configuration are left
// as they are if they are there.
func prepare(ctx context.Context, config Config) error {
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(config.Dir, readyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeHostKey(filepath.Join(config.Dir, hostKeyFile)); err != nil {
		return err
	}
	hash, byPassword := "!", "no" // "!" matches no password
	if config.Password != "" {
		var err error
		if hash, err = crypt(ctx, config.Password); err != nil {
			return err
		}
		byPassword = "yes"
	}
	files := map[string]string{
		scriptFile:   script,
		passwordFile: hash,
		keysFile:     strings.Join(config.AuthorizedKeys, "\n") + "\n",
		sshdFile:     fmt.Sprintf(sshd, config.Address, filepath.Join(config.Dir, hostKeyFile), byPassword),
		softwareFile: bridge,
	}
	if config.Bridge == nil {
		files[softwareFile] = router
		if err := routerFiles(config, files); err != nil {
			return err
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(config.Dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// routerFiles adds FRR's own.
func routerFiles(config Config, files map[string]string) error {
	files[frrDir+"/daemons"] = daemons
	files[frrDir+"/vtysh.conf"] = "service integrated-vtysh-config\nhostname " + config.Name + "\n"
	conf := filepath.Join(frrDir, "frr.conf")
	if _, err := os.Stat(filepath.Join(config.Dir, conf)); errors.Is(err, fs.ErrNotExist) {
		files[conf] = fmt.Sprintf(startup, config.Name)
	}
	return os.MkdirAll(filepath.Join(config.Dir, frrDir), 0o700)
}

// crypt hashes a password for shadow(5). It goes in through a pipe: arguments are public.
func crypt(ctx context.Context, password string) (string, error) {
	command := exec.CommandContext(ctx, "openssl", "passwd", "-6", "-stdin")
	command.Stdin = strings.NewReader(password + "\n")
	hash, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("hash the password with openssl: %w", err)
	}
	return strings.TrimSpace(string(hash)), nil
}

func makeHostKey(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return err
	}
	// Renamed into place: half a key would keep the switch from ever starting.
	if err := os.WriteFile(path+".new", pem.EncodeToMemory(block), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func readHostKey(dir string) (string, error) {
	private, err := os.ReadFile(filepath.Join(dir, hostKeyFile))
	if err != nil {
		return "", err
	}
	signer, err := ssh.ParsePrivateKey(private)
	if err != nil {
		return "", fmt.Errorf("host key %s: %w", filepath.Join(dir, hostKeyFile), err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), nil
}
