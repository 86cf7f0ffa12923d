package nfsd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/mount"
)

// What the kernel reads and writes with one call (NFS_MAX_FILE_IO_SIZE, include/linux/nfs_xdr.h).
const (
	ReadBytes  = 1 << 20
	WriteBytes = 1 << 20
)

// timeout is how long the client waits for an answer before it asks again, in tenths of a second:
// as long as it can be (NFS_MAX_TCP_TIMEOUT). An answer that is held is none that is lost.
const timeout = 6000

// Mounted is the served file, opened for direct reads through a mount that no mount table shows.
type Mounted struct {
	File  *os.File
	root  *os.File
	guard guard
}

// Mount has this machine's kernel mount what is served. The modules of its NFS client are to be
// loaded. However this process ends, its reads end soon.
func (s *Server) Mount() (_ *Mounted, err error) {
	m := &Mounted{}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if m.guard, err = startGuard(s); err != nil {
		return nil, err
	}
	m.root, m.File, err = mountFrom(s.listener.TCPListener, unix.O_RDONLY|unix.O_DIRECT)
	return m, err
}

// mountFrom mounts what is served there, and opens the file.
func mountFrom(l *net.TCPListener, flags int) (root, file *os.File, err error) {
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	root, err = mount.Detached("nfs", "127.0.0.1:/", map[string]string{
		"vers": "3", "proto": "tcp", "addr": "127.0.0.1", "port": port, "mountproto": "tcp", "mountport": port,
		"nolock": "", "sec": "sys", "rsize": strconv.Itoa(ReadBytes), "wsize": strconv.Itoa(WriteBytes), "timeo": strconv.Itoa(timeout),
	})
	if err != nil {
		return nil, nil, err
	}
	fd, err := unix.Openat(int(root.Fd()), fileName, flags|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EINVAL) {
		err = fault.Lacksf("open a file of NFS with O_DIRECT: %w; the kernel's NFS client has no direct I/O", err)
	}
	if err != nil {
		return root, nil, fmt.Errorf("open the file of the run's own NFS mount: %w", err)
	}
	return root, os.NewFile(uintptr(fd), fileName), nil
}

// Close unmounts. Reads are to be over.
func (m *Mounted) Close() error {
	if m == nil {
		return nil
	}
	var errs []error
	for _, f := range []*os.File{m.File, m.root} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	errs = append(errs, m.guard.Close())
	*m = Mounted{}
	return errors.Join(errs...)
}
