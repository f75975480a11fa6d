package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// SecretRef says where a secret is kept: "env:NAME" or "file:/absolute/path". The
// inventory and the workflows hold the reference; whoever needs the secret resolves it
// at the last moment, on the worker that uses it.
type SecretRef string

// ParseSecretRef checks the form of a reference, not whether the secret is there. Its
// error wraps ErrBadSecretRef and never repeats the text.
func ParseSecretRef(text string) (SecretRef, error) {
	scheme, place, _ := strings.Cut(text, ":")
	switch scheme {
	case "env":
		if regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(place) {
			return SecretRef(text), nil
		}
	case "file":
		if filepath.IsAbs(place) && !strings.ContainsAny(place, "\x00\n") {
			return SecretRef(text), nil
		}
	}
	return "", ErrBadSecretRef
}

// Resolve reads the secret and takes one newline off its end. Errors name the reference,
// never the content. An empty secret is an error.
func (r SecretRef) Resolve() (string, error) {
	if _, err := ParseSecretRef(string(r)); err != nil {
		return "", err
	}
	scheme, place, _ := strings.Cut(string(r), ":")
	var secret string
	if scheme == "env" {
		value, found := os.LookupEnv(place)
		if !found {
			return "", fmt.Errorf("secret %s: the environment variable is not set on this worker", r)
		}
		secret = value
	} else {
		content, err := os.ReadFile(place)
		if err != nil {
			return "", fmt.Errorf("secret %s: %w", r, err)
		}
		secret = string(content)
	}
	secret = strings.TrimSuffix(strings.TrimSuffix(secret, "\n"), "\r")
	if secret == "" {
		return "", fmt.Errorf("secret %s is empty", r)
	}
	return secret, nil
}
