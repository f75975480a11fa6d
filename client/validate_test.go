package client_test

import (
	"errors"
	"strings"
	"testing"

	"ferrodur/client"
	"ferrodur/workflows/api"
)

func TestValidate(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*api.Order)
		want   string // in the refusal; empty: it is accepted
	}{
		"whole":                   {func(*api.Order) {}, ""},
		"no site":                 {func(o *api.Order) { o.Site = "" }, "a site"},
		"an ID with blanks":       {func(o *api.Order) { o.ID = "o 1" }, "ID"},
		"no host name":            {func(o *api.Order) { o.Hostname = "-a" }, "host name"},
		"nobody can log in":       {func(o *api.Order) { o.SSHKeys = nil }, "log in"},
		"user data instead":       {func(o *api.Order) { o.SSHKeys, o.UserData = nil, true }, ""},
		"a block":                 {func(o *api.Order) { o.Blocks.IPv4 = 28 }, ""},
		"a block of no length":    {func(o *api.Order) { o.Blocks.IPv4 = 33 }, "/33"},
		"a block in a network":    {func(o *api.Order) { o.Blocks.IPv4, o.Network = 28, "blue" }, "blue"},
		"BGP":                     {func(o *api.Order) { o.BGP = &api.BGP{ASN: 65010, Password: "env:BGP_ACME"} }, ""},
		"BGP in a network":        {func(o *api.Order) { o.BGP, o.Network = &api.BGP{ASN: 65010}, "blue" }, "blue"},
		"BGP without an AS":       {func(o *api.Order) { o.BGP = &api.BGP{Password: "env:BGP_ACME"} }, "AS number"},
		"BGP with a password":     {func(o *api.Order) { o.BGP = &api.BGP{ASN: 65010, Password: "hunter2"} }, "reference"},
		"BGP and a relative path": {func(o *api.Order) { o.BGP = &api.BGP{ASN: 65010, Password: "file:acme"} }, "reference"},
	} {
		t.Run(name, func(t *testing.T) {
			order := api.Order{ID: "o-1", Site: "ewr1", Plan: "c1.small", Image: "debian-12", SSHKeys: []string{"ssh-ed25519 AAAA"}}
			test.change(&order)
			err := client.Validate(order)
			if (err == nil) != (test.want == "") || err != nil && (!errors.Is(err, client.ErrRefused) || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Error("the password is in the error")
			}
		})
	}
}
