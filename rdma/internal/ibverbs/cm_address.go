package ibverbs

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// lendAddress calls f with the address of a struct sockaddr. The zone of an IPv6 address is the index of its netdev.
func lendAddress(a netip.AddrPort, f func(address uintptr)) {
	addr, port := a.Addr().Unmap(), networkOrder(a.Port())
	if addr.Is4() {
		lend(&unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: addr.As4()}, f)
		return
	}
	zone, _ := strconv.ParseUint(addr.Zone(), 10, 32) // none is 0
	lend(&unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: addr.As16(), Scope_id: uint32(zone)}, f)
}

func networkOrder(port uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, port))
}

func hostOrder(port uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, port))
}
