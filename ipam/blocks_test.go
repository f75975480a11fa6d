package ipam

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func drawPrefix(t *rapid.T) netip.Prefix {
	size := 4
	if rapid.Bool().Draw(t, "IPv6") {
		size = 16
	}
	address, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "address"))
	return netip.PrefixFrom(address, rapid.IntRange(1, size*8).Draw(t, "bits")).Masked()
}

// Two buddies are the halves of their parent, and nothing else.
func TestBuddies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPrefix(t)
		b, up := buddy(p), parent(p)
		if b == p || b.Masked() != b || buddy(b) != p || parent(b) != up || b.Overlaps(p) || !covers(up, p) || !covers(up, b) || up.Bits() != p.Bits()-1 {
			t.Fatalf("%s: buddy %s, parent %s", p, b, up)
		}
	})
}

// A block and what is left of the one it was cut from are apart, and together that one.
func TestCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		block := drawPrefix(t)
		from := supernets(block, rapid.IntRange(0, block.Bits()).Draw(t, "from"))
		whole := from[len(from)-1]
		parts := append(cut(whole, block), block)
		for i, a := range parts {
			for _, b := range parts[:i] {
				if a.Overlaps(b) {
					t.Fatalf("%s cut out of %s leaves %s and %s", block, whole, a, b)
				}
			}
		}
		// One part of each length, and the last length twice: halves all the way down.
		lengths := make([]int, len(parts))
		for i, p := range parts {
			lengths[i] = p.Bits()
		}
		slices.Sort(lengths)
		for i, bits := range lengths {
			if want := min(whole.Bits()+1+i, block.Bits()); bits != want && len(parts) > 1 {
				t.Fatalf("%s cut out of %s leaves lengths %v", block, whole, lengths)
			}
		}
	})
}
