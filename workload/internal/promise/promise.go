// Package promise asks a file system whether bytes are safe, by a child: in a kernel that has
// died of them the question may never be answered, and a process ends no sooner than its last
// thread.
package promise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/mortal"
)

// Child is the name of the child that Main is.
const Child = "promise"

// Answers are what msync and fsync answered: 0, or an errno.
type Answers struct{ Msync, Fsync unix.Errno }

// threadComm is what the kernel calls a thread, and can be told to.
const threadComm = "/proc/thread-self/comm"

// Ask has the child map length bytes of the file, from offset on, ask msync (MS_SYNC) for
// them, and then fsync for the file, as an application would; fsync alone if length is 0.
// A kernel that dies of it calls the thread comm. It is a *mortal.GoneError if the kernel
// ended that thread, and the context's error, soon after its end, even if the question is
// never answered.
func Ask(ctx context.Context, f *os.File, offset, length int64, comm string) (Answers, error) {
	return ask(ctx, Child, f, offset, length, comm)
}

// ask has the child of that name ask.
func ask(ctx context.Context, name string, f *os.File, offset, length int64, comm string) (a Answers, err error) {
	cmd, err := child.Command(name, strconv.FormatInt(offset, 10), strconv.FormatInt(length, 10), comm)
	if err != nil {
		return a, err
	}
	said, complaint := answer{gone: make(chan string, 1)}, bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = &said, &complaint
	cmd.ExtraFiles = []*os.File{f} // the same open file, so an error is told to whoever asks first, as in one process
	wait, err := child.StartBound(cmd)
	if err != nil {
		return a, fmt.Errorf("ask msync and fsync: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- wait() }()
	select {
	case line := <-said.gone: // before the child has ended: what a dead thread has locked may keep it for ever
		return parse(line)
	case <-ctx.Done():
		return a, end(ctx, cmd.Process, ended)
	case err = <-ended:
	}
	if err != nil {
		return a, fmt.Errorf("ask msync and fsync: %w: %s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	return parse(said.text.String())
}

// killBound is how long the child may take to die. Where the kernel does not come back from a call,
// the child stays there, and nobody waits for it.
const killBound = time.Second

// end kills the child after the end of the context, whose error it returns.
func end(ctx context.Context, child *os.Process, ended <-chan error) error {
	if err := child.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(ctx.Err(), err)
	}
	select {
	case <-ended:
		return ctx.Err()
	case <-time.After(killBound):
		return fmt.Errorf("%w; msync and fsync do not come back: process %d stays in the kernel, killed", ctx.Err(), child.Pid)
	}
}

// What the child says, in a line: what both calls answered, or in which of them its thread ended.
const (
	answers    = "%d %d\n"
	gonePrefix = "gone "
	goneIn     = gonePrefix + "%s\n"
)

// parse reads what the child said.
func parse(line string) (a Answers, err error) {
	var call string
	if _, err := fmt.Sscanf(line, goneIn, &call); err == nil {
		return a, &mortal.GoneError{Doing: call}
	}
	if _, err := fmt.Sscanf(line, answers, &a.Msync, &a.Fsync); err != nil {
		return Answers{}, fmt.Errorf("ask msync and fsync: the child answered %q: %w", line, err)
	}
	return a, nil
}

// answer takes what the child writes, which is a line.
type answer struct {
	text bytes.Buffer
	gone chan string // has the line as soon as it says that a thread is gone
}

// Write is called by one goroutine alone, until the child has ended (os/exec).
func (a *answer) Write(p []byte) (int, error) {
	a.text.Write(p)
	if line := a.text.String(); strings.HasPrefix(line, gonePrefix) && strings.HasSuffix(line, "\n") {
		select {
		case a.gone <- line:
		default:
		}
	}
	return len(p), nil
}

// Main asks for a part of descriptor 3.
func Main(args []string, _ io.Reader, out io.Writer) error {
	if len(args) != 3 {
		return fmt.Errorf("to ask takes an offset, a length and a name, not %q", args)
	}
	offset, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return fmt.Errorf("the offset: %w", err)
	}
	length, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return fmt.Errorf("the length: %w", err)
	}
	a, err := question{os.NewFile(3, "file"), offset, int(length), args[2]}.ask()
	return tell(out, a, err)
}

// tell says what came of the question, unless the child failed to ask it.
func tell(out io.Writer, a Answers, err error) error {
	var gone *mortal.GoneError
	switch {
	case errors.As(err, &gone):
		_, err = fmt.Fprintf(out, goneIn, gone.Doing)
	case err == nil:
		_, err = fmt.Fprintf(out, answers, a.Msync, a.Fsync)
	}
	return err
}

// question is what the child asks, and as whom.
type question struct {
	file   *os.File
	offset int64
	length int
	comm   string
}

func (q question) ask() (a Answers, err error) {
	if q.length > 0 {
		region, err := memory.MapFile(q.file, q.offset, q.length)
		if err != nil {
			return a, err
		}
		if a.Msync, err = q.call("msync", func() error { return unix.Msync(region.Bytes, unix.MS_SYNC) }); err != nil {
			return a, err
		}
	}
	a.Fsync, err = q.call("fsync", func() error { return file.Sync(q.file) })
	return a, err
}

// call makes one of the calls by a thread of that name, and returns what it answered.
func (q question) call(name string, do func() error) (unix.Errno, error) {
	var unnamed error // which is no answer, though it be an errno
	answer := <-mortal.Go(name, func() error {
		if unnamed = nameThread(q.comm); unnamed != nil {
			return nil
		}
		return do()
	})
	if gone := new(mortal.GoneError); errors.As(answer, &gone) {
		return 0, answer // and what the thread left is not looked at
	}
	if unnamed != nil {
		return 0, unnamed
	}
	return errno(answer)
}

// nameThread names the thread of the caller, which keeps it.
func nameThread(comm string) error { return os.WriteFile(threadComm, []byte(comm), 0) }

func errno(answer error) (unix.Errno, error) {
	var number unix.Errno
	if answer == nil || errors.As(answer, &number) {
		return number, nil
	}
	return 0, answer
}
