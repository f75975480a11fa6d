package switches

import (
	"slices"
	"strings"
	"testing"
)

// nftables lists the same rule in other words from 1.1.4 on.
func TestReadNewerNFT(t *testing.T) {
	want, err := frr{}.read(shown["frr"])
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(shown["frr"], "fib saddr . iif oif missing drop", "fib saddr . iif check missing drop", 1)
	if got, err := (frr{}).read(newer); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}
