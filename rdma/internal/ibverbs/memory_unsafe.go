package ibverbs

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// at is the struct at an address that is not Go's.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// addressOf is the address of a struct that stays where it is.
func addressOf[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// Views of the same struct.
var (
	_ [unsafe.Sizeof(sendWR{})]byte = [unsafe.Sizeof(atomicWR{})]byte{}
	_ [unsafe.Sizeof(sendWR{})]byte = [unsafe.Sizeof(datagramWR{})]byte{}
	_ [unsafe.Sizeof(sendWR{})]byte = [unsafe.Sizeof(bindWR{})]byte{}
)

// atomicView is the same memory with another member of its union.
func atomicView(wr *sendWR) *atomicWR { return (*atomicWR)(unsafe.Pointer(wr)) }

// datagramView is the same.
func datagramView(wr *sendWR) *datagramWR { return (*datagramWR)(unsafe.Pointer(wr)) }

// arena is memory that Go neither moves nor frees: n structs of each of the kinds, one kind
// after another.
type arena struct {
	mem  []byte
	used uintptr
}

func newArena(bytes uintptr) (*arena, error) {
	mem, err := unix.Mmap(-1, 0, int(bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	return &arena{mem: mem}, nil
}

// take gives n zeroed structs of a kind, for which newArena was asked for room. Every kind has a
// size that is a multiple of 8, so that all are aligned.
func take[T any](a *arena, n uint32) []T {
	var one T
	start := unsafe.Add(unsafe.Pointer(unsafe.SliceData(a.mem)), a.used)
	a.used += uintptr(n) * unsafe.Sizeof(one)
	_ = a.mem[:a.used]
	return unsafe.Slice((*T)(start), n)
}

func sizeOf[T any](n uint32) uintptr {
	var one T
	return uintptr(n) * unsafe.Sizeof(one)
}

func (a *arena) free() error { return unix.Munmap(a.mem) }

// lend calls f with the address of a struct of Go's own, which stays there while f runs.
func lend[T any](p *T, f func(address uintptr)) {
	var pinner runtime.Pinner
	pinner.Pin(p)
	defer pinner.Unpin()
	f(addressOf(p))
}
