package switches

import (
	"strings"
	"unicode"
)

// longName is the full name of an interface, "Ethernet1/1" for "Eth1/1", by what its platform
// calls the kinds of interfaces in short and in full.
func longName(name string, kinds map[string]string) string {
	for short, long := range kinds {
		if rest, is := strings.CutPrefix(name, short); is && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return long + rest
		}
	}
	return name
}

// fullName finds the port that a shortened name stands for: "Gi1/0/1" for
// "GigabitEthernet1/0/1". What stands for none is returned as it is.
func fullName(short string, ports map[string]bool) string {
	if _, there := ports[short]; there {
		return short
	}
	digit := func(r rune) bool { return unicode.IsDigit(r) }
	at := strings.IndexFunc(short, digit)
	if at < 1 {
		return short
	}
	for port := range ports {
		if n := strings.IndexFunc(port, digit); n >= at && strings.HasPrefix(port, short[:at]) && port[n:] == short[at:] {
			return port
		}
	}
	return short
}
