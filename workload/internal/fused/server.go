// Package fused serves one file to this machine's kernel by FUSE, whose reads it leaves unanswered
// until it is told to let them go. It serves it with go-fuse, in a process of its own, and mounts it
// where no mount table shows it.
//
// In the process of who reads, the server would keep that from ending: a read that has come to
// user space waits for its answer through SIGKILL (fs/fuse/dev.c, request_wait_answer), and the
// connection, which fails it when /dev/fuse is closed, goes with the last thread of the process.
package fused

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/module"
	"umemstress/workload/internal/mount"
)

// ReadBytes is what the kernel reads with one request at most: 256 pages (FUSE_MAX_MAX_PAGES,
// fs/fuse/fuse_i.h).
const ReadBytes = 1 << 20

// Modules is that of FUSE, which newer kernels of Debian have built in.
func Modules() module.Set {
	return module.Set{Top: "fuse", Unload: []string{"fuse"}, Busy: "fuse", Options: "CONFIG_FUSE_FS"}
}

const (
	device   = "/dev/fuse"
	fileName = "file"
)

// Server is the mount and the process that serves it.
type Server struct {
	File *os.File // open for direct reads

	modules *module.Loaded
	root    *os.File
	answers *os.File // memory, which has the bytes once reads are let go
	process *process
}

// Serve serves and mounts a file of so many bytes, whose reads wait. It is to be read by ReadBytes
// at a time, and what remains. However this process ends, the reads end soon.
func Serve(ctx context.Context, size int64) (_ *Server, err error) {
	s := &Server{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.modules, err = module.Load(ctx, Modules()); err != nil {
		return nil, err
	}
	connection, err := s.connect()
	if err != nil {
		return nil, err
	}
	defer connection.Close() // that of the server is the only one, so that it ends with it
	if s.answers, err = memoryFile(); err != nil {
		return nil, err
	}
	if s.process, err = startProcess(connection, s.answers, size); err != nil {
		return nil, err
	}
	connection.Close()
	return s, s.open()
}

// connect mounts what whoever reads the requests from connection will serve.
func (s *Server) connect() (connection *os.File, err error) {
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0) // not by package os, which would have it non-blocking
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, fault.Lacksf("open %s: %w; in a container, pass the node in: --device %[1]s", device, err)
	case err != nil:
		return nil, fault.Lacksf("open %s: %w; it takes root, and in a container the node: --device %[1]s", device, err)
	}
	connection = os.NewFile(uintptr(fd), device)
	s.root, err = mount.Detached("fuse", "umemstress", map[string]string{
		"fd": fmt.Sprint(fd), "rootmode": fmt.Sprintf("%o", unix.S_IFDIR), "max_read": fmt.Sprint(ReadBytes),
		"user_id": fmt.Sprint(os.Geteuid()), "group_id": fmt.Sprint(os.Getegid()),
	})
	if err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	return connection, nil
}

func memoryFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("umemstress-answers", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory (memfd_create): %w", err)
	}
	return os.NewFile(uintptr(fd), "answers"), nil
}

func (s *Server) open() error {
	fd, err := unix.Openat(int(s.root.Fd()), fileName, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return s.Explain(fmt.Errorf("open the file of the run's own FUSE mount: %w", err))
	}
	s.File = os.NewFile(uintptr(fd), fileName)
	return nil
}

// Waiting is how many bytes those reads are to bring that the server has in hand. None is answered
// before LetGo. An error says that a read has come in parts, of which the kernel asks for the second
// once it has the first.
func (s *Server) Waiting() (int64, error) { return s.process.waiting() }

// LetGo answers reads from here on, by the source's bytes, over and over.
func (s *Server) LetGo(source []byte) error {
	if _, err := s.answers.WriteAt(source, 0); err != nil {
		return fmt.Errorf("put %d bytes into memory for the run's own FUSE server: %w; choose a smaller --anon-size", len(source), err)
	}
	return s.Explain(s.process.tell(len(source)))
}

// Explain tells of an error that is of the server's end.
func (s *Server) Explain(err error) error {
	for _, of := range []error{unix.ECONNABORTED, unix.ENOTCONN, unix.EPIPE} {
		if ended := errors.Is(err, of) && s.process.endsWithin(time.Second); ended {
			return s.process.end()
		}
	}
	return err
}

// Fail ends reads: the kernel fails those of a server that is gone.
func (s *Server) Fail() error {
	if s == nil {
		return nil
	}
	return s.process.kill()
}

// Close unmounts. Reads are to be over.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	errs := []error{s.process.kill()}
	if s.File != nil {
		_ = s.File.Close() // which asks the server to flush, and that is gone
	}
	for _, f := range []*os.File{s.root, s.answers} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	errs = append(errs, s.modules.Close())
	*s = Server{}
	return errors.Join(errs...)
}
