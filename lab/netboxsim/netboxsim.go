// Package netboxsim answers as NetBox 4 does, as far as Ferrodur asks: VRFs, prefixes, IP
// addresses and tags of the REST API, kept in memory. It follows NetBox's source
// (netbox/ipam/api/views.py, netbox/ipam/filtersets.py) where the documents are silent. A
// real NetBox needs Django, PostgreSQL, Redis and a package index that tests cannot have.
package netboxsim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go4.org/netipx"
)

// NetBox is one. Serve it with net/http.
type NetBox struct {
	Token string

	mu   sync.Mutex
	last int64
	sets map[string]map[int64]*Object // by collection
	lose int
	away bool
}

// Object is an entry of any collection.
type Object struct {
	ID          int64        `json:"id"`
	Name        string       `json:"name,omitempty"`
	Slug        string       `json:"slug,omitempty"`
	Prefix      netip.Prefix `json:"prefix,omitzero"`
	Address     netip.Prefix `json:"address,omitzero"`
	VRF         *int64       `json:"vrf"`
	Tags        []TagRef     `json:"tags"`
	Status      Choice       `json:"status"`
	Description string       `json:"description"`
}

// TagRef names a tag of an object.
type TagRef struct {
	ID int64 `json:"id"`
}

// Choice is written as a word and read as an object, as NetBox does.
type Choice string

// MarshalJSON implements json.Marshaler.
func (c Choice) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"value": string(c), "label": string(c)})
}

// The collections.
const (
	VRFs      = "ipam/vrfs"
	Prefixes  = "ipam/prefixes"
	Addresses = "ipam/ip-addresses"
	Tags      = "extras/tags"
)

// New returns an empty NetBox.
func New(token string) *NetBox {
	n := &NetBox{Token: token, sets: map[string]map[int64]*Object{}}
	for _, set := range []string{VRFs, Prefixes, Addresses, Tags} {
		n.sets[set] = map[int64]*Object{}
	}
	return n
}

// Add puts an object into a collection, as somebody else would.
func (n *NetBox) Add(set string, object Object) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.add(set, object)
}

func (n *NetBox) add(set string, object Object) int64 {
	n.last++
	object.ID = n.last
	n.sets[set][object.ID] = &object
	return object.ID
}

// All lists a collection.
func (n *NetBox) All(set string) []Object {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []Object
	for _, id := range slices.Sorted(maps.Keys(n.sets[set])) {
		all = append(all, *n.sets[set][id])
	}
	return all
}

// Forget deletes what somebody holds of a prefix, as a person may by mistake.
func (n *NetBox) Forget(prefix netip.Prefix) {
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.sets[Prefixes], func(_ int64, o *Object) bool { return o.Prefix == prefix && len(o.Tags) > 0 })
}

// Lose does what the next requests that create something ask for, and drops the answers.
func (n *NetBox) Lose(answers int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lose = answers
}

// Away drops every connection, until it is told to be back.
func (n *NetBox) Away(away bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.away = away
}

// ServeHTTP implements http.Handler.
func (n *NetBox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.away {
		panic(http.ErrAbortHandler)
	}
	if r.Header.Get("Authorization") != "Token "+n.Token {
		refuse(w, http.StatusForbidden, "Invalid token")
		return
	}
	code, answer := n.answer(r)
	if r.Method == http.MethodPost && n.lose > 0 {
		n.lose--
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if code != http.StatusNoContent {
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func refuse(w http.ResponseWriter, code int, detail string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(detailed(detail))
}

func detailed(text string) map[string]string { return map[string]string{"detail": text} }

func (n *NetBox) answer(r *http.Request) (int, any) {
	parts := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, "/api/"), "/"), "/")
	if len(parts) < 2 || n.sets[parts[0]+"/"+parts[1]] == nil {
		return http.StatusNotFound, detailed("Not found.")
	}
	set := parts[0] + "/" + parts[1]
	if len(parts) == 2 {
		switch r.Method {
		case http.MethodGet:
			return n.list(set, r.URL.Query())
		case http.MethodPost:
			return n.create(set, r)
		}
		return http.StatusMethodNotAllowed, detailed("Method not allowed.")
	}
	id, _ := strconv.ParseInt(parts[2], 10, 64)
	object := n.sets[set][id]
	if object == nil {
		return http.StatusNotFound, detailed("No object matches the given query.")
	}
	switch {
	case len(parts) == 4 && set == Prefixes && parts[3] == "available-prefixes":
		return n.availablePrefixes(object, r)
	case len(parts) == 4 && set == Prefixes && parts[3] == "available-ips" && r.Method == http.MethodPost:
		return n.availableIP(object, r)
	case len(parts) == 3 && r.Method == http.MethodDelete:
		delete(n.sets[set], id)
		n.untag(set, id)
		return http.StatusNoContent, nil
	case len(parts) == 3 && r.Method == http.MethodPatch:
		return n.change(object, r)
	case len(parts) == 3 && r.Method == http.MethodGet:
		return http.StatusOK, object
	}
	return http.StatusNotFound, detailed("Not found.")
}

