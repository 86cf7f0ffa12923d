package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"umemstress/rdma"
	"umemstress/workload/internal/fault"
)

// line is a conversation with a process that serves an end: requests to its standard input,
// answers from its output.
type line struct {
	command *exec.Cmd
	wait    func() error
	asks    io.WriteCloser
	tells   io.Closer // what it answers on
	answers *bufio.Reader
	said    lastLine // what it had to say beside, on its stderr
	child   bool     // it is a child of this process; else somebody's command
	caller  bool     // it has started this process, for which this one does the run
	host    string   // where it is, once it has said so
	bytes   int64    // of the region that it has registered, or is to
	broken  error    // why no more is said
}

// How long an answer may take. A link that has stopped is told of by the end after 30 s.
const (
	answerBound = 45 * time.Second
	endBound    = 5 * time.Second // to end, once nothing more is asked
)

// slowest is how fast a host works on memory at least, in bytes a second: to register it, fill it
// or move it.
const slowest = 50 << 20

// bound is how long something may take that is to go over all of the process's memory.
func (l *line) bound(without time.Duration) time.Duration {
	return without + time.Duration(l.bytes/slowest)*time.Second
}

// starter starts a process; wait returns once it has ended, and why.
type starter func(*exec.Cmd) (wait func() error, err error)

// begin starts the process and hears its greeting. After an error, too, close is to be called.
func (l *line) begin(ctx context.Context, start starter) (err error) {
	l.command.Stderr = &l.said
	if l.asks, err = l.command.StdinPipe(); err != nil {
		return err
	}
	answers, err := l.command.StdoutPipe()
	if err != nil {
		return err
	}
	l.tells, l.answers = answers, newLines(answers)
	if l.wait, err = start(l.command); err != nil {
		l.wait = nil
		return fmt.Errorf("start %s: %w", l.name(), err)
	}
	return l.greet(ctx)
}

// greet reads the peer's first line.
func (l *line) greet(ctx context.Context) error {
	var g greeting
	if err := l.exchange(ctx, nil, &g); err != nil {
		return err
	}
	switch {
	case g.Protocol == 0:
		return l.garbled(`"{...}"`)
	case g.Protocol != protocol:
		l.broken = fault.Lacksf("the peer on %s is umemstress %s, which speaks another version (%d) than this one (%d): install the same there", shown(g.Host), shown(g.Version), g.Protocol, protocol)
		return l.broken
	}
	l.host = shown(g.Host)
	return nil
}

// ask sends a request and returns the answer to it, or its error.
func (l *line) ask(ctx context.Context, r request) (answer reply, err error) {
	if l.broken != nil {
		return reply{}, l.broken
	}
	err = l.exchange(ctx, &r, &answer)
	switch {
	case err != nil:
		return reply{}, err
	case answer.Error == nil:
		return answer, nil
	}
	return answer, l.failed(answer.Error)
}

// failed is the error that the other side told.
func (l *line) failed(f *failure) error {
	who := strings.TrimSuffix(l.name(), ",") + ": "
	if l.child { // what is of this process, too
		who = ""
	}
	text := who + shown(f.Text)
	switch {
	case f.Refused:
		return refusedError{text}
	case f.Usage:
		return fault.Usagef("%s", text)
	case f.Lacks:
		return fault.Lacksf("%s", text)
	case f.Dropped:
		return fault.Ineffectivef("%s", text)
	}
	return errors.New(text)
}

// refusedError is rdma's, of another process.
type refusedError struct{ text string }

func (e refusedError) Error() string { return e.text }

func (refusedError) Unwrap() error { return rdma.ErrPinRefused }

// exchange sends a request, unless it is nil, and reads a line, for as long as that may take.
func (l *line) exchange(ctx context.Context, r *request, into any) error {
	type outcome struct {
		line []byte
		err  error
	}
	done := make(chan outcome, 1)
	asks, answers := l.asks, l.answers
	go func() {
		var o outcome
		if r != nil {
			o.err = writeLine(asks, r)
		}
		if o.err == nil {
			o.line, o.err = readLine(answers)
		}
		done <- o
	}()
	bound := time.NewTimer(l.bound(answerBound))
	defer bound.Stop()
	var got outcome
	select {
	case got = <-done:
	case <-ctx.Done():
		l.broken = ctx.Err()
	case <-bound.C:
		l.broken = fmt.Errorf("%s has not answered for %v: is it stopped, or its network?", l.name(), l.bound(answerBound))
	}
	switch {
	case l.broken != nil:
		l.end() // or the goroutine would stay
		return l.broken
	case errors.Is(got.err, errTooLong):
		return l.garbled(fmt.Sprintf("%.80q and more", got.line))
	case got.err != nil:
		return l.gone(got.err)
	}
	if err := json.Unmarshal(got.line, into); err != nil {
		return l.garbled(fmt.Sprintf("%.80q", bytes.TrimSpace(got.line)))
	}
	return nil
}

// gone is of a connection that has ended.
func (l *line) gone(err error) error {
	l.broken = err
	_ = l.close() // then it has said all that it had to
	what := l.said.String()
	if what == "" {
		what = err.Error()
	}
	l.broken = fmt.Errorf("%s has ended: %s", l.name(), what)
	if l.host == "" && !l.child { // it never was one
		l.broken = fault.Lacksf("the command of --peer ended without a word of umemstress peer: %s", what)
	}
	return l.broken
}

// garbled is of a line that no peer says.
func (l *line) garbled(what string) error {
	l.broken = fmt.Errorf("%s answers what is none: %s", l.name(), what)
	if l.host == "" && !l.child {
		l.broken = fault.Lacksf("the command of --peer does not begin as umemstress peer does, but with %s; does a shell on the way print something of its own?", what)
	}
	return l.broken
}

// name is what a user knows the process by.
func (l *line) name() string {
	switch {
	case l.child:
		return "the process that holds the regions"
	case l.caller:
		return "the other end, on " + l.host + ","
	case l.host == "":
		return "the peer"
	}
	return "the peer on " + l.host
}

// end has no more said to the command, or heard of it: it has gone another way than a peer does.
func (l *line) end() {
	if !l.caller {
		_ = l.command.Process.Kill()
	}
	_ = l.asks.Close()
	_ = l.tells.Close()
}

// close ends the process. What it ends with is told where nothing else went wrong.
func (l *line) close() error {
	if l.wait == nil { // it never began, or has ended
		return nil
	}
	_ = l.asks.Close() // the process ends at the end of its input
	if l.broken != nil {
		l.end()
	}
	wait, ended := l.wait, make(chan error, 1)
	l.wait = nil
	go func() { ended <- wait() }()
	bound := l.bound(endBound)
	kill := time.AfterFunc(bound, l.end)
	defer kill.Stop()
	select {
	case err := <-ended:
		if err == nil || l.broken != nil || errors.Is(err, exec.ErrWaitDelay) { // what it left in the background
			return nil
		}
		return fmt.Errorf("end %s: %w: %s", l.name(), err, l.said.String())
	case <-time.After(2 * bound):
		return fmt.Errorf("%s does not end, though it was killed: process %d hangs in the kernel", l.name(), l.command.Process.Pid)
	}
}
