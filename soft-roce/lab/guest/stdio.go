package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/proto"
)

// stdio are the three files of the program, and what copies between them and the
// ports. The program never has a port itself: a write to it would spin in the kernel
// until the host has read.
type stdio struct {
	files  []*os.File // the program's; closed once it has them
	term   *os.File   // our end of its terminal; nil: it has none
	input  *input     // nil: there is none
	stdout *output
	stderr *output // nil: stderr is the terminal
}

func newStdio(s *proto.Spec, to *ports) (*stdio, error) {
	if s.Term != nil {
		return newTerminal(s.Term, to)
	}
	var err error
	p := &stdio{}
	stdin, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	if to.stdin != nil {
		var w *os.File
		if stdin, w, err = os.Pipe(); err != nil {
			return nil, err
		}
		p.input = newInput(to.stdin, w)
	}
	stdout, err := p.pipe(&p.stdout, to.stdout)
	if err != nil {
		return nil, err
	}
	stderr, err := p.pipe(&p.stderr, to.stderr)
	if err != nil {
		return nil, err
	}
	p.files = []*os.File{stdin, stdout, stderr}
	return p, nil
}

// newTerminal has the program talk to a terminal of the guest, whose other end is the
// host's: what it reads, and echoes, and what Ctrl-C does, is decided in the guest.
func newTerminal(t *proto.Terminal, to *ports) (*stdio, error) {
	term, tty, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	p := &stdio{term: term, files: []*os.File{tty, tty, tty}}
	p.resize(t.Size)
	p.stdout = newOutput(to.stdout, term)
	p.input = newInput(to.stdin, keepOpen{term})
	if !t.Stderr {
		if p.files[2], err = p.pipe(&p.stderr, to.stderr); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// keepOpen is a terminal, of which the end of the input is no end.
type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }

// pipe makes the output whose end for the program is returned.
func (p *stdio) pipe(o **output, port *os.File) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	*o = newOutput(port, r)
	return w, nil
}

func (p *stdio) resize(size proto.Size) {
	if p.term != nil && size != (proto.Size{}) {
		// A program that is told of no size takes 80 by 24.
		_ = pty.Setsize(p.term, &pty.Winsize{Rows: size.Rows, Cols: size.Cols})
	}
}

// obey carries out the host's orders until its port is closed.
func (p *stdio) obey(control *proto.EventStream) {
	for {
		order, err := control.ReceiveOrder()
		if err != nil {
			return
		}
		switch order.Kind {
		case proto.OrderResize:
			p.resize(order.Size)
		case proto.OrderInputEnd:
			p.input.endAt(order.Input)
		}
	}
}

// started closes what is the program's now, so that it alone keeps it open.
func (p *stdio) started() error {
	var failed error
	seen := map[*os.File]bool{}
	for _, f := range p.files {
		if !seen[f] {
			failed = errors.Join(failed, f.Close())
			seen[f] = true
		}
	}
	return failed
}

// finish waits until all that was written is on its way, and tells how much that was.
func (p *stdio) finish(ev *proto.Event) error {
	var err error
	if ev.Stdout, err = p.stdout.finish(); err != nil {
		return fmt.Errorf("stdout: %w", err)
	}
	if p.stderr == nil {
		return nil
	}
	if ev.Stderr, err = p.stderr.finish(); err != nil {
		return fmt.Errorf("stderr: %w", err)
	}
	return nil
}

// output copies what the program writes to a port.
type output struct {
	n    int64
	err  error
	done chan struct{}
}

func newOutput(port, r *os.File) *output {
	o := &output{done: make(chan struct{})}
	go func() {
		defer close(o.done)
		o.n, o.err = io.Copy(port, r)
		if errors.Is(o.err, unix.EIO) {
			o.err = nil // a terminal that nobody has open any more
		}
	}()
	return o
}

// finish waits until all writers are gone and everything has been copied.
func (o *output) finish() (int64, error) {
	select {
	case <-o.done:
		return o.n, o.err
	case <-time.After(time.Minute):
		return 0, errors.New("a process that cannot be killed keeps it open")
	}
}

// input copies a port to the program, up to where the host says that it ends: that the
// port was closed would say nothing of what is still on its way.
type input struct {
	w io.WriteCloser

	mu     sync.Mutex
	n, end int64 // what was passed on, and all that there is; -1: not known yet
	closed bool
}

func newInput(port io.Reader, w io.WriteCloser) *input {
	in := &input{w: w, end: -1}
	go in.copy(port)
	return in
}

func (in *input) copy(port io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := port.Read(buf)
		if n > 0 {
			if _, err := in.w.Write(buf[:n]); err != nil {
				return // the program reads no more
			}
			in.mu.Lock()
			in.n += int64(n)
			in.closeAtEnd()
			in.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

func (in *input) endAt(end int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.end = end
	in.closeAtEnd()
}

func (in *input) closeAtEnd() {
	if in.end >= 0 && in.n >= in.end && !in.closed {
		in.closed = true
		in.w.Close()
	}
}
