package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"ferrodur/bootsvc/job"
)

// errParameters says that the kernel was not started by the boot service's script.
var errParameters = errors.New("the kernel command line does not say where the boot service is")

// parameters are what the boot script told on the kernel command line.
type parameters struct {
	url, token string
	mac        net.HardwareAddr
	address    netip.Prefix
	gateway    netip.Addr
}

// parseParameters reads the kernel command line. Words of others are left alone.
func parseParameters(commandLine string) (parameters, error) {
	values := map[string]string{}
	for _, word := range strings.Fields(commandLine) {
		if name, value, found := strings.Cut(word, "="); found {
			values[name] = value
		}
	}
	p := parameters{url: strings.TrimSuffix(values[job.ParamURL], "/"), token: values[job.ParamToken]}
	if p.url == "" || p.token == "" {
		return p, errParameters
	}
	var errs [3]error
	p.mac, errs[0] = net.ParseMAC(values[job.ParamMAC])
	p.address, errs[1] = netip.ParsePrefix(values[job.ParamAddress])
	p.gateway, errs[2] = netip.ParseAddr(values[job.ParamGateway])
	if err := errors.Join(errs[:]...); err != nil {
		return p, fmt.Errorf("%w: %w", errParameters, err)
	}
	return p, nil
}
