package emulator

import (
	"slices"
	"strings"
)

// tree is a configuration of stanzas: a line with the lines below it.
type tree struct {
	line  string
	below []*tree
}

func (t *tree) copy() *tree {
	c := &tree{line: t.line}
	for _, child := range t.below {
		c.below = append(c.below, child.copy())
	}
	return c
}

// child finds a line, or adds it.
func (t *tree) child(line string) *tree {
	if i := t.index(line); i >= 0 {
		return t.below[i]
	}
	c := &tree{line: line}
	t.below = append(t.below, c)
	return c
}

func (t *tree) index(line string) int {
	return slices.IndexFunc(t.below, func(c *tree) bool { return c.line == line })
}

// remove takes lines away that are this one, or begin with its words. It tells whether
// there were any.
func (t *tree) remove(line string) bool {
	before := len(t.below)
	t.below = slices.DeleteFunc(t.below, func(c *tree) bool { return begins(c.line, line) })
	return len(t.below) < before
}

// begins tells whether a line begins with words.
func begins(line, words string) bool {
	return line == words || strings.HasPrefix(line, words+" ")
}

// layout is how a device shows stanzas.
type layout struct {
	step  string // that each stanza's lines are indented by
	after string // a line of the top
}

func (t *tree) write(text *strings.Builder, indent string, as layout, show func(string) string) {
	for _, child := range t.below {
		text.WriteString(indent + show(child.line) + "\n")
		child.write(text, indent+as.step, as, show)
		if indent == "" {
			text.WriteString(as.after)
		}
	}
}
