// Package netbox takes the addresses of pools from NetBox 4, where an operator keeps his
// truth there. An owner's prefixes and IP addresses carry a tag of his own, so that what a
// lost answer has taken is found again before anything is asked for.
//
// NetBox gives prefixes without regard to IP addresses, and IP addresses without regard to
// prefixes, that lie in the same parent. A pool should be asked for one of the two only.
package netbox

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"ferrodur/ipam"
)

// Name is what pools give as their source.
const Name = "netbox"

// The collections that addresses are in, and the tag of what rests.
const (
	prefixes  = "ipam/prefixes/"
	addresses = "ipam/ip-addresses/"
	tags      = "extras/tags/"
	resting   = "ferrodur-resting"
)

// NetBox is an ipam.Source.
type NetBox struct {
	client *client
	now    func() time.Time
}

// New returns the NetBox at a URL such as "https://netbox.example.net". Its token must be
// allowed to add, change, view and delete prefixes, IP addresses and tags.
func New(base, token string) (*NetBox, error) {
	client, err := newClient(base, token)
	if err != nil {
		return nil, err
	}
	return &NetBox{client: client, now: time.Now}, nil
}

// FromEnvironment is how a program opens a store: with the NetBox that NETBOX_API and
// NETBOX_TOKEN name, if they do.
func FromEnvironment() ([]ipam.Option, error) {
	base := os.Getenv("NETBOX_API")
	if base == "" {
		return nil, nil
	}
	source, err := New(base, os.Getenv("NETBOX_TOKEN"))
	if err != nil {
		return nil, err
	}
	return []ipam.Option{ipam.WithSource(Name, source)}, nil
}

// Take implements ipam.Source.
func (n *NetBox) Take(ctx context.Context, pool ipam.Pool, block ipam.Block) (netip.Prefix, error) {
	held, err := n.held(ctx, pool, block.Owner, block.Name)
	if err != nil {
		return netip.Prefix{}, err
	}
	if len(held) > 0 {
		return n.only(ctx, block, held)
	}
	parent, err := n.parent(ctx, pool)
	if err != nil {
		return netip.Prefix{}, err
	}
	if err := n.endRests(ctx, pool); err != nil {
		return netip.Prefix{}, err
	}
	if err := n.ask(ctx, parent, pool, block); err != nil {
		return netip.Prefix{}, err
	}
	// Whether it is one: an earlier request whose answer was lost may have come to its end
	// only now.
	held, err = n.held(ctx, pool, block.Owner, block.Name)
	if err != nil {
		return netip.Prefix{}, err
	}
	if len(held) == 0 {
		return netip.Prefix{}, fmt.Errorf("NetBox does not know what it gave to %s a moment ago", block.Owner)
	}
	return n.only(ctx, block, held)
}

// ask has NetBox create an object for a block.
func (n *NetBox) ask(ctx context.Context, parent object, pool ipam.Pool, block ipam.Block) error {
	tag, err := n.tag(ctx, ownerTag(block.Owner), "ferrodur: "+block.Owner)
	if err != nil {
		return err
	}
	create := map[string]any{"status": "active", "tags": []map[string]any{{"id": tag}}, "description": describe(block.Owner, block.Name)}
	path := fmt.Sprintf("%s%d/available-prefixes/", prefixes, parent.ID)
	switch {
	case block.Chosen.IsValid():
		if err := n.isFree(ctx, pool, block.Chosen); err != nil {
			return err
		}
		vrf, err := n.vrf(ctx, pool)
		if err != nil {
			return err
		}
		create["vrf"], path = vrf, prefixes
		if create["prefix"] = block.Chosen; block.Kind == ipam.KindAddress {
			create["address"], path = block.Chosen, addresses
		}
	case block.Kind == ipam.KindAddress:
		path = fmt.Sprintf("%s%d/available-ips/", prefixes, parent.ID)
	default:
		create["prefix_length"] = block.Bits
	}
	err = n.client.do(ctx, http.MethodPost, path, create, nil)
	if answers(err, http.StatusConflict) {
		return ipam.ErrSourceEmpty
	}
	return err
}

// only makes one of what an owner holds by one name: the oldest. Requests that ran into
// each other all come to the same.
func (n *NetBox) only(ctx context.Context, block ipam.Block, held []item) (netip.Prefix, error) {
	slices.SortFunc(held, func(a, b item) int { return cmp.Compare(a.ID, b.ID) })
	for _, surplus := range held[1:] {
		if err := n.remove(ctx, surplus); err != nil {
			return netip.Prefix{}, err
		}
	}
	found := held[0].block()
	if found.Bits() != block.Bits || block.Chosen.IsValid() && block.Chosen != found {
		return netip.Prefix{}, &ipam.InvalidError{What: "request", Reason: fmt.Sprintf(
			"%s holds %s in NetBox by the name %q already, which is not what is wanted now", block.Owner, found, block.Name)}
	}
	return found, nil
}

