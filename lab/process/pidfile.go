package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// errStat is returned for a text that is not in the form of /proc/PID/stat.
var errStat = errors.New("malformed /proc stat line")

func (p *Process) pidFile() string { return filepath.Join(p.dir, p.Name+".pid") }

// record writes the PID file of a process that was just started: "PID START\n". It is
// renamed into place, so that a reader sees all of it or nothing.
func record(dir, name string, pid int) (*Process, error) {
	now, err := inspect(pid)
	if err != nil {
		return nil, err
	}
	process := &Process{Name: name, PID: pid, dir: dir, started: now.started}
	text := fmt.Appendf(nil, "%d %d\n", pid, now.started)
	if err := os.WriteFile(process.pidFile()+".new", text, 0o600); err != nil {
		return nil, err
	}
	return process, os.Rename(process.pidFile()+".new", process.pidFile())
}

func read(dir, name string) (*Process, error) {
	process := &Process{Name: name, dir: dir}
	text, err := os.ReadFile(process.pidFile())
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Sscan(string(text), &process.PID, &process.started); err != nil {
		return nil, fmt.Errorf("PID file %s is damaged: %w; remove it", process.pidFile(), err)
	}
	return process, nil
}

// state is what /proc tells of a process.
type state struct {
	started uint64 // clock ticks after boot
	dead    bool   // ended, and waiting for its parent to read its status
}

func inspect(pid int) (state, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return state{}, err
	}
	return parseStat(text)
}

// parseStat reads fields 3 (state) and 22 (starttime) of a line in the form of
// proc_pid_stat(5). Field 2, the program's name, is in parentheses and may itself hold
// blanks and parentheses: what counts is after the last one.
func parseStat(text []byte) (state, error) {
	end := bytes.LastIndexByte(text, ')')
	fields := bytes.Fields(text[end+1:])
	if end < 0 || len(fields) < 20 {
		return state{}, errStat
	}
	started, err := strconv.ParseUint(string(fields[19]), 10, 64)
	if err != nil {
		return state{}, errStat
	}
	code := fields[0][0]
	return state{started: started, dead: code == 'Z' || code == 'X'}, nil
}
