package nfsd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"umemstress/workload/child"
)

// server is a child that serves the file behind a descriptor. It outlives this process for as
// long as the kernel's client needs it, and has a successor when somebody kills it: the client asks
// again, for ever.
type server struct {
	socket, backing *os.File
	ended           chan error

	mu      sync.Mutex
	stdin   io.WriteCloser // of the one that serves
	closing bool
}

func startServer(l *net.TCPListener, backing *os.File) (*server, error) {
	socket, err := l.File()
	if err != nil {
		return nil, err
	}
	s := &server{socket: socket, backing: backing, ended: make(chan error, 1)}
	first, err := s.start()
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	go func() { s.ended <- s.attend(first) }()
	return s, nil
}

// start starts one and returns what waits for its end.
func (s *server) start() (wait func() error, err error) {
	cmd, err := child.Command(StoreChild)
	if err != nil {
		return nil, err
	}
	var said bytes.Buffer
	cmd.ExtraFiles = []*os.File{s.socket, s.backing}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stderr = &said
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the run's own NFS server: %w", err)
	}
	return func() error {
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("the run's own NFS server: %w: %s", err, bytes.TrimSpace(said.Bytes()))
		}
		return err
	}, nil
}

// attend starts another one whenever one ends that is still needed and was killed.
func (s *server) attend(wait func() error) error {
	for {
		err := wait()
		var ended *exec.ExitError
		killed := errors.As(err, &ended) && !ended.Exited()
		s.mu.Lock()
		closing := s.closing
		s.mu.Unlock()
		if closing || !killed {
			return err
		}
		if wait, err = s.start(); err != nil {
			return err
		}
	}
}

// Close ends the server of what is unmounted.
func (s *server) Close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	s.closing = true
	_, _ = io.WriteString(s.stdin, unmounted)
	s.stdin.Close() // both fail only if the server is gone, which its end tells
	s.mu.Unlock()
	return errors.Join(<-s.ended, s.socket.Close())
}
