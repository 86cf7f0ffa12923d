package rdma

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

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
// A program that has regions by the thousand wants [PD.RegisterMRs] and, on one processor, GOMAXPROCS=2. Go's
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
	if len(mem) == 0 {
		return nil, errEmptyRegion()
	}
	c := pd.object.ctx
	mr := &MR{}
	mr.fill(pd, mem, access)
	err := c.begin(&mr.object, func() (err error) {
		if mr.region, err = c.backend.RegisterMR(pd.handle, mem, verbs.Access(access)); err != nil {
			return pd.registerError(mem, access, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return mr, nil
}

// RegisterMRs is RegisterMR of each of the memories, one after the other, and takes less of the process for each: with thousands of
// them, that is seen. After an error it returns the regions that it has made, of the first memories; the error is of the next one.
//
// The regions are one piece of Go's memory, which all of them keep.
func (pd *PD) RegisterMRs(mems [][]byte, access Access) ([]*MR, error) {
	if slices.ContainsFunc(mems, func(mem []byte) bool { return len(mem) == 0 }) {
		return nil, errEmptyRegion()
	}
	if len(mems) == 0 {
		return nil, nil
	}
	c := pd.object.ctx
	if err := c.reserve(label{"%d memory regions", len(mems)}, pd.needs); err != nil {
		return nil, err
	}
	regions := make([]verbs.MR, len(mems))
	n, err := c.backend.RegisterMRs(pd.handle, mems, verbs.Access(access), regions)
	if err != nil {
		err = pd.registerError(mems[n], access, err)
	}
	made, all := make([]MR, n), make([]*MR, n)
	for i := range made {
		all[i] = &made[i]
		made[i].fill(pd, mems[i], access)
		made[i].region = regions[i]
	}
	pd.adopt(all)
	return all, errors.Join(append(c.release(pd.needs), err)...)
}

// adopt makes regions objects of the context, each a user of its domain.
func (pd *PD) adopt(made []*MR) {
	c := pd.object.ctx
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, mr := range made {
		mr.object.ctx = c
		c.objects.add(&mr.object)
		pd.object.users++
	}
}

// fill says all of a region but what the device has made of it.
func (mr *MR) fill(pd *PD, mem []byte, access Access) {
	mr.domain, mr.mem, mr.access = pd, mem, access
	mr.object.label, mr.object.needs, mr.object.what = regionLabel(mem), pd.needs, mr
}

func regionLabel(mem []byte) label { return label{"memory region of %d bytes", len(mem)} }

func errEmptyRegion() error {
	return &Error{Op: "register", Object: regionLabel(nil).String(), reason: errors.New("it is empty")}
}

// registerError finds out what a failed registration in this domain means.
func (pd *PD) registerError(mem []byte, access Access, err error) error {
	return newRegisterError(regionLabel(mem).String(), mem, access, err, func() error { return pd.tryAnonymous(access) })
}

// CloseMRs closes regions of one [Context], one after the other, as [MR.Close] does, and takes less of the process for each.
func CloseMRs(mrs []*MR) error {
	if len(mrs) == 0 {
		return nil
	}
	objects := make([]*object, len(mrs))
	for i, mr := range mrs {
		objects[i] = &mr.object
	}
	return objects[0].ctx.closeAll(objects...)
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

// wrap makes a nil error stay one.
func wrap(op, object string, err error) error {
	if err == nil {
		return nil
	}
	return newError(op, object, err)
}

// Slice is a part of a memory region, in bytes.
type Slice struct {
	MR     *MR
	Offset int
	Length int
}

// maxLength is of struct ib_uverbs_sge, ib_user_verbs.h, which has a __u32. What a
// message may have is the device's to say.
const maxLength = math.MaxUint32

var errOutside = errors.New("the local bytes lie outside of their memory region")

// check refuses a slice that is none of its region.
func (l *Slice) check() error {
	if l.MR == nil || l.Offset < 0 || l.Length < 0 || l.Offset > l.MR.Len() || l.Length > l.MR.Len()-l.Offset {
		return errOutside
	}
	if l.Length > maxLength {
		return limitError("bytes", l.Length, 0, maxLength)
	}
	return nil
}

// sge is what a backend calls the slice.
func (l *Slice) sge() verbs.SGE {
	return verbs.SGE{Addr: l.MR.Addr() + uint64(l.Offset), Length: uint32(l.Length), LKey: l.MR.LKey()}
}

// pieces is how many a request has at most.
func (c *QPConfig) pieces() int { return max(1, c.MaxPieces) }

// checkPieces refuses pieces that are none of their regions, or too many.
func checkPieces(first *Slice, more []Slice, most int) error {
	if 1+len(more) > most {
		return fmt.Errorf("it has %d pieces of memory, and the queue was made for %d", 1+len(more), most)
	}
	if err := first.check(); err != nil {
		return err
	}
	for i := range more {
		if err := more[i].check(); err != nil {
			return err
		}
	}
	return nil
}

// fillPieces puts the pieces of the i-th request where it has its place.
func fillPieces(all []verbs.SGE, i, most int, first *Slice, more []Slice) []verbs.SGE {
	mine := all[i*most:][:1+len(more)]
	mine[0] = first.sge()
	for j := range more {
		mine[1+j] = more[j].sge()
	}
	return mine
}

// ChangeAccess re-registers the region for another access ([Access]), whether it has that already or not. Its keys may be others
// then. No request may use the region meanwhile, nor may anybody name it in one.
//
// A device that does not do so says EOPNOTSUPP, which [Error.HostLacks], and the region is as it was. After another error it can be
// closed, and no more.
//
// Pages that are pinned for reading are to be pinned anew if they are to be written, which can be refused as of [PD.RegisterMR];
// or the driver, which does not, refuses it at once: [ErrAccessRefused].
func (mr *MR) ChangeAccess(access Access) error {
	return mr.reregister(verbs.Rereg{Mask: verbs.ReregAccess, Access: verbs.Access(access)}, mr.mem, access)
}

// ChangeMemory re-registers the region over other memory, or the same, with the access that it has: what is pinned is what is mapped
// there now. All else is as of [MR.ChangeAccess], and of mem as of [PD.RegisterMR].
func (mr *MR) ChangeMemory(mem []byte) error {
	if len(mem) == 0 {
		return &Error{Op: "re-register", Object: mr.object.label.String(), reason: errors.New("the memory is empty")}
	}
	return mr.reregister(verbs.Rereg{Mask: verbs.ReregMemory, Mem: mem}, mem, mr.access)
}

func (mr *MR) reregister(to verbs.Rereg, mem []byte, access Access) error {
	c, needs := mr.object.ctx, []*object{&mr.object}
	if err := c.reserve(label{text: "re-registration"}, needs); err != nil {
		return err
	}
	region, err := c.backend.ReregisterMR(mr.region.Handle, to)
	if err == nil {
		mr.region, mr.mem, mr.access, mr.object.label.n = region, mem, access, len(mem)
	} else {
		err = mr.newReregisterError(mem, access, err)
	}
	return errors.Join(append(c.release(needs), err)...)
}

// newReregisterError finds out what a failed re-registration means: that of a device which does none, or what a registration would
// have met with.
func (mr *MR) newReregisterError(mem []byte, access Access, err error) error {
	label := mr.object.label.String()
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		e := newError("re-register", label, err)
		e.lacks, e.Remedy = true, "the device, or its provider in rdma-core, does not re-register a region for that; rdma_rxe of Linux 6.12 does so for another access, through the backend uverbs, and that of 6.1 not at all"
		return e
	}
	if errors.Is(err, unix.EACCES) && mr.access&accessAnyWrite == 0 && access&accessAnyWrite != 0 && mr.canStay() {
		return &Error{Op: "re-register", Object: label, Errno: unix.EACCES, reason: ErrAccessRefused}
	}
	failed := mr.domain.registerError(mem, access, err)
	var e *Error
	if errors.As(failed, &e) {
		e.Op = "re-register"
	}
	return failed
}

// canStay says whether the region can be re-registered for the access that it has: the process is one that may ask for it.
func (mr *MR) canStay() bool {
	_, err := mr.object.ctx.backend.ReregisterMR(mr.region.Handle, verbs.Rereg{Mask: verbs.ReregAccess, Access: verbs.Access(mr.access)})
	return err == nil
}