// untag takes a deleted tag off all objects.
func (n *NetBox) untag(set string, id int64) {
	if set != Tags {
		return
	}
	for _, objects := range n.sets {
		for _, object := range objects {
			object.Tags = slices.DeleteFunc(object.Tags, func(t TagRef) bool { return t.ID == id })
		}
	}
}

// list filters as NetBox's filter sets do: one unknown choice makes the whole request wrong.
func (n *NetBox) list(set string, query url.Values) (int, any) {
	found := slices.Sorted(maps.Keys(n.sets[set]))
	keep := func(test func(*Object) bool) {
		found = slices.DeleteFunc(found, func(id int64) bool { return !test(n.sets[set][id]) })
	}
	for name, values := range query {
		value := values[0]
		within, _ := netip.ParsePrefix(value)
		switch name {
		case "limit", "offset":
		case "slug":
			keep(func(o *Object) bool { return o.Slug == value })
		case "name":
			keep(func(o *Object) bool { return o.Name == value })
		case "prefix":
			keep(func(o *Object) bool { return o.Prefix == within })
		case "within": // which leaves out the prefix itself
			keep(func(o *Object) bool { return o.Prefix != within && covers(within, o.Prefix) })
		case "parent":
			keep(func(o *Object) bool { return within.Contains(o.Address.Addr()) })
		case "vrf_id":
			keep(func(o *Object) bool {
				return o.VRF == nil && value == "null" || o.VRF != nil && value == fmt.Sprint(*o.VRF)
			})
		case "tag":
			tag := n.bySlug(value)
			if tag == 0 {
				return http.StatusBadRequest, map[string][]string{"tag": {"Select a valid choice. " + value + " is not one of the available choices."}}
			}
			keep(func(o *Object) bool { return slices.Contains(o.Tags, TagRef{tag}) })
		default:
			return http.StatusBadRequest, map[string][]string{name: {"Unknown filter field"}}
		}
	}
	offset, _ := strconv.Atoi(query.Get("offset"))
	limit, _ := strconv.Atoi(query.Get("limit"))
	if limit == 0 {
		limit = 50
	}
	count := len(found)
	found = found[min(offset, count):min(offset+limit, count)]
	results := []*Object{}
	for _, id := range found {
		results = append(results, n.sets[set][id])
	}
	return http.StatusOK, map[string]any{"count": count, "next": nil, "previous": nil, "results": results}
}

func (n *NetBox) bySlug(slug string) int64 {
	for id, tag := range n.sets[Tags] {
		if tag.Slug == slug {
			return id
		}
	}
	return 0
}

// written is what requests carry; statuses are plain words there.
type written struct {
	Name, Slug   string
	Prefix       netip.Prefix
	Address      netip.Prefix
	VRF          *int64
	Tags         []TagRef
	Status       string
	Description  string
	PrefixLength int `json:"prefix_length"`
}

func read(r *http.Request) (in written, err error) {
	decoder := json.NewDecoder(r.Body)
	return in, decoder.Decode(&in)
}

// check is what the serializers check of the fields.
func (n *NetBox) check(in written) map[string][]string {
	if len([]rune(in.Description)) > 200 {
		return map[string][]string{"description": {"Ensure this field has no more than 200 characters."}}
	}
	if len([]rune(in.Name)) > 100 || len(in.Slug) > 100 {
		return map[string][]string{"name": {"Ensure this field has no more than 100 characters."}}
	}
	for _, tag := range in.Tags {
		if n.sets[Tags][tag.ID] == nil {
			return map[string][]string{"tags": {"Related object not found using the provided numeric ID"}}
		}
	}
	if in.Status != "" && !slices.Contains([]string{"container", "active", "reserved", "deprecated"}, in.Status) {
		return map[string][]string{"status": {in.Status + " is not a valid choice."}}
	}
	return nil
}

func (in written) object() Object {
	return Object{
		Name: in.Name, Slug: in.Slug, Prefix: in.Prefix, Address: in.Address, VRF: in.VRF, Tags: in.Tags,
		Status: Choice(in.Status), Description: in.Description,
	}
}

