// Package link creates, lists and removes soft-RoCE links: RDMA devices of the
// kernel module rdma_rxe, each over a netdev.
//
// [Up] puts a link over a netdev that is there already, or over one end of a veth
// pair of its own. Its own pairs carry the interface alias umemstress, so that
// [Down] removes with a link what Up made for it and nothing else. An Up that
// fails or is interrupted takes back everything it did.
//
// The directory soft-roce above holds no Go files itself: its name is no
// identifier.
package link

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"umemstress/rdma"
)

// DefaultName is the name of a link when none is given.
const DefaultName = "rxe0"

const (
	sysfs    = "/sys"
	linkType = "rxe"

	// An active port takes milliseconds; this is for a machine that crawls.
	activeWithin = 10 * time.Second
)

// Config says what link to make. The zero value is a link named rxe0 over a veth
// pair of its own.
type Config struct {
	Name   string
	NetDev string
	Log    logrus.FieldLogger // what is done; nil: logrus's own logger
}

// Link is a soft-RoCE link.
type Link struct {
	Name   string `json:"name"`
	NetDev string `json:"netdev"`
	// Own says that the netdev is of a pair that Up made.
	Own   bool           `json:"own"`
	State rdma.PortState `json:"state"`
	GIDs  []rdma.GID     `json:"gids"`
}

// Up makes a link and waits until its port is ACTIVE. It brings a given netdev up
// and leaves it so; it gives its own an address, for a GID of RoCE v2 over IPv4. Where the
// link is there already, over that netdev or whichever if none is given, it is the result.
func Up(ctx context.Context, c Config) (_ Link, err error) {
	if c.Name == "" {
		c.Name = DefaultName
	}
	object := "link " + c.Name
	if err := checkName(c.Name); err != nil {
		return Link{}, &Error{Op: "create", Object: object, Err: err, usage: true}
	}
	net, err := newNetwork(c.Log)
	if err != nil {
		return Link{}, &Error{Op: "create", Object: object, Err: err}
	}
	defer net.close()
	devices, err := rdmaDevices()
	if err != nil {
		return Link{}, err
	}
	if d, err := existing(devices, c); err != nil {
		return Link{}, err
	} else if d != nil {
		return reuse(ctx, net, *d)
	}
	if err := loadModule(ctx, "rdma_rxe"); err != nil {
		return Link{}, moduleError(object, err)
	}

	var undo []func() error
	defer func() {
		for i := len(undo); err != nil && i > 0; i-- {
			if undoErr := undo[i-1](); undoErr != nil {
				err = errors.Join(err, undoErr)
			}
		}
	}()
	netdev := c.NetDev
	if netdev == "" {
		p, err := net.addPair()
		if err != nil {
			return Link{}, newError("create", "veth pair for "+object, err)
		}
		netdev = p.first
		net.log.Debugf("made the veth pair %s, %s", p.first, p.second)
		undo = append(undo, func() error { return net.removePair(p.first) })
	} else {
		wasDown, err := net.bringUp(netdev)
		if err != nil {
			return Link{}, netdevError(netdev, err)
		}
		if wasDown {
			net.log.Debugf("brought %s up", netdev)
			undo = append(undo, func() error { return net.bringDown(netdev) })
		}
	}
	if err := addLink(ctx, net, c.Name, netdev); err != nil {
		return Link{}, addError(c.Name, netdev, err)
	}
	net.log.Debugf("made the link %s over %s", c.Name, netdev)
	undo = append(undo, func() error { return net.handle.RdmaLinkDel(c.Name) })
	d, err := awaitActive(ctx, c.Name)
	if err != nil {
		return Link{}, err
	}
	return read(net, d)
}

// reuse has a link that is there do what a new one would.
func reuse(ctx context.Context, net *network, d rdma.Device) (Link, error) {
	net.log.Infof("the link %s is there already, over %s", d.Name, d.NetDev)
	if !d.Active() {
		if _, err := net.bringUp(d.NetDev); err != nil {
			return Link{}, netdevError(d.NetDev, err)
		}
		var err error
		if d, err = awaitActive(ctx, d.Name); err != nil {
			return Link{}, err
		}
	}
	return read(net, d)
}

