package rdma

import (
	"errors"
	"fmt"
	"os"
	"sync"

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
	AccessBindWindow   = Access(verbs.AccessBindWindow)   // windows may be bound to it, whose access is their own
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
	object object
	domain *PD
	mem    []byte
	access Access
	region verbs.MR
}

// RegisterMR pins mem and makes it a memory region. The kernel pins whole pages,
// but addresses the bytes of mem alone.
//
// mem must not be Go's own memory: use memory from mmap, which neither moves nor
// is freed under the device. It may be unmapped before the region is closed: the
// device goes on with the very pages, which nobody else is given until then.
//
// On one processor, a program that has regions by the thousand wants GOMAXPROCS=2. Go's
// monitor thread looks every 20 µs at a thread that is in a system call, and takes its place in
// the scheduler for another one, unless some place is idle, as it is then. Of 10,000
// regions of a page (Linux 5.10, one emulated processor, through [Uverbs]), pins
// took 1.9 to 2.3 times what they take in C and releases 2.4 to 2.6, and with it 1.4 to 1.6
// and 1.3 to 1.4.
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
	mr := &MR{domain: pd, mem: mem, access: access}
	mr.object.label, mr.object.needs, mr.object.what = label, pd.needs, mr
	err := c.begin(&mr.object, func() (err error) {
		if mr.region, err = c.backend.RegisterMR(pd.handle, mem, verbs.Access(access)); err != nil {
			return newRegisterError(label.String(), mem, access, err, func() error { return pd.tryAnonymous(access) })
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return mr, nil
}

func (mr *MR) destroy() error { return mr.object.ctx.backend.DeregisterMR(mr.region.Handle) }

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

// TryDMABuf registers the first bytes of a dma-buf, which is memory of a device or of udmabuf, and gives the region up again. EOPNOTSUPP: the
// device registers none; EPROTONOSUPPORT: nor does the kernel, before 5.12. EINVAL or EBADF are of a device that would: the file is no
// dma-buf.
func (pd *PD) TryDMABuf(fd, length int, access Access) error {
	const what = "dma-buf"
	c := pd.object.ctx
	if err := c.reserve(label{text: what}, pd.needs); err != nil {
		return err
	}
	mr, err := c.backend.RegisterDMABuf(pd.handle, fd, uint64(length), verbs.Access(access))
	if err == nil {
		err = c.backend.DeregisterMR(mr.Handle)
	}
	return errors.Join(append(c.release(pd.needs), wrap("register", what, err))...)
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

// Window is a memory window over a part of a region: a key to that alone, which [QP.Bind] gives and takes
// while the region stays as it is. (rdma_rxe looks at the region's bounds, so that there it is one to all of
// it.) Its own access is what counts: a region needs AccessBindWindow, and AccessLocalWrite for what writes.
type Window struct {
	object *object
	mr     *MR

	mu     sync.Mutex
	window verbs.MW
	gone   bool
}

// AllocWindow makes a window for the region, which is deregistered after it, and that gives access to nothing until it is bound. A device
// that has no windows says EOPNOTSUPP, which [Error.HostLacks].
func (mr *MR) AllocWindow() (*Window, error) {
	const what = "memory window"
	c, w := mr.object.ctx, &Window{mr: mr}
	destroy := func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.gone = true
		return c.backend.DeallocMW(w.window.Handle)
	}
	o, err := c.create(label{text: what}, []*object{&mr.object, mr.domain.object}, destroy, func() (err error) {
		if w.window, err = c.backend.AllocMW(mr.domain.handle); err == nil {
			return nil
		}
		e := newError("allocate", what, err)
		if e.Errno == unix.EOPNOTSUPP || e.Errno == unix.ENOSYS {
			e.lacks, e.Remedy = true, "the device has none, as far as ibv_devinfo -v shows no max_mw; rdma_rxe has them since Linux 5.14"
		}
		return e
	})
	if err != nil {
		return nil, err
	}
	w.object = o
	return w, nil
}

// RKey is the key of the last binding, which gives access once that has completed.
func (w *Window) RKey() uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.window.RKey
}

// Close gives the window up, and with it the access that it gives.
func (w *Window) Close() error { return w.object.close() }

// Bind has the device bind the window to a part of its region, and complete that as a request of that ID. The key of the window is then
// another one, and the part of before is out of reach.
func (qp *QP) Bind(id uint64, w *Window, offset, length int, access Access) error {
	what := fmt.Sprintf("memory window over %d bytes", length)
	part := Slice{MR: w.mr, Offset: offset, Length: length}
	if err := part.check(); err != nil {
		return &Error{Op: "bind", Object: what, reason: err}
	}
	qp.mu.Lock()
	defer qp.mu.Unlock()
	if qp.pair == nil {
		return closedError("bind through", "queue pair")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return closedError("bind", "memory window")
	}
	key, err := qp.pair.BindMW(verbs.Bind{
		ID: id, MW: w.window, MR: w.mr.region, Addr: w.mr.Addr() + uint64(offset), Length: uint64(length), Access: verbs.Access(access),
	})
	if err == nil {
		w.window.RKey = key
	}
	return wrap("bind", what, err)
}

// wrap makes a nil error stay one.
func wrap(op, object string, err error) error {
	if err == nil {
		return nil
	}
	return newError(op, object, err)
}
