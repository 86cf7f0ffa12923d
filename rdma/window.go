package rdma

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// WindowType is a type of memory windows. enum ib_mw_type, ib_verbs.h.
type WindowType uint8

// Types of memory windows.
const (
	Window1 = WindowType(verbs.MWType1) // whose key is good for every queue pair of the domain, and which is bound again as it is
	// Of which the key is good for the queue pair that bound it, until [QP.Invalidate] there or an [OpSendInv] of the peer
	// takes it. Then it can be bound again. The queue pair ends after the window.
	Window2 = WindowType(verbs.MWType2)
)

// Window is a memory window over a part of a region: a key to that alone, which [QP.Bind] gives and takes
// while the region stays as it is. (rdma_rxe looks at the region's bounds, so that there it is one to all of
// it.) Its own access is what counts: a region needs AccessBindWindow, and AccessLocalWrite for what writes.
type Window struct {
	object *object
	mr     *MR

	mu     sync.Mutex
	window verbs.MW
	gone   bool
	bound  bool // by the last request that was posted
	of     WindowType
	by     []*QP // of type 2: those that have bound it, which end after it
}

// AllocWindow makes a window of a type for the region, which is deregistered after it, and that gives access to nothing until it is bound. A device
// that has no windows says EOPNOTSUPP, which [Error.HostLacks].
func (mr *MR) AllocWindow(of WindowType) (*Window, error) {
	what := fmt.Sprintf("memory window of type %d", of)
	if of != Window1 && of != Window2 {
		return nil, &Error{Op: "allocate", Object: what, reason: errors.New("there are types 1 and 2")}
	}
	c, w := mr.object.ctx, &Window{mr: mr, of: of}
	destroy := func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.gone = true
		return c.backend.DeallocMW(w.window.Handle)
	}
	o, err := c.create(label{text: what}, []*object{&mr.object, mr.domain.object}, destroy, func() (err error) {
		if w.window, err = c.backend.AllocMW(mr.domain.handle, verbs.MWType(of)); err == nil {
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
	if err := w.hold(qp); err != nil {
		return err
	}
	key, err := qp.pair.BindMW(verbs.Bind{
		ID: id, MW: w.window, MR: w.mr.region, Addr: w.mr.Addr() + uint64(offset), Length: uint64(length), Access: verbs.Access(access),
	})
	if err == nil {
		w.window.RKey, w.bound = key, true
	}
	return wrap("bind", what, err)
}

// hold has a queue pair end after a window that it binds, where that is good for it alone.
func (w *Window) hold(qp *QP) error {
	if w.of != Window2 || slices.Contains(w.by, qp) {
		return nil
	}
	if err := w.object.ctx.need(w.object, qp.object); err != nil {
		return err
	}
	w.by = append(w.by, qp)
	return nil
}

// Invalidate has the device take the key of a window of type 2 that was bound through this queue pair, and complete that as a request of
// that ID. One that is bound through another fails, as a request does, but on rdma_rxe, which takes any key. Of one that is not bound at
// all it is not asked for, as far as is known here: rdma_rxe of 6.1, 6.12 and 7.2 follows a null pointer then (rxe_invalidate_mw; docs/findings/rxe-window.md).
func (qp *QP) Invalidate(id uint64, w *Window) error {
	qp.mu.Lock()
	defer qp.mu.Unlock()
	if qp.pair == nil {
		return closedError("invalidate through", "queue pair")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.gone:
		return closedError("invalidate", "memory window")
	case !w.bound:
		return &Error{Op: "invalidate", Object: "memory window", reason: errors.New("it is not bound")}
	}
	n, err := qp.pair.Post([]verbs.WR{{ID: id, Op: verbs.OpLocalInv, Signaled: true, Invalidate: w.window.RKey}})
	if err != nil {
		return newPostError(qp.address, err)
	}
	if n == 0 {
		return ErrQueueFull
	}
	w.bound = false
	return nil
}