// Release implements ipam.Source: what was held is deprecated in NetBox while it rests.
func (n *NetBox) Release(ctx context.Context, pool ipam.Pool, owner, name string) error {
	held, err := n.held(ctx, pool, owner, name)
	if err != nil {
		return err
	}
	for _, item := range held {
		if pool.Quarantine == 0 {
			err = n.remove(ctx, item)
		} else {
			err = n.rest(ctx, item, owner, n.now().Add(pool.Quarantine))
		}
		if err != nil {
			return err
		}
	}
	return n.dropTag(ctx, owner)
}

func (n *NetBox) rest(ctx context.Context, item item, owner string, until time.Time) error {
	tag, err := n.tag(ctx, resting, "ferrodur: resting")
	if err != nil {
		return err
	}
	change := map[string]any{"status": "deprecated", "tags": []map[string]any{{"id": tag}}, "description": clip(restsUntil(until)+", was "+owner, descriptionLimit)}
	return ignore(http.StatusNotFound, n.client.do(ctx, http.MethodPatch, item.path(), change, nil))
}

// endRests removes what has rested.
func (n *NetBox) endRests(ctx context.Context, pool ipam.Pool) error {
	found, err := n.tagged(ctx, pool, resting)
	if err != nil {
		return err
	}
	for _, item := range found {
		if until, rests := parseRest(item.Description); rests && until.Before(n.now()) {
			if err := n.remove(ctx, item); err != nil {
				return err
			}
		}
	}
	return nil
}

// Free implements ipam.Source. Of a pool of single addresses it is an approximation:
// NetBox lists free prefixes, and they do not heed IP addresses.
func (n *NetBox) Free(ctx context.Context, pool ipam.Pool) ([]netip.Prefix, error) {
	parent, err := n.parent(ctx, pool)
	if err != nil {
		return nil, err
	}
	var found []struct {
		Prefix netip.Prefix `json:"prefix"`
	}
	if err := n.client.do(ctx, http.MethodGet, fmt.Sprintf("%s%d/available-prefixes/", prefixes, parent.ID), nil, &found); err != nil {
		return nil, err
	}
	free := make([]netip.Prefix, len(found))
	for i, f := range found {
		free[i] = f.Prefix
	}
	return free, nil
}

func (n *NetBox) isFree(ctx context.Context, pool ipam.Pool, chosen netip.Prefix) error {
	free, err := n.Free(ctx, pool)
	if err != nil {
		return err
	}
	for _, block := range free {
		if block.Bits() <= chosen.Bits() && block.Contains(chosen.Addr()) {
			return nil
		}
	}
	return ipam.ErrSourceEmpty
}

// parent is the pool's prefix in NetBox.
func (n *NetBox) parent(ctx context.Context, pool ipam.Pool) (object, error) {
	filter, err := n.inVRF(ctx, pool)
	if err != nil {
		return object{}, err
	}
	filter.Set("prefix", pool.Prefix.String())
	found, err := n.client.list(ctx, prefixes, filter)
	if err != nil {
		return object{}, err
	}
	if len(found) != 1 {
		return object{}, fmt.Errorf("prefix %s of pool %s is there %d times: %w", pool.Prefix, pool.Name, len(found), ErrNoPrefix)
	}
	return found[0], nil
}

// inVRF filters by the VRF of the pool's routing domain, which has its name.
func (n *NetBox) inVRF(ctx context.Context, pool ipam.Pool) (url.Values, error) {
	vrf, err := n.vrf(ctx, pool)
	if err != nil {
		return nil, err
	}
	filter := url.Values{"vrf_id": {"null"}}
	if vrf != nil {
		filter.Set("vrf_id", fmt.Sprint(*vrf))
	}
	return filter, nil
}

// vrf is nil for the default routing domain: NetBox's global table.
func (n *NetBox) vrf(ctx context.Context, pool ipam.Pool) (*int64, error) {
	if pool.Domain == "" || pool.Domain == ipam.DefaultDomain {
		return nil, nil
	}
	found, err := n.client.list(ctx, "ipam/vrfs/", url.Values{"name": {pool.Domain}})
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("VRF %s is there %d times: %w", pool.Domain, len(found), ErrNoPrefix)
	}
	return &found[0].ID, nil
}

