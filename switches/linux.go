package switches

import (
	"encoding/json"
	"fmt"
)

// linux is what switches have in common whose operators log in to a shell: programs do the
// work there, and most of them answer in JSON.
type linux struct{}

// definition: there is no CLI, only programs.
func (linux) definition() definition { return definition{} }

// refused: programs end with an exit status, and are not asked.
func (linux) refused(string) bool { return false }

// readJSON is for answers that are one JSON document.
func readJSON(text string, into any) error {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return nil
}
