package ibverbs

import (
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// The functions of memory windows are no symbols. A provider that has none answers so, or leaves the places empty.

func (b *backend) AllocMW(handle verbs.Handle, of verbs.MWType) (verbs.MW, error) {
	domain := uintptr(handle)
	if !known(b, b.domains, domain) {
		return verbs.MW{}, unix.EINVAL
	}
	if b.context.AllocMW == 0 || b.context.BindMW == 0 || b.context.DeallocMW == 0 {
		return verbs.MW{}, unix.EOPNOTSUPP
	}
	window, err := b.library.make(b.context.AllocMW, domain, uintptr(of))
	if err != nil {
		return verbs.MW{}, err
	}
	is := at[mw](window)
	if is.PD != domain || is.Type != uint32(of) {
		return verbs.MW{}, unix.EPROTO
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.windows[window] = 0
	return verbs.MW{Handle: verbs.Handle(window), Type: of, RKey: is.RKey}, nil
}

func (b *backend) DeallocMW(handle verbs.Handle) error {
	window := uintptr(handle)
	if !known(b, b.windows, window) {
		return unix.EINVAL
	}
	return ended(b, b.windows, window, b.library.do(b.context.DeallocMW, window))
}

func (q *qp) BindMW(bind verbs.Bind) (uint32, error) {
	b := q.backend
	window, region := uintptr(bind.MW.Handle), uintptr(bind.MR.Handle)
	if !known(b, b.windows, window) || !known(b, b.regions, region) {
		return 0, unix.EINVAL
	}
	is := at[mw](window)
	give := q.bind
	if is.Type == uint32(verbs.MWType2) {
		give = q.postBinding
	}
	err := give(is, window, &bind)
	if err == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.windows[window] = region
	}
	return is.RKey, err
}

// bind has the provider choose the key, which it keeps in the window.
func (q *qp) bind(_ *mw, window uintptr, bind *verbs.Bind) (err error) {
	request := mwBind{
		WRID: bind.ID, SendFlags: sendSignaled, MR: uintptr(bind.MR.Handle), Addr: bind.Addr, Length: bind.Length, Access: uint32(bind.Access),
	}
	lend(&request, func(a uintptr) { err = q.backend.library.do(q.backend.context.BindMW, q.address, window, a) })
	return err
}

// postBinding is of a window of type 2, whose key is its user's to choose, and to keep in the window.
func (q *qp) postBinding(is *mw, window uintptr, bind *verbs.Bind) (err error) {
	if q.state() < verbs.ReadyToSend {
		return unix.EINVAL
	}
	key := verbs.NextKey(is.RKey)
	var post struct {
		request bindWR
		bad     uintptr
	}
	post.request = bindWR{
		WRID: bind.ID, Opcode: wrBindMW, SendFlags: sendSignaled, MW: window, RKey: key,
		MR: uintptr(bind.MR.Handle), Addr: bind.Addr, Length: bind.Length, Access: uint32(bind.Access),
	}
	lend(&post.request, func(request uintptr) {
		lend(&post.bad, func(bad uintptr) { err = q.backend.library.do(q.backend.context.PostSend, q.address, request, bad) })
	})
	if err == nil {
		is.RKey = key
	}
	return err
}

// bound says whether a window is bound to the region.
func (b *backend) bound(region uintptr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, to := range b.windows {
		if to == region {
			return true
		}
	}
	return false
}

// unbind notes that a key is being taken from the window that has it.
func (b *backend) unbind(key uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for window := range b.windows {
		if is := at[mw](window); is.RKey == key && is.Type == uint32(verbs.MWType2) {
			b.windows[window] = 0
		}
	}
}
