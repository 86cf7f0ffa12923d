// Package p9d serves one file to this machine's kernel by 9p, whose reads it leaves unanswered until it is
// told to let them go. It serves it over a pair of sockets (trans=fd), in a process of its own, and mounts
// it where no mount table shows it.
//
// A read that was sent is not given up before its answer, or that to its being given up (net/9p/client.c,
// p9_client_flush), also by a process that was killed.
package p9d

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/lateread"
	"umemstress/workload/internal/module"
	"umemstress/workload/internal/mount"
)

// ReadBytes is what a direct read is to bring. It pins all of its pages before it asks for the first
// of them (fs/netfs/direct_read.c, netfs_unbuffered_read_iter_locked), and then for what a message carries
// at a time. Two reads into one large folio would mark it dirty at once, since netfs does so without its lock.
const ReadBytes = 1 << 30

// messageBytes is what a message has at most. The kernel has a buffer of that for each that it waits for.
const messageBytes = 64 << 10

const fileName = "file"

// Modules are those of the kernel's 9p client.
func Modules() module.Set {
	return module.Set{Top: "9p", Unload: []string{"9p", "9pnet", "fscache", "netfs"}, Busy: "9p", Options: "CONFIG_9P_FS"}
}

// Transport is the module of trans=fd, which older kernels have as a part of the client's.
func Transport() module.Set {
	return module.Set{Top: "9pnet_fd", Unload: []string{"9pnet_fd"}, Busy: "9pnet_fd", Options: "CONFIG_NET_9P_FD"}
}

// Server is the mount and the process that serves it.
type Server struct {
	File *os.File // open for direct reads

	client, transport *module.Loaded
	root              *os.File
	process           *lateread.Process
}

// Serve serves and mounts a file of so many bytes, whose reads wait. It is to be read by ReadBytes at a
// time, and what remains. However this process ends, the reads end soon.
func Serve(ctx context.Context, size int64) (_ *Server, err error) {
	s := &Server{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.client, err = module.Load(ctx, Modules()); err != nil {
		return nil, err
	}
	ours, its, err := connection()
	if err != nil {
		return nil, err
	}
	defer ours.Close() // the kernel's is the only one, and so is the server's, so that the connection ends with it
	defer its.Close()
	holds := func(at, length int64) (int64, error) { return begun(at, size), nil }
	if s.process, err = lateread.Start(lateread.Config{Child: Child, By: "9p", Connection: its, Size: size, Holds: holds}); err != nil {
		return nil, err
	}
	its.Close()
	return s, s.mount(ctx, ours)
}

// begun is what a direct read holds whose first message asks for bytes from there on. The others are
// sent once the one before is answered, and hold no more.
func begun(at, size int64) int64 {
	if at%ReadBytes != 0 {
		return 0
	}
	return min(ReadBytes, size-at)
}

// connection is a pair of sockets, not by package os, which would have them non-blocking.
func connection() (ours, its *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	return os.NewFile(uintptr(pair[0]), "9p client"), os.NewFile(uintptr(pair[1]), "9p server"), nil
}

// mount mounts what the other end of the connection serves, and opens the file.
func (s *Server) mount(ctx context.Context, connection *os.File) (err error) {
	var lacking error // a kernel that has the transport in another module mounts all the same
	if s.transport, lacking = module.Load(ctx, Transport()); ctx.Err() != nil {
		return lacking
	}
	fd := strconv.Itoa(int(connection.Fd()))
	s.root, err = mount.Detached("9p", "umemstress", map[string]string{
		"trans": "fd", "rfdno": fd, "wfdno": fd, "version": "9p2000.L", "cache": "none", "access": "any", "msize": strconv.Itoa(messageBytes),
	})
	switch {
	case err != nil && lacking != nil:
		return lacking
	case err != nil:
		return s.Explain(err)
	}
	at, err := unix.Openat(int(s.root.Fd()), fileName, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EINVAL) {
		return fault.Lacksf("open a file of 9p with O_DIRECT: %w; the kernel's 9p client has no direct I/O", err)
	}
	if err != nil {
		return s.Explain(fmt.Errorf("open the file of the run's own 9p mount: %w", err))
	}
	s.File = os.NewFile(uintptr(at), fileName)
	return nil
}

// Waiting is how many bytes those reads are to bring that are under way. None is answered before LetGo.
func (s *Server) Waiting() (int64, error) { return s.process.Held() }

// LetGo answers reads from here on, by the source's bytes, over and over.
func (s *Server) LetGo(source []byte) error { return s.process.LetGo(source) }

// Explain tells of an error that is of the server's end.
func (s *Server) Explain(err error) error {
	return s.process.Explain(err, unix.EIO, unix.ECONNRESET, unix.ENOTCONN, unix.EPIPE, unix.EREMOTEIO)
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
		_ = s.File.Close() // of which the server is told, and that is gone
	}
	if s.root != nil {
		errs = append(errs, s.root.Close())
	}
	errs = append(errs, s.process.Close(), s.transport.Close(), s.client.Close())
	*s = Server{}
	return errors.Join(errs...)
}
