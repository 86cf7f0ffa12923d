package nfsd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"

	"umemstress/workload/child"
)

// server is a child that serves the file behind a descriptor. It outlives this process for as
// long as the kernel's client needs it, and has a successor when somebody kills it: the client asks
// again, for ever. A shell sees to that, since nothing in this process may come to run while one
// of its threads waits for the server.
type server struct {
	shell *exec.Cmd
	stdin io.WriteCloser
	said  bytes.Buffer // stderr
}

// serveScript runs the child, descriptor 3, until one ends by itself: a shell tells of a signal by a
// status above 128.
var serveScript = `trap '' INT TERM HUP QUIT PIPE; while :; do ( ` + child.Script(StoreChild, "") + ` ); status=$?; [ $status -gt 128 ] || exit $status; done`

// The descriptors of the child, behind its program.
const (
	storeSocket  = 4
	storeBacking = 5
)

func startServer(l *net.TCPListener, backing *os.File) (*server, error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	defer self.Close()
	socket, err := l.File()
	if err != nil {
		return nil, err
	}
	defer socket.Close() // the shell has its own of both
	s := &server{shell: exec.Command("/bin/sh", "-c", serveScript)}
	s.shell.ExtraFiles = []*os.File{self, socket, backing}
	s.shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	s.shell.Stderr = &s.said
	s.shell.Dir = "/"
	if s.stdin, err = s.shell.StdinPipe(); err != nil {
		return nil, err
	}
	if err := s.shell.Start(); err != nil {
		return nil, fmt.Errorf("start the run's own NFS server: %w", err)
	}
	return s, nil
}

// Close ends the server of what is unmounted.
func (s *server) Close() error {
	if s == nil {
		return nil
	}
	_, err := io.WriteString(s.stdin, unmounted)
	err = errors.Join(err, s.stdin.Close())
	if ended := s.shell.Wait(); ended != nil {
		return fmt.Errorf("the run's own NFS server: %w: %s", errors.Join(ended, err), bytes.TrimSpace(s.said.Bytes()))
	}
	return err
}
