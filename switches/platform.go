package switches

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"text/template"
)

// driver is what one platform does in its own way. A platform is one file that holds a
// driver, its scrapligo definition and its template, and one line in driverFor.
//
// Drivers see a port as a set of configuration lines, in the platform's own words. Lines
// are brought to one form where the platform knows several, so that lines that mean the
// same are the same.
type driver interface {
	// definition describes prompts and modes, in scrapligo's YAML form. The modes are
	// called "exec" and "configuration".
	definition() []byte
	// read returns what the switch has on the port. ErrUnknownPort, ErrUnreadable.
	read(ctx context.Context, cli *terminal, port string) (section, error)
	// render returns the lines that an intent stands for.
	render(Intent) ([]string, error)
	// parse makes an intent of such lines. It believes the description's profile.
	parse(port string, lines []string) Intent
	// edit returns the commands that lead a port from have to want, which differ.
	edit(port string, have, want []string) []string
	// refused tells whether an answer to such a command says no.
	refused(answer string) bool
	// save makes the running configuration the one that the switch starts with.
	save(ctx context.Context, cli *terminal) error
}

func driverFor(platform string) (driver, error) {
	switch platform {
	case "frr":
		return frr{}, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownPlatform, platform)
}

// section is the configuration of one port: lines of the kinds that a profile decides on,
// and all others, which are not touched.
type section struct {
	owned, foreign []string
}

// intent is what a section amounts to. Its profile is empty if the lines are not exactly
// those that the profile in the description demands.
func (s section) intent(d driver, port string) (Intent, error) {
	intent := d.parse(port, s.owned)
	if intent.Validate() == nil {
		demanded, err := d.render(intent)
		if err != nil {
			return Intent{}, err
		}
		if len(difference(s.owned, demanded)) == 0 {
			return intent, nil
		}
	}
	intent.Profile = ""
	return intent, nil
}

// difference says in lines with "- " and "+ " how to come from have to want.
func difference(have, want []string) []string {
	var diff []string
	for _, line := range without(have, want) {
		diff = append(diff, "- "+line)
	}
	for _, line := range without(want, have) {
		diff = append(diff, "+ "+line)
	}
	return diff
}

// without returns the lines that are not among others.
func without(lines, others []string) []string {
	var rest []string
	for _, line := range lines {
		if !slices.Contains(others, line) {
			rest = append(rest, line)
		}
	}
	return rest
}

// renderLines executes a platform's template, which may lay itself out with indentation
// and empty lines. Its data is the intent and the Label that becomes the description.
func renderLines(text string, intent Intent) ([]string, error) {
	parsed, err := template.New(string(intent.Profile)).Parse(text)
	if err != nil {
		return nil, err
	}
	var rendered bytes.Buffer
	data := struct {
		Intent
		Label string
	}{intent, intent.label()}
	if err := parsed.Execute(&rendered, data); err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(rendered.String()) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, nil
}
