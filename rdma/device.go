package rdma

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// Sysfs is where a live system has what [Devices] and [FindDevice] look at.
const Sysfs = "/sys"

// DriverRxe is the [Device.Driver] of soft-RoCE devices.
const DriverRxe = "rdma_rxe"

// DriverSIW is that of soft-iWARP devices.
const DriverSIW = "siw"

// Device is an RDMA device as sysfs describes it.
type Device struct {
	Name   string // as in /sys/class/infiniband, such as rxe0
	Driver string // kernel module: rdma_rxe, siw, mlx5_core; empty if unknown
	Uverbs string // character device, such as uverbs0; empty if there is none
	ABI    int    // version of the driver's user ABI (abi_version)
	NetDev string // soft-RoCE only: the netdev that the link was made over
	Ports  []Port
	// Err is what kept the rest of it from being read; nil: nothing did. A port of a
	// device in reset answers EIO.
	Err error `json:"-"`

	sysfs string // where it was found
}

// Port is one port of a device.
type Port struct {
	Number    int // from 1
	State     PortState
	PhysState string // LinkUp, Disabled, Polling, ...
	LinkLayer string // Ethernet or InfiniBand
	LID       uint16 // the port's address within its subnet, of InfiniBand; 0: none yet
}

// PortState is a port's logical state. enum ib_port_state, ib_verbs.h.
type PortState int

// The states of a port. Traffic needs PortActive.
const (
	PortUnknown = PortState(0)
	PortDown    = PortState(verbs.PortDown)
	PortInit    = PortState(verbs.PortInit)
	PortArmed   = PortState(verbs.PortArmed)
	PortActive  = PortState(verbs.PortActive)
)

func (s PortState) String() string {
	switch s {
	case PortDown:
		return "DOWN"
	case PortInit:
		return "INIT"
	case PortArmed:
		return "ARMED"
	case PortActive:
		return "ACTIVE"
	}
	return "unknown state " + strconv.Itoa(int(s))
}

