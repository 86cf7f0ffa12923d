package uverbs

import (
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/uapi"
)

// CreateChannel makes a completion channel: a file of its own, which the caller closes. Reading it does not
// block.
func (f *File) CreateChannel() (fd int, err error) {
	resp := new(uapi.CreateCompChannelResp)
	if err := call(f, uapi.CmdCreateCompChannel, uapi.CreateCompChannel{Response: uapi.PointerTo(resp)}, resp); err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(int(resp.FD), true); err != nil {
		_ = unix.Close(int(resp.FD))
		return -1, err
	}
	return int(resp.FD), nil
}

// ForgetEvents takes all events that a channel has. EIO is how it says that its device is gone.
func ForgetEvents(channel int) error {
	for {
		var event uapi.CompEventDesc
		switch n, err := unix.Read(channel, compEventBytes(&event)); {
		case err == unix.EINTR:
		case err == unix.EAGAIN, err == nil && n == 0:
			return nil
		case err != nil:
			return err
		}
	}
}

// Arming asks for an event of a completion queue, prepared once so that it allocates nothing.
type Arming struct {
	fd int
	m  message[uapi.ReqNotifyCQ]
}

// NewArming prepares it.
func (f *File) NewArming(cq uint32) *Arming {
	a := &Arming{fd: f.fd}
	a.prepare(cq)
	return a
}
