package switches

import (
	"slices"
	"testing"
)

// wantEdit tries the commands that lead a port from one intent to another.
func wantEdit(t *testing.T, d driver, from, to Intent, want []string) {
	t.Helper()
	have, err := d.render(Device{ASN: 65000}, from)
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := d.render(Device{ASN: 65000}, to)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.edit(from.Port, section{owned: have}, wanted); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
