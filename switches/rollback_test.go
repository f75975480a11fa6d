package switches_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"ferrodur/switches"
	"ferrodur/switches/emulator"
)

// What others have configured while a change was made stays when the change is taken back.
func TestOthersWorkStays(t *testing.T) {
	for _, platform := range []string{"cisco_nxos", "cisco_iosxe"} {
		t.Run(platform, func(t *testing.T) {
			b := benches[platform](t)
			b.byHand(t, b.prepare...)
			intents := intentsOf(b.port(1))
			b.must(t, intents["quarantine"])
			before := sortedLines(b.running(t))
			var once sync.Once
			b.emulated.Fail(emulator.Faults{Slow: 4 * time.Millisecond, Refuse: func(line string) string {
				if !strings.HasPrefix(line, "ipv6 address ") {
					return ""
				}
				once.Do(func() { go func() { _ = b.emulated.ByHand("hostname renamed") }() })
				return refusal(b, line)
			}})
			_, err := applyOne(t, b.open(t), intents["routed"])
			var refused *switches.RefusedError
			if !errors.As(err, &refused) {
				t.Errorf("got %v, want a RefusedError", err)
			}
			now := b.running(t)
			expect(t, now, "hostname renamed")
			if rest := sortedLines(strings.Replace(now, "hostname renamed\n", "", 1)); withoutSizes(rest) != withoutSizes(before) {
				t.Errorf("the change left\n%s\nand it was\n%s", rest, before)
			}
		})
	}
}

// withoutSizes leaves out what depends on the length of the text, and empty lines.
func withoutSizes(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if words := strings.TrimSpace(line); words != "" && words != "!" && !strings.HasPrefix(words, "Current configuration") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// A switch that cannot take changes back is told about, and nothing is changed.
func TestIOSXEWithoutArchive(t *testing.T) {
	b := benches["cisco_iosxe"](t)
	before := b.running(t)
	_, err := applyOne(t, b.open(t), intentsOf(b.port(1))["IPv4 only"])
	var refused *switches.RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "configure an archive") {
		t.Errorf("got %v", err)
	}
	if b.running(t) != before {
		t.Error("the configuration changed")
	}
}
