package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	goipam "github.com/metal-stack/go-ipam"
)

// heldByGoIPAM is how many addresses go-ipam's prefix holds when it is measured.
const heldByGoIPAM = 10_000

// goIPAM measures how quickly go-ipam gives single addresses of one prefix, on the same
// PostgreSQL. It keeps a prefix as one document, which each address rewrites: a caller
// whose document was rewritten meanwhile waits and tries again.
func (b *bench) goIPAM(ctx context.Context) error {
	const prefix = "10.0.0.0/16"
	// Filling it through PostgreSQL would take minutes.
	memory := goipam.New(ctx)
	if _, err := memory.NewPrefix(ctx, prefix); err != nil {
		return err
	}
	for n := range heldByGoIPAM {
		address := fmt.Sprintf("10.0.%d.%d", (n+1)/256, (n+1)%256)
		if _, err := memory.AcquireSpecificIP(ctx, prefix, address); err != nil {
			return err
		}
	}
	dump, err := memory.Dump(ctx)
	if err != nil {
		return err
	}
	best := 0.0
	for _, clients := range clientCounts {
		dsn, err := b.database(ctx)
		if err != nil {
			return err
		}
		at, err := url.Parse(dsn)
		if err != nil {
			return err
		}
		password, _ := at.User.Password()
		storage, err := goipam.NewPostgresStorage(at.Hostname(), at.Port(), at.User.Username(), password, strings.Trim(at.Path, "/"), goipam.SSLModeDisable)
		if err != nil {
			return err
		}
		store := goipam.NewWithStorage(storage)
		if err := store.Load(ctx, dump); err != nil {
			return err
		}
		limit, cancel := context.WithTimeout(ctx, b.span+time.Minute) // some callers sleep for long
		r := measure(limit, clients, b.span, func(ctx context.Context) error {
			_, err := store.AcquireIP(ctx, prefix)
			return err
		})
		cancel()
		b.GoIPAM = append(b.GoIPAM, r)
		best = max(best, r.PerSecond)
	}
	if len(b.Links) == 0 { // left out with -only
		return nil
	}
	b.OfGoIPAM = b.Links[len(b.Links)-1].PerSecond / best
	return nil
}
