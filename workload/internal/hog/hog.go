// Package hog takes memory as it is told to, in a child process that the OOM killer finds
// first.
package hog

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
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
	wait    func() error // reaps it
	Taken   int64        // bytes
}

// Start starts this very program as a hog and waits until it is ready.
func Start() (*Hog, error) {
	cmd, err := child.Command(Child)
	if err != nil {
		return nil, err
	}
	h := &Hog{cmd: cmd}
	h.cmd.Stderr = &h.stderr
	// Its input ends with this process; the signal also reaches a hog that is busy.
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	var out io.Reader
	if h.orders, err = h.cmd.StdinPipe(); err == nil {
		out, err = h.cmd.StdoutPipe()
	}
	if err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the memory hog: %w", err)
	}
	answers, read := make(chan string), make(chan struct{})
	h.Answers = answers
	h.wait = sync.OnceValue(func() error { <-read; return h.cmd.Wait() })
	go func() {
		defer close(read)
		defer close(answers)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			answers <- lines.Text()
		}
	}()
	if _, ready := <-h.Answers; !ready {
		return nil, fmt.Errorf("the memory hog did not start: %w", h.Fate())
	}
	return h, nil
}

// Grow orders the hog to take bytes more; the answer comes when it has.
func (h *Hog) Grow(bytes int64) error {
	if _, err := fmt.Fprintln(h.orders, bytes); err != nil {
		return h.Fate()
	}
	h.Taken += bytes
	return nil
}

// errKilled says that the hog was killed, not by us.
var errKilled = errors.New("the OOM killer took the memory hog")

// Fate is how a hog ended whose answers have ended.
func (h *Hog) Fate() error {
	for range h.Answers { // so that the reader comes to the end
	}
	h.wait()
	status := h.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() && status.Signal() == unix.SIGKILL {
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
