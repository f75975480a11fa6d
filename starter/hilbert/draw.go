package hilbert

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"math/big"
	"net/netip"
	"slices"

	"ferrodur/ipam"
)

// The finest map has a side of 2^maxOrder cells; a cell of it may be many addresses.
const maxOrder = 8

// The picture, in units of SVG.
const (
	width  = 768
	legend = 56 // height of the text above the map
	margin = 16
	label  = 120 // a block of this width has its name on it
)

// colours can be told apart by people who do not see all colours (Okabe and Ito, 2008).
var colours = map[ipam.SpaceState]string{
	ipam.Free: "#e8eef4", ipam.Held: "#0072b2", ipam.Resting: "#cc79a7", ipam.NeverGiven: "#e69f00",
}

// states are in the order in which they are drawn over each other.
var states = []ipam.SpaceState{ipam.Free, ipam.Held, ipam.Resting, ipam.NeverGiven}

type svg struct {
	XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
	Width   float64  `xml:"width,attr"`
	Height  float64  `xml:"height,attr"`
	View    string   `xml:"viewBox,attr"`
	Font    string   `xml:"font-family,attr"`
	Rects   []rect   `xml:"rect"`
	Texts   []text   `xml:"text"`
}

type text struct {
	X    float64 `xml:"x,attr"`
	Y    float64 `xml:"y,attr"`
	Size int     `xml:"font-size,attr"`
	Fill string  `xml:"fill,attr,omitempty"`
	Text string  `xml:",chardata"`
}

type rect struct {
	X       float64 `xml:"x,attr"`
	Y       float64 `xml:"y,attr"`
	Width   float64 `xml:"width,attr"`
	Height  float64 `xml:"height,attr"`
	Fill    string  `xml:"fill,attr"`
	Opacity float64 `xml:"fill-opacity,attr,omitempty"`
	Stroke  string  `xml:"stroke,attr,omitempty"`
	Title   string  `xml:"title,omitempty"`
}

// Draw writes a map of a prefix as SVG. Each block is drawn with what it is as its title,
// which browsers show under the pointer. Blocks that are smaller than a cell of the map are
// drawn together: the more of the cell they fill, the darker.
func Draw(w io.Writer, of netip.Prefix, spaces []ipam.Space) error {
	m := newMapping(of)
	height := legend + m.scale*float64(m.all.bottom-m.all.top)
	picture := svg{
		Width: width + 2*margin, Height: height + 2*margin, Font: "sans-serif",
		View: fmt.Sprintf("%d %d %d %g", -margin, -margin, width+2*margin, height+2*margin),
	}
	picture.Texts = append(picture.Texts, text{X: 0, Y: 20, Size: 18, Text: of.String()})
	picture.Rects = append(picture.Rects, m.rect(m.all, rect{Fill: "#ffffff", Stroke: "#808080", Title: of.String() + ": in no pool"}))
	type place struct {
		cell  uint64
		state ipam.SpaceState
	}
	small := map[place]float64{} // the share of a cell
	counts := map[place]int{}
	for _, space := range spaces {
		distance, bits := m.cells(space.Prefix)
		if bits >= 0 {
			r := m.rect(block(m.order, distance, bits), rect{
				Fill: colours[space.State], Stroke: "#ffffff", Title: fmt.Sprintf("%s: %s, %s", space.Prefix, space.State, space.Of),
			})
			picture.Rects = append(picture.Rects, r)
			if r.Width >= label {
				picture.Texts = append(picture.Texts, labelOf(space, r))
			}
			continue
		}
		small[place{distance, space.State}] += math.Exp2(float64(bits))
		counts[place{distance, space.State}]++
	}
	places := make([]place, 0, len(small))
	for p := range small {
		places = append(places, p)
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(slices.Index(states, a.state), slices.Index(states, b.state)), cmp.Compare(a.cell, b.cell))
	})
	for _, p := range places {
		picture.Rects = append(picture.Rects, m.rect(block(m.order, p.cell, 0), rect{
			Fill: colours[p.state], Opacity: 0.35 + 0.65*min(1, small[p]),
			Title: fmt.Sprintf("%s: %d blocks %s, %.2g %%", m.prefix(p.cell), counts[p], p.state, 100*small[p]),
		}))
	}
	picture.addLegend()
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	return xml.NewEncoder(w).Encode(picture)
}

// labelOf names a block: a pool at its lower end, where what lies in it comes last.
func labelOf(space ipam.Space, r rect) text {
	t := text{X: r.X + 6, Y: r.Y + 17, Size: 12, Text: space.Prefix.String()}
	switch space.State {
	case ipam.Free:
		t.Y = r.Y + r.Height - 7
		t.Text += " " + space.Of
	case ipam.Held:
		t.Fill = "#ffffff"
	}
	return t
}

func (s *svg) addLegend() {
	x := 0.0
	for _, state := range states {
		s.Rects = append(s.Rects, rect{X: x, Y: 32, Width: 14, Height: 14, Fill: colours[state]})
		s.Texts = append(s.Texts, text{X: x + 20, Y: 44, Size: 13, Text: string(state)})
		x += 100
	}
}

// mapping puts addresses on a grid.
type mapping struct {
	of    netip.Prefix
	order int // the grid is that of a square with a side of 2^order cells
	bits  int // the prefix has 2^bits cells
	fine  int // and a cell has 2^fine addresses
	all   area
	scale float64 // units for a cell
}

func newMapping(of netip.Prefix) mapping {
	host := of.Addr().BitLen() - of.Bits()
	m := mapping{of: of, bits: min(host, 2*maxOrder)}
	m.fine = host - m.bits
	m.order = (m.bits + 1) / 2
	m.all = block(m.order, 0, m.bits)
	m.scale = width / float64(max(m.all.right-m.all.left, m.all.bottom-m.all.top))
	return m
}

// cells are where a block begins and the logarithm to the base 2 of how many cells it has:
// less than 0 for a part of a cell.
func (m mapping) cells(p netip.Prefix) (distance uint64, bits int) {
	inside := new(big.Int).And(new(big.Int).Rsh(number(p.Addr()), uint(m.fine)), big.NewInt(1<<m.bits-1))
	return inside.Uint64(), p.Addr().BitLen() - p.Bits() - m.fine
}

func number(a netip.Addr) *big.Int { return new(big.Int).SetBytes(a.AsSlice()) }

// prefix is what a cell stands for.
func (m mapping) prefix(cell uint64) netip.Prefix {
	at := new(big.Int).Lsh(new(big.Int).SetUint64(cell), uint(m.fine))
	at.Or(at, number(m.of.Addr()))
	start, _ := netip.AddrFromSlice(at.FillBytes(make([]byte, m.of.Addr().BitLen()/8)))
	return netip.PrefixFrom(start, start.BitLen()-m.fine)
}

func (m mapping) rect(a area, r rect) rect {
	r.X, r.Y = m.scale*float64(a.left-m.all.left), legend+m.scale*float64(a.top-m.all.top)
	r.Width, r.Height = m.scale*float64(a.right-a.left), m.scale*float64(a.bottom-a.top)
	return r
}
