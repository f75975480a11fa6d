package emulator

import (
	"regexp"
	"slices"
	"strings"
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

// matching compiles expressions that lines have to match as a whole.
func matching(expressions ...string) []*regexp.Regexp {
	var all []*regexp.Regexp
	for _, expression := range expressions {
		all = append(all, regexp.MustCompile(`^(?:`+expression+`)$`))
	}
	return all
}

func matchesAny(all []*regexp.Regexp, line string) bool {
	return slices.ContainsFunc(all, func(e *regexp.Regexp) bool { return e.MatchString(line) })
}
