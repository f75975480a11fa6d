package ipam

import "net/netip"

// Free space is kept as aligned blocks, each with its buddy: the other half of the block
// one bit shorter (Knowlton, "A fast storage allocator", CACM 8/10, 1965). A block is cut
// into halves until what is wanted is left, and halves that are both free become one.

// buddy is the other half of the block that p is a half of. p is not /0.
func buddy(p netip.Prefix) netip.Prefix {
	bytes := p.Addr().AsSlice()
	bit := p.Bits() - 1
	bytes[bit/8] ^= 1 << (7 - bit%8)
	address, _ := netip.AddrFromSlice(bytes)
	return netip.PrefixFrom(address, p.Bits())
}

// parent is the block that p is a half of. p is not /0.
func parent(p netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked()
}

// cut takes a block out of one that covers it, and returns what is left: each the buddy
// of the block, or of one above it.
func cut(from, block netip.Prefix) []netip.Prefix {
	var left []netip.Prefix
	for ; block.Bits() > from.Bits(); block = parent(block) {
		left = append(left, buddy(block))
	}
	return left
}

// supernets are all blocks that cover p, itself among them, from the longest up to one of
// the length.
func supernets(p netip.Prefix, bits int) []netip.Prefix {
	all := make([]netip.Prefix, 0, p.Bits()-bits+1)
	for ; p.Bits() > bits; p = parent(p) {
		all = append(all, p)
	}
	return append(all, p)
}

func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}
