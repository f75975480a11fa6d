package rackfile

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"ferrodur/inventory"
)

// reader gathers the problems of one file, and what it has declared so far.
type reader struct {
	filename string
	problems Problems
	declared map[inventory.Kind]map[string]int // names of each kind, and the line of each
}

func (r *reader) report(at ast.Node, format string, args ...any) {
	line, column := position(at)
	r.problems = append(r.problems, Problem{File: r.filename, Line: line, Column: column, Message: fmt.Sprintf(format, args...)})
}

// position is where a node begins. A mapping's own token is its first colon, so its
// first key is meant.
func position(node ast.Node) (line, column int) {
	switch n := node.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return position(n.Values[0])
		}
	case *ast.MappingValueNode:
		return position(n.Key)
	}
	if node == nil || node.GetToken() == nil || node.GetToken().Position == nil {
		return 1, 1
	}
	at := node.GetToken().Position
	return at.Line, at.Column
}

// object is a YAML mapping that is read field by field.
type object struct {
	*reader
	node   ast.Node
	what   string // how problems call it: "server srv1"
	fields map[string]ast.Node
	keys   map[string]ast.Node
	known  map[string]bool // the fields that were asked for
}

// object begins to read a mapping; done ends it.
func (r *reader) object(node ast.Node, what string) (*object, bool) {
	o := &object{reader: r, node: node, what: what,
		fields: map[string]ast.Node{}, keys: map[string]ast.Node{}, known: map[string]bool{}}
	var values []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		r.report(node, "%s: must be fields with values, not %s", what, kindOf(node))
		return nil, false
	}
	for _, value := range values {
		key, ok := scalar(value.Key)
		if !ok {
			r.report(value.Key, "%s: a field's name must be plain text", what)
			continue
		}
		o.fields[key], o.keys[key] = value.Value, value.Key
	}
	return o, true
}

// done reports the fields that nobody asked for.
func (o *object) done() {
	known := strings.Join(slices.Sorted(maps.Keys(o.known)), ", ")
	for name, key := range o.keys {
		if !o.known[name] {
			o.report(key, "%s: there is no field %q; the fields are %s", o.what, name, known)
		}
	}
}

// field returns the value of a field, if it is there and not null.
func (o *object) field(name string) (ast.Node, bool) {
	o.known[name] = true
	node := o.fields[name]
	if node == nil || node.Type() == ast.NullType {
		return nil, false
	}
	return node, true
}

// at is where to report a problem with a field.
func (o *object) at(name string) ast.Node {
	if node, found := o.field(name); found {
		return node
	}
	return o.node
}

// wrong reports a problem with a field.
func (o *object) wrong(name, format string, args ...any) {
	o.report(o.at(name), "%s: %s %s", o.what, name, fmt.Sprintf(format, args...))
}

// optional returns a text field, or "" where there is none.
func (o *object) optional(name string) string {
	node, found := o.field(name)
	if !found {
		return ""
	}
	text, ok := scalar(node)
	if !ok {
		o.wrong(name, "must be text, not %s", kindOf(node))
	}
	return text
}

// text returns a text field that must be there.
func (o *object) text(name string) string {
	if _, found := o.field(name); !found {
		o.wrong(name, "is missing")
		return ""
	}
	text := o.optional(name)
	if text == "" && isScalar(o.at(name)) {
		o.wrong(name, "is empty")
	}
	return text
}

// parsed reads a text field that must be there; parse returns what is wrong with it.
func (o *object) parsed(name string, parse func(string) error) {
	o.check(name, o.text(name), parse)
}

// check reports what parse finds wrong with a field that was read; "" is passed over.
func (o *object) check(name, text string, parse func(string) error) {
	if text == "" {
		return
	}
	if err := parse(text); err != nil {
		o.wrong(name, "%s", err)
	}
}

// count returns a whole number from 0 to 2³¹-1, or 0 where there is none.
func (o *object) count(name string) int { return int(o.number(name, 1<<31-1)) }

// size returns a whole number of bytes, or 0 where there is none.
func (o *object) size(name string) uint64 { return o.number(name, 1<<63-1) }

func (o *object) number(name string, most uint64) uint64 {
	node, found := o.field(name)
	if !found {
		return 0
	}
	text, _ := scalar(node)
	if node.Type() != ast.IntegerType {
		o.wrong(name, "must be a whole number, not %s", kindOf(node))
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "+"), 0, 64)
	if err != nil || n > most {
		o.wrong(name, "must be from 0 to %d, not %s", most, text)
		return 0
	}
	return n
}

// flag returns a field that is true or false; false where there is none.
func (o *object) flag(name string) bool {
	node, found := o.field(name)
	if !found {
		return false
	}
	value, ok := node.(*ast.BoolNode)
	if !ok {
		o.wrong(name, "must be true or false, not %s", kindOf(node))
		return false
	}
	return value.Value
}

// list returns the elements of a field, none where it is missing.
func (o *object) list(name string) []ast.Node {
	node, found := o.field(name)
	if !found {
		return nil
	}
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		o.wrong(name, `must be a list, each element after a "-", not %s`, kindOf(node))
		return nil
	}
	return sequence.Values
}

// name reads the object's own name and declares it.
func (o *object) name(kind inventory.Kind) string {
	name := o.text("name")
	if name == "" {
		return ""
	}
	o.what = fmt.Sprintf("%s %s", kind, name)
	// Names stand in workflow IDs and task queues, and a server's in its host name.
	if !regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`).MatchString(name) {
		o.wrong("name", "must be 1 to 63 lower-case letters, digits, dots and dashes, and begin and end with a letter or digit")
	}
	line, _ := position(o.at("name"))
	if first, twice := o.declared[kind][name]; twice {
		o.wrong("name", "is declared already at line %d", first)
		return name
	}
	if o.declared[kind] == nil {
		o.declared[kind] = map[string]int{}
	}
	o.declared[kind][name] = line
	return name
}

// reference reads the name of something that is declared elsewhere in the file.
func (o *object) reference(kind inventory.Kind) string {
	name := o.text(string(kind))
	if _, found := o.declared[kind][name]; name != "" && !found {
		there := strings.Join(slices.Sorted(maps.Keys(o.declared[kind])), ", ")
		if there == "" {
			there = "none"
		}
		o.wrong(string(kind), "%q is not declared in this file; declared are: %s", name, there)
	}
	return name
}

// scalar is the text of a scalar as it was written: a name may well look like a number.
func scalar(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		if n.Value == nil {
			return "", true
		}
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func isScalar(node ast.Node) bool {
	_, ok := scalar(node)
	return ok
}

// kindOf names what stands in a place where something else should.
func kindOf(node ast.Node) string {
	switch node.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "fields"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode:
		return "a whole number"
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.AliasNode, *ast.AnchorNode, *ast.MergeKeyNode:
		return "an anchor or alias, which a rack file does not use: write it out"
	}
	return "this kind of YAML"
}
