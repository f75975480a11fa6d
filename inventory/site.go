package inventory

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Site is where hardware stands.
type Site struct {
	Name        string
	Description string
}

// Plan is a class of identical servers that a customer can order, and the least hardware
// that each of them has. Zero means that it is not checked.
type Plan struct {
	Name        string
	Description string
	Threads     int    // CPU threads
	MemoryMiB   int    // see Compare for the tolerance
	Disks       int    // disks that an image could go onto
	DiskBytes   uint64 // size of the smallest of those disks
}

// Image is an operating system that can be installed.
type Image struct {
	Name    string
	File    string // zstd-compressed raw disk image, by its name on the boot service
	SHA256  string // of File, lower-case hexadecimal
	Bytes   uint64 // size of the raw image
	SSHUser string // who logs in with the order's keys
}

const (
	siteColumns  = `SELECT name, description FROM inventory.sites`
	planColumns  = `SELECT name, description, threads, memory_mib, disks, disk_bytes FROM inventory.plans`
	imageColumns = `SELECT name, file, sha256, bytes, ssh_user FROM inventory.images`
)

// Sites lists the sites by name.
func (s *Store) Sites(ctx context.Context) ([]Site, error) {
	return list(ctx, s.pool, pgx.RowToStructByPos[Site], KindSite, siteColumns+` ORDER BY name`)
}

// Site returns one site, or a NotFoundError.
func (s *Store) Site(ctx context.Context, name string) (Site, error) {
	return one(ctx, s.pool, pgx.RowToStructByPos[Site], KindSite, name, siteColumns+` WHERE name = $1`, name)
}

// Plans lists the plans by name.
func (s *Store) Plans(ctx context.Context) ([]Plan, error) {
	return list(ctx, s.pool, pgx.RowToStructByPos[Plan], KindPlan, planColumns+` ORDER BY name`)
}

// Plan returns one plan, or a NotFoundError.
func (s *Store) Plan(ctx context.Context, name string) (Plan, error) {
	return one(ctx, s.pool, pgx.RowToStructByPos[Plan], KindPlan, name, planColumns+` WHERE name = $1`, name)
}

// Images lists the images by name.
func (s *Store) Images(ctx context.Context) ([]Image, error) {
	return list(ctx, s.pool, pgx.RowToStructByPos[Image], KindImage, imageColumns+` ORDER BY name`)
}

// Image returns one image, or a NotFoundError.
func (s *Store) Image(ctx context.Context, name string) (Image, error) {
	return one(ctx, s.pool, pgx.RowToStructByPos[Image], KindImage, name, imageColumns+` WHERE name = $1`, name)
}
