package switches

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"
)

// held is a program that stays until it is let go. It ends with its input, and so with the
// connection: what it holds is never left behind.
type held struct {
	session *ssh.Session
	input   io.WriteCloser
}

// letGo ends the program.
func (h *held) letGo() {
	_ = h.input.Close() // how it ends is of no interest
	_ = h.session.Close()
}

// hold starts a program that repeats what it is told. Once it has repeated the word it has
// what it was started for. *RefusedError with its complaint if it ends before.
func (w *wire) hold(program, word string) (*held, error) {
	session, err := w.client.NewSession()
	if err != nil {
		return nil, err
	}
	var complaint bytes.Buffer
	session.Stderr = &complaint
	input, err := session.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := session.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := session.Start(program); err != nil {
		return nil, err
	}
	h := &held{session: session, input: input}
	_, _ = input.Write([]byte(word + "\n")) // a program that has ended says so below
	said, _ := bufio.NewReader(output).ReadString('\n')
	if strings.TrimSpace(said) == word {
		return h, nil
	}
	_ = input.Close()
	if _, ended := session.Wait().(*ssh.ExitError); !ended {
		return nil, fmt.Errorf("%q was said in answer to %q", said, word)
	}
	return nil, &RefusedError{Line: program, Answer: strings.TrimSpace(complaint.String())}
}

// hold starts a program that stays until it is let go: *RefusedError.
func (t *terminal) hold(ctx context.Context, program, word string) (h *held, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.command)
	defer cancel()
	err = t.exchange(ctx, func() error {
		h, err = t.wire.hold(program, word)
		return err
	})
	return h, err
}
