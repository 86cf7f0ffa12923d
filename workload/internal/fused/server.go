// Package fused serves one file to this machine's kernel by FUSE, whose reads it leaves unanswered
// until it is told to let them go. It serves it with go-fuse, in a process of its own, and mounts it
// where no mount table shows it. (A read that has come to user space waits for its answer through SIGKILL:
// fs/fuse/dev.c, request_wait_answer.)
package fused

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/lateread"
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
	process *lateread.Process
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
	holds := func(at, length int64) (int64, error) { return length, wholeRead(at, length, size) }
	if s.process, err = lateread.Start(lateread.Config{Child: Child, By: "FUSE", Connection: connection, Size: size, Holds: holds}); err != nil {
		return nil, err
	}
	connection.Close()
	return s, s.open()
}

// wholeRead says that a read of a file of that size has come in parts.
func wholeRead(at, length, size int64) error {
	if whole := min(ReadBytes, size-at); at%ReadBytes != 0 || length != whole {
		return fault.Lacksf("the kernel asks a FUSE server for %d bytes of a direct read of %d at a time, so that it holds no more; sysctl fs.fuse.max_pages_limit=256 has it ask for all of them", length, whole)
	}
	return nil
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
func (s *Server) Waiting() (int64, error) { return s.process.Held() }

// LetGo answers reads from here on, by the source's bytes, over and over.
func (s *Server) LetGo(source []byte) error { return s.process.LetGo(source) }

// Explain tells of an error that is of the server's end.
func (s *Server) Explain(err error) error {
	return s.process.Explain(err, unix.ECONNABORTED, unix.ENOTCONN, unix.EPIPE)
}

// Fail ends reads: the kernel fails those of a server that is gone.
func (s *Server) Fail() error {
	if s == nil {
		return nil
	}
	return s.process.Kill()
}

// Close unmounts. Reads are to be over.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	errs := []error{s.process.Kill()}
	if s.File != nil {
		_ = s.File.Close() // which asks the server to flush, and that is gone
	}
	if s.root != nil {
		errs = append(errs, s.root.Close())
	}
	errs = append(errs, s.process.Close(), s.modules.Close())
	*s = Server{}
	return errors.Join(errs...)
}
