// Package hog takes memory as it is told to, in a child process that the OOM killer finds
// first.
package hog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
	"umemstress/workload/internal/memory"
)

// Child is the name of the child that hogMain is.
const Child = "hog"

// Main takes memory as it is told to, until its input ends: for each line, a number
// of bytes, it takes so many more and answers with a line. It offers itself to the OOM
// killer before anything else.
func Main(_ []string, in io.Reader, out io.Writer) error {
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0); err != nil {
		return fmt.Errorf("become the OOM killer's first choice: %w", err)
	}
	if _, err := fmt.Fprintln(out, "ready"); err != nil {
		return err
	}
	orders := bufio.NewScanner(in)
	for orders.Scan() {
		bytes, err := strconv.Atoi(orders.Text())
		if err != nil {
			return fmt.Errorf("the number of bytes to take: %w", err)
		}
		if err := takeMemory(bytes); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, "taken"); err != nil {
			return err
		}
	}
	return orders.Err()
}

// takeMemory maps anonymous memory and fills it. Huge pages make that fast; where there
// are none, the kernel takes small ones. It is not locked: the OOM reaper passes over
// locked memory, so that the killed hog's would be there for long yet, and the OOM
// killer would go on to the next process (mm/oom_kill.c, __oom_reap_task_mm).
func takeMemory(bytes int) error {
	mem, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("mmap %d bytes: %w", bytes, err)
	}
	// EINVAL: a kernel without transparent huge pages.
	if err := unix.Madvise(mem, unix.MADV_HUGEPAGE); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("madvise(MADV_HUGEPAGE): %w", err)
	}
	memory.Touch(mem)
	return nil
}

// Hog is a child process that takes memory.
type Hog struct {
	cmd     *exec.Cmd
	orders  io.WriteCloser
	Answers <-chan string // one for each order; closed when the hog is gone
	stderr  strings.Builder
	read    chan struct{} // closed when the last answer is read
	wait    func() error  // reaps it
	kills   func() (uint64, error)
	before  uint64 // kills when it was started
	Taken   int64  // bytes
}

// Start starts this very program as a hog and waits until it is ready.
func Start(ctx context.Context) (*Hog, error) {
	cmd, err := child.Command(Child)
	if err != nil {
		return nil, err
	}
	return start(ctx, cmd)
}

// start starts cmd as a hog. Its input ends with this process; that it is bound to it also
// reaches a hog that is busy.
func start(ctx context.Context, cmd *exec.Cmd) (_ *Hog, err error) {
	h := &Hog{cmd: cmd, read: make(chan struct{}), kills: oomKills}
	h.cmd.Stderr = &h.stderr
	if h.before, err = h.kills(); err != nil {
		return nil, err
	}
	var out io.Reader
	if h.orders, err = h.cmd.StdinPipe(); err == nil {
		out, err = h.cmd.StdoutPipe()
	}
	if err != nil {
		return nil, err
	}
	if h.wait, err = child.StartBound(h.cmd); err != nil {
		return nil, fmt.Errorf("start the memory hog: %w", err)
	}
	answers := make(chan string)
	h.Answers = answers
	go func() {
		defer close(h.read)
		defer close(answers)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			answers <- lines.Text()
		}
	}()
	select {
	case _, ready := <-h.Answers:
		if !ready {
			return nil, fmt.Errorf("the memory hog did not start: %w", h.Fate())
		}
		return h, nil
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), h.Close())
	}
}

// Grow orders the hog to take bytes more; the answer comes when it has.
func (h *Hog) Grow(bytes int64) error {
	if _, err := fmt.Fprintln(h.orders, bytes); err != nil {
		return h.Fate()
	}
	h.Taken += bytes
	return nil
}

// How a hog was killed that we did not kill. The kernel tells only how many processes its
// OOM killer has killed, and the hog is its first choice.
var (
	errOOMKilled = errors.New("the OOM killer took the memory hog")
	errKilled    = errors.New("somebody killed the memory hog (SIGKILL); it was not the OOM killer")
)

// Fate is how a hog ended whose answers have ended.
func (h *Hog) Fate() error {
	for range h.Answers { // so that the reader comes to the end
	}
	<-h.read // Wait closes what it is read from
	err := h.wait()
	if h.cmd.ProcessState == nil {
		return fmt.Errorf("how the memory hog ended is not known: %w", err)
	}
	status := h.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() && status.Signal() == unix.SIGKILL {
		kills, err := h.kills()
		switch {
		case err != nil:
			return fmt.Errorf("the memory hog was killed (SIGKILL), by whom is not known: %w", err)
		case kills > h.before:
			return errOOMKilled
		}
		return errKilled
	}
	return fmt.Errorf("the memory hog ended (%v): %s", h.cmd.ProcessState, strings.TrimSpace(h.stderr.String()))
}

// Close kills the hog and returns when its memory is free again. It may be called
// twice.
func (h *Hog) Close() error {
	if err := h.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end the memory hog: %w", err)
	}
	h.Fate()
	return nil
}
