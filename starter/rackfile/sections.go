package rackfile

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"ferrodur/inventory"
	"ferrodur/ipam"
)

// rack reads the sections in the order in which they refer to each other.
func (r *reader) rack(root ast.Node, rack *Rack) {
	top, ok := r.object(root, "rack file")
	if !ok {
		return
	}
	rack.Sites = section(top, "sites", readSite)
	rack.Zones = readZones(top)
	rack.Addresses.Domains = section(top, "domains", readDomain)
	rack.Addresses.Prefixes = section(top, "prefixes", readPrefix)
	rack.Addresses.Pools = section(top, "pools", readPool)
	rack.Addresses.Limits = slices.Concat(section(top, "limits", readLimits)...)
	rack.Plans = section(top, "plans", readPlan)
	rack.Images = section(top, "images", readImage)
	rack.Networks = section(top, "networks", readNetwork)
	rack.Switches = section(top, "switches", readSwitch)

	cabling := newCabling(rack.Switches)
	rack.Servers = section(top, "servers", func(o *object) inventory.Server { return readServer(o, cabling) })
	top.done()

	r.findOverlaps(top, rack)
	r.findForbidden(top, rack)
	for _, network := range rack.Networks {
		rack.Addresses.Pools = append(rack.Addresses.Pools, ipam.NetworkPools(network.Name, network.Site, network.Prefixes)...)
	}
}

// section reads a list of objects. Elements that are no objects are left out.
func section[T any](top *object, name string, read func(*object) T) []T {
	var all []T
	for i, node := range top.list(name) {
		o, ok := top.object(node, fmt.Sprintf("%s[%d]", name, i))
		if !ok {
			continue
		}
		all = append(all, read(o))
		o.done()
	}
	return all
}

func readSite(o *object) inventory.Site {
	return inventory.Site{Name: o.name(inventory.KindSite), Description: o.optional("description")}
}

func readPlan(o *object) inventory.Plan {
	return inventory.Plan{
		Name:        o.name(inventory.KindPlan),
		Description: o.optional("description"),
		Threads:     o.count("threads"),
		MemoryMiB:   o.count("memory_mib"),
		Disks:       o.count("disks"),
		DiskBytes:   o.size("disk_bytes"),
	}
}

func readImage(o *object) inventory.Image {
	image := inventory.Image{
		Name:    o.name(inventory.KindImage),
		File:    o.text("file"),
		SHA256:  o.text("sha256"),
		Bytes:   o.size("bytes"),
		SSHUser: o.text("ssh_user"),
	}
	o.check("sha256", image.SHA256, checkSHA256)
	if _, found := o.field("bytes"); !found {
		o.wrong("bytes", "is missing: the size of the raw image, not of the compressed file")
	} else if image.Bytes == 0 && o.at("bytes").Type() == ast.IntegerType {
		o.wrong("bytes", "must be more than 0")
	}
	return image
}

func readSwitch(o *object) inventory.Switch {
	s := inventory.Switch{
		Name:     o.name(inventory.KindSwitch),
		Site:     o.reference(inventory.KindSite),
		Platform: o.text("platform"),
		Address:  o.text("address"),
		User:     o.text("user"),
		HostKey:  o.optional("host_key"),
	}
	if s.Platform != "" && !slices.Contains(inventory.Platforms(), s.Platform) {
		o.wrong("platform", "%q is none of %s", s.Platform, strings.Join(inventory.Platforms(), ", "))
	}
	o.check("address", s.Address, checkHostPort)
	o.check("host_key", s.HostKey, checkHostKey)
	s.Password = secret(o, "password")
	s.PrivateKey = secret(o, "private_key")
	_, hasPassword := o.field("password")
	if _, hasKey := o.field("private_key"); !hasKey && !hasPassword {
		o.wrong("private_key", "or password is missing: how else does one log in")
	}
	o.check("dhcp_relay", o.optional("dhcp_relay"), func(text string) error { return parseAddress(text, &s.DHCPRelay) })

	for _, text := range o.texts("prefixes") {
		var prefix netip.Prefix
		o.check("prefixes", text, func(text string) error { return parsePrefix(text, &prefix) })
		s.Prefixes = append(s.Prefixes, prefix)
	}
	for _, text := range o.texts("vlans") {
		id, err := strconv.ParseUint(text, 10, 16)
		if err != nil || id < 1 || id > 4094 {
			o.wrong("vlans", "has %q, which is no VLAN from 1 to 4094", text)
		}
		s.VLANs = append(s.VLANs, int(id))
	}
	s.ASN = uint32(o.number("asn", 1<<32-1))
	s.Heal, s.MTU, s.AnySource, s.LLDP = o.flag("heal"), o.count("mtu"), o.flag("any_source"), o.flag("lldp")
	if s.MTU != 0 && (s.MTU < inventory.LeastMTU || s.MTU > inventory.MostMTU) {
		o.wrong("mtu", "must be from %d to %d: the largest IP packet in bytes", inventory.LeastMTU, inventory.MostMTU)
	}
	if node, found := o.field("provisioning"); found {
		if provisioning, ok := o.object(node, o.what+": provisioning"); ok {
			s.Provisioning = readProvisioningPorts(provisioning)
		}
	}
	if _, found := o.field("ports"); !found {
		o.wrong("ports", "is missing: the interfaces that servers are cabled to")
	}
	for _, node := range o.list("ports") {
		port, ok := scalar(node)
		switch {
		case !ok:
			o.report(node, "%s: a port must be text, not %s", o.what, kindOf(node))
		case !portName().MatchString(port):
			o.report(node, "%s: port %q is no interface name", o.what, port)
		case slices.Contains(s.Ports, port):
			o.report(node, "%s: port %s is listed already", o.what, port)
		default:
			s.Ports = append(s.Ports, port)
		}
	}
	return s
}

