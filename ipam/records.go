package ipam

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Table says what records are of: NetBox keeps prefixes and single addresses apart.
type Table string

// The tables, by the names that NetBox has for them.
const (
	Prefixes    Table = "prefixes"
	IPAddresses Table = "ip-addresses"
)

// Record is a line of an export or import, with the columns that NetBox 4 imports
// (netbox/ipam/forms/bulk_import.py) and, as its custom fields, what it has no columns for.
// A prefix of the tree has no owner; an allocation has.
type Record struct {
	Line int `csv:"-" json:"-"` // in the file that was read

	Prefix      string `csv:"prefix,omitempty" json:"prefix,omitempty"`   // of the table Prefixes
	Address     string `csv:"address,omitempty" json:"address,omitempty"` // of the table IPAddresses
	VRF         string `csv:"vrf" json:"vrf,omitempty"`                   // routing domain; empty: the default one
	Tenant      string `csv:"tenant" json:"tenant,omitempty"`
	Status      string `csv:"status" json:"status"` // container, active, reserved, deprecated
	Role        string `csv:"role" json:"role,omitempty"`
	ScopeType   string `csv:"scope_type" json:"scope_type,omitempty"` // dcim.site
	ScopeName   string `csv:"scope_name" json:"scope_name,omitempty"` // the site
	IsPool      bool   `csv:"is_pool" json:"is_pool,omitempty"`
	DNSName     string `csv:"dns_name" json:"dns_name,omitempty"` // read, where nothing else says whose an address is
	Description string `csv:"description" json:"description,omitempty"`
	Tags        string `csv:"tags" json:"tags,omitempty"` // separated by commas

	Pool        string `csv:"cf_ferrodur_pool" json:"cf_ferrodur_pool,omitempty"` // its name
	Plan        string `csv:"cf_ferrodur_plan" json:"cf_ferrodur_plan,omitempty"`
	Source      string `csv:"cf_ferrodur_source" json:"cf_ferrodur_source,omitempty"`
	Quarantine  string `csv:"cf_ferrodur_quarantine" json:"cf_ferrodur_quarantine,omitempty"` // such as 24h0m0s
	Threshold   int    `csv:"cf_ferrodur_threshold,omitempty" json:"cf_ferrodur_threshold,omitempty"`
	Kind        string `csv:"cf_ferrodur_kind" json:"cf_ferrodur_kind,omitempty"`
	Owner       string `csv:"cf_ferrodur_owner" json:"cf_ferrodur_owner,omitempty"`
	Name        string `csv:"cf_ferrodur_name" json:"cf_ferrodur_name,omitempty"`
	Instance    string `csv:"cf_ferrodur_instance" json:"cf_ferrodur_instance,omitempty"`
	AllocatedAt string `csv:"cf_ferrodur_allocated_at" json:"cf_ferrodur_allocated_at,omitempty"` // RFC 3339
	ReleasedAt  string `csv:"cf_ferrodur_released_at" json:"cf_ferrodur_released_at,omitempty"`
	RestsUntil  string `csv:"cf_ferrodur_rests_until" json:"cf_ferrodur_rests_until,omitempty"`
}

// parsed is what a record means: one of the two.
type parsed struct {
	line       int
	record     Record
	prefix     *Prefix
	pool       *Pool // beside prefix, where it is one
	allocation *importedAllocation
}

type importedAllocation struct {
	Allocation
	ReleasedAt time.Time
}

// The states of NetBox's prefixes and addresses that are used.
const (
	statusContainer  = "container"
	statusActive     = "active"
	statusReserved   = "reserved"
	statusDeprecated = "deprecated"
)

// Check says what is wrong with a record by itself.
func (r Record) Check() error {
	_, err := r.parse()
	return err
}

