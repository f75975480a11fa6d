package switches

import (
	"slices"
	"strings"
)

// Many platforms write their configuration as stanzas of indented lines and take a line
// away by saying "no" to it. What they have in common is here.

// parseIndented reads such a text, but for the lines that are to be skipped.
func parseIndented(text string, skip func(words string) bool) []statement {
	type stanza struct {
		indent int
		header statement
	}
	var (
		all  []statement
		open []stanza
	)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n \t")
		words := strings.TrimLeft(line, " \t")
		if words == "" || skip != nil && skip(words) {
			continue
		}
		indent := len(line) - len(words)
		for len(open) > 0 && open[len(open)-1].indent >= indent {
			open = open[:len(open)-1]
		}
		s := statement(words)
		if len(open) > 0 {
			s = open[len(open)-1].header.with(words)
		}
		all = append(all, s)
		open = append(open, stanza{indent, s})
	}
	return all
}

// leaves are the statements that are no headers of others. A driver that owns stanzas as a
// whole keeps their headers.
func leaves(all []statement) []statement {
	var rest []statement
	for i, s := range all {
		if i+1 == len(all) || !all[i+1].in(s) {
			rest = append(rest, s)
		}
	}
	return rest
}

// indentedEdit is how the commands for such a platform are made.
type indentedEdit struct {
	// negate takes a line away.
	negate func(line string) string
	// once names the kind of a line of which a stanza has at most one, so that the new one
	// replaces the old; empty: there may be several.
	once func(s statement) string
	// early tells which lines come, in a stanza that is there, before any other goes; nil: none.
	early func(s statement) bool
	// neighbour tells which BGP neighbour a line is about; nil: they come and go like all else.
	neighbour func(s statement) (who statement, is bool)
	// neighbourStanza: what is about a neighbour stands below it.
	neighbourStanza bool
}

// commands lead from have to want. A port is shut before anything is taken from it and
// opened after everything is there: no packet meets a half-configured port. What depends
// on another statement comes after it in want and in have, and goes before it. With the
// header of a stanza all that stands in it goes. A BGP neighbour goes in one line, before what
// bounds it, and is shut while it comes: no session meets half of its lists.
func (e indentedEdit) commands(have, want []statement, shut statement) []string {
	gone, added := without(have, want), without(want, have)
	var w stanzaWriter
	if slices.Contains(added, shut) {
		w.write(shut, shut.line())
	}
	said := map[statement]bool{}
	for _, s := range added {
		if e.early != nil && e.early(s) && !slices.Contains(added, s.header()) {
			w.write(s, s.line())
			said[s] = true
		}
	}
	there, stays := e.neighbours(have), e.neighbours(want)
	parted := map[statement]bool{}
	var shutPeers, rest []statement
	for _, s := range gone {
		who, is := e.neighbourOf(s)
		switch {
		case !is || stays[who] && !strings.HasPrefix(string(s), string(e.shutPeer(who))):
			rest = append(rest, s)
		case stays[who]:
			shutPeers = append(shutPeers, s)
		case !parted[who]:
			w.write(who, e.negate(who.line()))
			parted[who] = true
		}
	}
	gone = rest
	replaced := map[statement]bool{}
	for _, s := range added {
		if kind := e.once(s); kind != "" {
			replaced[s.header().with(kind)] = true
		}
	}
	going := map[statement]bool{}
	for _, s := range gone {
		going[s] = true
	}
	for _, s := range slices.Backward(gone) {
		if s != shut && !goesWithHeader(s, going) && !replaced[s.header().with(e.once(s))] {
			w.write(s, e.negate(s.line()))
		}
	}
	for i, s := range added {
		isHeader := i+1 < len(added) && added[i+1].in(s)
		if s != shut && !isHeader && !said[s] {
			w.write(s, s.line())
		}
		if who, is := e.neighbourOf(s); is && !there[who] {
			shutPeer := e.shutPeer(who)
			w.write(shutPeer, shutPeer.line())
			shutPeers, there[who] = append(shutPeers, shutPeer), true
		}
	}
	for _, s := range without(shutPeers, want) {
		w.write(s, e.negate(s.line()))
	}
	if going[shut] {
		w.write(shut, e.negate(shut.line()))
	}
	return w.done()
}

func (e indentedEdit) neighbourOf(s statement) (who statement, is bool) {
	if e.neighbour == nil {
		return "", false
	}
	return e.neighbour(s)
}

// shutPeer shuts a neighbour.
func (e indentedEdit) shutPeer(who statement) statement {
	if e.neighbourStanza {
		return who.with("shutdown")
	}
	return who + " shutdown"
}

func (e indentedEdit) neighbours(all []statement) map[statement]bool {
	found := map[statement]bool{}
	for _, s := range all {
		if who, is := e.neighbourOf(s); is {
			found[who] = true
		}
	}
	return found
}

func goesWithHeader(s statement, going map[statement]bool) bool {
	for s = s.header(); s != ""; s = s.header() {
		if going[s] {
			return true
		}
	}
	return false
}

// stanzaWriter enters stanzas and leaves them.
type stanzaWriter struct {
	inside   []string
	commands []string
}

// write says a line in the stanza that a statement stands in.
func (w *stanzaWriter) write(at statement, line string) {
	headers := at.parts()
	headers = headers[:len(headers)-1]
	shared := 0
	for shared < len(headers) && shared < len(w.inside) && headers[shared] == w.inside[shared] {
		shared++
	}
	for range w.inside[shared:] {
		w.commands = append(w.commands, "exit")
	}
	w.commands = append(w.commands, headers[shared:]...)
	w.commands = append(w.commands, line)
	w.inside = headers
}

func (w *stanzaWriter) done() []string {
	for range w.inside {
		w.commands = append(w.commands, "exit")
	}
	return w.commands
}
