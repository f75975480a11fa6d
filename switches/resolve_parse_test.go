package switches

import (
	"net/netip"
	"testing"
)

func TestReadHost(t *testing.T) {
	const mac = "02:ab:00:00:00:09"
	for name, test := range map[string]struct {
		table, host, port, want string
	}{
		"EOS":                 {"Address  Age  Hardware Addr  Interface\n198.51.100.1  0:00:12  02ab.0000.0009  Vlan100, Ethernet3\n", "198.51.100.1", "Ethernet3", mac},
		"IOS, in short":       {"IPv6 Address  Age Link-layer Addr State Interface\n2001:DB8::1  0 02ab.0000.0009  REACH Gi1/0/3\n", "2001:db8::1", "GigabitEthernet1/0/3", mac},
		"NX-OS, broken":       {"2001:db8::1\r\n        00:00:12  02ab.0000.0009  50  icmpv6  Ethernet1/3\r\n", "2001:db8::1", "Ethernet1/3", mac},
		"Junos":               {"MAC Address  Address  Interface  Flags\n02:ab:00:00:00:09 198.51.100.1  xe-0/0/3.0  none\n", "198.51.100.1", "xe-0/0/3", mac},
		"Linux":               {"198.51.100.1 dev swp3 lladdr 02:ab:00:00:00:09 REACHABLE \n", "198.51.100.1", "swp3", mac},
		"Linux, any port":     {"198.51.100.1 dev bond7 lladdr 02:ab:00:00:00:09 REACHABLE \n", "198.51.100.1", "", mac},
		"another port":        {"198.51.100.1 dev swp30 lladdr 02:ab:00:00:00:09 REACHABLE \n", "198.51.100.1", "swp3", ""},
		"another host":        {"198.51.100.11 dev swp3 lladdr 02:ab:00:00:00:09 REACHABLE \n", "198.51.100.1", "swp3", ""},
		"old":                 {"198.51.100.1 dev swp3 lladdr 02:ab:00:00:00:09 STALE \n", "198.51.100.1", "swp3", ""},
		"nobody answers":      {"198.51.100.1 dev swp3 FAILED \n", "198.51.100.1", "swp3", ""},
		"IOS, nobody answers": {"Internet  198.51.100.1  0  Incomplete  ARPA\n", "198.51.100.1", "GigabitEthernet1/0/3", ""},
		"NX-OS, not yet":      {"2001:db8::1\n   00:00:41  0000.0000.0000  255  icmpv6  Ethernet1/3  #\n", "2001:db8::1", "Ethernet1/3", ""},
		"nothing":             {"", "198.51.100.1", "swp3", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := readHost(test.table, netip.MustParseAddr(test.host), test.port).String(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// FuzzReadHost: whatever a table holds, nothing panics, and what is found is a NIC's address.
func FuzzReadHost(f *testing.F) {
	f.Add("198.51.100.1 dev swp3 lladdr 02:ab:00:00:00:09 REACHABLE\n", "swp3")
	f.Add("2001:db8::1\n 00:00:12  02ab.0000.0009  50  icmpv6  Ethernet1/3\n", "Ethernet1/3")
	f.Fuzz(func(t *testing.T, table, port string) {
		for _, host := range []string{"198.51.100.1", "2001:db8::1"} {
			if mac := readHost(table, netip.MustParseAddr(host), port); mac != nil && len(mac) != 6 {
				t.Errorf("found %s", mac)
			}
		}
	})
}
