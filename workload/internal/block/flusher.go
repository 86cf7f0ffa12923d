package block

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
)

// FlushChild is the name of the child that FlushMain is.
const FlushChild = "flush-delay"

// flusher is a child that flushes a delay device when this process is killed. A thread that
// reads from the device would end only with its read, and so keep the whole process, with all
// descriptors that it has, for as long as the delay. A janitor, which waits for the end of a
// pipe, would wait for that thread, too; this child is sent a signal when the thread that
// started it ends, which is at once.
type flusher struct {
	cmd   *exec.Cmd
	stdin io.Closer
	wait  func() error
	said  bytes.Buffer // stderr
}

// readyLine is what the child says when it can be left alone.
const readyLine = "ready\n"

// startFlusher returns when the child is ready for the device of that name.
func startFlusher(name string) (*flusher, error) {
	f := &flusher{}
	var err error
	if f.cmd, err = child.Command(FlushChild, name); err != nil {
		return nil, err
	}
	f.cmd.Stderr = &f.said
	if f.stdin, err = f.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if f.wait, err = child.StartBoundBy(f.cmd, unix.SIGTERM); err != nil {
		return nil, fmt.Errorf("start what flushes the slow device of a killed run: %w", err)
	}
	line := make([]byte, len(readyLine))
	if _, err := io.ReadFull(out, line); err != nil {
		return nil, errors.Join(fmt.Errorf("what flushes the slow device of a killed run does not start: %w", err), f.Close())
	}
	return f, nil
}

// Close ends the child, which then flushes nothing.
func (f *flusher) Close() error {
	f.stdin.Close() // it fails only if the child is gone, which wait tells
	if err := f.wait(); err != nil {
		return fmt.Errorf("what flushes the slow device of a killed run: %w: %s", err, strings.TrimSpace(f.said.String()))
	}
	return nil
}

// FlushMain flushes the delay device that its argument names when SIGTERM tells that its
// parent has died, and nothing if its input ends first.
func FlushMain(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes the name of a device, not %d arguments", FlushChild, len(args))
	}
	killed, closed := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(killed, unix.SIGTERM)
	control, err := openMapper()
	if err != nil {
		return err
	}
	defer control.Close()
	if _, err := io.WriteString(out, readyLine); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, in) // whatever ends it
		close(closed)
	}()
	select {
	case <-closed:
		return nil
	case <-killed:
	}
	err = (&Delay{control: control, name: args[0]}).Flush()
	if errors.Is(err, unix.ENXIO) { // it is gone
		return nil
	}
	return err
}
