package ibverbs

import (
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// RegisterDMABuf asks the provider, which may have no such function and then does not ask the kernel.
func (b *backend) RegisterDMABuf(handle verbs.Handle, fd int, length uint64, access verbs.Access) (verbs.MR, error) {
	domain := uintptr(handle)
	switch {
	case !known(b, b.domains, domain):
		return verbs.MR{}, unix.EINVAL
	case b.library.regDMABufMR == 0:
		return verbs.MR{}, unix.EOPNOTSUPP
	}
	const offset, iova = 0, 0
	region, err := b.library.make(b.library.regDMABufMR, domain, offset, uintptr(length), iova, uintptr(fd), uintptr(access))
	if err != nil {
		return verbs.MR{}, err
	}
	is := at[mr](region)
	if is.PD != domain || is.Length != length {
		return verbs.MR{}, unix.EPROTO
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.regions[region] = struct{}{}
	return verbs.MR{Handle: verbs.Handle(region), LKey: is.LKey, RKey: is.RKey}, nil
}
