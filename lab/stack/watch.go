package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
)

// WatchSources has the site's kernel count the UDP packets to a port that arrive from
// addresses.
func (s *Stack) WatchSources(ctx context.Context, port uint16, sources ...netip.Addr) error {
	commands := []string{"add table inet sources", "add chain inet sources arriving { type filter hook prerouting priority raw ; }"}
	for _, source := range sources {
		commands = append(commands, fmt.Sprintf("add rule inet sources arriving ip saddr %s udp dport %d counter comment %q", source, port, source))
	}
	for _, command := range commands {
		if output, err := s.Site().Run(ctx, "nft", strings.Fields(command)...); err != nil {
			return fmt.Errorf("nft %s: %w\n%s", command, err, output)
		}
	}
	return nil
}

// SeenSources ends WatchSources, and returns how many packets arrived from each.
func (s *Stack) SeenSources(ctx context.Context) (map[netip.Addr]int, error) {
	text, err := s.Site().Run(ctx, "nft", "-j", "list", "chain", "inet", "sources", "arriving")
	if err != nil {
		return nil, err
	}
	var listed struct { // libnftables-json(5)
		Nftables []struct {
			Rule struct {
				Comment string
				Expr    []struct {
					Counter *struct{ Packets int }
				}
			}
		}
	}
	if err := json.Unmarshal(text, &listed); err != nil {
		return nil, err
	}
	seen := map[netip.Addr]int{}
	for _, object := range listed.Nftables {
		for _, expression := range object.Rule.Expr {
			if source, err := netip.ParseAddr(object.Rule.Comment); err == nil && expression.Counter != nil {
				seen[source] = expression.Counter.Packets
			}
		}
	}
	return seen, s.undrop(ctx, "sources")
}
