package rdma

import (
	"errors"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// ChangeAccess re-registers the region for another access ([Access]), whether it has that already or not. Its keys may be others
// then. No request may use the region meanwhile, nor may anybody name it in one.
//
// A device that does not do so says EOPNOTSUPP, which [Error.HostLacks], and the region is as it was. After another error it can be
// closed, and no more.
//
// It is for the kernel's driver to see that pages which were pinned for reading are not written to. (rdma_rxe of 6.12 and 7.2 does not.)
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
		e.lacks, e.Remedy = true, "the device, or its provider in rdma-core, does not change that of a region; rdma_rxe changes the access since Linux 6.5, through the backend uverbs, and the memory never"
		return e
	}
	failed := newRegisterError(label, mem, access, err, func() error { return mr.domain.tryAnonymous(access) })
	var e *Error
	if errors.As(failed, &e) {
		e.Op = "re-register"
	}
	return failed
}
