package rdma

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// AutoGID as [PathConfig.GIDIndex] chooses the first GID of RoCE v2 over IPv4 if
// there is one, else the first of RoCE v2, else the first; on InfiniBand none.
const AutoGID = -1

// PathConfig says which way to take between two queue pairs.
type PathConfig struct {
	Port     int // 0 is the first active one
	GIDIndex int // or AutoGID
	MTU      int // bytes: 256, 512, 1024, 2048 or 4096; 0 is the port's active MTU

	ServiceLevel int // 0 to 15
	TrafficClass int // 0 to 255, of what goes by a GID: on RoCE v2 the field of IP that has the DSCP
	PKeyIndex    int // in the port's table of partition keys
	Timeout      int // of reliable connections: requests are repeated that 4.096 µs << Timeout have not answered; 0: DefaultTimeout
}

// Path is a resolved PathConfig. A port of InfiniBand is reached by its LID, and by a GID as well only
// where one was asked for.
type Path struct {
	Port int
	GID  GID
	LID  uint16 // of the port; 0 on RoCE
	MTU  int

	ServiceLevel uint8
	TrafficClass uint8
	PKeyIndex    uint16
	Timeout      uint8
}

const remedyPortDown = "bring its netdev up (ip link set DEV up, or umemstress soft-roce up)"

// Path resolves a PathConfig against the device as it is now, and fails for a port
// that is not active.
func (c *Context) Path(cfg PathConfig) (Path, error) {
	d, err := readDevice(c.device.sysfs, c.device.Name)
	if errors.Is(err, fs.ErrNotExist) {
		err = unix.ENODEV
	}
	if err != nil {
		return Path{}, newError("find", "path on device "+c.device.Name, err)
	}
	port, err := choosePort(d, cfg.Port)
	if err != nil {
		return Path{}, err
	}
	attr, err := c.queryPort(d, port.Number)
	if err != nil {
		return Path{}, err
	}
	if state := PortState(attr.State); state != PortActive {
		return Path{}, portDownError(d, port.Number, state)
	}
	if err := cfg.check(d, port.Number); err != nil {
		return Path{}, err
	}
	path := Path{
		Port: port.Number, LID: port.LID, MTU: cfg.MTU,
		ServiceLevel: uint8(cfg.ServiceLevel), TrafficClass: uint8(cfg.TrafficClass), PKeyIndex: uint16(cfg.PKeyIndex), Timeout: uint8(cfg.Timeout),
	}
	if port.LinkLayer == infiniBand && port.LID == 0 {
		return Path{}, &Error{Op: "use", Object: portLabel(d, port.Number), lacks: true,
			reason: errors.New("it has no LID"), Remedy: "its subnet needs a subnet manager (opensm)"}
	}
	if port.LinkLayer != infiniBand || cfg.GIDIndex != AutoGID {
		if path.GID, err = chooseGID(d, port.Number, cfg.GIDIndex); err != nil {
			return Path{}, err
		}
	}
	if path.MTU == 0 {
		path.MTU = attr.ActiveMTU.Bytes()
	}
	if _, ok := verbs.MTUOf(path.MTU); !ok || path.MTU > attr.ActiveMTU.Bytes() {
		return Path{}, &Error{Op: "use", Object: portLabel(d, port.Number), lacks: ok,
			reason: fmt.Errorf("MTU %d: choose 256, 512, 1024, 2048 or 4096, at most %d", path.MTU, attr.ActiveMTU.Bytes())}
	}
	return path, nil
}

// check refuses what no request could name, and a partition key that the port does not have.
func (cfg PathConfig) check(d Device, port int) error {
	for _, n := range []struct {
		what    string
		n, upTo int
	}{
		{"service level", cfg.ServiceLevel, maxServiceLevel}, {"traffic class", cfg.TrafficClass, math.MaxUint8}, {"P_Key index", cfg.PKeyIndex, math.MaxUint16},
		{"timeout", cfg.Timeout, MaxTimeout},
	} {
		if n.n < 0 || n.n > n.upTo {
			return &Error{Op: "use", Object: portLabel(d, port), reason: limitError(n.what, n.n, 0, n.upTo)}
		}
	}
	if cfg.PKeyIndex == 0 { // the default partition's, which every port has
		return nil
	}
	keys := filepath.Join(d.sysfs, "class/infiniband", d.Name, "ports", strconv.Itoa(port), "pkeys")
	if key, err := readLine(filepath.Join(keys, strconv.Itoa(cfg.PKeyIndex))); err != nil || key == noPKey {
		return &Error{Op: "use", Object: portLabel(d, port), lacks: true,
			reason: fmt.Errorf("it has no partition key of index %d", cfg.PKeyIndex), Remedy: "see " + keys}
	}
	return nil
}

const (
	maxServiceLevel = 15
	noPKey          = "0x0000" // of an entry that is not in use
)

func (c *Context) queryPort(d Device, number int) (verbs.PortAttr, error) {
	label := portLabel(d, number)
	if number < 1 || number > maxPort {
		return verbs.PortAttr{}, &Error{Op: "query", Object: label, reason: limitError("port", number, 1, maxPort)}
	}
	if !c.enter() {
		return verbs.PortAttr{}, closedError("query", label)
	}
	defer c.leave()
	attr, err := c.backend.QueryPort(uint8(number))
	return attr, wrap("query", label, err)
}

func portLabel(d Device, number int) string {
	return fmt.Sprintf("port %d of device %s", number, d.Name)
}

func portDownError(d Device, number int, state PortState) error {
	return &Error{Op: "use", Object: portLabel(d, number), lacks: true,
		reason: fmt.Errorf("it is %v", state), Remedy: remedyPortDown}
}

// count is a number of things, in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func choosePort(d Device, number int) (Port, error) {
	for _, p := range d.Ports {
		if p.Number == number || number == 0 && p.State == PortActive {
			return p, nil
		}
	}
	if d.Err != nil { // it may be the one
		return Port{}, d.Err
	}
	if number == 0 && len(d.Ports) > 0 {
		return Port{}, portDownError(d, d.Ports[0].Number, d.Ports[0].State)
	}
	return Port{}, &Error{Op: "use", Object: portLabel(d, number), lacks: true,
		reason: fmt.Errorf("the device has %s", count(len(d.Ports), "port"))}
}
