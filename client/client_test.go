package client_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	sdk "go.temporal.io/sdk/client"

	"ferrodur/client"
	"ferrodur/lab/temporal"
	"ferrodur/workflows/api"
)

// Ordering twice is ordering once, and an ID stays with its order. No worker is needed for
// an order to be durable.
func TestAnOrderIsPlacedOnce(t *testing.T) {
	ctx := t.Context()
	program, err := temporal.Build(ctx, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	server, err := temporal.Start(ctx, temporal.Config{Dir: t.TempDir(), Program: program})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	connection, err := sdk.DialContext(ctx, sdk.Options{HostPort: server.Address.String()})
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	c := client.New(connection, "")
	order := api.Order{ID: "o-42", Site: "ewr1", Plan: "c1.small", Image: "debian-12", SSHKeys: []string{"ssh-ed25519 AAAA"}}
	patient := order
	patient.Limits.Attempts = 5
	for _, again := range []api.Order{order, order, patient} {
		if err := c.Provision(ctx, again); err != nil {
			t.Fatal(err)
		}
	}
	for what, change := range map[string]func(*api.Order){
		"plan":     func(o *api.Order) { o.Plan = "c1.large" },
		"SSH keys": func(o *api.Order) { o.SSHKeys = nil; o.UserData = true },
	} {
		other := order
		change(&other)
		if err := c.Provision(ctx, other); !errors.Is(err, client.ErrRefused) || !strings.Contains(err.Error(), what) {
			t.Errorf("the same ID with another %s: %v", what, err)
		}
	}
	runs := 0
	for _, err := range c.List(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		runs++
	}
	if runs != 1 {
		t.Errorf("%d workflows were started", runs)
	}
}
