package uverbs

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/uapi"
)

// regDMABuf is a request of the ioctl ABI, which alone has this one, with the memory for its answer.
type regDMABuf struct {
	header     uapi.IoctlHdr
	attrs      [9]uapi.Attr
	lkey, rkey uint32
}

// RegDMABufMR makes the first bytes of a dma-buf a memory region of rdma_rxe, from address 0 on.
func (f *File) RegDMABufMR(pd uint32, fd int, length uint64, access uint32) (uapi.RegMRResp, error) {
	m := &regDMABuf{}
	var pinner runtime.Pinner
	pinner.Pin(m)
	defer pinner.Unpin()
	address := func(key *uint32) uint64 { return uint64(uintptr(unsafe.Pointer(key))) }
	m.attrs = [9]uapi.Attr{
		{AttrID: uapi.RegDMABufMRHandle}, // the kernel puts it there
		{AttrID: uapi.RegDMABufMRPDHandle, Data: uint64(pd)},
		{AttrID: uapi.RegDMABufMROffset, Len: 8},
		{AttrID: uapi.RegDMABufMRLength, Len: 8, Data: length},
		{AttrID: uapi.RegDMABufMRIOVA, Len: 8},
		{AttrID: uapi.RegDMABufMRFD, Len: 4, Data: uint64(uint32(fd))},
		{AttrID: uapi.RegDMABufMRAccess, Len: 4, Data: uint64(access)},
		{AttrID: uapi.RegDMABufMRLKey, Len: 4, Data: address(&m.lkey)},
		{AttrID: uapi.RegDMABufMRRKey, Len: 4, Data: address(&m.rkey)},
	}
	for i := range m.attrs {
		m.attrs[i].Flags = uapi.AttrMandatory
	}
	m.header = uapi.IoctlHdr{
		Length:   uint16(unsafe.Offsetof(m.lkey)),
		ObjectID: uapi.ObjectMR, MethodID: uapi.MethodRegDMABufMR, NumAttrs: uint16(len(m.attrs)), DriverID: uapi.DriverRxe,
	}
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(f.fd), uapi.VerbsIoctl, uintptr(unsafe.Pointer(m)))
		switch errno {
		case unix.EINTR:
		case 0:
			return uapi.RegMRResp{MRHandle: uint32(m.attrs[0].Data), LKey: m.lkey, RKey: m.rkey}, nil
		default:
			return uapi.RegMRResp{}, errno
		}
	}
}
