package machine

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// EventKind says what was done to the machine's power. That an operating system powered
// the machine off or restarted it by itself is no event.
type EventKind string

// The kinds of event.
const (
	PowerOn  EventKind = "on"
	PowerOff EventKind = "off"
	Reset    EventKind = "reset"
)

// Event is one line of the power log.
type Event struct {
	Time time.Time
	Kind EventKind
}

// then writes an event down unless what should have led to it failed.
func (m *Machine) then(kind EventKind, err error) error {
	if err != nil {
		return err
	}
	file, err := os.OpenFile(m.file("power.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, time.Now().UTC().Format(time.RFC3339Nano), kind)
	return errors.Join(err, file.Close())
}

// PowerEvents returns what was done to the machine's power since it was defined, in order.
func (m *Machine) PowerEvents() ([]Event, error) {
	file, err := os.Open(m.file("power.log"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var events []Event
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		stamp, kind, _ := strings.Cut(lines.Text(), " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil {
			return nil, fmt.Errorf("power log of machine %s: %w", m.config.Name, err)
		}
		events = append(events, Event{Time: at, Kind: EventKind(kind)})
	}
	return events, lines.Err()
}
