package machine

import (
	"os/exec"
	"runtime"
	"syscall"
)

// StartBound starts a process that is killed when this one dies, however it
// dies. The returned channel gives what cmd.Wait returned.
func StartBound(cmd *exec.Cmd) (<-chan error, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		Setpgid:   true, // the terminal's Ctrl-C is for this process to handle
	}
	started := make(chan error)
	ended := make(chan error, 1)
	go func() {
		// The signal is sent when the thread that started the process ends, so
		// that thread must live as long as the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return ended, nil
}
