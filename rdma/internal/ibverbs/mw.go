package ibverbs

import (
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// The functions of memory windows are no symbols. A provider that has none answers so, or leaves the places empty.

func (b *backend) AllocMW(handle verbs.Handle) (verbs.MW, error) {
	domain := uintptr(handle)
	if !known(b, b.domains, domain) {
		return verbs.MW{}, unix.EINVAL
	}
	if b.context.AllocMW == 0 || b.context.BindMW == 0 || b.context.DeallocMW == 0 {
		return verbs.MW{}, unix.EOPNOTSUPP
	}
	window, err := b.library.make(b.context.AllocMW, domain, mwType1)
	if err != nil {
		return verbs.MW{}, err
	}
	is := at[mw](window)
	if is.PD != domain || is.Type != mwType1 {
		return verbs.MW{}, unix.EPROTO
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.windows[window] = 0
	return verbs.MW{Handle: verbs.Handle(window), RKey: is.RKey}, nil
}

func (b *backend) DeallocMW(handle verbs.Handle) error {
	window := uintptr(handle)
	if !known(b, b.windows, window) {
		return unix.EINVAL
	}
	return ended(b, b.windows, window, b.library.do(b.context.DeallocMW, window))
}

// BindMW has the provider choose the key, which it keeps in the window.
func (q *qp) BindMW(bind verbs.Bind) (uint32, error) {
	b := q.backend
	window, region := uintptr(bind.MW.Handle), uintptr(bind.MR.Handle)
	if !known(b, b.windows, window) || !known(b, b.regions, region) {
		return 0, unix.EINVAL
	}
	request := mwBind{
		WRID: bind.ID, SendFlags: sendSignaled, MR: region, Addr: bind.Addr, Length: bind.Length, Access: uint32(bind.Access),
	}
	var err error
	lend(&request, func(a uintptr) { err = b.library.do(b.context.BindMW, q.address, window, a) })
	if err == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.windows[window] = region
	}
	return at[mw](window).RKey, err
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