// Add is the part of Up for a machine that is all one's own, such as the guest of the
// lab: the module is there, the netdev is up, and nothing is taken back. It does not
// read the port's 1,024 GIDs, which takes 0.3 s under software emulation.
func Add(ctx context.Context, c Config) error {
	net, err := newNetwork(c.Log)
	if err != nil {
		return &Error{Op: "create", Object: "link " + c.Name, Err: err}
	}
	defer net.close()
	if err := addLink(ctx, net, c.Name, c.NetDev); err != nil {
		return addError(c.Name, c.NetDev, err)
	}
	_, err = awaitActive(ctx, c.Name)
	return err
}

// checkName rejects what the kernel would cut off or refuse: IB_DEVICE_NAME_MAX
// is 64 with the final zero, and % asks for a number.
func checkName(name string) error {
	if len(name) > 63 || strings.ContainsAny(name, "/% \t\n") || name == "." || name == ".." {
		return fmt.Errorf("%q is no name for an RDMA device", name)
	}
	return nil
}

// addLink adds the link. rdma_rxe takes the checksum crc32 from the crypto API
// up to 6.14 and answers ENOENT when nobody provides it, which happens where the
// kernel cannot load modules by itself.
func addLink(ctx context.Context, net *network, name, netdev string) error {
	err := net.handle.RdmaLinkAdd(name, linkType, netdev)
	if !errors.Is(err, unix.ENOENT) {
		return err
	}
	if loadErr := loadModule(ctx, "crc32_generic"); loadErr != nil {
		net.log.Debugf("crc32_generic: %v", loadErr)
		return err
	}
	return net.handle.RdmaLinkAdd(name, linkType, netdev)
}

// awaitActive waits until the link's port is ACTIVE, which it is soon after its
// netdev is up.
func awaitActive(ctx context.Context, name string) (rdma.Device, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, activeWithin, errNotActive)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		d, err := rdma.FindDevice(sysfs, name)
		if err != nil {
			return rdma.Device{}, &Error{Op: "create", Object: "link " + name, Err: err}
		}
		if d.Active() {
			return d, nil
		}
		select {
		case <-ctx.Done():
			e := &Error{Op: "activate", Object: "link " + name, Err: context.Cause(ctx)}
			if errors.Is(e.Err, errNotActive) {
				e.Remedy = fmt.Sprintf("does %s have a carrier (ip link show %s)?", d.NetDev, d.NetDev)
				e.lacks = true
			}
			return rdma.Device{}, e
		case <-tick.C:
		}
	}
}

// rdmaDevices are those of this host. One that is or may be a link has to be readable: what
// is not seen cannot be told or removed.
func rdmaDevices() ([]rdma.Device, error) {
	devices, err := rdma.Devices(sysfs)
	for _, d := range devices {
		if d.Driver == "" || d.Driver == rdma.DriverRxe {
			err = errors.Join(err, d.Err)
		}
	}
	return devices, err
}

// List returns the soft-RoCE links in the order of their names.
func List() ([]Link, error) {
	devices, err := rdmaDevices()
	if err != nil {
		return nil, err
	}
	net, err := newNetwork(nil)
	if err != nil {
		return nil, &Error{Op: "list", Object: "links", Err: err}
	}
	defer net.close()
	links := []Link{}
	for _, d := range devices {
		if d.Driver != rdma.DriverRxe {
			continue
		}
		l, err := read(net, d)
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}

// read completes what sysfs says of a link. rdma_rxe has one port.
func read(net *network, d rdma.Device) (Link, error) {
	const port = 1
	l := Link{Name: d.Name, NetDev: d.NetDev, GIDs: []rdma.GID{}}
	if len(d.Ports) > 0 {
		l.State = d.Ports[0].State
	}
	for g, err := range d.GIDs(port) {
		if err != nil {
			return Link{}, err
		}
		l.GIDs = append(l.GIDs, g)
	}
	dev, err := net.handle.LinkByName(d.NetDev)
	var notFound netlink.LinkNotFoundError
	if err != nil && !errors.As(err, &notFound) {
		return Link{}, newError("find", "netdev "+d.NetDev, err)
	}
	l.Own = err == nil && isOwn(dev)
	return l, nil
}
