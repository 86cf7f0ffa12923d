package xdp

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What an entry of a ring takes: the address of a frame, or the descriptor of a packet.
const (
	addressBytes    = unsafe.Sizeof(uint64(0))
	descriptorBytes = unsafe.Sizeof(unix.XDPDesc{})
)

// setRegistration registers a umem.
func setRegistration(socket *os.File, r unix.XDPUmemReg) error {
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, socket.Fd(), unix.SOL_XDP, unix.XDP_UMEM_REG, uintptr(unsafe.Pointer(&r)), unsafe.Sizeof(r), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// ringOffsets says where the words of the rings are.
func ringOffsets(socket *os.File) (offsets unix.XDPMmapOffsets, err error) {
	size := uint32(unsafe.Sizeof(offsets))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, socket.Fd(), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS, uintptr(unsafe.Pointer(&offsets)), uintptr(unsafe.Pointer(&size)), 0)
	switch {
	case errno != 0:
		return offsets, errno
	case size != uint32(unsafe.Sizeof(offsets)):
		return offsets, fmt.Errorf("it tells of %d bytes in place of %d (Linux 5.4)", size, unsafe.Sizeof(offsets))
	}
	return offsets, nil
}

// ring is a ring that this program and the kernel share. Who produces stores an entry before the
// producer's word, and who consumes loads that word before an entry: both words are ours or the
// kernel's alone to store.
type ring struct {
	memory []byte
	at     unix.XDPRingOffset
	entry  uintptr
}

func mapRing(socket *os.File, offset int64, at unix.XDPRingOffset, entry uintptr) (*ring, error) {
	mem, err := unix.Mmap(int(socket.Fd()), offset, int(uintptr(at.Desc)+ringEntries*entry), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map a ring of AF_XDP: %w", err)
	}
	return &ring{memory: mem, at: at, entry: entry}, nil
}

func (r *ring) word(offset uint64) *uint32 { return (*uint32)(unsafe.Pointer(&r.memory[offset])) }

// slot is where the entry of that number is.
func (r *ring) slot(number uint32) unsafe.Pointer {
	return unsafe.Pointer(&r.memory[uintptr(r.at.Desc)+uintptr(number%ringEntries)*r.entry])
}

// put produces the address of a frame, of which the kernel has consumed all before.
func (r *ring) put(frame uint64) {
	producer := r.word(r.at.Producer) // only this program stores it
	number := *producer
	*(*uint64)(r.slot(number)) = frame
	atomic.StoreUint32(producer, number+1)
}

// take consumes the descriptor of a packet, if there is one, and returns how long that is.
func (r *ring) take() (bytes int, there bool) {
	consumer := r.word(r.at.Consumer) // only this program stores it
	number := *consumer
	if number == atomic.LoadUint32(r.word(r.at.Producer)) {
		return 0, false
	}
	length := (*unix.XDPDesc)(r.slot(number)).Len
	atomic.StoreUint32(consumer, number+1)
	return int(length), true
}

// Close unmaps the ring.
func (r *ring) Close() error {
	if r == nil {
		return nil
	}
	return unix.Munmap(r.memory)
}
