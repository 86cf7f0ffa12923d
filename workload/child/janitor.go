package child

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// Janitor undoes a change of this machine that would outlive the process, however the
// process ends: SIGKILL runs no deferred function. It is a shell that waits for
// the end of a pipe that only this process holds open (Go opens every descriptor
// with O_CLOEXEC, so no other child keeps it but for Await), and then runs its script. The
// same shell undoes on Close, so that the undoing that is rarely needed is the one
// that always runs.
type Janitor struct {
	cmd    *exec.Cmd
	pipe   *os.File
	stderr bytes.Buffer
	close  func() error
}

// janitorPrologue keeps the shell alive through what ends the run: a Ctrl-C, the
// SIGTERM of a service manager to every process of a cgroup, and a broken pipe when it
// complains to a run that is dead. $told is the last line of tell.
const janitorPrologue = `trap '' INT TERM HUP QUIT PIPE; told=; while read -r line; do told=$line; done; `

// StartJanitor readies a script that undoes, with args as its $1 and so on, and the files as its
// descriptors from 3 on. The script bounds itself: Close waits for it.
func StartJanitor(files []*os.File, script string, args ...string) (*Janitor, error) {
	j := &Janitor{cmd: exec.Command("/bin/sh", append([]string{"-c", janitorPrologue + script, "umemstress-janitor"}, args...)...)}
	j.close = sync.OnceValue(j.finish)
	j.cmd.Dir = "/" // no file system is kept busy
	j.cmd.ExtraFiles = files
	j.cmd.Stderr = &j.stderr
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // out of reach of the terminal's signals
	stdin, pipe, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe to the shell that cleans up after a killed run: %w", err)
	}
	defer stdin.Close() // the shell has its own
	j.cmd.Stdin, j.pipe = stdin, pipe
	if err := j.cmd.Start(); err != nil {
		pipe.Close()
		return nil, fmt.Errorf("start the shell that cleans up after a killed run: %w", err)
	}
	return j, nil
}

// Await has the script wait for a process, too, that is not started yet: one that outlives this
// process would change what has been undone already. It holds the pipe open, as its last descriptor.
func (j *Janitor) Await(cmd *exec.Cmd) { cmd.ExtraFiles = append(cmd.ExtraFiles, j.pipe) }

// Tell gives the script a line, which becomes its $told.
func (j *Janitor) Tell(line string) error {
	if _, err := fmt.Fprintln(j.pipe, line); err != nil {
		return fmt.Errorf("the shell that cleans up after a killed run has ended: %w", err)
	}
	return nil
}

// Close has the script run and waits for it. What it wrote to stderr is the error.
func (j *Janitor) Close() error { return j.close() }

func (j *Janitor) finish() error {
	j.pipe.Close() // it fails only if the shell is gone, which Wait tells
	if err := j.cmd.Wait(); err != nil {
		return fmt.Errorf("undo what the run changed: %w: %s", err, strings.TrimSpace(j.stderr.String()))
	}
	if j.stderr.Len() > 0 {
		return fmt.Errorf("undo what the run changed: %s", strings.TrimSpace(j.stderr.String()))
	}
	return nil
}
