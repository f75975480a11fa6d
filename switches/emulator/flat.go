package emulator

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// flat is a configuration of lines that each say all of their path.
type flat []string

func below(line, path string) bool { return line == path || strings.HasPrefix(line, path+" ") }

func (f flat) has(path string) bool {
	return slices.ContainsFunc(f, func(line string) bool { return below(line, path) })
}

// remove takes a path away with all that stands below it; false: there was nothing.
func (f *flat) remove(path string) bool {
	before := len(*f)
	*f = slices.DeleteFunc(*f, func(line string) bool { return below(line, path) })
	return len(*f) < before
}

// grammar is what lines a device takes.
type grammar struct {
	known    []*regexp.Regexp
	single   []*regexp.Regexp // paths, up to the value, of which there is one
	presence []*regexp.Regexp // paths that stay, empty, when the last line below them is taken away
}

// set takes a line into a configuration; false: it is none.
func (g grammar) set(config *flat, line string) bool {
	if !matchesAny(g.known, line) {
		return false
	}
	paths := above(line)
	for _, path := range append(paths, line) {
		if matchesAny(g.single, path) {
			config.remove(path)
		}
	}
	*config = slices.DeleteFunc(*config, func(l string) bool { return slices.Contains(paths, l) }) // shown by what stands in them
	if !slices.Contains(*config, line) {
		*config = append(*config, line)
	}
	return true
}

// remove takes a path away with all that stands below it; false: there was nothing.
func (g grammar) remove(config *flat, path string) bool {
	if !config.remove(path) {
		return false
	}
	for _, container := range slices.Backward(above(path)) {
		if matchesAny(g.presence, container) {
			if !config.has(container) {
				*config = append(*config, container)
			}
			break
		}
	}
	return true
}

// above are the beginnings of a path, shortest first.
func above(path string) []string {
	words := strings.Fields(path)
	var all []string
	for n := 1; n < len(words); n++ {
		all = append(all, strings.Join(words[:n], " "))
	}
	return all
}

// matching compiles expressions that lines have to match as a whole.
func matching(expressions ...string) []*regexp.Regexp {
	var all []*regexp.Regexp
	for _, expression := range expressions {
		all = append(all, whole(expression))
	}
	return all
}

var compiled sync.Map // of expressions, by their text

// whole is an expression that a text has to match as a whole.
func whole(expression string) *regexp.Regexp {
	if known, ok := compiled.Load(expression); ok {
		return known.(*regexp.Regexp)
	}
	fresh := regexp.MustCompile(`^(?:` + expression + `)$`)
	compiled.Store(expression, fresh)
	return fresh
}

func matchesAny(all []*regexp.Regexp, line string) bool {
	return slices.ContainsFunc(all, func(e *regexp.Regexp) bool { return e.MatchString(line) })
}
