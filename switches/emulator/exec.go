package emulator

import (
	"bufio"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// programs is the dialect of a platform whose users have a shell, and run programs in it.
type programs interface {
	// run runs a program, and returns its exit status.
	run(p *program) int
}

// program is one that runs over SSH (RFC 4254 §6.5), beside others of the same connection.
type program struct {
	device    *Device
	talk      *talk
	channel   ssh.Channel
	line      string
	output    strings.Builder
	complaint strings.Builder
	unheard   bool // what it says as it goes is held back
}

// execute runs a program of a session, and ends it.
func (d *Device) execute(dialect programs, p *program) {
	defer func() { _ = p.channel.Close() }()
	if !p.talk.through() {
		return
	}
	p.talk.step()
	d.mu.Lock()
	slow := d.faults.Slow
	d.counts.Lines++
	d.mu.Unlock()
	time.Sleep(slow)
	d.mu.Lock()
	status := 1
	if refuse := d.faults.Refuse; refuse == nil || refuse(p.line) == "" {
		if text, is := d.lookUp(p.line); is {
			p.output.WriteString(text + "\n")
			status = 0
		} else {
			status = dialect.run(p)
		}
	} else {
		p.complaint.WriteString(refuse(p.line) + "\n")
	}
	d.mu.Unlock()
	p.print(p.channel, p.output.String())
	p.print(p.channel.Stderr(), p.complaint.String())
	if !p.talk.through() {
		return
	}
	_, _ = p.channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
}

// tell says how far a program has come. It is false where nobody is there to hear that.
func (p *program) tell(progress string) (heard bool) {
	if p.unheard {
		return true
	}
	p.apart(func() {
		_, err := io.WriteString(p.channel, progress[:p.talk.pass(len(progress))])
		heard = err == nil
	})
	return heard
}

func (p *program) print(to io.Writer, text string) {
	_, _ = io.WriteString(to, text[:p.talk.pass(len(text))])
}

// apart lets others go on meanwhile.
func (p *program) apart(work func()) {
	p.device.mu.Unlock()
	defer p.device.mu.Lock()
	work()
}

// input is all of the program's standard input. It ends, too, where the connection breaks off.
func (p *program) input() (text []byte) {
	p.apart(func() { text, _ = io.ReadAll(p.channel) })
	return text[:p.talk.pass(len(text))]
}

// repeat says what is typed, until the input ends, and lets heard know.
func (p *program) repeat(heard func(line string)) {
	input := bufio.NewReader(p.channel)
	for {
		var line string
		var err error
		p.apart(func() { line, err = input.ReadString('\n') })
		if err != nil || p.talk.pass(len(line)) < len(line) {
			return
		}
		heard(line)
		p.apart(func() { p.print(p.channel, line) })
	}
}
