package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// errQMP is what QEMU answers when it will not do something.
var errQMP = errors.New("refused by QEMU")

// control has QEMU execute one command of its machine protocol (docs/interop/qmp-spec in
// QEMU's sources). ErrPoweredOff if there is no QEMU.
func (m *Machine) control(ctx context.Context, command string, arguments map[string]any) error {
	if !m.Powered() {
		return ErrPoweredOff
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := m.dialQMP(ctx)
	if err != nil {
		return fmt.Errorf("connect to QEMU: %w", err)
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}

	session := qmpSession{json.NewEncoder(conn), json.NewDecoder(conn)}
	var greeting struct{ QMP json.RawMessage }
	if err := session.in.Decode(&greeting); err != nil {
		return fmt.Errorf("greeting of QEMU: %w", err)
	}
	// The greeting opens a negotiation mode, in which only this command exists.
	if err := session.execute("qmp_capabilities", nil); err != nil {
		return err
	}
	return session.execute(command, arguments)
}

// dialQMP goes by way of the folder's file descriptor: see arguments for why not by path.
func (m *Machine) dialQMP(ctx context.Context) (net.Conn, error) {
	folder, err := os.Open(m.dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = folder.Close() }()
	path := fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), qmpName)
	return new(net.Dialer).DialContext(ctx, "unix", path)
}

type qmpSession struct {
	out *json.Encoder
	in  *json.Decoder
}

func (s qmpSession) execute(command string, arguments map[string]any) error {
	request := struct {
		Execute   string         `json:"execute"`
		Arguments map[string]any `json:"arguments,omitempty"`
	}{command, arguments}
	if err := s.out.Encode(request); err != nil {
		return fmt.Errorf("QMP %s: %w", command, err)
	}
	for { // events may come before the answer
		var answer struct {
			Return json.RawMessage               `json:"return"`
			Error  *struct{ Class, Desc string } `json:"error"`
		}
		switch err := s.in.Decode(&answer); {
		case err != nil:
			return fmt.Errorf("QMP %s: %w", command, err)
		case answer.Error != nil:
			return fmt.Errorf("QMP %s: %w: %s", command, errQMP, answer.Error.Desc)
		case answer.Return != nil:
			return nil
		}
	}
}
