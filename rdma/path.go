package rdma

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// AutoGID as [PathConfig.GIDIndex] chooses the first GID of RoCE v2 over IPv4 if
// there is one, else the first of RoCE v2, else the first.
const AutoGID = -1

// PathConfig says which way to take between two queue pairs.
type PathConfig struct {
	Port     int // 0 is the first active one
	GIDIndex int // or AutoGID
	MTU      int // bytes: 256, 512, 1024, 2048 or 4096; 0 is the port's active MTU
}

// Path is a resolved PathConfig.
type Path struct {
	Port int
	GID  GID
	MTU  int
}

// Address is how to reach a queue pair. The other side needs it to connect.
type Address struct {
	QPN uint32     // queue pair number
	PSN uint32     // first packet sequence number it sends
	GID netip.Addr // of its port; the zero Addr means the very port of the peer (loopback)
}

const remedyPortDown = "bring its netdev up (ip link set DEV up, or umemstress soft-roce up)"

// Path resolves a PathConfig against the device as it is now, and fails for a port
// that is not active.
func (c *Context) Path(cfg PathConfig) (Path, error) {
	d, err := readDevice(c.device.sysfs, c.device.Name)
	if err != nil {
		return Path{}, newError("find", "path on device "+c.device.Name, unix.ENODEV)
	}
	port, err := choosePort(d, cfg.Port)
	if err != nil {
		return Path{}, err
	}
	attr, err := c.backend.queryPort(port.Number)
	if err != nil {
		return Path{}, newError("query", portLabel(d, port.Number), err)
	}
	if attr.state != PortActive {
		return Path{}, portDownError(d, port.Number, attr.state)
	}
	gid, err := chooseGID(d, port.Number, cfg.GIDIndex)
	if err != nil {
		return Path{}, err
	}
	path := Path{Port: port.Number, GID: gid, MTU: cfg.MTU}
	if path.MTU == 0 {
		path.MTU = attr.activeMTU
	}
	if _, ok := mtuCode(path.MTU); !ok || path.MTU > attr.activeMTU {
		return Path{}, &Error{Op: "use", Object: portLabel(d, port.Number),
			reason: fmt.Errorf("MTU %d: choose 256, 512, 1024, 2048 or 4096, at most %d", path.MTU, attr.activeMTU)}
	}
	return path, nil
}

func portLabel(d Device, number int) string {
	return fmt.Sprintf("port %d of device %s", number, d.Name)
}

func portDownError(d Device, number int, state PortState) error {
	return &Error{Op: "use", Object: portLabel(d, number), lacks: true,
		reason: fmt.Errorf("it is %v", state), Remedy: remedyPortDown}
}

func choosePort(d Device, number int) (Port, error) {
	for _, p := range d.Ports {
		if p.Number == number || number == 0 && p.State == PortActive {
			return p, nil
		}
	}
	if number == 0 && len(d.Ports) > 0 {
		return Port{}, portDownError(d, d.Ports[0].Number, d.Ports[0].State)
	}
	return Port{}, &Error{Op: "use", Object: portLabel(d, number), lacks: true,
		reason: fmt.Errorf("the device has %d ports", len(d.Ports))}
}

// mtuCode is the value of enum ib_mtu, ib_verbs.h.
func mtuCode(bytes int) (uint8, bool) {
	for code := uint8(1); code <= 5; code++ {
		if mtuBytes(code) == bytes {
			return code, true
		}
	}
	return 0, false
}

func mtuBytes(code uint8) int { return 128 << code }

// Address is what the other side needs to connect to this queue pair.
func (qp *QP) Address() Address { return qp.address }

// Connect takes the queue pair through INIT and RTR to RTS, so that it reaches the
// remote one. Both sides must connect before either sends.
func (qp *QP) Connect(remote Address, path Path) error {
	gid := remote.GID
	if !gid.IsValid() {
		gid = path.GID.Addr
	}
	qp.mu.Lock()
	defer qp.mu.Unlock()
	if qp.pair == nil {
		return closedError("connect", "queue pair")
	}
	err := qp.pair.connect(connection{
		path: path, remote: remote, remoteGID: gid.As16(),
		localPSN: qp.address.PSN, reliable: qp.config.Type == RC,
	})
	if err != nil {
		return newConnectError(qp.address, remote, gid, err)
	}
	return nil
}

func newConnectError(local, remote Address, gid netip.Addr, err error) error {
	e := newError("connect", fmt.Sprintf("queue pair %d to %d at %v", local.QPN, remote.QPN, gid), err)
	switch e.Errno {
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ETIMEDOUT:
		e.lacks, e.Remedy = true, "there is no route to this address: is the netdev up?"
	}
	return e
}

// ConnectLoopback connects two queue pairs of one device with each other.
func ConnectLoopback(a, b *QP, path Path) error {
	if err := a.Connect(b.Address(), path); err != nil {
		return err
	}
	return b.Connect(a.Address(), path)
}