func (n *NetBox) create(set string, r *http.Request) (int, any) {
	in, err := read(r)
	if err != nil {
		return http.StatusBadRequest, detailed("JSON parse error - " + err.Error())
	}
	if wrong := n.check(in); wrong != nil {
		return http.StatusBadRequest, wrong
	}
	for _, other := range n.sets[set] {
		if set == Tags && other.Slug == in.Slug {
			return http.StatusBadRequest, map[string][]string{"slug": {"tag with this slug already exists."}}
		}
		// ENFORCE_GLOBAL_UNIQUE, and a VRF's own setting, are on by default.
		if same(other.VRF, in.VRF) && (set == Prefixes && other.Prefix == in.Prefix || set == Addresses && other.Address == in.Address) {
			return http.StatusBadRequest, map[string][]string{"prefix": {"Duplicate prefix found"}}
		}
	}
	id := n.add(set, in.object())
	return http.StatusCreated, n.sets[set][id]
}

func same(a, b *int64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

func (n *NetBox) change(object *Object, r *http.Request) (int, any) {
	in, err := read(r)
	if err != nil {
		return http.StatusBadRequest, detailed("JSON parse error - " + err.Error())
	}
	if wrong := n.check(in); wrong != nil {
		return http.StatusBadRequest, wrong
	}
	object.Tags, object.Status, object.Description = in.Tags, Choice(in.Status), in.Description
	return http.StatusOK, object
}

// free is what no prefix inside of one has. IP addresses do not count.
func (n *NetBox) free(parent *Object) []netip.Prefix {
	var b netipx.IPSetBuilder
	b.AddPrefix(parent.Prefix)
	for _, child := range n.sets[Prefixes] {
		if same(child.VRF, parent.VRF) && child.Prefix != parent.Prefix && covers(parent.Prefix, child.Prefix) {
			b.RemovePrefix(child.Prefix)
		}
	}
	set, _ := b.IPSet()
	return set.Prefixes()
}

func covers(outer, inner netip.Prefix) bool {
	return outer.IsValid() && inner.IsValid() && outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

func (n *NetBox) availablePrefixes(parent *Object, r *http.Request) (int, any) {
	free := n.free(parent)
	if r.Method == http.MethodGet {
		type available struct {
			Family int          `json:"family"`
			Prefix netip.Prefix `json:"prefix"`
		}
		list := []available{}
		for _, p := range free {
			list = append(list, available{map[bool]int{true: 4, false: 6}[p.Addr().Is4()], p})
		}
		return http.StatusOK, list
	}
	in, err := read(r)
	if err != nil || in.PrefixLength == 0 {
		return http.StatusBadRequest, map[string][]string{"prefix_length": {"This field is required."}}
	}
	if wrong := n.check(in); wrong != nil {
		return http.StatusBadRequest, wrong
	}
	for _, p := range free {
		if p.Bits() <= in.PrefixLength {
			if p == parent.Prefix && p.Bits() == in.PrefixLength {
				return http.StatusBadRequest, map[string][]string{"prefix": {"Duplicate prefix found"}}
			}
			in.Prefix, in.VRF = netip.PrefixFrom(p.Addr(), in.PrefixLength), parent.VRF
			return http.StatusCreated, n.sets[Prefixes][n.add(Prefixes, in.object())]
		}
	}
	return http.StatusConflict, detailed("Insufficient space is available to accommodate the requested prefix size(s)")
}

// availableIP gives the first address that is not there yet. Network and broadcast address
// of an IPv4 prefix, and the first of an IPv6 one (RFC 4291), are left out.
func (n *NetBox) availableIP(parent *Object, r *http.Request) (int, any) {
	in, err := read(r)
	if err != nil {
		return http.StatusBadRequest, detailed("JSON parse error - " + err.Error())
	}
	if wrong := n.check(in); wrong != nil {
		return http.StatusBadRequest, wrong
	}
	taken := map[netip.Addr]bool{}
	for _, a := range n.sets[Addresses] {
		if same(a.VRF, parent.VRF) {
			taken[a.Address.Addr()] = true
		}
	}
	all := netipx.RangeOfPrefix(parent.Prefix)
	first, last := all.From(), all.To()
	if parent.Prefix.Bits() < first.BitLen()-1 {
		first = first.Next()
		if first.Is4() {
			last = last.Prev()
		}
	}
	for address := first; address.Compare(last) <= 0; address = address.Next() {
		if !taken[address] {
			in.Address, in.VRF = netip.PrefixFrom(address, parent.Prefix.Bits()), parent.VRF
			return http.StatusCreated, n.sets[Addresses][n.add(Addresses, in.object())]
		}
	}
	return http.StatusConflict, detailed(fmt.Sprintf("An insufficient number of IP addresses are available within %s (1 requested, 0 available)", parent.Prefix))
}
