// Package uverbs sends requests to /dev/infiniband/uverbsN in the write ABI:
// one write(2) of a header, a command and its driver's part, which names the
// memory for the response. It is the only package that does so. Every error is
// the bare errno; what it means is for package rdma to say.
package uverbs

import (
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/uapi"
)

// File is an open uverbs device. Its methods may be called at once from several
// goroutines; the kernel orders them.
type File struct {
	fd      int
	asyncFD int
}

// Open opens the character device and makes its context in the kernel.
func Open(path string) (*File, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := &File{fd: fd, asyncFD: -1}
	resp := new(uapi.GetContextResp)
	if err := call(f, uapi.CmdGetContext, uapi.GetContext{Response: uapi.PointerTo(resp)}, resp); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	f.asyncFD = int(resp.AsyncFD)
	if err := unix.SetNonblock(f.asyncFD, true); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// FD is the descriptor to mmap queues from.
func (f *File) FD() int { return f.fd }

// Close gives everything back to the kernel that the file still holds: open
// objects are destroyed and memory regions unpinned. The asynchronous event
// file refers to the context, so it goes first.
func (f *File) Close() error {
	if f.asyncFD >= 0 {
		_ = unix.Close(f.asyncFD)
	}
	return unix.Close(f.fd)
}

// QueryDevice asks for the device's limits.
func (f *File) QueryDevice() (uapi.QueryDeviceResp, error) {
	resp := new(uapi.QueryDeviceResp)
	err := call(f, uapi.CmdQueryDevice, uapi.QueryDevice{Response: uapi.PointerTo(resp)}, resp)
	return *resp, err
}

// QueryPort asks for the state and the limits of port n, from 1.
func (f *File) QueryPort(n uint8) (uapi.QueryPortResp, error) {
	resp := new(uapi.QueryPortResp)
	err := call(f, uapi.CmdQueryPort, uapi.QueryPort{Response: uapi.PointerTo(resp), PortNum: n}, resp)
	return *resp, err
}

// AllocPD makes a protection domain.
func (f *File) AllocPD() (handle uint32, err error) {
	resp := new(uapi.AllocPDResp)
	err = call(f, uapi.CmdAllocPD, uapi.AllocPD{Response: uapi.PointerTo(resp)}, resp)
	return resp.PDHandle, err
}

// DeallocPD removes a protection domain; EBUSY while something uses it.
func (f *File) DeallocPD(handle uint32) error {
	return call(f, uapi.CmdDeallocPD, uapi.DeallocPD{PDHandle: handle}, none)
}

// RegMR pins length bytes at start and makes them a memory region, which the
// device addresses as the process does.
func (f *File) RegMR(pd uint32, start, length uint64, access uint32) (uapi.RegMRResp, error) {
	resp := new(uapi.RegMRResp)
	err := call(f, uapi.CmdRegMR, uapi.RegMR{
		Response: uapi.PointerTo(resp), PDHandle: pd, AccessFlags: access,
		Start: start, HCAVA: start, Length: length,
	}, resp)
	return *resp, err
}

// ReregMR changes what flags name of a memory region. EOPNOTSUPP of a driver that does not.
func (f *File) ReregMR(handle, flags uint32, start, length uint64, access uint32) (uapi.ReregMRResp, error) {
	resp := new(uapi.ReregMRResp)
	err := call(f, uapi.CmdReregMR, uapi.ReregMR{
		Response: uapi.PointerTo(resp), MRHandle: handle, Flags: flags, Start: start, Length: length, HCAVA: start, AccessFlags: access,
	}, resp)
	return *resp, err
}

// DeregMR removes a memory region and unpins its pages.
func (f *File) DeregMR(handle uint32) error {
	return call(f, uapi.CmdDeregMR, uapi.DeregMR{MRHandle: handle}, none)
}

// AllocMW makes a memory window of a type, one of uapi.MWType; EOPNOTSUPP of a driver that has none.
func (f *File) AllocMW(pd uint32, of uint8) (uapi.AllocMWResp, error) {
	resp := new(uapi.AllocMWResp)
	err := call(f, uapi.CmdAllocMW, uapi.AllocMW{Response: uapi.PointerTo(resp), PDHandle: pd, MWType: of}, resp)
	return *resp, err
}

// DeallocMW removes a memory window.
func (f *File) DeallocMW(handle uint32) error {
	return call(f, uapi.CmdDeallocMW, uapi.DeallocMW{MWHandle: handle}, none)
}

// DestroyCQ removes a completion queue; EBUSY while a queue pair uses it.
func (f *File) DestroyCQ(handle uint32) error {
	resp := new(uapi.DestroyCQResp)
	return call(f, uapi.CmdDestroyCQ, uapi.DestroyCQ{Response: uapi.PointerTo(resp), CQHandle: handle}, resp)
}

// DestroySRQ removes a shared receive queue; EBUSY while a queue pair uses it.
func (f *File) DestroySRQ(handle uint32) error {
	resp := new(uapi.DestroySRQResp)
	return call(f, uapi.CmdDestroySRQ, uapi.DestroySRQ{Response: uapi.PointerTo(resp), SRQHandle: handle}, resp)
}

// ModifyQP changes what req.AttrMask names.
func (f *File) ModifyQP(req uapi.ModifyQP) error {
	return call(f, uapi.CmdModifyQP, req, none)
}

// DestroyQP removes a queue pair.
func (f *File) DestroyQP(handle uint32) error {
	resp := new(uapi.DestroyQPResp)
	return call(f, uapi.CmdDestroyQP, uapi.DestroyQP{Response: uapi.PointerTo(resp), QPHandle: handle}, resp)
}

// NextEvent takes the oldest event from the event file, if there is one. That the file itself is closed,
// which EIO says, is EventDeviceFatal too. What is no whole event is skipped.
func (f *File) NextEvent() (uapi.AsyncEventDesc, bool) {
	for {
		var event uapi.AsyncEventDesc
		bytes := eventBytes(&event)
		n, err := unix.Read(f.asyncFD, bytes)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return event, false
		case err != nil || n == 0:
			return uapi.AsyncEventDesc{EventType: uapi.EventDeviceFatal}, true
		case n == len(bytes):
			return event, true
		}
	}
}
