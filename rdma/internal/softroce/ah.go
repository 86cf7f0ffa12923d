package softroce

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/uapi"
	"umemstress/rdma/internal/verbs"
)

// CreateAH asks for nothing: each datagram has its whole way with it, as rdma_rxe before Linux 5.16 wants it and every later
// one takes it.
func (b *backend) CreateAH(_ verbs.Handle, to verbs.AH) (verbs.Handle, error) {
	if !to.Global {
		return 0, unix.EINVAL
	}
	way := &uapi.RxeAV{
		PortNum: to.Port, DMAC: to.DMAC, DGID: to.DGID,
		SGIDIndex: to.SGIDIndex, HopLimit: to.HopLimit, TrafficClass: to.TrafficClass,
		NetworkType: uapi.RxeNetworkTypeIPv6, SGIDAddr: socketAddress(to.SGID), DGIDAddr: socketAddress(to.DGID),
	}
	if netip.AddrFrom16(to.DGID).Is4In6() {
		way.NetworkType = uapi.RxeNetworkTypeIPv4
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.named++
	b.ways[verbs.Handle(b.named)] = way
	return verbs.Handle(b.named), nil
}

func (b *backend) DestroyAH(handle verbs.Handle) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ways[handle] == nil {
		return unix.EINVAL
	}
	delete(b.ways, handle)
	return nil
}

// way is nil of an address handle that is none.
func (b *backend) way(handle verbs.Handle) *uapi.RxeAV {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ways[handle]
}

// socketAddress is a struct sockaddr_in or sockaddr_in6 of a GID, with the address alone.
func socketAddress(gid [16]byte) (s [28]byte) {
	const in4, in6 = 4, 8 // where the addresses are
	if addr := netip.AddrFrom16(gid); addr.Is4In6() {
		four := addr.As4()
		binary.NativeEndian.PutUint16(s[:], unix.AF_INET)
		copy(s[in4:], four[:])
		return s
	}
	binary.NativeEndian.PutUint16(s[:], unix.AF_INET6)
	copy(s[in6:], gid[:])
	return s
}
