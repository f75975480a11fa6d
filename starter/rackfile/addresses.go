package rackfile

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"ferrodur/inventory"
	"ferrodur/ipam"
)

func readDomain(o *object) ipam.Domain {
	return ipam.Domain{Name: o.name(kindDomain), Description: o.optional("description")}
}

// domain reads the routing domain that something is in; the default one where none is named.
func (o *object) domain() string {
	if _, found := o.field(string(kindDomain)); !found {
		return ""
	}
	if o.optional(string(kindDomain)) == ipam.DefaultDomain {
		return ""
	}
	return o.reference(kindDomain)
}

func readPool(o *object) ipam.Pool {
	pool := ipam.Pool{
		Name: o.name(kindPool), Site: o.reference(inventory.KindSite), Domain: o.domain(),
		Plan: o.optional("plan"), Tenant: o.optional("tenant"), Source: o.optional("source"),
		Threshold: o.count("threshold"), Tags: o.texts("tags"), Description: o.optional("description"),
	}
	o.parsed("role", func(text string) error { return parseRole(text, &pool.Role) })
	o.parsed("prefix", func(text string) error { return parsePrefix(text, &pool.Prefix) })
	if links := pool.Role == ipam.Tenant || pool.Role == ipam.Provisioning; links && pool.Prefix.IsValid() && pool.Prefix.IsSingleIP() {
		o.wrong("prefix", "%s is one address: a link needs two", pool.Prefix)
	}
	o.check("quarantine", o.optional("quarantine"), func(text string) error { return parseDuration(text, &pool.Quarantine) })
	if _, found := o.field("threshold"); found && (pool.Threshold < 1 || pool.Threshold > 100) {
		o.wrong("threshold", "must be from 1 to 100, the percent in use from which the pool is reported")
	}
	if pool.Source != "" && pool.Source != "netbox" {
		o.wrong("source", "must be netbox, or be left out for a pool that is kept here, not %q", pool.Source)
	}
	if pool.Prefix.IsValid() && pool.Site != "" && pool.Role != "" {
		o.judge("tags", ipam.Declaration{Pools: []ipam.Pool{pool}}.Validate())
	}
	return pool
}

func readPrefix(o *object) ipam.Prefix {
	prefix := ipam.Prefix{
		Domain: o.domain(), Kind: ipam.Container, Tags: o.texts("tags"), Description: o.optional("description"),
	}
	if _, found := o.field("site"); found {
		prefix.Site = o.reference(inventory.KindSite)
	}
	o.parsed("prefix", func(text string) error {
		o.what = "prefix " + text
		return parsePrefix(text, &prefix.Prefix)
	})
	o.check("kind", o.optional("kind"), func(text string) error {
		prefix.Kind = ipam.PrefixKind(text)
		if prefix.Kind != ipam.Container && prefix.Kind != ipam.Reserved {
			return fmt.Errorf("must be %s or %s, not %q: pools are declared under pools", ipam.Container, ipam.Reserved, text)
		}
		return nil
	})
	if prefix.Prefix.IsValid() {
		o.judge("tags", ipam.Declaration{Prefixes: []ipam.Prefix{prefix}}.Validate())
	}
	return prefix
}

// judge reports what the address management finds wrong, at the field that is most likely
// meant.
func (o *object) judge(field string, err error) {
	if invalid := (*ipam.InvalidError)(nil); errors.As(err, &invalid) {
		o.report(o.at(field), "%s: %s", o.what, invalid.Reason)
	}
}

// readLimits reads what a tenant may hold: IPv4 as a number of addresses or as the prefix
// length of a block that has as many, IPv6 as a prefix length.
func readLimits(o *object) (limits []ipam.Limit) {
	tenant := o.text("tenant")
	o.what = "limits of " + tenant
	for _, family := range []struct {
		field  string
		family ipam.Family
		bits   int
	}{{"ipv4", ipam.IPv4, 32}, {"ipv6", ipam.IPv6, 128}} {
		o.check(family.field, o.optional(family.field), func(text string) error {
			addresses, err := parseLimit(text, family.bits)
			limits = append(limits, ipam.Limit{Tenant: tenant, Family: family.family, Addresses: addresses})
			return err
		})
	}
	if limits == nil {
		o.wrong("tenant", "%q has neither an ipv4 nor an ipv6 limit", tenant)
	}
	return limits
}

func parseLimit(text string, bits int) (float64, error) {
	if text[0] == '/' {
		length, err := strconv.Atoi(text[1:])
		if err == nil && length >= 0 && length <= bits {
			return math.Exp2(float64(bits - length)), nil
		}
	} else if number, err := strconv.ParseUint(text, 10, 53); err == nil {
		return float64(number), nil
	}
	return 0, fmt.Errorf(`must be a number of addresses such as "64", or the length of a prefix that has as many such as "/26", not %q`, text)
}

// readZones reads the DNS zones of sites. A zone of several sites stands there once for each.
func readZones(top *object) []inventory.Zone {
	seen := map[string]bool{}
	return section(top, "zones", func(o *object) inventory.Zone {
		name := o.text("name")
		o.what = "zone " + name
		zone := inventory.Zone{
			Name: name, Site: o.reference(inventory.KindSite), Server: o.text("server"),
			Key: o.text("key"), Algorithm: o.optional("algorithm"), Secret: secret(o, "secret"),
		}
		if zone.Algorithm == "" {
			zone.Algorithm = "hmac-sha256"
		}
		o.check("name", zone.Name, checkZoneName)
		o.check("server", zone.Server, checkHostPort)
		o.check("algorithm", zone.Algorithm, checkAlgorithm)
		if _, found := o.field("secret"); !found {
			o.wrong("secret", `is missing: write "env:NAME" or "file:/absolute/path" and keep the key's secret there`)
		}
		if at := zone.Name + " " + zone.Site; seen[at] {
			o.wrong("name", "is declared already for site %s", zone.Site)
		} else {
			seen[at] = true
		}
		return zone
	})
}

// texts reads a list of texts.
func (o *object) texts(name string) (all []string) {
	for _, node := range o.list(name) {
		text, ok := scalar(node)
		if !ok {
			o.report(node, "%s: %s must be a list of texts, not of %s", o.what, name, kindOf(node))
			continue
		}
		all = append(all, text)
	}
	return all
}
