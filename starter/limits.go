package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ferrodur/workflows/api"
)

// limitFlags collects --limit NAME=VALUE.
type limitFlags struct{ api.Limits }

func (l *limitFlags) add(command *cobra.Command) {
	command.Flags().Var(l, "limit", "how long a wait may last, NAME=DURATION, may be repeated: command, switch, outside, boot, stall, job, call-home, burn-in; or attempts=N")
}

// Set takes one limit. It makes limitFlags a pflag.Value, as String and Type do.
func (l *limitFlags) Set(text string) error {
	name, value, found := strings.Cut(text, "=")
	if !found {
		return fmt.Errorf("write NAME=VALUE, such as call-home=10m")
	}
	if name == "attempts" {
		attempts, err := strconv.Atoi(value)
		if err != nil || attempts < 1 {
			return fmt.Errorf("attempts=%s: write a number from 1", value)
		}
		l.Attempts = attempts
		return nil
	}
	field, known := map[string]*time.Duration{
		"command": &l.Command, "switch": &l.Switch, "outside": &l.Outside, "boot": &l.Boot, "stall": &l.Stall,
		"job": &l.Job, "call-home": &l.CallHome, "burn-in": &l.BurnIn,
	}[name]
	if !known {
		return fmt.Errorf("no limit is called %q", name)
	}
	duration, err := time.ParseDuration(value)
	if err != nil || duration <= 0 {
		return fmt.Errorf("%s=%s: write a duration such as 90s or 10m", name, value)
	}
	*field = duration
	return nil
}

func (l *limitFlags) String() string { return "" }

// Type is what the help text calls the flag's value.
func (l *limitFlags) Type() string { return "NAME=VALUE" }