// MarshalText writes the state's name.
func (s PortState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Active says whether any port can carry traffic.
func (d Device) Active() bool {
	return slices.ContainsFunc(d.Ports, func(p Port) bool { return p.State == PortActive })
}

// Devices lists the RDMA devices below a sysfs root, [Sysfs] on a live system,
// in the order of their names. A host without any, or without the RDMA core, has
// none and that is no error. One that cannot be read has its Err and hides no other.
func Devices(sysfs string) ([]Device, error) {
	class := filepath.Join(sysfs, "class/infiniband")
	entries, err := os.ReadDir(class)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, newError("list", "RDMA devices", err)
	}
	var devices []Device
	for _, entry := range entries {
		d, err := readDevice(sysfs, entry.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, newError("read", "device "+entry.Name()+" in sysfs", err)
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// FindDevice returns the device of that name or, for an empty name, the first
// with an active port. The error of a search that found nothing lists what there
// is and says what to do.
func FindDevice(sysfs, name string) (Device, error) {
	devices, err := Devices(sysfs)
	if err != nil {
		return Device{}, err
	}
	var unread error
	for _, d := range devices {
		switch {
		case d.Name == name:
			return d, d.Err
		case name == "" && d.Err == nil && d.Active():
			return d, nil
		case unread == nil:
			unread = d.Err
		}
	}
	if name == "" && unread != nil {
		return Device{}, unread
	}
	e := &Error{Op: "find", Object: "device " + name, Remedy: remedyLoad, lacks: true}
	switch {
	case len(devices) == 0:
		e.Object = strings.TrimSpace(e.Object)
		e.reason = errors.New("this host has no RDMA device")
	case name != "":
		e.reason = fmt.Errorf("no RDMA device has this name; there is %s", describe(devices))
		e.Remedy = "choose one of these"
	default:
		e.Object = "device with an active port"
		e.reason = fmt.Errorf("there is only %s", describe(devices))
		e.Remedy = remedyPortDown
	}
	return Device{}, e
}

func describe(devices []Device) string {
	var list []string
	for _, d := range devices {
		var states []string
		for _, p := range d.Ports {
			states = append(states, fmt.Sprintf("port %d %v", p.Number, p.State))
		}
		if d.Err != nil {
			states = append(states, "not all of it can be read")
		}
		list = append(list, fmt.Sprintf("%s (%s)", d.Name, strings.Join(states, ", ")))
	}
	return strings.Join(list, ", ")
}

// readDevice fails where there is no such device; what of it cannot be read is its Err.
func readDevice(sysfs, name string) (Device, error) {
	dir := filepath.Join(sysfs, "class/infiniband", name)
	if _, err := os.Stat(dir); err != nil {
		return Device{}, err
	}
	d := Device{Name: name, sysfs: sysfs}
	var failed []error
	keep := func(what string, err error) {
		if err != nil {
			failed = append(failed, newSysfsError(what, err))
		}
	}
	label := "device " + name + " in sysfs"
	var err error
	d.Driver, d.NetDev, err = driverOf(dir)
	keep(label, err)
	d.Uverbs, d.ABI, err = findUverbs(sysfs, name)
	keep(label, err)
	ports, err := os.ReadDir(filepath.Join(dir, "ports"))
	keep(label, unlessAbsent(err))
	for _, entry := range ports {
		port, err := readPort(filepath.Join(dir, "ports", entry.Name()))
		if keep("port "+entry.Name()+" of "+label, err); err == nil {
			d.Ports = append(d.Ports, port)
		}
	}
	slices.SortFunc(d.Ports, func(a, b Port) int { return a.Number - b.Number })
	if d.Err = errors.Join(failed...); d.Err != nil {
		if _, err := os.Stat(dir); err != nil {
			return Device{}, err // it was removed meanwhile
		}
	}
	return d, nil
}

// descriptionSIW is the node description of every soft-iWARP device (SIW_NODE_DESC_COMMON, drivers/infiniband/sw/siw/siw.h), which nobody
// can change: the driver has no modify_device.
const descriptionSIW = "Software iWARP stack"

// driverOf is the driver of a device in sysfs, and the netdev of a soft-RoCE device. The link device says nothing of those that are
// made over a netdev: there is none over a veth pair, and it is the network card's own otherwise.
func driverOf(dir string) (driver, netdev string, err error) {
	// Of soft-RoCE it is the attribute parent that rxe alone has (parent_show, rxe_verbs.c).
	netdev, err = readLine(filepath.Join(dir, "parent"))
	if err == nil {
		return DriverRxe, netdev, nil
	}
	if err := unlessAbsent(err); err != nil {
		return "", "", err
	}
	description, err := readLine(filepath.Join(dir, "node_desc"))
	if err := unlessAbsent(err); err != nil {
		return "", "", err
	}
	if description == descriptionSIW {
		return DriverSIW, "", nil
	}
	if link, err := os.Readlink(filepath.Join(dir, "device/driver")); err == nil {
		driver = filepath.Base(link)
	}
	return driver, "", nil
}

// unlessAbsent drops the error of an attribute that there need not be.
func unlessAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	return err
}

// findUverbs looks for the character device whose ibdev is name.
func findUverbs(sysfs, name string) (uverbs string, abi int, err error) {
	class := filepath.Join(sysfs, "class/infiniband_verbs")
	entries, err := os.ReadDir(class)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", 0, err
	}
	for _, entry := range entries {
		dir := filepath.Join(class, entry.Name())
		ibdev, err := readLine(filepath.Join(dir, "ibdev"))
		if err := unlessAbsent(err); err != nil {
			return "", 0, err
		}
		if ibdev != name {
			continue // or abi_version of the class itself, which has no ibdev
		}
		abi, err := readNumber(filepath.Join(dir, "abi_version"))
		return entry.Name(), abi, err
	}
	return "", 0, nil
}

func readPort(dir string) (Port, error) {
	number, err := strconv.ParseUint(filepath.Base(dir), 10, 8)
	if err != nil {
		return Port{}, err
	}
	if number == 0 {
		return Port{}, errors.New("port 0: they are counted from 1")
	}
	p := Port{Number: int(number)}
	state, err := readLine(filepath.Join(dir, "state")) // "4: ACTIVE"
	if err != nil {
		return Port{}, err
	}
	value, _, _ := strings.Cut(state, ":")
	n, err := strconv.ParseUint(value, 10, 8)
	if err != nil {
		return Port{}, fmt.Errorf("port state %q: %w", state, err)
	}
	p.State = PortState(n)
	if phys, err := readLine(filepath.Join(dir, "phys_state")); err == nil { // "5: LinkUp"
		_, p.PhysState, _ = strings.Cut(phys, ": ")
	}
	if p.LinkLayer, err = readLine(filepath.Join(dir, "link_layer")); err != nil {
		return Port{}, err
	}
	if p.LinkLayer == infiniBand {
		p.LID, err = readLID(filepath.Join(dir, "lid"))
	}
	return p, err
}

// infiniBand is a link layer.
const infiniBand = "InfiniBand"

// readLID reads a number such as 0x4.
func readLID(path string) (uint16, error) {
	text, err := readLine(path)
	if err != nil {
		return 0, err
	}
	lid, err := strconv.ParseUint(text, 0, 16)
	return uint16(lid), err
}

func readLine(path string) (string, error) {
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

func readNumber(path string) (int, error) {
	text, err := readLine(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err
}
