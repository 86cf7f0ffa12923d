//go:build guest

package main

import (
	"bytes"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// begun is a run that has come to one of its phases.
type begun struct {
	cmd  *exec.Cmd
	out  bytes.Buffer // of which only the run's end tells
	log  *phaseWatch
	done chan struct{} // closed at the run's end
}

// begin starts a run with -v and waits for a phase, which it has to come to within a minute.
func begin(t *testing.T, phase string, args ...string) *begun {
	t.Helper()
	b := &begun{cmd: command(append([]string{"-v"}, args...)...), log: newPhaseWatch(phase), done: make(chan struct{})}
	b.cmd.Stdout, b.cmd.Stderr = &b.out, b.log
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = b.cmd.Wait() // the exit code says more
		close(b.done)
	}()
	select {
	case <-b.log.found:
	case <-b.done:
		t.Fatalf("the run ended before %q: %s", phase, &b.log.text)
	case <-time.After(time.Minute):
		_ = b.cmd.Process.Kill()
		<-b.done
		t.Fatalf("%q has not come after a minute: %s", phase, &b.log.text)
	}
	return b
}

// signal sends the run a signal.
func (b *begun) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := b.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// end waits for the run's end, which is to come within the time; a run that a signal ended has the exit code -1.
func (b *begun) end(t *testing.T, within time.Duration) (code int) {
	t.Helper()
	select {
	case <-b.done:
	case <-time.After(within):
		_ = b.cmd.Process.Kill()
		<-b.done
		t.Fatalf("the run went on after %v: %s", within, &b.log.text)
	}
	return b.cmd.ProcessState.ExitCode()
}

// phaseWatch is a log in which a phase is awaited.
type phaseWatch struct {
	phase string
	text  bytes.Buffer
	found chan struct{}
	seen  bool
}

func newPhaseWatch(phase string) *phaseWatch {
	return &phaseWatch{phase: phase, found: make(chan struct{})}
}

func (w *phaseWatch) Write(p []byte) (int, error) {
	w.text.Write(p)
	if !w.seen && strings.Contains(w.text.String(), `"`+w.phase+`"`) {
		w.seen = true
		close(w.found)
	}
	return len(p), nil
}
