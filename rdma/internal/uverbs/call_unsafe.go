package uverbs

import (
	"io"
	"unsafe"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/uapi"
)

// message is a request as it is written: the command lies right behind the
// header, since no command struct is aligned to more than the header's 8 bytes.
type message[Req any] struct {
	header  uapi.CmdHdr
	request Req
}

const wordSize = 4

// none is the response of a command that has none.
var none *struct{}

// call sends one command. The kernel writes the answer to *resp, which req
// points to as a [uapi.Pointer]: that keeps it alive and in place, because a
// pointer stored behind the escaping message makes its target escape too.
//
// EINTR is retried. Go interrupts threads with SIGURG whenever it likes; its
// handlers are installed with SA_RESTART, so ERESTARTSYS never arrives here, but
// a driver may return EINTR outright. Every command of the write ABI takes back
// what it made before it fails, hence a second attempt starts from nothing. The
// pinning of pages in REG_MR itself is cut short by a fatal signal alone.
func call[Req, Resp any](f *File, command uint32, req Req, resp *Resp) error {
	m := &message[Req]{request: req}
	m.header = uapi.CmdHdr{
		Command:  command,
		InWords:  uint16(unsafe.Sizeof(*m) / wordSize),
		OutWords: uint16(unsafe.Sizeof(*resp) / wordSize),
	}
	return write(f.fd, unsafe.Slice((*byte)(unsafe.Pointer(m)), unsafe.Sizeof(*m)))
}

func write(fd int, p []byte) error {
	for {
		n, err := unix.Write(fd, p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n != len(p):
			return io.ErrShortWrite
		default:
			return nil
		}
	}
}

func compEventBytes(e *uapi.CompEventDesc) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(e)), unsafe.Sizeof(*e))
}

func (a *Arming) prepare(cq uint32) {
	a.m.header = uapi.CmdHdr{Command: uapi.CmdReqNotifyCQ, InWords: uint16(unsafe.Sizeof(a.m) / wordSize)}
	a.m.request = uapi.ReqNotifyCQ{CQHandle: cq}
}

// Ask asks for one event, when the next completion comes. Not for several goroutines at once.
func (a *Arming) Ask() error {
	return write(a.fd, unsafe.Slice((*byte)(unsafe.Pointer(&a.m)), unsafe.Sizeof(a.m)))
}

func eventBytes(e *uapi.AsyncEventDesc) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(e)), unsafe.Sizeof(*e))
}

// Doorbell tells the driver of a queue pair that its send queue has requests: a
// POST_SEND with no request in it, prepared once so that ringing allocates
// nothing.
type Doorbell struct {
	fd   int
	m    message[uapi.PostSend]
	resp uapi.PostSendResp
}

// NewDoorbell prepares the doorbell of a queue pair.
func (f *File) NewDoorbell(qp uint32) *Doorbell {
	d := &Doorbell{fd: f.fd}
	d.m.header = uapi.CmdHdr{
		Command:  uapi.CmdPostSend,
		InWords:  uint16(unsafe.Sizeof(d.m) / wordSize),
		OutWords: uint16(unsafe.Sizeof(d.resp) / wordSize),
	}
	d.m.request = uapi.PostSend{
		Response: uapi.PointerTo(&d.resp), QPHandle: qp, WQESize: uapi.SizeofSendWR,
	}
	return d
}

// Ring rings. Not for several goroutines at once.
func (d *Doorbell) Ring() error {
	return write(d.fd, unsafe.Slice((*byte)(unsafe.Pointer(&d.m)), unsafe.Sizeof(d.m)))
}
