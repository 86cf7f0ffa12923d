package host

import (
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"umemstress/workload/child"
)

// StartBound starts a process that is killed when this one dies, however it
// dies. The returned channel gives what cmd.Wait returned.
func StartBound(cmd *exec.Cmd) (<-chan error, error) {
	wait, err := child.StartBound(cmd)
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- wait() }()
	return ended, nil
}

// killGroup is the script of a janitor: what it was told last is a process group, or
// nothing any more.
const killGroup = `[ -z "$told" ] || kill -s KILL -- "-$told" 2>/dev/null || :`

// runBound runs a process to its end. It and the processes that it has started, as
// apt-get and dpkg-deb do, end with this one, and when the command's context is done.
func runBound(cmd *exec.Cmd) error {
	janitor, err := child.StartJanitor(nil, killGroup)
	if err != nil {
		return err
	}
	defer janitor.Close()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second // for what left the group, and holds its output open
	gate, err := hold(cmd)
	if err != nil {
		return err
	}
	defer gate.close()
	ended, err := StartBound(cmd)
	if err != nil {
		return err
	}
	told := janitor.Tell(strconv.Itoa(cmd.Process.Pid))
	if told == nil {
		told = gate.open()
	}
	gate.close()
	err = <-ended
	if told == nil {
		told = janitor.Tell("") // its number may be another's soon
	}
	if told != nil {
		return told
	}
	return err
}
