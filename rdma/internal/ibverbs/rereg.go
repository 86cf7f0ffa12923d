package ibverbs

import (
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// ReregisterMR asks the provider, which may have no such function. What the library returns of a failure is no errno, but how
// far it came (enum ibv_rereg_mr_err_code).
func (b *backend) ReregisterMR(handle verbs.Handle, to verbs.Rereg) (verbs.MR, error) {
	region := uintptr(handle)
	if !known(b, b.regions, region) {
		return verbs.MR{}, unix.EINVAL
	}
	is := at[mr](region)
	address, length := is.Addr, is.Length
	var access uintptr // the library refuses one that is not to change
	if to.Mask&verbs.ReregAccess != 0 {
		access = uintptr(to.Access)
	}
	var start uintptr
	if to.Mask&verbs.ReregMemory != 0 {
		address, length = verbs.AddressOf(to.Mem), uint64(len(to.Mem))
		start = uintptr(address)
	}
	const sameDomain = 0
	status, errno := b.library.call(b.library.reregMR, region, uintptr(to.Mask), sameDomain, start, uintptr(len(to.Mem)), access)
	if int32(status) != 0 {
		return verbs.MR{}, noSilence(errno)
	}
	if is.Addr != address || is.Length != length {
		return verbs.MR{}, unix.EPROTO
	}
	return verbs.MR{Handle: handle, LKey: is.LKey, RKey: is.RKey}, nil
}
