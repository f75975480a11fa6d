package rack

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// secretBytes keeps to the 16 bytes that an IPMI 1.5 password may have.
const secretBytes = 16

// secretFile is where the password of a device is kept, mode 0600.
func (c Config) secretFile(device string) string {
	return filepath.Join(c.secretsDir(), device)
}

// secret returns the password of a device. It is drawn when it is first asked for and
// stays the same as long as the state folder.
func (c Config) secret(device string) (string, error) {
	file := c.secretFile(device)
	text, err := os.ReadFile(file)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("password of %s: %w", device, err)
	}
	password := rand.Text()[:secretBytes]
	err = errors.Join(
		os.MkdirAll(c.secretsDir(), 0o700),
		os.WriteFile(file+".new", []byte(password+"\n"), 0o600),
		os.Rename(file+".new", file),
	)
	if err != nil {
		return "", fmt.Errorf("password of %s: %w", device, err)
	}
	return password, nil
}
