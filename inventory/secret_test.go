package inventory_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"ferrodur/inventory"
)

func TestSecretRef(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bmc")
	require.NoError(t, os.WriteFile(file, []byte("hunter2 \n"), 0o600))
	t.Setenv("BMC_PASSWORD", "hunter3")
	t.Setenv("EMPTY", "\n")

	for text, want := range map[string]string{"file:" + file: "hunter2 ", "env:BMC_PASSWORD": "hunter3"} {
		ref, err := inventory.ParseSecretRef(text)
		require.NoError(t, err)
		secret, err := ref.Resolve()
		require.NoError(t, err)
		require.Equal(t, want, secret)
	}
	for _, text := range []string{"", "hunter2", "env:", "env:A-B", "file:relative", "vault:x", "hunter2:file:/x"} {
		_, err := inventory.ParseSecretRef(text)
		require.Equal(t, inventory.ErrBadSecretRef, err, "%q: no more than that, it may be the secret", text)
		_, err = inventory.SecretRef(text).Resolve()
		require.Equal(t, inventory.ErrBadSecretRef, err)
	}
	for _, text := range []string{"env:NOT_SET_ANYWHERE", "env:EMPTY", "file:/nonexistent/secret"} {
		_, err := inventory.SecretRef(text).Resolve()
		require.ErrorContains(t, err, text)
	}
}
