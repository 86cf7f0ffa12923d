package block

import (
	"bufio"
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

// GuardChild is the name of the child that GuardMain is.
const GuardChild = "resume-mapped"

// guard is a child that resumes a device when this process is killed. A thread that reads from
// the device would never end otherwise, and so keep the whole process, with all descriptors that
// it has. A janitor, which waits for the end of a pipe, would wait for that thread, too; this
// child is sent a signal when the thread that started it ends, which is at once.
type guard struct {
	stdin io.WriteCloser
	wait  func() error
	said  bytes.Buffer // stderr
}

const (
	// readyLine is what the child says when it can be left alone.
	readyLine = "ready\n"
	// closedLine is what the child is told when nothing is to be resumed any more.
	closedLine = "closed\n"
)

// startGuard returns when the child is ready for the device of that name. The name is not among its
// arguments: who kills all that has the name of this program in its arguments would kill it, too.
func startGuard(name string) (*guard, error) {
	g := &guard{}
	cmd, err := child.Command(GuardChild)
	if err != nil {
		return nil, err
	}
	cmd.Stderr = &g.said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := g.start(cmd); err != nil {
		return nil, err
	}
	line := make([]byte, len(readyLine))
	_, err = io.WriteString(g.stdin, name+"\n")
	if err == nil {
		_, err = io.ReadFull(out, line)
	}
	if err != nil {
		return nil, fmt.Errorf("what resumes the device of a killed run does not start: %w", errors.Join(err, g.Close()))
	}
	return g, nil
}

func (g *guard) start(cmd *exec.Cmd) (err error) {
	if g.stdin, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if g.wait, err = child.StartBoundBy(cmd, unix.SIGTERM); err != nil {
		return fmt.Errorf("start what resumes the device of a killed run: %w", err)
	}
	return nil
}

// Close ends the child, which then resumes nothing.
func (g *guard) Close() error {
	_, _ = io.WriteString(g.stdin, closedLine) // it fails only if the child is gone, which wait tells
	g.stdin.Close()
	if err := g.wait(); err != nil {
		return fmt.Errorf("what resumes the device of a killed run: %w: %s", err, strings.TrimSpace(g.said.String()))
	}
	return nil
}

// GuardMain resumes the device that the first line of its input names when SIGTERM, or the end of
// its input, tells that its parent has died, and nothing if it is told that the device is closed.
func GuardMain(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 0 {
		return fmt.Errorf("%s takes no arguments, not %d", GuardChild, len(args))
	}
	killed := make(chan os.Signal, 1)
	signal.Notify(killed, unix.SIGTERM)
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGPIPE)
	lines := bufio.NewReader(in)
	name, err := lines.ReadString('\n')
	if err != nil {
		return fmt.Errorf("the name of the device: %w", err)
	}
	control, err := openMapper()
	if err != nil {
		return err
	}
	defer control.Close()
	if _, err := io.WriteString(out, readyLine); err != nil {
		return err
	}
	told := make(chan string, 1)
	go func() {
		line, _ := lines.ReadString('\n') // whatever ends it
		told <- line
	}()
	select {
	case line := <-told:
		if line == closedLine {
			return nil
		}
	case <-killed:
	}
	err = (&mapped{control: control, name: strings.TrimSuffix(name, "\n")}).Resume()
	if errors.Is(err, unix.ENXIO) { // it is gone
		return nil
	}
	return err
}
