package hilbert

import (
	"bytes"
	"encoding/xml"
	"net/netip"
	"strings"
	"testing"

	"ferrodur/ipam"
)

// The curve goes through every cell once, and each step is to a cell beside the last one.
func TestCurve(t *testing.T) {
	for order := range 6 {
		seen := map[[2]uint64]bool{}
		var x, y uint64
		for distance := range uint64(1) << (2 * order) {
			nextX, nextY := point(order, distance)
			if far := (nextX-x)*(nextX-x) + (nextY-y)*(nextY-y); distance > 0 && far != 1 {
				t.Fatalf("order %d: from %d,%d to %d,%d", order, x, y, nextX, nextY)
			}
			x, y = nextX, nextY
			seen[[2]uint64{x, y}] = true
		}
		if len(seen) != 1<<(2*order) {
			t.Errorf("order %d: %d cells", order, len(seen))
		}
	}
}

// An aligned block is the area of its cells, and no other.
func TestBlocksAreAreas(t *testing.T) {
	const order = 4
	for bits := range 2*order + 1 {
		for start := uint64(0); start < 1<<(2*order); start += 1 << bits {
			a := block(order, start, bits)
			if size := (a.right - a.left) * (a.bottom - a.top); size != 1<<bits {
				t.Fatalf("%d cells from %d: %v has %d", 1<<bits, start, a, size)
			}
			for distance := start; distance < start+1<<bits; distance++ {
				if x, y := point(order, distance); x < a.left || x >= a.right || y < a.top || y >= a.bottom {
					t.Fatalf("%d cells from %d: %d,%d is not in %v", 1<<bits, start, x, y, a)
				}
			}
		}
	}
}

// drawn is what an XML parser finds in a map, by title.
func drawn(t *testing.T, of string, spaces ...ipam.Space) (map[string]rect, svg) {
	t.Helper()
	var b bytes.Buffer
	if err := Draw(&b, netip.MustParsePrefix(of), spaces); err != nil {
		t.Fatal(err)
	}
	var picture svg
	if err := xml.Unmarshal(b.Bytes(), &picture); err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	byTitle := map[string]rect{}
	for _, r := range picture.Rects {
		if r.Title == "" {
			continue // the legend
		}
		byTitle[r.Title] = r
		if r.X < 0 || r.Y < legend || r.X+r.Width > picture.Width-2*margin+0.01 || r.Y+r.Height > picture.Height-2*margin+0.01 {
			t.Errorf("%+v is outside of the picture", r)
		}
	}
	return byTitle, picture
}

func space(prefix string, state ipam.SpaceState, of string) ipam.Space {
	return ipam.Space{Prefix: netip.MustParsePrefix(prefix), State: state, Of: of}
}

func TestDraw(t *testing.T) {
	found, picture := drawn(t, "203.0.113.0/24",
		space("203.0.113.0/25", ipam.Free, "links"),
		space("203.0.113.2/31", ipam.Held, `instance/<&"o-1`),
		space("203.0.113.5/32", ipam.Resting, "instance/o-2"))
	if picture.Width != 768+2*margin || picture.Height != 768+legend+2*margin {
		t.Errorf("the picture has %v by %v", picture.Width, picture.Height)
	}
	cell := 768.0 / 16
	for title, want := range map[string]struct{ area, fill any }{
		"203.0.113.0/24: in no pool":            {256 * cell * cell, "#ffffff"},
		"203.0.113.0/25: free, links":           {128 * cell * cell, "#e8eef4"},
		`203.0.113.2/31: held, instance/<&"o-1`: {2 * cell * cell, "#0072b2"},
		"203.0.113.5/32: resting, instance/o-2": {cell * cell, "#cc79a7"},
	} {
		if r := found[title]; r.Width*r.Height != want.area || r.Fill != want.fill {
			t.Errorf("%s is %+v, want %v", title, r, want)
		}
	}
	if len(found) != 4 {
		t.Errorf("there are %d areas", len(found))
	}
}

// What is smaller than a cell is drawn together.
func TestDrawSmallBlocks(t *testing.T) {
	found, _ := drawn(t, "2001:db8::/32",
		space("2001:db8::/32", ipam.Free, "all"),
		space("2001:db8:1::/56", ipam.Held, "a"),
		space("2001:db8:1:100::/56", ipam.Held, "b"),
		space("2001:db8:1::/127", ipam.Resting, "c"),
		space("2001:db8:ffff:8000::/49", ipam.NeverGiven, "d"))
	for title, opacity := range map[string]float64{
		"2001:db8:1::/48: 2 blocks held, 0.78 %":       0.355,
		"2001:db8:1::/48: 1 blocks resting, 1.7e-22 %": 0.35,
		"2001:db8:ffff::/48: 1 blocks reserved, 50 %":  0.675,
	} {
		if r := found[title]; r.Opacity < opacity-0.001 || r.Opacity > opacity+0.001 {
			t.Errorf("%s is %+v", title, r)
		}
	}
	for title := range found {
		if strings.Contains(title, "blocks") && len(found) != 5 {
			t.Errorf("there is %s", title)
		}
	}
}

// Every length of prefix has a map.
func TestDrawAnyLength(t *testing.T) {
	for _, full := range []string{"0.0.0.0", "::"} {
		address := netip.MustParseAddr(full)
		for bits := range address.BitLen() + 1 {
			of := netip.PrefixFrom(address, bits)
			last := netip.PrefixFrom(address, address.BitLen())
			found, _ := drawn(t, of.String(), ipam.Space{Prefix: of, State: ipam.Free, Of: "p"}, ipam.Space{Prefix: last, State: ipam.Held, Of: "h"})
			if _, whole := found[of.String()+": free, p"]; !whole {
				t.Errorf("%s: %v", of, found)
			}
		}
	}
}
