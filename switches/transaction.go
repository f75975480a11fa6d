package switches

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// transaction is a change of some ports that are configured together.
type transaction struct {
	commands []command
	plans    []*plan // what becomes of each port
	// unchanged returns ErrLocked where someone else has changed the configuration since the
	// change was thought out. It is for platforms whose commits overwrite such changes.
	unchanged func(context.Context) error
	// verify reads the switch and compares: *MismatchError.
	verify func(context.Context) error
	// others tells whether anything but the transaction's ports has changed since the change
	// was thought out. A platform's own roll-back would undo that, too.
	others func(context.Context) (bool, error)
	// undo leads the ports back to what they were, line by line, where the platform has no
	// roll-back of its own, or that is not to be used.
	undo func(context.Context, sender) error
}

// command is a line for the switch.
type command struct {
	port   string // on behalf of which
	text   string // in which Hidden stands for the secret
	secret Secret
}

// hide takes the secret out of an error's text.
func (c command) hide(err error) error {
	if c.secret == "" {
		return err
	}
	clean := func(text string) string { return strings.ReplaceAll(text, string(c.secret), Hidden) }
	var refused *RefusedError
	if errors.As(err, &refused) {
		return &RefusedError{Line: clean(refused.Line), Answer: clean(refused.Answer), port: refused.port}
	}
	return errors.New(clean(err.Error()))
}

// undoable tells whether a failure leaves a session in which the change can be undone, or is.
func undoable(err error) bool {
	var refused *RefusedError
	var mismatch *MismatchError
	return !errors.Is(err, ErrNotUndone) && (errors.As(err, &refused) || errors.As(err, &mismatch))
}

// lineByLine carries out a transaction on a platform whose lines take effect one by one.
func lineByLine(ctx context.Context, t transaction, send sender) error {
	err := send(ctx, t.commands)
	if err == nil {
		err = t.verify(ctx)
	}
	if undoable(err) {
		return errors.Join(err, t.undo(ctx, send))
	}
	return err
}

// enterBy enters configuration mode by a command: ErrLocked, with the switch's words, where
// someone keeps others out.
func enterBy(ctx context.Context, cli *terminal, command string, refused func(string) bool) error {
	answer, err := cli.say(ctx, command)
	answer = strings.Join(strings.Fields(answer), " ")
	switch {
	case err != nil:
		return err
	case strings.Contains(answer, "locked by"), strings.Contains(answer, "locked exclusively by"),
		strings.Contains(answer, "configuration database modified"): // by someone who has not committed it yet
		return fmt.Errorf("%w: %s", ErrLocked, answer)
	case refused(answer):
		return &RefusedError{Line: command, Answer: answer}
	}
	return nil
}

// quietPatience is longer than a change of Ferrodur's own waits to be confirmed.
const quietPatience = 3 * time.Minute

// awaitQuiet waits while another program's change is pending: it may be verifying what it has
// changed. ErrLocked where that takes longer than Ferrodur would: a human's may take hours.
func awaitQuiet(ctx context.Context, pending func() (bool, error)) error {
	patience, cancel := context.WithTimeout(ctx, quietPatience)
	defer cancel()
	for {
		if is, err := pending(); err != nil || !is {
			return err
		}
		if err := pause(patience); err != nil {
			return err
		}
	}
}

// pause waits a little for another program that uses the switch, not always as long.
func pause(ctx context.Context) error {
	const least = 100 * time.Millisecond
	select {
	case <-time.After(least + rand.N(2*least)):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrLocked, ctx.Err())
	}
}

// plan is the change of one port, thought out and not begun.
type plan struct {
	intent Intent
	was    []statement // owned, before
	have   section     // the same, without what is to be sent again
	want   []statement // owned, after
	change Change
}

// look is what a switch has at one moment.
type look struct {
	ports   map[string]bool
	running []statement
}

func (s *Session) look(ctx context.Context) (look, error) {
	ports, err := s.driver.ports(ctx, s.cli)
	if err != nil {
		return look{}, err
	}
	text, err := s.driver.running(ctx, s.cli)
	if err != nil {
		return look{}, err
	}
	running, err := s.driver.read(text)
	return look{ports, running}, err
}

