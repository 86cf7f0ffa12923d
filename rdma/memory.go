package rdma

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// Access says what may be done to a memory region. The process itself may always
// read it. enum ib_uverbs_access_flags, ib_user_ioctl_verbs.h.
type Access uint32

// Access flags. The kernel wants AccessLocalWrite with AccessRemoteWrite. A region
// without any of the write flags is pinned for reading where the kernel knows
// the difference (6.12 does, 5.10 does not).
const (
	AccessLocalWrite   = Access(verbs.AccessLocalWrite)
	AccessRemoteWrite  = Access(verbs.AccessRemoteWrite)
	AccessRemoteRead   = Access(verbs.AccessRemoteRead)
	AccessRemoteAtomic = Access(verbs.AccessRemoteAtomic) // with AccessLocalWrite
	// AccessOnDemand pins nothing: the device faults pages in as it comes to them, as the process
	// itself does, and loses them again to reclaim. The memory has to stay mapped.
	AccessOnDemand = Access(verbs.AccessOnDemand)
)

const accessAnyWrite = AccessLocalWrite | AccessRemoteWrite

// PD is a protection domain: queue pairs reach the memory regions of their own
// domain only.
type PD struct {
	object *object
	needs  []*object // itself: of what is made in it and needs nothing else
	handle verbs.Handle
}

// AllocPD makes a protection domain.
func (c *Context) AllocPD() (*PD, error) {
	const what = "protection domain"
	pd := &PD{}
	o, err := c.create(label{text: what}, nil,
		func() error { return c.backend.DeallocPD(pd.handle) },
		func() (err error) {
			pd.handle, err = c.backend.AllocPD()
			return wrap("allocate", what, err)
		})
	if err != nil {
		return nil, err
	}
	pd.object, pd.needs = o, []*object{o}
	return pd, nil
}

// Close removes the domain, once its regions and queue pairs are closed.
func (pd *PD) Close() error { return pd.object.close() }

// MR is a registered memory region, pinned until it is closed.
type MR struct {
	object *object
	mem    []byte
	region verbs.MR
}

// RegisterMR pins mem and makes it a memory region. The kernel pins whole pages,
// but addresses the bytes of mem alone.
//
// mem must not be Go's own memory: use memory from mmap, which neither moves nor
// is freed under the device. It may be unmapped before the region is closed: the
// device goes on with the very pages, which nobody else is given until then.
//
// Errors to tell apart, all of type *[Error]:
//   - [ErrPinRefused]: the kernel does not pin pages of this file for writing.
//     It answers EFAULT, as it does for a bad address, so this package then
//     tests whether the process itself can write every page. If it can, the
//     address is good and the pin was refused. The test dirties the pages of
//     the file, which a pin would have done too. Of a file that is mapped directly
//     (DAX) it answers EOPNOTSUPP, also for reading, and this package then tries
//     whether a page of no file is registered with the same access.
//   - no paging on demand, [Error.HostLacks]: EINVAL or EOPNOTSUPP for AccessOnDemand.
//   - too little lockable memory, [Error.HostLacks]: ENOMEM, or EINVAL of older
//     rdma_rxe, which masks every error of the pin so. In both cases the limit,
//     what is pinned already and the privilege CAP_IPC_LOCK are compared.
//   - everything else with its errno.
func (pd *PD) RegisterMR(mem []byte, access Access) (*MR, error) {
	label := label{"memory region of %d bytes", len(mem)}
	if len(mem) == 0 {
		return nil, &Error{Op: "register", Object: label.String(), reason: errors.New("it is empty")}
	}
	c := pd.object.ctx
	mr := &MR{mem: mem}
	destroy := func() error { return c.backend.DeregisterMR(mr.region.Handle) }
	o, err := c.create(label, pd.needs, destroy, func() (err error) {
		if mr.region, err = c.backend.RegisterMR(pd.handle, mem, verbs.Access(access)); err != nil {
			return newRegisterError(label.String(), mem, access, err, func() error { return pd.tryAnonymous(access) })
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	mr.object = o
	return mr, nil
}

// tryAnonymous registers a page of no file, and gives it up again.
func (pd *PD) tryAnonymous(access Access) (err error) {
	mem, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Munmap(mem)) }()
	backend := pd.object.ctx.backend
	mr, err := backend.RegisterMR(pd.handle, mem, verbs.Access(access))
	if err != nil {
		return err
	}
	return backend.DeregisterMR(mr.Handle)
}

// LKey is the key for local use.
func (mr *MR) LKey() uint32 { return mr.region.LKey }

// RKey is the key that a remote queue pair must know.
func (mr *MR) RKey() uint32 { return mr.region.RKey }

// Addr is the address of the first byte, for the device and the process alike.
func (mr *MR) Addr() uint64 { return verbs.AddressOf(mr.mem) }

// Len is the length in bytes.
func (mr *MR) Len() int { return len(mr.mem) }

// Close deregisters the region (DEREG_MR). Its pages are unpinned when Close
// returns, on kernels up to 5.10 once requests that are still under way let go of
// it: close the queue pairs first where that matters.
func (mr *MR) Close() error { return mr.object.close() }

// wrap makes a nil error stay one.
func wrap(op, object string, err error) error {
	if err == nil {
		return nil
	}
	return newError(op, object, err)
}
