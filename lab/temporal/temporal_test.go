package temporal_test

import (
	"os"
	"testing"

	sdk "go.temporal.io/sdk/client"

	"ferrodur/client"
	"ferrodur/lab/temporal"
)

// The project creates its search attributes itself, once; they survive a restart.
func TestServerKeepsItsState(t *testing.T) {
	ctx := t.Context()
	program, err := temporal.Build(ctx, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	config := temporal.Config{Dir: t.TempDir(), Program: program}
	for round := range 2 {
		server, err := temporal.Start(ctx, config)
		if err != nil {
			t.Fatal(err)
		}
		connection, err := sdk.DialContext(ctx, sdk.Options{HostPort: server.Address.String()})
		if err != nil {
			t.Fatal(err)
		}
		c := client.New(connection, "")
		for range 2 {
			if err := c.EnsureSearchAttributes(ctx); err != nil {
				t.Errorf("round %d: %v", round, err)
			}
		}
		c.Close()
		if err := server.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
}
