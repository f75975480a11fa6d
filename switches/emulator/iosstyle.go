package emulator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// iosStyle is what emulated devices have in common whose command line follows that of
// Cisco's IOS. Its words are the vendors'; those that the drivers use, and some besides.
type iosStyle struct {
	device *Device
	now    *tree
	letIn  letIn
	// stanzas are the lines that open one: KIND:EXPRESSION, the kind of stanza that they
	// stand in, to the kind that they open. The top's kind is "".
	stanzas map[string]string
	// once are the beginnings of lines that replace each other.
	once []string
	// opposites are lines whose "no" is shown, and they themselves are not.
	opposites []string
	// refuses is a device's own complaint about a line; "": none. nil: it has none.
	refuses func(stanza *tree, line string) string
	// effects is called after a line was taken into a stanza, for what it does besides. It
	// returns what the device remarks.
	effects func(stanza *tree, line string) string
	// shape is how a line is shown that may be typed in several ways; nil: as it was typed.
	shape func(line string) string
	// unknown is what the device says of a line that it does not know.
	unknown string
	// known are the lines that a kind of stanza takes, as expressions.
	known map[string][]string
}

func newIOSStyle(d *Device) *iosStyle {
	s := &iosStyle{device: d, now: &tree{}, letIn: letIn{}, unknown: invalidInput}
	for _, port := range d.config.Ports {
		s.now.child("interface " + port)
	}
	return s
}

// opens returns the kind of stanza that a line opens in another; empty: none.
func (s *iosStyle) opens(kind, line string) string {
	for pattern, opened := range s.stanzas {
		in, expression, _ := strings.Cut(pattern, ":")
		if in == kind && whole(expression).MatchString(line) {
			return opened
		}
	}
	return ""
}

// place is where in a configuration a session is.
type place struct {
	config *tree
	path   []*tree
	kinds  []string
}

func (p *place) at() *tree {
	if len(p.path) == 0 {
		return p.config
	}
	return p.path[len(p.path)-1]
}

func (p *place) kind() string {
	if len(p.kinds) == 0 {
		return ""
	}
	return p.kinds[len(p.kinds)-1]
}

func (p *place) exit() {
	p.path, p.kinds = p.path[:len(p.path)-1], p.kinds[:len(p.kinds)-1]
}

const invalidInput = "% Invalid input"

// configure takes one line of the configuration mode. The answer is a complaint, or empty.
func (s *iosStyle) configure(p *place, line string) string {
	defer s.device.changed()
	// A line that opens a stanza further out is taken from within.
	for outer := len(p.kinds); outer >= 0; outer-- {
		kind := ""
		if outer > 0 {
			kind = p.kinds[outer-1]
		}
		if opened := s.opens(kind, line); opened != "" {
			p.path, p.kinds = p.path[:outer], p.kinds[:outer]
			if complaint := s.complaint(p.at(), line); complaint != "" {
				return complaint
			}
			p.path, p.kinds = append(p.path, p.at().child(line)), append(p.kinds, opened)
			return ""
		}
	}
	if line == "exit" && len(p.path) > 0 {
		p.exit()
		return ""
	}
	words, negative := strings.CutPrefix(line, "no ")
	for outer := len(p.kinds); outer >= 0; outer-- {
		kind, at := "", p.config
		if outer > 0 {
			kind, at = p.kinds[outer-1], p.path[outer-1]
		}
		if !s.takes(kind, words, negative) {
			continue
		}
		if outer < len(p.kinds) && kind != "" { // only the top's lines are taken from anywhere
			continue
		}
		p.path, p.kinds = p.path[:outer], p.kinds[:outer]
		return s.set(at, kind, words, negative)
	}
	return s.unknown
}

// resume finds the place again in a configuration that has taken the place of another.
func (p *place) resume(config *tree) {
	if p.config == config {
		return
	}
	at := config
	for i, stanza := range p.path {
		at = at.child(stanza.line)
		p.path[i] = at
	}
	p.config = config
}

// takes tells whether a stanza of a kind knows such lines.
func (s *iosStyle) takes(kind, words string, negative bool) bool {
	if negative && s.opens(kind, words) != "" {
		return true
	}
	return slices.ContainsFunc(s.known[kind], func(expression string) bool {
		if negative { // what follows may be left out
			expression, _, _ = strings.Cut(expression, " ")
			expression += "( .*)?"
		}
		return whole(expression).MatchString(words)
	})
}

func (s *iosStyle) set(at *tree, kind, words string, negative bool) string {
	typed := words
	if s.shape != nil {
		words = s.shape(words)
	}
	if negative {
		if words == "switchport" { // the opposite is said, not nothing
			at.below = slices.DeleteFunc(at.below, func(c *tree) bool { return begins(c.line, "switchport") })
			at.child("no switchport")
			return s.effects(at, "no switchport")
		}
		if slices.Contains(s.opposites, words) {
			if complaint := s.complaint(at, "no "+typed); complaint != "" {
				return complaint
			}
			at.child("no " + words)
			return s.effects(at, "no "+words)
		}
		if neighbour, whole := removesNeighbour(words); whole {
			removeNeighbour(at, neighbour)
			return s.effects(at, "no "+words)
		}
		if complaint := s.complaint(at, "no "+typed); complaint != "" {
			return complaint
		}
		if !at.remove(words) && isAccessList(at) {
			at.below = slices.DeleteFunc(at.below, func(c *tree) bool { return entryOf(c.line) == words })
		}
		return s.effects(at, "no "+words)
	}
	if words == "switchport" { // which is not shown
		at.remove("no switchport")
		return s.effects(at, words)
	}
	if complaint := s.complaint(at, typed); complaint != "" {
		return complaint
	}
	if slices.Contains(s.opposites, words) {
		at.remove("no " + words)
		return s.effects(at, words)
	}
	if complaint := s.check(at, kind, words); complaint != "" {
		return complaint
	}
	if more, adds := strings.CutPrefix(words, "switchport trunk allowed vlan add "); adds {
		for _, c := range at.below {
			if begins(c.line, "switchport trunk allowed vlan") {
				c.line += "," + more
			}
		}
		return s.effects(at, words)
	}
	if isAccessList(at) && entryOf(words) == words {
		if slices.ContainsFunc(at.below, func(c *tree) bool { return entryOf(c.line) == words }) {
			return ""
		}
		words = s.entryAfter(at) + words
	}
	for _, beginning := range s.once {
		if found := whole(`(` + beginning + `)( .*)?`).FindStringSubmatch(words); found != nil {
			at.remove(found[1])
		}
	}
	at.child(words)
	return s.effects(at, words)
}

