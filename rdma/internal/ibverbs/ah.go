package ibverbs

import (
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// CreateAH has the provider find the rest of the way.
func (b *backend) CreateAH(handle verbs.Handle, to verbs.AH) (verbs.Handle, error) {
	domain := uintptr(handle)
	if !known(b, b.domains, domain) {
		return 0, unix.EINVAL
	}
	attr := ahAttrOf(to)
	var way uintptr
	var err error
	lend(&attr, func(a uintptr) { way, err = b.library.create(b.library.createAH, domain, a) })
	if err != nil {
		return 0, err
	}
	if is := at[addressHandle](way); is.Context != b.address || is.PD != domain {
		return 0, unix.EPROTO
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ways[way] = struct{}{}
	return verbs.Handle(way), nil
}

func (b *backend) DestroyAH(handle verbs.Handle) error {
	way := uintptr(handle)
	if !known(b, b.ways, way) {
		return unix.EINVAL
	}
	return ended(b, b.ways, way, b.library.do(b.library.destroyAH, way))
}

func ahAttrOf(to verbs.AH) ahAttr {
	attr := ahAttr{
		DLID: to.DLID, SL: to.SL, TrafficClass: to.TrafficClass, DGID: to.DGID, SGIDIndex: to.SGIDIndex,
		HopLimit: to.HopLimit, PortNum: to.Port,
	}
	if to.Global {
		attr.IsGlobal = 1
	}
	return attr
}
