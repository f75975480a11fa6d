package main

import (
	"errors"
	"strings"
	"testing"
)

const commandLine = "initrd=agent.img ferrodur.url=http://192.0.2.1:8080/ ferrodur.token=abc= ferrodur.mac=52:54:00:fd:00:01 " +
	"ferrodur.address=203.0.113.1/31 ferrodur.gateway=203.0.113.0 console=ttyS0,115200\n"

func TestParseParameters(t *testing.T) {
	p, err := parseParameters(commandLine)
	if err != nil {
		t.Fatal(err)
	}
	if p.url != "http://192.0.2.1:8080" || p.token != "abc=" || p.mac.String() != "52:54:00:fd:00:01" ||
		p.address.String() != "203.0.113.1/31" || p.gateway.String() != "203.0.113.0" {
		t.Errorf("got %+v", p)
	}
	for _, missing := range []string{"url", "token", "mac", "address", "gateway"} {
		if _, err := parseParameters(strings.ReplaceAll(commandLine, "ferrodur."+missing, "x")); !errors.Is(err, errParameters) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}

func FuzzParseParameters(f *testing.F) {
	f.Add(commandLine)
	f.Add("ferrodur.url= ferrodur.token")
	f.Fuzz(func(t *testing.T, line string) {
		p, err := parseParameters(line)
		if err == nil && (p.url == "" || p.token == "" || !p.address.IsValid() || !p.gateway.IsValid()) {
			t.Errorf("%q was taken for %+v", line, p)
		}
		if err != nil && p.token != "" && len(p.token) > 8 && strings.Contains(err.Error(), p.token) {
			t.Errorf("the token is in %q", err)
		}
	})
}
