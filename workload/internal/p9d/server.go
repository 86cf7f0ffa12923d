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

// ofEnd is what the kernel says of a server that is gone.
var ofEnd = []unix.Errno{unix.EIO, unix.ECONNRESET, unix.ENOTCONN, unix.EPIPE, unix.EREMOTEIO}

// Serve serves and mounts a file of so many bytes, whose reads wait. It is to be read by ReadBytes at a
// time, and what remains. However this process ends, the reads end soon.
func Serve(ctx context.Context, size int64) (_ *lateread.Server, err error) {
	s := &lateread.Server{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	client, err := module.Load(ctx, Modules())
	s.Modules = append(s.Modules, client)
	if err != nil {
		return nil, err
	}
	ours, its, err := connection()
	if err != nil {
		return nil, err
	}
	defer ours.Close() // the kernel's is the only one, and so is the server's, so that the connection ends with it
	defer its.Close()
	holds := func(at, length int64) (int64, error) { return begun(at, size), nil }
	if s.Process, err = lateread.Start(lateread.Config{Child: Child, By: "9p", Connection: its, Size: size, OfEnd: ofEnd, Holds: holds}); err != nil {
		return nil, err
	}
	its.Close()
	return s, open(ctx, s, ours)
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

// open mounts what the other end of the connection serves, and opens the file.
func open(ctx context.Context, s *lateread.Server, connection *os.File) error {
	transport, lacking := module.Load(ctx, Transport())
	s.Modules = append(s.Modules, transport)
	if ctx.Err() != nil {
		return lacking
	}
	fd := strconv.Itoa(int(connection.Fd()))
	root, err := mount.Detached("9p", "umemstress", map[string]string{
		"trans": "fd", "rfdno": fd, "wfdno": fd, "version": "9p2000.L", "cache": "none", "access": "any", "msize": strconv.Itoa(messageBytes),
	})
	switch {
	case err != nil && lacking != nil: // a kernel that has the transport in another module mounts all the same
		return lacking
	case err != nil:
		return s.Explain(err)
	}
	s.Root = root
	if err = s.Open(fileName); errors.Is(err, unix.EINVAL) {
		return fault.Lacksf("open a file of 9p with O_DIRECT: %w; the kernel's 9p client has no direct I/O", err)
	}
	return err
}