// parse reads what a record means, as far as it tells by itself.
func (r Record) parse() (p parsed, err error) {
	r.Status = strings.ToLower(r.Status) // NetBox shows it with a capital letter
	if r.ScopeType != "" && r.ScopeType != "dcim.site" && !r.IsPool {
		r.ScopeType, r.ScopeName = "", "" // of a region, a location: no site
	}
	p.line, p.record = r.Line, r
	text, single := r.Prefix, false
	if text == "" {
		text, single = r.Address, true
	}
	if text == "" || r.Prefix != "" && r.Address != "" {
		return p, errors.New("it needs a prefix, or an address")
	}
	prefix, err := parseRecordPrefix(text, single)
	if err != nil {
		return p, err
	}
	if !slices.Contains([]string{statusContainer, statusActive, statusReserved, statusDeprecated}, r.Status) {
		return p, fmt.Errorf("status %q is none of container, active, reserved, deprecated", r.Status)
	}
	if r.ScopeType != "" && r.ScopeType != "dcim.site" {
		return p, fmt.Errorf("scope_type %q is not dcim.site", r.ScopeType)
	}
	if single || r.Owner != "" {
		p.allocation, err = r.allocation(prefix)
		return p, err
	}
	p.prefix = &Prefix{
		Domain: cmp.Or(r.VRF, DefaultDomain), Prefix: prefix, Kind: Container, Site: r.ScopeName, Tags: splitTags(r.Tags), Description: r.Description,
	}
	switch {
	case r.IsPool:
		p.pool, err = r.pool(prefix)
		return p, err
	case r.Status == statusReserved:
		p.prefix.Kind = Reserved
	case r.Status == statusDeprecated:
		return p, errors.New("a deprecated prefix that nobody has owned: leave the line out")
	}
	return p, p.prefix.validate()
}

// parseRecordPrefix takes an address with any length for the address alone: in NetBox it is
// that of its network.
func parseRecordPrefix(text string, single bool) (netip.Prefix, error) {
	if single && !strings.Contains(text, "/") {
		text += "/0"
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return prefix, fmt.Errorf("%q is no prefix", text)
	}
	if single {
		prefix = netip.PrefixFrom(prefix.Addr(), prefix.Addr().BitLen())
	}
	return prefix, checkPrefix(prefix)
}

func (r Record) pool(prefix netip.Prefix) (*Pool, error) {
	pool := Pool{
		Domain: r.VRF, Name: cmp.Or(r.Pool, prefix.String()), Site: r.ScopeName, Role: Role(r.Role), Prefix: prefix,
		Plan: r.Plan, Tenant: r.Tenant, Threshold: r.Threshold, Source: r.Source, Tags: splitTags(r.Tags), Description: r.Description,
	}
	if r.Quarantine != "" {
		var err error
		if pool.Quarantine, err = time.ParseDuration(r.Quarantine); err != nil {
			return nil, fmt.Errorf("cf_ferrodur_quarantine %q is no duration such as 24h", r.Quarantine)
		}
	}
	if !pool.Role.known() {
		return nil, fmt.Errorf("role %q is none of %v and no network's", r.Role, Roles)
	}
	if err := pool.Validate(); err != nil {
		return nil, err
	}
	pool = pool.WithDefaults()
	return &pool, nil
}

