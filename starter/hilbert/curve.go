// Package hilbert draws the addresses of a prefix along a Hilbert curve: every aligned
// block is a square, or two beside each other, and blocks that are near stay near.
package hilbert

// point is the place of a distance along the curve that fills a square with a side of
// 2^order, quadrant by quadrant from the smallest one up
// (https://en.wikipedia.org/wiki/Hilbert_curve, "Applications and mapping algorithms").
func point(order int, distance uint64) (x, y uint64) {
	for level := range order {
		side := uint64(1) << level
		right := distance >> 1 & 1
		up := (distance ^ right) & 1
		if up == 0 { // the quadrants at both ends are turned
			if right == 1 {
				x, y = side-1-x, side-1-y
			}
			x, y = y, x
		}
		x, y = x+side*right, y+side*up
		distance >>= 2
	}
	return x, y
}

// area is the rectangle of cells from one corner to, and without, the other.
type area struct{ left, top, right, bottom uint64 }

// block is the area of the aligned block of 2^bits cells that begins at a distance.
func block(order int, distance uint64, bits int) area {
	if bits%2 == 1 { // two squares, side by side
		first, second := block(order, distance, bits-1), block(order, distance+uint64(1)<<(bits-1), bits-1)
		return area{
			min(first.left, second.left), min(first.top, second.top),
			max(first.right, second.right), max(first.bottom, second.bottom),
		}
	}
	side := uint64(1) << (bits / 2)
	x, y := point(order, distance)
	x, y = x&^(side-1), y&^(side-1)
	return area{x, y, x + side, y + side}
}
