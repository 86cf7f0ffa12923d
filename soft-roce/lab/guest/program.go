package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/proto"
)

// runProgram runs the program to its end, with stdout and stderr copied to the
// ports, and ends whatever it left running.
func runProgram(s *proto.Spec, to *ports) (proto.Event, error) {
	err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
	if err != nil {
		return proto.Event{}, fmt.Errorf("RLIMIT_MEMLOCK: %w", err)
	}
	if err := os.Chdir(s.Dir); err != nil {
		return proto.Event{}, err
	}
	for _, kv := range s.Env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			os.Setenv("PATH", path)
		}
	}
	path, err := exec.LookPath(s.Program[0])
	if err != nil {
		return proto.Event{}, err
	}
	out, err := newOutput(to.stdout)
	if err != nil {
		return proto.Event{}, err
	}
	errs, err := newOutput(to.stderr)
	if err != nil {
		return proto.Event{}, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return proto.Event{}, err
	}
	proc, err := os.StartProcess(path, s.Program, &os.ProcAttr{
		Env:   s.Env,
		Files: []*os.File{null, out.w, errs.w},
	})
	if err != nil {
		return proto.Event{}, fmt.Errorf("start the program: %w", err)
	}
	code, err := reap(proc.Pid)
	if err != nil {
		return proto.Event{}, err
	}
	// The program's children may hold its pipes open for ever.
	if err := unix.Kill(-1, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return proto.Event{}, fmt.Errorf("kill what the program left: %w", err)
	}
	ev := proto.Event{Kind: proto.EventExited, Code: code}
	if ev.Stdout, err = out.finish(); err != nil {
		return proto.Event{}, fmt.Errorf("stdout: %w", err)
	}
	if ev.Stderr, err = errs.finish(); err != nil {
		return proto.Event{}, fmt.Errorf("stderr: %w", err)
	}
	return ev, nil
}

// reap waits for the program, and for all the orphans that PID 1 inherits
// meanwhile, and returns the program's exit code.
func reap(pid int) (int, error) {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, fmt.Errorf("wait for the program: %w", err)
		case got != pid:
			continue
		case status.Signaled():
			return 128 + int(status.Signal()), nil
		case status.Exited():
			return status.ExitStatus(), nil
		}
	}
}

// output copies what is written to the pipe w to a port.
type output struct {
	w    *os.File
	n    int64
	err  error
	done chan struct{}
}

func newOutput(port *os.File) (*output, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o := &output{w: w, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		o.n, o.err = io.Copy(port, r)
	}()
	return o, nil
}

// finish waits until all writers are gone and everything has been copied.
func (o *output) finish() (int64, error) {
	if err := o.w.Close(); err != nil {
		return 0, err
	}
	select {
	case <-o.done:
		return o.n, o.err
	case <-time.After(time.Minute):
		return 0, errors.New("a process that cannot be killed keeps the pipe open")
	}
}
