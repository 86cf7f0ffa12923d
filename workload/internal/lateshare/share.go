// Package lateshare reads from the share of late reads that the monitor of this virtual machine may have for
// it, by 9p over virtio (package late serves it there): the one transport by which the kernel's 9p client
// pins what it reads into before Linux 6.8.
//
// A process of the run's own has the session, so that reads end with that process: who reads waits for its
// answers through SIGKILL (net/9p/client.c, p9_client_flush), and keeps its descriptors meanwhile.
package lateshare

import (
	"bytes"
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
	"umemstress/workload/internal/p9d"
	"umemstress/workload/late"
)

// ReadBytes is what a direct read is to bring, in bytes: so many pages are in one message of virtio's
// transport (VIRTQUEUE_NUM of net/9p/trans_virtio.c is 128, three of which are no page of the answer), and are
// pinned before it is sent.
const ReadBytes = 124 * 4096

// MaxReads is how many may wait at a time: each blocks a thread of QEMU, which has 64 for all that it does
// to files (thread-pool-max).
const MaxReads = 48

// messageBytes is more than the transport has; it takes as much as it can.
const messageBytes = 512 << 10

// ofEnd is what the kernel says of reads whose session is over.
var ofEnd = []unix.Errno{unix.EIO, unix.ECONNRESET, unix.EREMOTEIO}

// Server is a session of the share, with the file whose reads wait.
type Server struct {
	*lateread.Server
	size int64
}

// LetGo answers reads by the source's bytes, over and over. What no read asks for is not sent to the host.
func (s *Server) LetGo(source []byte) error {
	return s.Server.LetGo(source[:min(int64(len(source)), s.size)])
}

// Serve mounts the share and begins a session for so many bytes, which are to be read by ReadBytes at a time, and what
// remains. However this process ends, the reads end soon.
func Serve(ctx context.Context, size int64) (_ *Server, err error) {
	s := &lateread.Server{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	client, err := module.Load(ctx, p9d.Modules())
	s.Modules = append(s.Modules, client)
	if err != nil {
		return nil, err
	}
	s.Root, err = mount.Detached("9p", late.Tag, map[string]string{
		"trans": "virtio", "version": "9p2000.L", "cache": "none", "access": "any", "msize": strconv.Itoa(messageBytes),
	})
	if errors.Is(err, unix.EBUSY) {
		return nil, fault.Lacksf("mount the share %s of this machine's monitor: %w; one run at a time can have it: wait for the other, or unmount it", late.Tag, err)
	}
	if err != nil {
		return nil, err
	}
	fd, err := unix.Openat(int(s.Root.Fd()), late.Control, unix.O_RDWR|unix.O_CLOEXEC, 0) // not by package os, which would poll it
	if err != nil {
		return nil, fmt.Errorf("begin a session of late reads: %w; the share %s is to be of umemstress late-reads", err, late.Tag)
	}
	control := os.NewFile(uintptr(fd), late.Control)
	defer control.Close() // the process's is the only one, so that the session ends with it
	number, err := sessionOf(control)
	if err != nil {
		return nil, err
	}
	holds := func(at, _ int64) (int64, error) { return begun(at, size), nil }
	if s.Process, err = lateread.Start(lateread.Config{Child: Child, By: "9p", Connection: control, Size: size, OfEnd: ofEnd, Holds: holds}); err != nil {
		return nil, err
	}
	control.Close()
	return &Server{s, size}, s.Open(late.Reads + number)
}

// sessionOf is the first line of what is read from the control file.
func sessionOf(control *os.File) (string, error) {
	var log [32]byte
	n, err := unix.Pread(int(control.Fd()), log[:], 0)
	if err != nil {
		return "", fmt.Errorf("begin a session of late reads: %w", err)
	}
	number, _, whole := bytes.Cut(log[:n], []byte("\n"))
	if !whole {
		return "", fmt.Errorf("begin a session of late reads: the share %s says %q; it is to be of this version's umemstress late-reads", late.Tag, log[:n])
	}
	return string(number), nil
}

// begun is what a direct read holds that asks for bytes from there on, in whatever pieces the host is asked for them.
func begun(at, size int64) int64 {
	if at%ReadBytes != 0 || at >= size {
		return 0
	}
	return min(ReadBytes, size-at)
}
