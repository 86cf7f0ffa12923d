// Package fused serves one file to this machine's kernel by FUSE, whose reads it leaves unanswered
// until it is told to let them go. It serves it with go-fuse, in a process of its own, and mounts it
// where no mount table shows it. (A read that has come to user space waits for its answer through SIGKILL:
// fs/fuse/dev.c, request_wait_answer.)
package fused

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

// ofEnd is what the kernel says of a server that is gone.
var ofEnd = []unix.Errno{unix.ECONNABORTED, unix.ENOTCONN, unix.EPIPE}

// Serve serves and mounts a file of so many bytes, whose reads wait. It is to be read by ReadBytes
// at a time, and what remains. However this process ends, the reads end soon.
func Serve(ctx context.Context, size int64) (_ *lateread.Server, err error) {
	s := &lateread.Server{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	loaded, err := module.Load(ctx, Modules())
	s.Modules = append(s.Modules, loaded)
	if err != nil {
		return nil, err
	}
	connection, root, err := Connect(nil)
	if err != nil {
		return nil, err
	}
	s.Root = root
	defer connection.Close() // that of the server is the only one, so that it ends with it
	holds := func(at, length int64) (int64, error) { return length, wholeRead(at, length, size) }
	if s.Process, err = lateread.Start(lateread.Config{Child: Child, By: "FUSE", Connection: connection, Size: size, OfEnd: ofEnd, Holds: holds}); err != nil {
		return nil, err
	}
	connection.Close()
	return s, s.Open(fileName)
}

// wholeRead says that a read of a file of that size has come in parts.
func wholeRead(at, length, size int64) error {
	if whole := min(ReadBytes, size-at); at%ReadBytes != 0 || length != whole {
		return fault.Lacksf("the kernel asks a FUSE server for %d bytes of a direct read of %d at a time, so that it holds no more; sysctl fs.fuse.max_pages_limit=256 has it ask for all of them", length, whole)
	}
	return nil
}

// Connect mounts what whoever reads the requests from connection will serve, with more options than
// what every such mount has.
func Connect(more map[string]string) (connection, root *os.File, err error) {
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0) // not by package os, which would have it non-blocking
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, nil, fault.Lacksf("open %s: %w; in a container, pass the node in: --device %[1]s", device, err)
	case err != nil:
		return nil, nil, fault.Lacksf("open %s: %w; it takes root, and in a container the node: --device %[1]s", device, err)
	}
	connection = os.NewFile(uintptr(fd), device)
	options := map[string]string{
		"fd": fmt.Sprint(fd), "rootmode": fmt.Sprintf("%o", unix.S_IFDIR), "max_read": fmt.Sprint(ReadBytes),
		"user_id": fmt.Sprint(os.Geteuid()), "group_id": fmt.Sprint(os.Getegid()),
	}
	maps.Copy(options, more)
	root, err = mount.Detached("fuse", "umemstress", options)
	if err != nil {
		return nil, nil, errors.Join(err, connection.Close())
	}
	return connection, root, nil
}
