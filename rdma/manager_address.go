package rdma

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/ibverbs"
)

// find finds the IP address of the path's port. RoCE has it as its GID; InfiniBand and iWARP have it on a netdev, of which the
// connection manager knows which are theirs.
func (m *Manager) find(device string) (netip.Addr, error) {
	candidates, err := hostAddresses()
	if err != nil {
		return netip.Addr{}, newError("list", "addresses of this host", err)
	}
	gid := m.path.GID.Addr.Unmap()
	slices.SortStableFunc(candidates, func(a, b netip.Addr) int {
		return cmp.Compare(preference(a, gid), preference(b, gid))
	})
	for _, addr := range candidates {
		id, err := m.inner.Bind(netip.AddrPortFrom(addr, 0))
		if err != nil {
			continue // its netdev is down, or of no RDMA device
		}
		name, port := id.Device()
		if err := id.Close(); err != nil {
			return netip.Addr{}, err
		}
		if name == device && int(port) == m.path.Port {
			return addr, nil
		}
	}
	return netip.Addr{}, &Error{Op: "use", Object: fmt.Sprintf("port %d of device %s", m.path.Port, device), lacks: true,
		reason: errors.New("none of this host's IP addresses is one of it to the connection manager"),
		Remedy: "give its netdev an address (ip addr add ADDRESS/24 dev NETDEV), and no other RDMA device the same netdev"}
}

// preference ranks the address of the GID before others, and those of a link behind them.
func preference(a, gid netip.Addr) int {
	switch {
	case a.WithZone("") == gid:
		return 0
	case a.Is4():
		return 1
	case !a.IsLinkLocalUnicast():
		return 2
	}
	return 3
}

// IWARP says whether the device is of iWARP, whose queue pairs a [Manager] alone connects, and which has neither immediates
// nor atomic operations.
func (d Device) IWARP() bool {
	const rnic = "4:" // RDMA_NODE_RNIC (node_type_show, drivers/infiniband/core/sysfs.c)
	text, err := readLine(filepath.Join(d.sysfs, "class/infiniband", d.Name, "node_type"))
	return err == nil && strings.HasPrefix(text, rnic)
}

// hostAddresses are those of all netdevs but the loopback's.
func hostAddresses() (addrs []netip.Addr, err error) {
	netdevs, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, netdev := range netdevs {
		if netdev.Flags&net.FlagLoopback != 0 {
			continue
		}
		of, err := netdev.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range of {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil {
				return nil, err
			}
			addr := prefix.Addr().Unmap()
			if addr.IsLinkLocalUnicast() && addr.Is6() {
				addr = addr.WithZone(strconv.Itoa(netdev.Index))
			}
			addrs = append(addrs, addr)
		}
	}
	return addrs, nil
}

// newManagerError is of a manager that cannot be opened.
func newManagerError(what string, err error) error {
	if e := libraryError(what, err); e != nil {
		return e
	}
	if errors.Is(err, ibverbs.ErrManager) {
		return &Error{Op: "open", Object: what, lacks: true, reason: err, Remedy: "install it: apt-get install librdmacm1, or dnf install librdmacm"}
	}
	e := newError("open", what, err)
	switch e.Errno {
	case unix.ENOENT, unix.ENODEV, unix.ENXIO, unix.ENOSYS:
		e.reason, e.Remedy, e.lacks = nil, "load the module: modprobe rdma_ucm", true
	case unix.EACCES, unix.EPERM:
		e.Remedy, e.lacks = "give the user access to /dev/infiniband/rdma_cm (udev group rdma, or run as root)", true
	}
	return e
}

// newMeetError is of a connection that is not made.
func newMeetError(what string, err error) error {
	e := newError("connect", what, err)
	var told *ibverbs.ManagerError
	switch {
	case errors.As(err, &told) && told.Rejected():
		e.Remedy = "nobody listens there for this run: has the other end gone?"
	case errors.As(err, &told), errors.Is(err, errNoAnswer):
		e.Remedy = "is there a way between the two addresses (ping)?"
	}
	return e
}
