package switches_test

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"testing"
	"time"

	"ferrodur/lab/netns"
	"ferrodur/switches"
)

// A host that is there answers for its addresses with its MAC, and nobody does elsewhere.
func TestResolve(t *testing.T) {
	t.Parallel()
	for platform, set := range benches {
		t.Run(platform, func(t *testing.T) {
			bench := set(t)
			intent := intentsOf(bench.port(3))["routed"]
			if bench.has("in a VRF") {
				intent.VRF = "red"
			}
			if !bench.has("routed") {
				var unsupported *switches.UnsupportedError
				if _, err := bench.open(t).Resolve(t.Context(), intent); !errors.As(err, &unsupported) {
					t.Errorf("got %v, want an UnsupportedError", err)
				}
				return
			}
			bench.must(t, intent)
			session := bench.open(t)
			silent, err := session.Resolve(t.Context(), intent)
			check(t, err)
			if len(silent) > 0 {
				t.Errorf("%v answers before anybody is there", silent)
			}
			mac := net.HardwareAddr{2, 0xab, 0, 0, 0, 9}
			want := map[netip.Addr]string{}
			for _, link := range intent.Links() {
				bench.answer(t, intent, link.Host, mac)
				want[link.Host] = mac.String()
			}
			got := map[netip.Addr]string{}
			for deadline := time.Now().Add(10 * time.Second); len(got) < len(want) && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
				found, err := session.Resolve(t.Context(), intent)
				check(t, err)
				for host, mac := range found {
					got[host] = mac.String()
				}
			}
			if !maps.Equal(got, want) {
				t.Errorf("found %v, want %v", got, want)
			}
			elsewhere := intent
			elsewhere.Port = bench.port(4)
			if found, err := session.Resolve(t.Context(), elsewhere); err != nil || len(found) > 0 {
				t.Errorf("on another port there is %v (%v)", found, err)
			}
			elsewhere.Bond = &switches.Bond{Group: 7}
			if found, err := session.Resolve(t.Context(), elsewhere); err != nil || len(found) != len(want) {
				t.Errorf("on a member of a bond there is %v (%v)", found, err)
			}
		})
	}
}

// answer has a host with Linux at the other end of a port's cable.
func (r *rig) answer(t *testing.T, intent switches.Intent, host netip.Addr, mac net.HardwareAddr) {
	t.Helper()
	end, there := "far"+intent.Port, r.namespace+"-host"
	run := func(in netns.Namespace, arguments ...string) {
		t.Helper()
		_, err := in.Run(t.Context(), "ip", arguments...)
		check(t, err)
	}
	if !there.Exists() {
		t.Cleanup(func() { check(t, there.Delete()) })
		check(t, there.Create())
		run(r.namespace, "link", "set", end, "netns", string(there))
		run(there, "link", "set", end, "address", mac.String(), "up")
	}
	run(there, "address", "add", netip.PrefixFrom(host, host.BitLen()-1).String(), "dev", end, "nodad")
}
