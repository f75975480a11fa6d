package switches

import (
	"encoding/json"
	"fmt"
	"strings"
)

// linux is what switches have in common whose operators log in to a shell: programs do the
// work there, and most of them answer in JSON.
type linux struct{}

// definition: there is no CLI, only programs.
func (linux) definition() definition { return definition{} }

// refused: programs end with an exit status, and are not asked.
func (linux) refused(string) bool { return false }

// whole has a program of a POSIX shell run only when all of its input has come. Where a
// connection breaks off, a program's input merely ends: it would carry out, or keep, the half
// that it has. The input is text without NUL, and one line break at its end makes no
// difference.
func whole(program, input string) string {
	input = strings.TrimRight(input, "\n") // as $() does
	return fmt.Sprintf(`LC_ALL=C; input=$(cat) && [ ${#input} -eq %d ] && printf '%%s\n' "$input" | { %s; }`, len(input), program)
}

// readJSON is for answers that are one JSON document.
func readJSON(text string, into any) error {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return nil
}
