package rxe

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/uapi"
)

const (
	sendWQESize    = int(unsafe.Sizeof(uapi.RxeSendWQE{}))
	recvWQESize    = int(unsafe.Sizeof(uapi.RxeRecvWQE{}))
	sgeSize        = int(unsafe.Sizeof(uapi.RxeSGE{}))
	completionSize = int(unsafe.Sizeof(uapi.WC{}))
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

// sendElement views an element as a request and what is behind it. newRing has
// checked that an SGE fits; a stride that is a power of two above 128, behind a
// head of 384 bytes, keeps both aligned.
func sendElement(elem []byte) (*uapi.RxeSendWQE, []byte) {
	return (*uapi.RxeSendWQE)(unsafe.Pointer(unsafe.SliceData(elem))), elem[sendWQESize:]
}

// sgesOf views what is behind a request as SGEs.
func sgesOf(behind []byte) []uapi.RxeSGE {
	return unsafe.Slice((*uapi.RxeSGE)(unsafe.Pointer(unsafe.SliceData(behind))), len(behind)/sgeSize)
}

// Views of the same struct.
var (
	_ [unsafe.Sizeof(uapi.RxeSendWR{})]byte = [unsafe.Sizeof(uapi.RxeAtomicWR{})]byte{}
	_ [unsafe.Sizeof(uapi.RxeSendWR{})]byte = [unsafe.Sizeof(uapi.RxeDatagramWR{})]byte{}
	_ [unsafe.Sizeof(uapi.RxeSendWR{})]byte = [unsafe.Sizeof(uapi.RxeBindWR{})]byte{}
)

// atomicView is the same memory with another member of its union.
func atomicView(wr *uapi.RxeSendWR) *uapi.RxeAtomicWR {
	return (*uapi.RxeAtomicWR)(unsafe.Pointer(wr))
}

// datagramView is the same.
func datagramView(wr *uapi.RxeSendWR) *uapi.RxeDatagramWR {
	return (*uapi.RxeDatagramWR)(unsafe.Pointer(wr))
}

// bindView is the same.
func bindView(wr *uapi.RxeSendWR) *uapi.RxeBindWR { return (*uapi.RxeBindWR)(unsafe.Pointer(wr)) }

// recvElement views an element as memory for a message and what is behind it, of which the same holds with
// a stride of 64.
func recvElement(elem []byte) (*uapi.RxeRecvWQE, []byte) {
	return (*uapi.RxeRecvWQE)(unsafe.Pointer(unsafe.SliceData(elem))), elem[recvWQESize:]
}

// bytesAt views memory that Go does not manage, which the caller answers for.
func bytesAt(address uint64, length uint32) []byte {
	at := uintptr(address)
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&at)), length)
}

func completion(elem []byte) *uapi.WC {
	return (*uapi.WC)(unsafe.Pointer(unsafe.SliceData(elem)))
}

// Map maps a queue. The kernel forgets an offset once it has been mapped, so
// each can be mapped one time only.
func Map(fd int, mi uapi.MMInfo) ([]byte, error) {
	return unix.Mmap(fd, int64(mi.Offset), int(mi.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}
