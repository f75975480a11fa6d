package switches

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/scrapli/scrapligo/driver/network"
	"github.com/scrapli/scrapligo/driver/opoptions"
	"github.com/scrapli/scrapligo/driver/options"
	"github.com/scrapli/scrapligo/platform"
	"github.com/scrapli/scrapligo/util"
)

// The modes of a switch's CLI that every platform definition has.
const (
	operational   = "exec"
	configuration = "configuration"
)

// definition is how a platform is spoken to.
type definition struct {
	// prompts describes those of a CLI, with its modes, in scrapligo's YAML form. The modes
	// that are used here are called "exec" and "configuration". nil: there is no CLI, only
	// programs to run.
	prompts []byte
	program string // that is the CLI; empty: the login's own shell is it
}

// terminal is a logged-in CLI. After an error other than *RefusedError it is of no use.
type terminal struct {
	wire        *wire
	cli         *network.Driver // nil: there is none
	command     time.Duration   // bounds each exchange with the switch
	configuring bool            // in configuration mode
}

// openTerminal finds the first prompt.
func openTerminal(ctx context.Context, wire *wire, cli definition, command time.Duration) (*terminal, error) {
	if cli.prompts == nil {
		return &terminal{wire: wire, command: command}, nil
	}
	described, err := platform.NewPlatform(cli.prompts, "",
		options.WithCustomTransport(wire),
		options.WithAuthBypass(), // connect has logged in
		options.WithTimeoutOps(command),
	)
	if err != nil {
		return nil, fmt.Errorf("platform definition: %w", err)
	}
	driver, err := described.GetNetworkDriver()
	if err != nil {
		return nil, fmt.Errorf("platform definition: %w", err)
	}
	t := &terminal{wire: wire, cli: driver, command: command}
	return t, t.exchange(ctx, driver.Open)
}

// configure enters configuration mode and sends the lines. The first one that refused
// recognises in its answer ends it, with a *RefusedError. The mode stays.
func (t *terminal) configure(ctx context.Context, commands []command, refused func(answer string) bool) error {
	return t.exchange(ctx, func() error {
		if err := t.cli.AcquirePriv(configuration); err != nil {
			return err
		}
		t.configuring = true
		for _, c := range commands {
			line := c.text
			if c.secret != "" {
				line = strings.ReplaceAll(line, Hidden, string(c.secret))
			}
			answer, err := t.send(line)
			if err == nil && refused(answer) {
				err = &RefusedError{Line: line, Answer: strings.TrimSpace(answer), port: c.port}
			}
			if err != nil {
				return c.hide(err)
			}
		}
		return nil
	})
}

// commitPatience is how long at least what changes a configuration as a whole may take: a commit,
// a roll-back, saving. A session that is given up meanwhile leaves it half-done.
const commitPatience = 3 * time.Minute

// patiently is the terminal for a command that may take so long, at least.
func (t *terminal) patiently(patience time.Duration) *terminal {
	patient := *t
	patient.command = max(t.command, patience)
	return &patient
}

// say sends a line in the mode that the terminal is in, and returns the answer.
func (t *terminal) say(ctx context.Context, line string) (answer string, err error) {
	err = t.exchange(ctx, func() error {
		answer, err = t.send(line)
		return err
	})
	return answer, err
}

// insist says a line that must be taken, and may take its time.
func (t *terminal) insist(ctx context.Context, line string, refused func(answer string) bool) error {
	answer, err := t.patiently(commitPatience).say(ctx, line)
	if err == nil && refused(answer) {
		err = &RefusedError{Line: line, Answer: strings.TrimSpace(answer)}
	}
	return err
}

// run runs a program of the switch's operating system beside the CLI, and returns what it
// says. *RefusedError with its complaint if it fails.
func (t *terminal) run(ctx context.Context, program, input string) (output string, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.command)
	defer cancel()
	err = t.exchange(ctx, func() error {
		output, err = t.wire.run(program, input)
		return err
	})
	return output, err
}

// sender sends commands to a switch, in their order: *RefusedError.
type sender func(ctx context.Context, commands []command) error

// sender sends lines in configuration mode, and leaves it.
func (t *terminal) sender(refused func(answer string) bool) sender {
	return func(ctx context.Context, commands []command) error {
		return errors.Join(t.configure(ctx, commands, refused), t.leave(ctx))
	}
}

// leave leaves configuration mode, if the terminal is in it.
func (t *terminal) leave(ctx context.Context) error {
	t.configuring = false
	return t.exchange(ctx, func() error { return t.cli.AcquirePriv(operational) })
}

// sayYes says a line, and confirms it where the switch asks for that with such a question. The
// answer is all that was said.
func (t *terminal) sayYes(ctx context.Context, line string, question *regexp.Regexp) (answer string, err error) {
	err = t.exchange(ctx, func() error {
		answer, err = t.send(line, opoptions.WithInterimPromptPattern([]*regexp.Regexp{question}))
		if err == nil && question.MatchString(answer) {
			var rest string
			rest, err = t.send("")
			answer += "\n" + rest
		}
		return err
	})
	return answer, err
}

func (t *terminal) send(line string, options ...util.Option) (string, error) {
	// The outer SendCommand would change the mode first.
	response, err := t.cli.Driver.SendCommand(line, append(options, opoptions.WithTimeoutOps(t.command))...)
	if err != nil {
		return "", fmt.Errorf("%q: %w", line, err)
	}
	return response.Result, nil
}

// exchange runs a dialogue that ends when ctx does, at the price of the session: a CLI
// cannot be told to forget a line.
func (t *terminal) exchange(ctx context.Context, dialogue func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = t.wire.Close() })
	defer stop()
	err := dialogue()
	var refused *RefusedError
	switch {
	case err == nil, errors.As(err, &refused):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	case errors.Is(err, util.ErrPrivilegeError):
		return fmt.Errorf("%w: %w", ErrAuth, err)
	default:
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
}

func (t *terminal) close() {
	// Errors of closing are of no interest: the switch ends what is left of the session.
	if t.cli != nil {
		_ = t.cli.Channel.Close()
	}
	_ = t.wire.Close()
}