func (s *Session) section(l look, port string) (section, error) {
	if _, there := l.ports[port]; !there {
		return section{}, ErrUnknownPort
	}
	found := s.driver.section(l.running, port)
	found.owned = s.inOrder(port, found.owned)
	return found, nil
}

// inOrder puts statements into the order in which they would be rendered, where what
// depends on another comes after it. What would not be rendered comes last.
func (s *Session) inOrder(port string, owned []statement) []statement {
	rendered, err := s.driver.render(s.device, s.driver.parse(port, owned))
	if err != nil {
		return owned // something that no intent says: as the switch has it
	}
	place := make(map[statement]int, len(rendered))
	for i, r := range rendered {
		place[r] = i - len(rendered)
	}
	return slices.SortedStableFunc(slices.Values(owned), func(a, b statement) int { return place[a] - place[b] })
}

func (s *Session) plan(l look, intent Intent) (plan, error) {
	if err := intent.Validate(); err != nil {
		return plan{}, err
	}
	if err := s.device.allows(intent); err != nil {
		return plan{}, err
	}
	want, err := s.driver.render(s.device, intent)
	if err != nil {
		return plan{}, err
	}
	if driver, is := s.driver.(particular); is {
		if err := driver.lacks(l, intent); err != nil {
			return plan{}, err
		}
	}
	have, err := s.section(l, intent.Port)
	if err != nil {
		return plan{}, err
	}
	was := have.owned
	if intent.BGP != nil && intent.BGP.Renew {
		have.owned = slices.DeleteFunc(slices.Clone(was), statement.isSecret)
	}
	diff := difference(have.owned, want)
	change := Change{
		Port: intent.Port, Changed: len(diff) > 0, Diff: diff, Linked: l.ports[intent.Port],
		Running: have.intent(s.driver, s.device, intent.Port),
	}
	for _, foreign := range have.foreign {
		change.Foreign = append(change.Foreign, foreign.withoutSecrets())
	}
	return plan{intent: intent, was: was, have: have, want: want, change: change}, nil
}

// carryOut makes plans true together. Where the switch refuses some of them, the others
// are carried out without those.
func (s *Session) carryOut(ctx context.Context, l look, plans []*plan) map[*plan]error {
	failed := map[*plan]error{}
	if len(plans) == 0 {
		return failed
	}
	err := s.driver.transact(ctx, s.cli, s.transaction(l, plans))
	if err == nil {
		return failed
	}
	parts := [][]*plan{nil}
	var refused *RefusedError
	var mismatch *MismatchError
	switch n := len(plans); {
	case n == 1 || !undoable(err):
		for _, p := range plans {
			failed[p] = err
		}
		return failed
	case errors.As(err, &refused) && refused.port != "":
		parts[0] = s.sortOut(plans, refused.port, err, failed)
	case errors.As(err, &mismatch):
		parts[0] = s.sortOut(plans, mismatch.Intended.Port, err, failed)
	default: // the switch does not say which
		parts = [][]*plan{plans[:n/2], plans[n/2:]}
	}
	for n, part := range parts {
		var err error
		if n > 0 { // the part before it may have changed the configuration
			l, err = s.look(ctx)
		}
		for _, p := range part {
			if err != nil {
				failed[p] = err
			}
		}
		if err != nil {
			continue
		}
		for p, err := range s.carryOut(ctx, l, part) {
			failed[p] = err
		}
	}
	return failed
}

func (s *Session) sortOut(plans []*plan, port string, err error, failed map[*plan]error) []*plan {
	return slices.DeleteFunc(slices.Clone(plans), func(p *plan) bool {
		if p.intent.Port == port {
			failed[p] = err
		}
		return p.intent.Port == port
	})
}

func (s *Session) transaction(l look, plans []*plan) transaction {
	t := transaction{commands: s.commands(l, plans), plans: plans}
	t.unchanged = func(ctx context.Context) error {
		now, err := s.look(ctx)
		if err == nil && len(difference(l.running, now.running)) > 0 {
			err = fmt.Errorf("%w: it changed while a change was prepared", ErrLocked)
		}
		return err
	}
	t.others = func(ctx context.Context) (bool, error) {
		now, err := s.look(ctx)
		return len(difference(s.beside(l, plans), s.beside(now, plans))) > 0, err
	}
	t.verify = func(ctx context.Context) error {
		now, err := s.look(ctx)
		if err != nil {
			return err
		}
		for _, p := range plans {
			if err := s.verify(now, p); err != nil {
				return err
			}
		}
		return nil
	}
	t.undo = func(ctx context.Context, send sender) error { return s.undo(ctx, plans, send) }
	return t
}