// item is an object with the collection that it is in.
type item struct {
	object
	collection string
}

func (i item) path() string { return fmt.Sprintf("%s%d/", i.collection, i.ID) }

// held finds what an owner holds of a pool, by one name, or by any where that is empty.
func (n *NetBox) held(ctx context.Context, pool ipam.Pool, owner, name string) ([]item, error) {
	found, err := n.tagged(ctx, pool, ownerTag(owner))
	return slices.DeleteFunc(found, func(i item) bool {
		return name != "" && i.Description != describe(owner, name)
	}), err
}

// tagged finds what lies in a pool and has a tag.
func (n *NetBox) tagged(ctx context.Context, pool ipam.Pool, slug string) ([]item, error) {
	// A filter by a tag that is not there is an error in NetBox.
	known, err := n.client.list(ctx, tags, url.Values{"slug": {slug}})
	if err != nil || len(known) == 0 {
		return nil, err
	}
	filter, err := n.inVRF(ctx, pool)
	if err != nil {
		return nil, err
	}
	filter.Set("tag", slug)
	var all []item
	for collection, within := range map[string]string{prefixes: "within", addresses: "parent"} {
		filter := url.Values{"tag": filter["tag"], "vrf_id": filter["vrf_id"], within: {pool.Prefix.String()}}
		found, err := n.client.list(ctx, collection, filter)
		if err != nil {
			return nil, err
		}
		for _, object := range found {
			all = append(all, item{object, collection})
		}
	}
	return all, nil
}

func (n *NetBox) remove(ctx context.Context, item item) error {
	return ignore(http.StatusNotFound, n.client.do(ctx, http.MethodDelete, item.path(), nil, nil))
}

// tag finds or creates a tag.
func (n *NetBox) tag(ctx context.Context, slug, name string) (int64, error) {
	for range 2 { // another may create it at the same time
		found, err := n.client.list(ctx, tags, url.Values{"slug": {slug}})
		if err != nil {
			return 0, err
		}
		if len(found) > 0 {
			return found[0].ID, nil
		}
		err = n.client.do(ctx, http.MethodPost, tags, map[string]string{"name": clip(name, nameLimit), "slug": slug}, nil)
		if err != nil && !answers(err, http.StatusBadRequest) {
			return 0, err
		}
	}
	return 0, errors.New("NetBox does not keep the tag " + slug)
}

// dropTag removes an owner's tag, unless he holds something of another pool.
func (n *NetBox) dropTag(ctx context.Context, owner string) error {
	slug := ownerTag(owner)
	known, err := n.client.list(ctx, tags, url.Values{"slug": {slug}})
	if err != nil || len(known) == 0 {
		return err
	}
	for _, collection := range []string{prefixes, addresses} {
		left, err := n.client.list(ctx, collection, url.Values{"tag": {slug}})
		if err != nil || len(left) > 0 {
			return err
		}
	}
	return ignore(http.StatusNotFound, n.client.do(ctx, http.MethodDelete, fmt.Sprintf("%s%d/", tags, known[0].ID), nil, nil))
}

func ignore(code int, err error) error {
	if answers(err, code) {
		return nil
	}
	return err
}

// ownerTag is the slug of an owner's tag. NetBox takes letters, digits, hyphens and
// underscores, 100 at most; a digest keeps owners apart that differ in others.
func ownerTag(owner string) string {
	digest := sha256.Sum256([]byte(owner))
	readable := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(owner))
	return "ferrodur-" + readable[:min(len(readable), 60)] + "-" + hex.EncodeToString(digest[:6])
}

// The most characters that NetBox keeps of a tag's name and of a description.
const nameLimit, descriptionLimit = 100, 200

// clip keeps a text within a limit. A digest stands for the rest, so that two texts that
// differ stay apart.
func clip(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	digest := sha256.Sum256([]byte(text))
	end := "…" + hex.EncodeToString(digest[:8])
	return string(runes[:limit-len([]rune(end))]) + end
}

// describe is the description of what an owner holds by a name, and tells it by that.
func describe(owner, name string) string {
	return clip(fmt.Sprintf("ferrodur: %s (%s)", owner, name), descriptionLimit)
}

const restPrefix = "rests until "

func restsUntil(t time.Time) string { return restPrefix + t.UTC().Format(time.RFC3339Nano) }

func parseRest(description string) (time.Time, bool) {
	text, found := strings.CutPrefix(description, restPrefix)
	if !found {
		return time.Time{}, false
	}
	text, _, _ = strings.Cut(text, ",")
	until, err := time.Parse(time.RFC3339Nano, text)
	return until, err == nil
}
