// Package lateread has a process of the run's own serve one file to this machine's kernel, whose reads it
// leaves unanswered until it is told to let them go: of FUSE, of 9p.
//
// In the process of who reads, the server would keep that from ending: a read that has come to user space
// waits for its answer through SIGKILL, and the connection, which fails it when its other end is closed,
// goes with the last thread of the process.
package lateread

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
)

// Config is what a process is started with.
type Config struct {
	Child      string   // whose Main calls Follow
	By         string   // what it serves by, for errors: FUSE
	Connection *os.File // to the kernel; the process has a copy of its own
	Size       int64    // of the file
	// OfEnd are the errors by which the kernel tells that the other end of the connection is gone.
	OfEnd []unix.Errno
	// Holds tells how many bytes are held for certain by a read of some length that has arrived.
	Holds func(at, length int64) (int64, error)
}

// Process is the child that serves. It dies with this process, and the connection with it, which
// nobody else is to have open.
type Process struct {
	config  Config
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	answers *os.File     // memory, which has the bytes once reads are let go
	said    bytes.Buffer // stderr

	ended chan struct{} // closed when it has, and was reaped

	mu    sync.Mutex
	held  int64
	wrong error // of a read that has arrived
}

// The descriptors of the child.
const (
	connectionDescriptor = 3
	answersDescriptor    = 4
)

// Start starts the child.
func Start(c Config) (_ *Process, err error) {
	cmd, err := child.Command(c.Child, strconv.FormatInt(c.Size, 10))
	if err != nil {
		return nil, err
	}
	p := &Process{config: c, cmd: cmd, ended: make(chan struct{})}
	defer func() {
		if err != nil && p.answers != nil {
			p.answers.Close()
		}
	}()
	if p.answers, err = memoryFile(); err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{c.Connection, p.answers}
	cmd.Stderr = &p.said
	cmd.Dir = "/"
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	arrivals, stdout, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdout.Close() // the child has its own
	cmd.Stdout = stdout
	wait, err := child.StartBound(cmd)
	if err != nil {
		arrivals.Close()
		return nil, fmt.Errorf("start the run's own %s server: %w", c.By, err)
	}
	go func() {
		defer close(p.ended)
		defer arrivals.Close()
		for lines := bufio.NewScanner(arrivals); lines.Scan(); {
			p.arrived(lines.Text())
		}
		_ = wait() // what came of it, its state tells
	}()
	return p, nil
}

func memoryFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("umemstress-answers", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory (memfd_create): %w", err)
	}
	return os.NewFile(uintptr(fd), "answers"), nil
}

// arrived takes a line of the child's.
func (p *Process) arrived(line string) {
	at, length, err := ParseArrival(line)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.wrong = fmt.Errorf("the run's own %s server said %q: %w", p.config.By, line, err)
		return
	}
	held, err := p.config.Holds(at, int64(length))
	if err != nil {
		p.wrong = err
	}
	p.held += held
}

// Held is how many bytes those reads are to bring which the server has in hand. None is answered
// before LetGo. An error says that a read does not hold what it was to.
func (p *Process) Held() (int64, error) {
	select {
	case <-p.ended:
		return 0, p.end()
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held, p.wrong
}

// LetGo answers reads from here on, by the source's bytes, over and over.
func (p *Process) LetGo(source []byte) error {
	if _, err := p.answers.WriteAt(source, 0); err != nil {
		return fmt.Errorf("put %d bytes into memory for the run's own %s server: %w; choose a smaller --anon-size", len(source), p.config.By, err)
	}
	_, err := fmt.Fprintln(p.stdin, len(source))
	if errors.Is(err, os.ErrClosed) { // it was reaped
		return p.end()
	}
	return p.explain(err, []unix.Errno{unix.EPIPE})
}

// Explain tells of an error that is of the server's end.
func (p *Process) Explain(err error) error { return p.explain(err, p.config.OfEnd) }

func (p *Process) explain(err error, ofEnd []unix.Errno) error {
	for _, of := range ofEnd {
		if errors.Is(err, of) && p.endsWithin(time.Second) {
			return p.end()
		}
	}
	return err
}

func (p *Process) endsWithin(bound time.Duration) bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(bound):
		return false
	}
}

// end says what came of the process, which has ended though nobody asked it to.
func (p *Process) end() error {
	said := bytes.TrimSpace(p.said.Bytes())
	if len(said) > 0 {
		said = append([]byte(": "), said...)
	}
	return fmt.Errorf("the run's own %s server ended (%s), and no read holds a page any more%s", p.config.By, p.cmd.ProcessState, said)
}

// farewell bounds how long a killed process may take to end.
const farewell = 20 * time.Second

// Kill ends the process, also one that is stopped. The kernel then fails its reads.
func (p *Process) Kill() error {
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Kill() // it may have ended already
	if !p.endsWithin(farewell) {
		return fmt.Errorf("the run's own %s server, process %d, goes on %v after SIGKILL", p.config.By, p.cmd.Process.Pid, farewell)
	}
	return nil
}

// Close ends the process.
func (p *Process) Close() error {
	if p == nil {
		return nil
	}
	err := p.Kill()
	if p.answers != nil {
		err = errors.Join(err, p.answers.Close())
		p.answers = nil
	}
	return err
}