// beside is the configuration without that of the plans' ports: neither what they have, nor
// what they were to have.
func (s *Session) beside(l look, plans []*plan) []statement {
	rest := l.running
	for _, p := range plans {
		found := s.driver.section(l.running, p.intent.Port)
		rest = without(rest, slices.Concat(found.owned, found.foreign, p.have.owned, p.want))
	}
	return rest
}

// neededByOthers are the statements that ports other than that of the i-th plan will have,
// or have until a later plan, where the port is one of a group. While it stays in the group,
// what that has is changed for all.
func (s *Session) neededByOthers(l look, plans []*plan, i int) []statement {
	p := plans[i]
	group := s.driver.parse(p.intent.Port, p.have.owned).Bond
	if group == nil {
		return nil
	}
	later := s.driver.parse(p.intent.Port, p.want).Bond
	stays := later != nil && later.Group == group.Group
	var needed []statement
	for port := range l.ports {
		n := slices.IndexFunc(plans, func(other *plan) bool { return other.intent.Port == port })
		switch {
		case n == i:
		case n > i && !stays:
			needed = append(needed, slices.Concat(plans[n].have.owned, plans[n].want)...)
		case n >= 0:
			needed = append(needed, plans[n].want...)
		default:
			owned := s.driver.section(l.running, port).owned
			// The group itself may be among the ports, and is no member of any.
			if bond := s.driver.parse(port, owned).Bond; bond != nil && bond.Group != 0 {
				needed = append(needed, owned...)
			}
		}
	}
	return needed
}

// commands lead from what plans have to what they want, one after the other: what a plan
// shares with those before it, as a member of the same group, is done.
func (s *Session) commands(l look, plans []*plan) []command {
	var commands []command
	var gone, come []statement // until the plan's turn
	for i, p := range plans {
		have := p.have
		shared := without(p.want, without(p.want, come))
		have.owned = slices.Concat(without(have.owned, slices.Concat(gone, shared)), shared)
		// What another member of the same group still needs stays; what all of them part with,
		// the last one takes away.
		have.owned = without(have.owned, without(s.neededByOthers(l, plans, i), p.want))
		gone, come = append(gone, without(have.owned, p.want)...), append(come, p.want...)
		if len(difference(have.owned, p.want)) == 0 {
			continue
		}
		for _, text := range s.driver.edit(p.intent.Port, have, p.want) {
			// A password that was there before is not known, and cannot be put back: its session
			// stays down until the port is asked for again.
			if p.intent.password() == "" && statement(text).isSecret() {
				continue
			}
			commands = append(commands, command{port: p.intent.Port, text: text, secret: p.intent.password()})
		}
	}
	return commands
}

func (s *Session) verify(now look, p *plan) error {
	found, err := s.section(now, p.intent.Port)
	if err != nil {
		return err
	}
	running := found.intent(s.driver, s.device, p.intent.Port)
	if diff := difference(found.owned, p.want); len(diff) > 0 {
		return &MismatchError{Intended: p.intent, Running: running, Diff: diff}
	}
	p.change.Running, p.change.Linked = running, now.ports[p.intent.Port]
	return nil
}

// undo leads ports back to what they were before their plans: ErrNotUndone where that fails,
// too, on a switch that still answers.
func (s *Session) undo(ctx context.Context, plans []*plan, send sender) error {
	err := s.putBack(ctx, plans, send)
	if err == nil || errors.Is(err, ErrUnreachable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotUndone, err)
}

func (s *Session) putBack(ctx context.Context, plans []*plan, send sender) error {
	now, err := s.look(ctx)
	if err != nil {
		return err
	}
	var back []*plan
	for _, p := range plans {
		found, err := s.section(now, p.intent.Port)
		if err != nil {
			return err
		}
		if len(difference(found.owned, p.was)) > 0 {
			back = append(back, &plan{intent: p.intent, have: found, want: p.was})
		}
	}
	return send(ctx, s.commands(now, back))
}