func readProvisioningPorts(o *object) (p inventory.ProvisioningPorts) {
	for _, text := range o.texts("reach") {
		var prefix netip.Prefix
		o.check("reach", text, func(text string) error { return parsePrefix(text, &prefix) })
		p.Reach = append(p.Reach, prefix)
	}
	for _, text := range o.texts("relay") {
		var server netip.Addr
		o.check("relay", text, func(text string) error { return parseAddress(text, &server) })
		p.Relay = append(p.Relay, server)
	}
	if _, found := o.field("network"); found {
		p.Network = o.reference(inventory.KindNetwork)
	}
	p.CircuitID = o.optional("circuit_id")
	o.done()
	return p
}

// readNetwork reads a VLAN with its addresses, which are pools of its own.
func readNetwork(o *object) inventory.Network {
	network := inventory.Network{Name: o.name(inventory.KindNetwork), Site: o.reference(inventory.KindSite), VLAN: o.count("vlan")}
	if network.VLAN < 1 || network.VLAN > 4094 {
		o.wrong("vlan", "must be from 1 to 4094")
	}
	families := map[bool]bool{}
	for _, text := range o.texts("prefixes") {
		var prefix netip.Prefix
		o.check("prefixes", text, func(text string) error {
			err := parsePrefix(text, &prefix)
			switch {
			case err != nil:
				return err
			case families[prefix.Addr().Is4()]:
				return fmt.Errorf("must have at most one prefix of each family: %s is the second", prefix)
			case prefix.Addr().BitLen()-prefix.Bits() < 2:
				return fmt.Errorf("must have room for a gateway and a server: %s has not", prefix)
			}
			families[prefix.Addr().Is4()] = true
			return nil
		})
		network.Prefixes = append(network.Prefixes, prefix)
	}
	if len(network.Prefixes) == 0 {
		o.wrong("prefixes", "is missing: the addresses of its servers, with the gateway first")
	}
	return network
}

func readServer(o *object, cabling cabling) inventory.Server {
	server := inventory.Server{
		Name:   o.name(inventory.KindServer),
		Site:   o.reference(inventory.KindSite),
		Rack:   o.optional("rack"),
		Plan:   o.reference(inventory.KindPlan),
		Uplink: readUplink(o),
		Disk:   o.optional("disk"),
	}
	cabling.check(o, server, server.Uplink)
	for n, node := range o.list("uplinks") {
		if further, ok := o.object(node, fmt.Sprintf("%s: uplinks[%d]", o.what, n)); ok {
			uplink := readUplink(further)
			further.done()
			cabling.check(further, server, uplink)
			server.Others = append(server.Others, uplink)
		}
	}
	if _, bonded := o.field("bond"); bonded {
		server.Bond = o.count("bond")
		cabling.checkBond(o, server)
	}
	o.check("disk", server.Disk, checkDisk)
	if node, found := o.field("bmc"); !found {
		o.wrong("bmc", "is missing")
	} else if bmc, ok := o.object(node, o.what+": bmc"); ok {
		server.BMC = readBMC(bmc)
	}
	if node, found := o.field("declared"); found {
		if declared, ok := o.object(node, o.what+": declared"); ok {
			server.Declared = inventory.Declared{
				CPUThreads: declared.count("cpu_threads"),
				MemoryMiB:  declared.count("memory_mib"),
				DiskBytes:  declared.size("disk_bytes"),
			}
			declared.done()
		}
	}
	if server.BMC.Address != "" {
		cabling.claim(o, "bmc", fmt.Sprintf("%s at site %s", server.BMC.Address, server.Site), server.Name)
	}
	return server
}

