package guest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/proto"
)

// runProgram runs the program to its end, with its input and output copied from and to
// the ports, and ends whatever it left running.
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
	stdio, err := newStdio(s, to)
	if err != nil {
		return proto.Event{}, err
	}
	attr := &os.ProcAttr{Env: s.Env, Files: stdio.files}
	if stdio.term != nil {
		// A session of its own, whose terminal it is: Ctrl-C is for its processes.
		attr.Sys = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	}
	if s.Input {
		go stdio.obey(to.control)
	}
	if err := setTimerSlack(s.TimerSlack); err != nil {
		return proto.Event{}, err
	}
	proc, err := os.StartProcess(path, s.Program, attr)
	if err != nil {
		return proto.Event{}, fmt.Errorf("start the program: %w", err)
	}
	if err := stdio.started(); err != nil {
		return proto.Event{}, err
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
	if err := stdio.finish(&ev); err != nil {
		return proto.Event{}, err
	}
	return ev, nil
}

// setTimerSlack sets what the processes that this goroutine starts inherit: it is the thread's, so
// that the goroutine keeps to its thread from now on.
func setTimerSlack(slack time.Duration) error {
	if slack == 0 {
		return nil
	}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack.Nanoseconds()), 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_TIMERSLACK: %w", err)
	}
	return nil
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
