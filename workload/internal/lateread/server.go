package lateread

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/module"
)

// Server is a process that serves, and the mount of what it serves. Its fields are set by who makes it,
// as far as they come to be.
type Server struct {
	File *os.File // open for direct reads

	Root    *os.File // of the mount
	Process *Process
	Modules []*module.Loaded // in the order in which they were loaded
}

// Open opens the file that is called so for direct reads.
func (s *Server) Open(name string) error {
	fd, err := unix.Openat(int(s.Root.Fd()), name, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return s.Explain(fmt.Errorf("open the file of the run's own %s mount: %w", s.Process.config.By, err))
	}
	s.File = os.NewFile(uintptr(fd), name)
	return nil
}

// Waiting is [Process.Held].
func (s *Server) Waiting() (int64, error) { return s.Process.Held() }

// LetGo is [Process.LetGo].
func (s *Server) LetGo(source []byte) error { return s.Process.LetGo(source) }

// Explain is [Process.Explain].
func (s *Server) Explain(err error) error { return s.Process.Explain(err) }

// Fail ends reads: the kernel fails those of a server that is gone.
func (s *Server) Fail() error { return s.Process.Kill() }

// Close unmounts. Reads are to be over.
func (s *Server) Close() error {
	errs := []error{s.Process.Kill()}
	if s.File != nil {
		_ = s.File.Close() // of which the server is told, and that is gone
	}
	if s.Root != nil {
		errs = append(errs, s.Root.Close())
	}
	errs = append(errs, s.Process.Close())
	for _, loaded := range slices.Backward(s.Modules) {
		errs = append(errs, loaded.Close())
	}
	*s = Server{}
	return errors.Join(errs...)
}
