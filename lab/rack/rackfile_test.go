package rack_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"ferrodur/lab/machine"
	"ferrodur/lab/rack"
)

const wantRackFile = `# The virtual rack, as lab up built it. Enrol it with: starter apply -f rack.yaml
# Passwords are references to files, which the site's workers read.

sites:
  - name: lab
    description: virtual rack on this machine

pools:
  - name: lab-provisioning
    site: lab
    role: provisioning
    prefix: 203.0.113.0/25
  - name: lab-tenant
    site: lab
    role: tenant
    prefix: 198.51.100.0/25
  - name: lab-routed
    site: lab
    role: routed
    prefix: 198.51.100.128/26
  - name: lab-elastic
    site: lab
    role: elastic
    prefix: 198.51.100.192/27
  - name: lab-tenant-ipv6
    site: lab
    role: tenant
    prefix: "2001:db8:100::/48"

plans:
  - name: c1.small
    description: a virtual server
    threads: 2
    memory_mib: 512
    disks: 1
    disk_bytes: 1073741824
  - name: v1.small
    description: a virtual server
    threads: 2
    memory_mib: 2048
    disks: 1
    disk_bytes: 8589934592

images:
  - name: debian-12
    file: "image.raw.zst"
    sha256: DIGEST
    bytes: 1048576
    ssh_user: debian

networks:
  - name: boot
    site: lab
    vlan: 100
    prefixes: ["203.0.113.128/26"]
  - name: blue
    site: lab
    vlan: 200
    prefixes: ["203.0.113.192/26", "2001:db8:200::/64"]
  - name: green
    site: lab
    vlan: 300
    prefixes: ["198.51.100.224/27", "2001:db8:300::/64"]

switches:
  - name: sw1
    site: lab
    platform: frr
    address: 192.0.2.9:22
    user: ferrodur
    password: "file:DIR/secrets/sw1"
    host_key: ssh-ed25519 KEY
    ports: [swp1, swp2]
    lldp: true
    provisioning:
      reach: [192.0.2.1/32]
  - name: sw2
    site: lab
    platform: ovs
    address: 192.0.2.10:22
    user: ferrodur
    password: "file:DIR/secrets/sw2"
    host_key: ssh-ed25519 OTHER
    ports: [swp3, swp19]
    lldp: true
    provisioning:
      network: boot
      circuit_id: vlan100
  - name: sw3
    site: lab
    platform: frr
    address: 192.0.2.8:22
    user: ferrodur
    password: "file:DIR/secrets/sw3"
    host_key: ssh-ed25519 THIRD
    ports: [swp17]
    lldp: true
    provisioning:
      reach: [192.0.2.1/32]

servers:
  - name: s1
    site: lab
    rack: r1
    plan: c1.small
    switch: sw1
    port: swp1
    mac: "52:54:00:fd:00:01"
    uplinks:
      - {switch: sw3, port: swp17, mac: "52:54:00:fd:01:01"}
    bmc:
      address: 192.0.2.11:623
      user: admin
      password: "file:DIR/secrets/s1-bmc"
  - name: s2
    site: lab
    rack: r1
    plan: c1.small
    switch: sw1
    port: swp2
    mac: "52:54:00:fd:00:02"
    bmc:
      address: 192.0.2.12:623
      user: admin
      password: "file:DIR/secrets/s2-bmc"
  - name: s3
    site: lab
    rack: r1
    plan: v1.small
    switch: sw2
    port: swp3
    mac: "52:54:00:fd:00:03"
    uplinks:
      - {switch: sw2, port: swp19, mac: "52:54:00:fd:01:03"}
    bond: 3
    bmc:
      address: 192.0.2.13:623
      user: admin
      password: "file:DIR/secrets/s3-bmc"
`

func TestRackFile(t *testing.T) {
	config := describe(t)
	encoder, err := zstd.NewWriter(nil)
	must(t, err)
	image := filepath.Join(t.TempDir(), "image.raw.zst")
	must(t, os.WriteFile(image, encoder.EncodeAll(make([]byte, 1<<20), nil), 0o600))
	config.Image = &rack.Image{Name: "debian-12", File: image}
	config.Servers = append(config.Servers, rack.Server{Firmware: machine.BIOS, Bridged: true, DualHomed: true})
	config.Servers[0].DualHomed = true
	must(t, rack.Up(t.Context(), config))

	text, err := os.ReadFile(filepath.Join(config.Dir, rack.RackFile))
	must(t, err)
	// sha256sum and the key file of the switch are the judges of what differs every time.
	sum, err := config.Site().Run(t.Context(), "sha256sum", image)
	must(t, err)
	key := func(name string) string {
		key, err := config.Site().Run(t.Context(), "ssh-keygen", "-y", "-f", filepath.Join(config.Dir, "switches", name, "ssh_host_ed25519_key"))
		must(t, err)
		return strings.Fields(string(key))[1]
	}
	want := strings.NewReplacer(
		"DIGEST", strings.Fields(string(sum))[0],
		"KEY", key("sw1"),
		"OTHER", key("sw2"),
		"THIRD", key("sw3"),
		"DIR", config.Dir,
	).Replace(wantRackFile)
	if string(text) != want {
		t.Errorf("rack.yaml is:\n%s\nwant:\n%s", text, want)
	}
	for _, secret := range []string{"sw1", "s1-bmc", "s2-bmc"} {
		info, err := os.Stat(filepath.Join(config.Dir, "secrets", secret))
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s: %v", secret, info.Mode())
		}
	}
}
