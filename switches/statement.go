package switches

import (
	"regexp"
	"slices"
	"strings"
)

// statement is one line of configuration below the headers of the stanzas that it stands
// in, outermost first: "router bgp 65000", "neighbor 192.0.2.1 remote-as 65010". A header
// by itself is a statement, too. Drivers bring lines to one form where the platform knows
// several, so that statements that mean the same are the same.
type statement string

const level = "\n" // between the parts of a statement; no line has one

func under(parts ...string) statement { return statement(strings.Join(parts, level)) }

// with is a line in the stanza s; at the top if s is empty.
func (s statement) with(line string) statement {
	if s == "" {
		return statement(line)
	}
	return s + level + statement(line)
}

// parts are the headers, and the line itself as the last.
func (s statement) parts() []string { return strings.Split(string(s), level) }

func (s statement) line() string { return string(s[strings.LastIndex(string(s), level)+1:]) }

// header is the stanza that s stands in; empty at the top.
func (s statement) header() statement {
	return s[:max(0, strings.LastIndex(string(s), level))]
}

// in tells whether s stands in a stanza, however deep.
func (s statement) in(header statement) bool {
	return strings.HasPrefix(string(s), string(header)+level)
}

// isSecret tells whether s holds a secret, which is hidden.
func (s statement) isSecret() bool { return strings.Contains(string(s), Hidden) }

func (s statement) String() string { return strings.ReplaceAll(string(s), level, " / ") }

// secretWords come before secrets, as far as platforms are known.
var secretWords = regexp.MustCompile(`(?i)((?:^|[ _:-])(?:password|passphrase|passwd|secret|md5|authentication-key|auth-key|key-string|pre-shared-key|community|clear|key [05678])[ =:]+)\S.*`)

// withoutSecrets is how a statement of somebody else's is shown.
func (s statement) withoutSecrets() string {
	return secretWords.ReplaceAllString(s.String(), "${1}"+Hidden)
}

// difference says in lines with "- " and "+ " how to come from have to want.
func difference(have, want []statement) []string {
	var diff []string
	for _, gone := range without(have, want) {
		diff = append(diff, "- "+gone.String())
	}
	for _, added := range without(want, have) {
		diff = append(diff, "+ "+added.String())
	}
	return diff
}

// partition parts statements into those in a stanza and all others.
func partition(statements []statement, stanza statement) (inside, outside []statement) {
	for _, s := range statements {
		if s.in(stanza) {
			inside = append(inside, s)
		} else {
			outside = append(outside, s)
		}
	}
	return inside, outside
}

// without returns the statements that are not among others.
func without(statements, others []statement) []statement {
	among := make(map[statement]bool, len(others))
	for _, other := range others {
		among[other] = true
	}
	return slices.DeleteFunc(slices.Clone(statements), func(s statement) bool { return among[s] })
}