func (r Record) allocation(prefix netip.Prefix) (*importedAllocation, error) {
	a := importedAllocation{Allocation: Allocation{
		Link: Link{Prefix: prefix}, Domain: cmp.Or(r.VRF, DefaultDomain), Kind: Kind(r.Kind), Name: r.Name, Tenant: r.Tenant, Instance: r.Instance,
		Owner: cmp.Or(r.Owner, r.DNSName, r.Description, "netbox/"+prefix.String()), Reason: r.Description,
	}}
	if r.Owner == "" && r.Name == "" {
		a.Name = prefix.String() // what stands for the owner may stand on several lines
	}
	full := prefix.Addr().BitLen()
	switch {
	case a.Kind == "" && r.Status == statusReserved:
		a.Kind = KindReserved
	case a.Kind == "" && prefix.IsSingleIP():
		a.Kind = KindAddress
	case a.Kind == "" && prefix.Bits() == full-1:
		a.Kind = KindLink
	case a.Kind == "":
		a.Kind = KindBlock
	case !slices.Contains([]Kind{KindLink, KindAddress, KindBlock, KindElastic, KindReserved}, a.Kind):
		return nil, fmt.Errorf("cf_ferrodur_kind %q is no kind of allocation", r.Kind)
	}
	switch {
	case a.Kind == KindAddress && !prefix.IsSingleIP(), a.Kind == KindLink && (prefix.Bits() >= full || prefix.Bits() < full-2):
		return nil, fmt.Errorf("%s is no %s", prefix, a.Kind)
	}
	if err := checkOwner(a.Owner); err != nil {
		return nil, err
	}
	if err := checkTexts(a.Name, a.Tenant, a.Instance, a.Reason); err != nil {
		return nil, err
	}
	for _, field := range []struct {
		name, text string
		at         *time.Time
	}{
		{"allocated_at", r.AllocatedAt, &a.AllocatedAt}, {"released_at", r.ReleasedAt, &a.ReleasedAt}, {"rests_until", r.RestsUntil, &a.RestsUntil},
	} {
		if field.text == "" {
			continue
		}
		var err error
		if *field.at, err = time.Parse(time.RFC3339Nano, field.text); err != nil {
			return nil, fmt.Errorf("cf_ferrodur_%s %q is no time such as 2026-01-02T15:04:05Z", field.name, field.text)
		}
	}
	if a.ReleasedAt.IsZero() != a.RestsUntil.IsZero() || (r.Status == statusDeprecated) == a.ReleasedAt.IsZero() {
		return nil, errors.New("what is released, and only that, is deprecated, and has both cf_ferrodur_released_at and cf_ferrodur_rests_until")
	}
	return &a, nil
}

func splitTags(text string) []string {
	tags := []string{}
	for _, tag := range strings.Split(text, ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			tags = append(tags, tag)
		}
	}
	return tags
}

// recordOf is the record of a prefix of the tree.
func recordOf(p Prefix, pool Pool) Record {
	r := Record{
		Prefix: p.Prefix.String(), VRF: vrfName(p.Domain), Status: statusActive, Description: p.Description, Tags: strings.Join(p.Tags, ","),
		ScopeName: p.Site,
	}
	if r.ScopeName != "" {
		r.ScopeType = "dcim.site"
	}
	switch p.Kind {
	case Container:
		r.Status = statusContainer
	case Reserved:
		r.Status = statusReserved
	case PoolKind:
		r.IsPool, r.Tenant, r.Role = true, p.Tenant, string(p.Role)
		r.Pool, r.Plan, r.Source, r.Quarantine, r.Threshold = p.Name, p.Plan, pool.Source, pool.Quarantine.String(), pool.Threshold
	}
	return r
}

// recordOfAllocation is the record of what is held, or rests.
func recordOfAllocation(a importedAllocation) Record {
	r := Record{
		Prefix: a.Prefix.String(), VRF: vrfName(a.Domain), Tenant: a.Tenant, Status: statusActive, Description: a.Reason,
		Kind: string(a.Kind), Owner: a.Owner, Name: a.Name, Instance: a.Instance, AllocatedAt: a.AllocatedAt.UTC().Format(time.RFC3339Nano),
	}
	if a.Prefix.IsSingleIP() {
		r.Prefix, r.Address = "", r.Prefix
	}
	switch {
	case !a.ReleasedAt.IsZero():
		r.Status = statusDeprecated
		r.ReleasedAt, r.RestsUntil = a.ReleasedAt.UTC().Format(time.RFC3339Nano), a.RestsUntil.UTC().Format(time.RFC3339Nano)
	case a.Kind == KindReserved:
		r.Status = statusReserved
	}
	return r
}

func vrfName(domain string) string {
	if domain == DefaultDomain {
		return ""
	}
	return domain
}
