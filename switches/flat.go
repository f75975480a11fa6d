package switches

import (
	"slices"
	"strings"
)

// Some platforms show their configuration as lines that each say all of their path. What
// they have in common is here. Such a line is a statement without headers.

// parseFlat reads lines that begin with a word, such as "set", and leaves that out.
func parseFlat(text, word string) []statement {
	var all []statement
	for line := range strings.Lines(text) {
		if rest, is := strings.CutPrefix(strings.TrimSpace(line), word+" "); is {
			all = append(all, statement(strings.TrimSpace(rest)))
		}
	}
	return all
}

// begins tells whether a statement is this path, or stands below it.
func (s statement) begins(path string) bool {
	return string(s) == path || strings.HasPrefix(string(s), path+" ")
}

// flatEdit leads from what a port has to want, by lines that begin with the words for
// taking away and for setting. containers are the paths above a statement, longest first,
// that are of no use when nothing stands below them: they go with the last of it.
func flatEdit(have section, want []statement, remove, set string, containers func(statement) []string) []string {
	stays := slices.Concat(want, have.foreign, have.beside)
	empty := func(path string) bool {
		return !slices.ContainsFunc(stays, func(s statement) bool { return s.begins(path) && string(s) != path })
	}
	var commands []string
	for _, gone := range without(have.owned, want) {
		path := string(gone)
		for _, container := range containers(gone) {
			if empty(container) {
				path = container
			}
		}
		if command := remove + " " + path; !slices.Contains(commands, command) {
			commands = append(commands, command)
		}
	}
	for _, added := range without(want, have.owned) {
		commands = append(commands, set+" "+string(added))
	}
	return commands
}

// pathsOf are the beginnings of a statement that have the shape of one of the patterns,
// whose words are compared one by one and "*" is any, longest first.
func pathsOf(s statement, patterns ...string) []string {
	words := strings.Fields(string(s))
	var paths []string
	for _, pattern := range patterns {
		shape := strings.Fields(pattern)
		if len(shape) > len(words) {
			continue
		}
		same := true
		for i, word := range shape {
			same = same && (word == "*" || word == words[i])
		}
		if same {
			paths = append(paths, strings.Join(words[:len(shape)], " "))
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return len(b) - len(a) })
	return paths
}
