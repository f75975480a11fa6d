package emulator

import (
	"encoding/json"
	"fmt"
	"strings"
)

// operation is one of a JSON patch (RFC 6902), of those that have no source and no condition.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// words are the operation as one line: "add INTERFACE Ethernet0 198.51.100.0/31 {}".
func (o operation) words() string {
	value := ""
	if o.Value != nil {
		text, _ := json.Marshal(o.Value) // came as JSON
		value = " " + string(text)
	}
	return o.Op + " " + strings.ReplaceAll(strings.Join(o.parts(), " "), "|", " ") + value
}

// copy has a value of its own.
func (o operation) copy() operation {
	if value, is := o.Value.(map[string]any); is {
		o.Value = copied(value)
	}
	return o
}

// parts are those of a JSON pointer (RFC 6901).
func (o operation) parts() []string {
	parts := strings.Split(strings.TrimPrefix(o.Path, "/"), "/")
	for i, part := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
	}
	return parts
}

// apply changes a document of objects.
func (o operation) apply(document map[string]any) error {
	parts := o.parts()
	last := parts[len(parts)-1]
	at := document
	for _, part := range parts[:len(parts)-1] {
		below, is := at[part].(map[string]any)
		if !is {
			return fmt.Errorf("member '%s' not found in %s", part, o.Path)
		}
		at = below
	}
	_, there := at[last]
	switch {
	case o.Op == "add", o.Op == "replace" && there:
		at[last] = o.Value
	case o.Op == "remove" && there:
		delete(at, last)
	case o.Op == "replace", o.Op == "remove":
		return fmt.Errorf("can't %s a non-existent object '%s'", o.Op, last)
	default:
		return fmt.Errorf("unknown operation '%s'", o.Op)
	}
	return nil
}
