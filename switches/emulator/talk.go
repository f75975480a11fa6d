package emulator

import (
	"net"
	"slices"
	"sync"
)

// talk is what is typed and printed in one login, which may break off after so many bytes.
type talk struct {
	conn  net.Conn
	limit int // 0: none

	mu     sync.Mutex
	passed int
	steps  []int // where lines ended that were typed
}

// pass says how many of the next bytes come through. After the last one there is no connection.
func (t *talk) pass(bytes int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.limit > 0 && bytes > t.limit-t.passed {
		bytes = t.limit - t.passed
		_ = t.conn.Close()
	}
	t.passed += bytes
	return bytes
}

// through tells whether something comes through that is lost as a whole, or not at all.
func (t *talk) through() bool { return t.pass(1) == 1 }

// step notes that a line has been typed.
func (t *talk) step() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = append(t.steps, t.passed)
}

func (t *talk) soFar() (bytes int, steps []int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.passed, slices.Clone(t.steps)
}
