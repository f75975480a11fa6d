package api_test

import (
	"slices"
	"testing"

	"ferrodur/workflows/api"
)

// What goes through histories has few lines, and says how many it has not; what it was made of
// stays whole.
func TestShortened(t *testing.T) {
	lines := []string{"+ a", "+ b", "+ c", "+ d"}
	whole := api.AuditReport{Drift: []api.Drift{{Port: "swp1", Lines: lines}}, Foreign: map[string][]string{"swp1": lines}}
	short := whole.Shortened(2)
	if want := []string{"+ a", "+ b", "… and 2 more lines"}; !slices.Equal(short.Drift[0].Lines, want) || short.Foreign != nil {
		t.Errorf("got %+v", short)
	}
	if !slices.Equal(whole.Drift[0].Lines, lines) || len(whole.Foreign) != 1 {
		t.Errorf("the report became %+v", whole)
	}
	if change := (api.PortChange{Lines: lines}).Shortened(4); !slices.Equal(change.Lines, lines) {
		t.Errorf("got %+v", change)
	}
}
