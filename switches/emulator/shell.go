package emulator

import (
	"bufio"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// shell is one session's terminal: it echoes what is typed, prints answers, and stops after
// each page until a key is pressed.
type shell struct {
	device  *Device
	talk    *talk
	channel ssh.Channel
	paged   bool // as it is until the session says otherwise
}

const (
	pageLines = 24
	more      = "--More--"
)

func (s *shell) run() {
	defer func() { _ = s.channel.Close() }()
	d := s.device
	s.paged = true
	d.mu.Lock()
	d.counts.Sessions++
	if limit := d.faults.Sessions; limit > 0 && d.shells >= limit {
		d.mu.Unlock()
		s.print("% Maximum number of sessions reached\n")
		return
	}
	d.shells++
	dialogue := d.platform.login(s)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.shells--
		dialogue.hangUp()
	}()
	input := bufio.NewReader(s.channel)
	s.print(d.config.Banner)
	s.prompt(dialogue)
	for {
		line, err := s.readLine(input)
		if err != nil {
			return
		}
		output, logout := s.answer(dialogue, line)
		if !s.page(input, output) || logout {
			return
		}
		s.prompt(dialogue)
	}
}

func (s *shell) answer(dialogue dialogue, line string) (string, bool) {
	d := s.device
	d.mu.Lock()
	slow := d.faults.Slow
	d.mu.Unlock()
	time.Sleep(slow)
	d.mu.Lock()
	defer d.mu.Unlock()
	line = strings.TrimSpace(line)
	d.counts.Lines++
	if refuse := d.faults.Refuse; refuse != nil {
		if complaint := refuse(line); complaint != "" {
			return complaint, false
		}
	}
	if ignore := d.faults.Ignore; ignore != nil && ignore(line) {
		return "", false
	}
	if text, is := s.device.lookUp(line); is {
		return text, false
	}
	return dialogue.answer(line)
}

// sleep lets a commit take its time, while other sessions go on.
func (s *shell) sleep(d time.Duration) {
	s.device.mu.Unlock()
	time.Sleep(d)
	s.device.mu.Lock()
}

func (s *shell) prompt(dialogue dialogue) {
	s.device.mu.Lock()
	prompt := dialogue.prompt()
	s.device.mu.Unlock()
	s.print(prompt)
}

func (s *shell) print(text string) {
	printed := []byte(strings.ReplaceAll(text, "\n", "\r\n"))
	_, _ = s.channel.Write(printed[:s.talk.pass(len(printed))])
}

// readLine echoes as a terminal in raw mode does.
func (s *shell) readLine(input *bufio.Reader) (string, error) {
	var line []byte
	for {
		typed, err := input.ReadByte()
		if err == nil && !s.talk.through() {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return "", err
		}
		if typed == '\n' || typed == '\r' {
			s.talk.step()
			s.print("\n")
			return string(line), nil
		}
		line = append(line, typed)
		s.print(string([]byte{typed}))
	}
}

// page prints an answer; false: the session is over.
func (s *shell) page(input *bufio.Reader, output string) bool {
	if output != "" && !strings.HasSuffix(output, "\n") {
		output += "\n"
	}
	lines := strings.SplitAfter(output, "\n")
	for s.paged && len(lines) > pageLines {
		s.print(strings.Join(lines[:pageLines], "") + more)
		if _, err := input.ReadByte(); err != nil || !s.talk.through() {
			return false
		}
		s.print("\r" + strings.Repeat(" ", len(more)) + "\r")
		lines = lines[pageLines:]
	}
	s.print(strings.Join(lines, ""))
	return true
}
