package child

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// StartBound starts a process that is killed when this one dies, however it dies; the
// terminal's Ctrl-C does not reach it. wait reaps it, and may be called again.
func StartBound(cmd *exec.Cmd) (wait func() error, err error) {
	return StartBoundBy(cmd, syscall.SIGKILL)
}

// StartBoundBy starts a process that is sent the signal when this one dies: as soon as the
// thread that started it is gone, however long others still hang in the kernel.
func StartBoundBy(cmd *exec.Cmd, signal syscall.Signal) (wait func() error, err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: signal, Setpgid: true}
	started, reap, ended := make(chan error), make(chan struct{}), make(chan error, 1)
	go func() {
		// The signal is sent when the thread that started the process ends, so
		// that thread must live as long as the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			<-reap
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return sync.OnceValue(func() error {
		close(reap)
		return <-ended
	}), nil
}
