package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A file of keys may have comments, and more than one key. A comment is no key: nobody
// could log in with it.
func TestPublicKeysOfAFile(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGzXaKth+fq3Ns477ybSAW0YkVYjAa2dqIz4FEAHBW8H me"
	file := filepath.Join(t.TempDir(), "keys.pub")
	if err := os.WriteFile(file, []byte("# mine\n"+key+"\n\n"+key+"\n# end\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := publicKeys(file)
	if want := []string{key, key}; err != nil || !slices.Equal(keys, want) {
		t.Errorf("%q, %v; want %q", keys, err, want)
	}
}
