package link

import (
	"errors"
	"fmt"

	"github.com/Mellanox/rdmamap"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umemstress/rdma"
)

var errNotActive = fmt.Errorf("its port is not ACTIVE after %v", activeWithin)

// Error is a failed operation on a link.
type Error struct {
	Op     string // create, activate, remove, find, list
	Object string // link rxe0, netdev eth0, ...
	Err    error
	Remedy string // may be empty

	usage, lacks bool
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s %s: %v", e.Op, e.Object, e.Err)
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Usage says whether the caller asked for something impossible.
func (e *Error) Usage() bool { return e.usage }

// HostLacks says whether the host lacks a netdev, a privilege or the module.
func (e *Error) HostLacks() bool { return e.lacks }

func newError(op, object string, err error) *Error {
	e := &Error{Op: op, Object: object, Err: err}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		e.lacks, e.Remedy = true, "this needs the privilege CAP_NET_ADMIN: run as root"
	}
	return e
}

func netdevError(netdev string, err error) error {
	var notFound netlink.LinkNotFoundError
	if errors.As(err, &notFound) {
		return &Error{Op: "find", Object: "netdev " + netdev, Err: errors.New("there is none of this name"), lacks: true,
			Remedy: "see ip link, or leave it out for a veth pair of its own"}
	}
	return newError("bring up", "netdev "+netdev, err)
}

func moduleError(object string, err error) error {
	e := newError("create", object, fmt.Errorf("the kernel module rdma_rxe cannot be loaded: %w", err))
	if e.Remedy == "" {
		e.lacks = true
		e.Remedy = "install a kernel with CONFIG_RDMA_RXE (Debian: linux-image-amd64, not a cloud kernel; Ubuntu: linux-modules-extra)"
	}
	return e
}

// existing finds the link that is asked for among the devices, and the names that are taken
// otherwise, which the kernel reports with an errno that says little (ENFILE for a device's
// name).
func existing(devices []rdma.Device, c Config) (*rdma.Device, error) {
	for _, d := range devices {
		switch {
		case d.Name == c.Name && d.Driver == rdma.DriverRxe && (c.NetDev == "" || c.NetDev == d.NetDev):
			return &d, nil
		case d.Name == c.Name:
			e := &Error{Op: "create", Object: "link " + c.Name, Err: errors.New("there is an RDMA device of this name"), usage: true,
				Remedy: "choose another with --name"}
			if d.Driver == rdma.DriverRxe {
				e.Err = fmt.Errorf("there is a link of this name over %s", d.NetDev)
				e.Remedy = "use it, choose another with --name, or remove it: umemstress soft-roce down --name " + c.Name
			}
			return nil, e
		case c.NetDev != "" && d.NetDev == c.NetDev:
			return nil, linkedError(c.NetDev, d.Name)
		}
	}
	return nil, nil
}

func linkedError(netdev, device string) error {
	return &Error{Op: "create", Object: "link over " + netdev, usage: true,
		Err: fmt.Errorf("it has the link %s already", device), Remedy: "use that one"}
}

// addError tells what the kernel meant when it did not add the link.
func addError(name, netdev string, err error) error {
	switch {
	case errors.Is(err, unix.EEXIST):
		// Somebody was quicker, or the link is in another network namespace.
		device, mapErr := rdmamap.GetRdmaDeviceForNetdevice(netdev)
		if mapErr != nil {
			device = "of another name"
		}
		return linkedError(netdev, device)
	case errors.Is(err, unix.ENOENT):
		return &Error{Op: "create", Object: "link " + name, lacks: true,
			Err: fmt.Errorf("rdma_rxe found no checksum crc32: %w", err), Remedy: "load it: modprobe crc32_generic"}
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL):
		return &Error{Op: "create", Object: "link " + name, lacks: true,
			Err:    fmt.Errorf("the kernel cannot make a soft-RoCE link over %s: %w", netdev, err),
			Remedy: "choose an Ethernet netdev; kernels before 5.1 make links by other means"}
	}
	return newError("create", "link "+name+" over "+netdev, err)
}
