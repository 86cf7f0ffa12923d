package xdp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
)

// ringEntries is how many frames a ring has room for; no more than one is under way.
const ringEntries = 64

// errNotPinned is of a umem whose pages the kernel did not pin.
var errNotPinned = errors.New("register a umem (XDP_UMEM_REG)")

// socket is a socket of AF_XDP with its rings.
type socket struct {
	file     *os.File
	fill     *ring // of frames that packets may be put into
	received *ring // of frames that have one
}

// Available makes such a socket, and ends it.
func Available() error {
	s, err := newSocket()
	if err != nil {
		return err
	}
	return s.Close()
}

// newSocket makes a socket of the network namespace of this thread.
func newSocket() (*socket, error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EAFNOSUPPORT):
		return nil, fault.Lacksf("socket(AF_XDP): %w; boot a kernel that has it (CONFIG_XDP_SOCKETS)", err)
	case errors.Is(err, unix.EPERM):
		return nil, fault.Lacksf("socket(AF_XDP): %w; it takes root, or CAP_NET_RAW", err)
	case err != nil:
		return nil, fmt.Errorf("socket(AF_XDP): %w", err)
	}
	return &socket{file: os.NewFile(uintptr(fd), "AF_XDP")}, nil
}

// register pins memory as the socket's umem.
func (s *socket) register(mem []byte) error {
	err := setRegistration(s.file, unix.XDPUmemReg{
		Addr: uint64(memory.AddressOf(mem)), Len: uint64(len(mem)), Size: frameBytes, Flags: unix.XDP_UMEM_UNALIGNED_CHUNK_FLAG,
	})
	switch {
	case errors.Is(err, unix.EFAULT), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w of %d bytes: %w", errNotPinned, len(mem), err)
	case errors.Is(err, unix.ENOBUFS):
		return fault.Lacksf("register a umem of %d bytes: %w; it is more than RLIMIT_MEMLOCK: ulimit -l, or root", len(mem), err)
	case err != nil:
		return fmt.Errorf("register a umem of %d bytes (XDP_UMEM_REG): %w", len(mem), err)
	}
	return nil
}

// bind makes the rings and binds the socket to the first queue of a netdev, whose packets are copied.
func (s *socket) bind(netdev int) (err error) {
	for _, option := range []int{unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_RX_RING} {
		if err := unix.SetsockoptInt(int(s.file.Fd()), unix.SOL_XDP, option, ringEntries); err != nil {
			return fmt.Errorf("make a ring of AF_XDP (option %d): %w", option, err)
		}
	}
	offsets, err := ringOffsets(s.file)
	if err != nil {
		return fmt.Errorf("where the rings of AF_XDP are (XDP_MMAP_OFFSETS): %w", err)
	}
	if s.fill, err = mapRing(s.file, unix.XDP_UMEM_PGOFF_FILL_RING, offsets.Fr, addressBytes); err != nil {
		return err
	}
	if s.received, err = mapRing(s.file, unix.XDP_PGOFF_RX_RING, offsets.Rx, descriptorBytes); err != nil {
		return err
	}
	address := &unix.SockaddrXDP{Flags: unix.XDP_COPY, Ifindex: uint32(netdev)}
	if err := file.Again(func() error { return unix.Bind(int(s.file.Fd()), address) }); err != nil {
		return fmt.Errorf("bind a socket of AF_XDP to a netdev: %w", err)
	}
	return nil
}

// offer has the next packet be put into a frame.
func (s *socket) offer(frame uint64) { s.fill.put(frame) }

// late bounds how long a packet may take.
const late = 10 * time.Second

// arrived takes the packet that was sent, which has so many bytes.
func (s *socket) arrived(ctx context.Context, bytes int) error {
	for started := time.Now(); ; {
		length, there := s.received.take()
		switch {
		case there && length == bytes:
			return nil
		case there:
			return fmt.Errorf("a packet of %d bytes arrived through AF_XDP, and one of %d was sent", length, bytes)
		case time.Since(started) > late:
			return fmt.Errorf("a packet did not arrive through AF_XDP in %v", late)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Microsecond):
		}
	}
}

// Close gives the socket up. The mappings of its rings would keep it.
func (s *socket) Close() error {
	if s == nil {
		return nil
	}
	err := errors.Join(s.fill.Close(), s.received.Close(), s.file.Close())
	s.fill, s.received = nil, nil
	return err
}