// Entries of access lists are numbered. One that comes without a number has the next but nine
// after the last, and "no" takes a number or what the entry says: IOS-XE "Security Configuration
// Guide: Access Control Lists", chapter "IP Access List Entry Sequence Numbering"; NX-OS
// "Security", section "Changing an IP ACL".
func isAccessList(stanza *tree) bool { return strings.Contains(stanza.line, " access-list ") }

// entryOf is what an entry says, without its number.
func entryOf(line string) string {
	number, entry, _ := strings.Cut(strings.TrimPrefix(line, "sequence "), " ")
	if _, err := strconv.Atoi(number); err != nil {
		return line
	}
	return entry
}

// entryAfter is how an entry begins that comes after all others of its list.
func (s *iosStyle) entryAfter(list *tree) string {
	last := 0
	for _, c := range list.below {
		number, _, _ := strings.Cut(strings.TrimPrefix(c.line, "sequence "), " ")
		if n, err := strconv.Atoi(number); err == nil {
			last = max(last, n)
		}
	}
	if s.device.config.Platform == "cisco_iosxe" && begins(list.line, "ipv6") {
		return fmt.Sprintf("sequence %d ", last+10)
	}
	return fmt.Sprintf("%d ", last+10)
}

func (s *iosStyle) complaint(at *tree, line string) string {
	if s.refuses == nil {
		return ""
	}
	return s.refuses(at, line)
}

// check: what depends on another line is refused without it.
func (s *iosStyle) check(at *tree, kind, words string) string {
	if neighbour, text, is := neighbourWords(words); is && kind == "bgp" && !strings.HasPrefix(text, "remote-as ") {
		if !slices.ContainsFunc(at.below, func(c *tree) bool { return begins(c.line, "neighbor "+neighbour+" remote-as") }) {
			return "% Specify remote-as or peer-group commands first"
		}
	}
	if address, is := strings.CutPrefix(words, "ip address "); is && strings.HasPrefix(address, "255.") {
		return "% Invalid address"
	}
	if begins(words, "ip address") || begins(words, "ipv6 address") {
		if at.index("no switchport") < 0 && strings.HasPrefix(at.line, "interface ") {
			return "% Subnet configuration not allowed on a switched interface"
		}
	}
	return ""
}

func neighbourWords(line string) (neighbour, text string, is bool) {
	rest, is := strings.CutPrefix(line, "neighbor ")
	neighbour, text, _ = strings.Cut(rest, " ")
	return neighbour, text, is
}

// removesNeighbour: without its AS number there is no neighbour.
func removesNeighbour(words string) (string, bool) {
	neighbour, text, is := neighbourWords(words)
	return neighbour, is && (text == "" || begins(text, "remote-as"))
}

func removeNeighbour(at *tree, neighbour string) {
	at.remove("neighbor " + neighbour)
	at.remove("no neighbor " + neighbour)
	for _, below := range at.below {
		if !strings.Contains(below.line, "vrf ") { // which has neighbours of its own
			removeNeighbour(below, neighbour)
		}
	}
}

// text is a configuration as the device shows it: passwords are not readable.
func (s *iosStyle) text(config *tree) string {
	var text strings.Builder
	config.write(&text, "", layout{step: "   ", after: "!\n"}, func(line string) string {
		if head, secret, found := strings.Cut(line, " password "); found && !strings.HasPrefix(secret, "7 ") {
			return fmt.Sprintf("%s password 7 %X", head, obscured(secret))
		}
		return line
	})
	return text.String()
}

// obscured is no encryption, as the vendors' type 7 is none.
func obscured(secret string) []byte {
	out := []byte(secret)
	for i := range out {
		out[i] ^= byte(0x5a + i)
	}
	return out
}

// isRemark tells remarks from complaints.
func isRemark(answer string) bool {
	return strings.HasPrefix(strings.TrimPrefix(answer, "% "), "Warning") || strings.Contains(answer, "removed due to")
}

func (s *iosStyle) byHand(lines []string) error {
	p := &place{config: s.now}
	for _, line := range lines {
		if complaint := s.configure(p, line); complaint != "" && !isRemark(complaint) {
			return fmt.Errorf("%q: %s", line, complaint)
		}
	}
	return nil
}

// after runs something when a confirm timer ends, as fast as the device runs.
func (d *Device) after(patience time.Duration, do func()) *time.Timer {
	return time.AfterFunc(time.Duration(float64(patience)/d.config.Hurry), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		do()
	})
}
