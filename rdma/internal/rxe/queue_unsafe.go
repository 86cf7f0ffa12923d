package rxe

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/uapi"
)

const (
	sendElementSize = int(unsafe.Sizeof(uapi.RxeSendWQE{}) + unsafe.Sizeof(uapi.RxeSGE{}))
	recvElementSize = int(unsafe.Sizeof(uapi.RxeRecvWQE{}) + unsafe.Sizeof(uapi.RxeSGE{}))
	completionSize  = int(unsafe.Sizeof(uapi.WC{}))
)

// The offsets drawn in the package's comment.
var (
	_ [headSize]byte = [unsafe.Sizeof(uapi.RxeQueueBuf{})]byte{}
	_ [128]byte      = [unsafe.Offsetof(uapi.RxeQueueBuf{}.ProducerIndex)]byte{}
	_ [256]byte      = [unsafe.Offsetof(uapi.RxeQueueBuf{}.ConsumerIndex)]byte{}
)

// headOf views the start of a block that is at least headSize long. The block is
// page-aligned when mapped.
func headOf(mem []byte) *uapi.RxeQueueBuf {
	return (*uapi.RxeQueueBuf)(unsafe.Pointer(unsafe.SliceData(mem)))
}

// sendElement views an element as a request and its one SGE. newRing has
// checked that both fit; a stride that is a power of two above 128, behind a
// head of 384 bytes, keeps both aligned.
func sendElement(elem []byte) (*uapi.RxeSendWQE, *uapi.RxeSGE) {
	p := unsafe.Pointer(unsafe.SliceData(elem))
	return (*uapi.RxeSendWQE)(p), (*uapi.RxeSGE)(unsafe.Add(p, unsafe.Sizeof(uapi.RxeSendWQE{})))
}

// Two views of the same struct.
var _ [unsafe.Sizeof(uapi.RxeSendWR{})]byte = [unsafe.Sizeof(uapi.RxeAtomicWR{})]byte{}

// atomicView is the same memory with another member of its union.
func atomicView(wr *uapi.RxeSendWR) *uapi.RxeAtomicWR {
	return (*uapi.RxeAtomicWR)(unsafe.Pointer(wr))
}

// recvElement views an element as memory for a message and its one SGE, of which the same holds with
// a stride of 64.
func recvElement(elem []byte) (*uapi.RxeRecvWQE, *uapi.RxeSGE) {
	p := unsafe.Pointer(unsafe.SliceData(elem))
	return (*uapi.RxeRecvWQE)(p), (*uapi.RxeSGE)(unsafe.Add(p, unsafe.Sizeof(uapi.RxeRecvWQE{})))
}

func completion(elem []byte) *uapi.WC {
	return (*uapi.WC)(unsafe.Pointer(unsafe.SliceData(elem)))
}

// Map maps a queue. The kernel forgets an offset once it has been mapped, so
// each can be mapped one time only.
func Map(fd int, mi uapi.MMInfo) ([]byte, error) {
	return unix.Mmap(fd, int64(mi.Offset), int(mi.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}