func readUplink(o *object) inventory.Uplink {
	uplink := inventory.Uplink{Switch: o.reference(inventory.KindSwitch), Port: o.text("port")}
	o.parsed("mac", func(text string) error { return parseMAC(text, &uplink.MAC) })
	return uplink
}

func readBMC(o *object) inventory.BMC {
	bmc := inventory.BMC{Address: o.text("address"), User: o.text("user")}
	o.check("address", bmc.Address, checkHost)
	if _, found := o.field("password"); !found {
		o.wrong("password", `is missing: write "env:NAME" or "file:/absolute/path" and keep the password there`)
	}
	bmc.Password = secret(o, "password")
	o.done()
	return bmc
}

// secret reads a secret reference. What stands there in its place is never repeated.
func secret(o *object, name string) inventory.SecretRef {
	if _, found := o.field(name); !found {
		return ""
	}
	ref, err := inventory.ParseSecretRef(o.optional(name))
	if err != nil {
		o.wrong(name, "is %s", err)
	}
	return ref
}

// findOverlaps reports pools, and networks, that share addresses.
func (r *reader) findOverlaps(top *object, rack *Rack) {
	nodes, networks := top.list("pools"), top.list("networks")
	pools := slices.Clone(rack.Addresses.Pools)
	if len(nodes) != len(pools) || len(networks) != len(rack.Networks) {
		return // an element was no object, and is reported
	}
	for i, network := range rack.Networks {
		for _, pool := range ipam.NetworkPools(network.Name, network.Site, network.Prefixes) {
			pools, nodes = append(pools, pool), append(nodes, networks[i])
		}
	}
	for i, pool := range pools {
		for _, earlier := range pools[:i] {
			if pool.Domain == earlier.Domain && pool.Prefix.IsValid() && earlier.Prefix.IsValid() && pool.Prefix.Overlaps(earlier.Prefix) {
				r.report(prefixNode(nodes[i]), "pool %s: prefix %s overlaps %s of pool %s", pool.Name, pool.Prefix, earlier.Prefix, earlier.Name)
			}
		}
	}
}

// findForbidden reports networks that no switch of their site may carry, and VLANs that are two networks.
func (r *reader) findForbidden(top *object, rack *Rack) {
	nodes := top.list("networks")
	if len(nodes) != len(rack.Networks) {
		return // an element was no object, and is reported
	}
	for i, network := range rack.Networks {
		twice := slices.IndexFunc(rack.Networks[:i], func(n inventory.Network) bool { return n.Site == network.Site && n.VLAN == network.VLAN })
		if twice >= 0 && network.VLAN != 0 {
			r.report(nodes[i], "network %s: VLAN %d of site %s is network %s already", network.Name, network.VLAN, network.Site, rack.Networks[twice].Name)
		}
		near, able := false, false
		for _, s := range rack.Switches {
			if s.Site == network.Site {
				near, able = true, able || len(s.VLANs) == 0 || slices.Contains(s.VLANs, network.VLAN)
			}
		}
		if near && !able {
			r.report(nodes[i], "network %s: no switch of site %s may carry VLAN %d: name it in its vlans", network.Name, network.Site, network.VLAN)
		}
	}
}

// prefixNode finds where a pool says its prefix.
func prefixNode(pool ast.Node) ast.Node {
	if mapping, ok := pool.(*ast.MappingNode); ok {
		for _, value := range mapping.Values {
			if key, _ := scalar(value.Key); key == "prefix" || key == "prefixes" {
				return value.Value
			}
		}
	}
	return pool
}

func parseAddress(text string, address *netip.Addr) (err error) {
	*address, err = netip.ParseAddr(text)
	if err != nil {
		return fmt.Errorf("%q is no IP address", text)
	}
	return nil
}
