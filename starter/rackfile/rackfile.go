// Package rackfile reads rack.yaml, in which operators declare their sites, address
// pools, plans, images, switches and servers. docs/examples/rack.yaml shows every field.
package rackfile

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"ferrodur/inventory"
	"ferrodur/ipam"
)

// Rack is what a rack file declares.
type Rack struct {
	inventory.Declaration
	Addresses ipam.Declaration
}

// Parse reads a rack file. Its error is Problems: everything that is wrong, at once.
// The filename is for these only. No problem repeats what stands where a secret
// reference should.
func Parse(filename string, data []byte) (*Rack, error) {
	r := &reader{filename: filename, declared: map[inventory.Kind]map[string]int{}}
	rack := &Rack{}
	if root, ok := r.root(data); ok {
		r.rack(root, rack)
	}
	if err := rack.Addresses.Validate(); err != nil && len(r.problems) == 0 {
		r.problems = append(r.problems, Problem{File: filename, Line: 1, Column: 1, Message: err.Error()})
	}
	if len(r.problems) > 0 {
		r.problems.sort()
		return nil, r.problems
	}
	return rack, nil
}

// root parses the YAML and returns its only document.
func (r *reader) root(data []byte) (ast.Node, bool) {
	file, err := parseYAML(data)
	if err != nil {
		problem := Problem{File: r.filename, Line: 1, Column: 1, Message: err.Error()}
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			problem.Message = syntax.GetMessage()
			if token := syntax.GetToken(); token != nil && token.Position != nil {
				problem.Line, problem.Column = token.Position.Line, token.Position.Column
			}
		}
		r.problems = append(r.problems, problem)
		return nil, false
	}
	var documents []ast.Node
	for _, document := range file.Docs {
		if document.Body != nil {
			documents = append(documents, document.Body)
		}
	}
	if len(documents) == 0 {
		r.problems = append(r.problems, Problem{File: r.filename, Line: 1, Column: 1, Message: "the file declares nothing"})
		return nil, false
	}
	for _, more := range documents[1:] {
		r.report(more, "a rack file is one document: take the --- away")
	}
	return documents[0], true
}

// parseYAML turns a panic of the parser into an error: what an operator mistyped must
// not end the program with a stack trace.
func parseYAML(data []byte) (file *ast.File, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the file is not YAML: %v", fault)
		}
	}()
	return parser.ParseBytes(data, 0)
}
