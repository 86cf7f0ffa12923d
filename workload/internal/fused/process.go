package fused

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"umemstress/workload/child"
	"umemstress/workload/internal/fault"
)

// process is the child that serves. It dies with this process, and the connection with it, which
// nobody else has open.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	said  bytes.Buffer // stderr
	size  int64        // of the file

	ended chan struct{} // closed when it has, and was reaped

	mu    sync.Mutex
	bytes int64 // that reads ask for which have arrived
	short error // one of them was in parts
}

// The descriptors of the child.
const (
	connectionDescriptor = 3
	answersDescriptor    = 4
)

func startProcess(connection, answers *os.File, size int64) (*process, error) {
	cmd, err := child.Command(Child, strconv.FormatInt(size, 10))
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, size: size, ended: make(chan struct{})}
	cmd.ExtraFiles = []*os.File{connection, answers}
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
		return nil, fmt.Errorf("start the run's own FUSE server: %w", err)
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

// arrival is a line of the child's: where a read begins that has arrived, and how much it asks for.
const arrival = "%d %d"

func (p *process) arrived(line string) {
	var at, length int64
	_, err := fmt.Sscanf(line, arrival, &at, &length)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch whole := min(ReadBytes, p.size-at); {
	case err != nil:
		p.short = fmt.Errorf("the run's own FUSE server said %q: %w", line, err)
	case at%ReadBytes != 0 || length != whole:
		p.short = fault.Lacksf("the kernel asks a FUSE server for %d bytes of a direct read of %d at a time, so that it holds no more; sysctl fs.fuse.max_pages_limit=256 has it ask for all of them", length, whole)
	}
	p.bytes += length
}

func (p *process) waiting() (int64, error) {
	select {
	case <-p.ended:
		return 0, p.end()
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes, p.short
}

// tell has reads answered, by so many bytes of the answers.
func (p *process) tell(length int) error {
	_, err := fmt.Fprintln(p.stdin, length)
	return err
}

func (p *process) endsWithin(bound time.Duration) bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(bound):
		return false
	}
}

// end says what came of the process, which has ended though nobody asked it to.
func (p *process) end() error {
	said := bytes.TrimSpace(p.said.Bytes())
	if len(said) > 0 {
		said = append([]byte(": "), said...)
	}
	return fmt.Errorf("the run's own FUSE server ended (%s), and no read holds a page any more%s", p.cmd.ProcessState, said)
}

// farewell bounds how long a killed process may take to end.
const farewell = 20 * time.Second

// kill ends the process, also one that is stopped.
func (p *process) kill() error {
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Kill() // it may have ended already
	if !p.endsWithin(farewell) {
		return fmt.Errorf("the run's own FUSE server, process %d, goes on %v after SIGKILL", p.cmd.Process.Pid, farewell)
	}
	return nil
}
