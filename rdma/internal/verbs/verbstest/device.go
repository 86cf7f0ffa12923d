// Package verbstest holds backends of package verbs to its contract: [Run] is the
// suite that every one of them passes. [Device] is one in memory, which passes too:
// it stands for a device in tests of what is above the seam, and broken on purpose,
// it shows that the suite can fail.
package verbstest

import (
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// Device is an RDMA device in memory, with one port. Its queue pairs reach each
// other by number and carry requests out as they are posted, unless the peer is not
// connected: then requests wait. The zero value is ready.
type Device struct {
	// Before is called before each request of the kind that asks a kernel, with
	// the method's name. It may block, and an error is the request's.
	Before func(method string) error

	mu      sync.Mutex
	next    uint32
	removed bool
	down    bool // its port
	users   []*opened
	pds     map[verbs.Handle]int // with the number of users
	mrs     map[verbs.Handle]*region
	mws     map[verbs.Handle]*window
	cqs     map[*cq]int
	srqs    map[*srq]int
	ahs     map[verbs.Handle]bool
	qps     map[uint32]*qp
}

type region struct {
	pd     verbs.Handle
	mem    []byte
	access verbs.Access
	key    uint32
}

// Open opens the device. All who have it open share its numbers.
func (d *Device) Open() verbs.Backend {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pds == nil {
		d.pds, d.mrs = map[verbs.Handle]int{}, map[verbs.Handle]*region{}
		d.cqs, d.qps, d.srqs = map[*cq]int{}, map[uint32]*qp{}, map[*srq]int{}
		d.ahs, d.mws = map[verbs.Handle]bool{}, map[verbs.Handle]*window{}
	}
	o := &opened{device: d}
	d.users = append(d.users, o)
	return o
}

// Remove takes the device from its users.
func (d *Device) Remove() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.removed = true
	clear(d.pds)
	clear(d.mrs)
	clear(d.cqs)
	clear(d.qps)
	clear(d.srqs)
	clear(d.ahs)
	clear(d.mws)
}

// Held is how many objects live.
func (d *Device) Held() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.pds) + len(d.mrs) + len(d.cqs) + len(d.qps) + len(d.srqs) + len(d.ahs) + len(d.mws)
}

// ask begins every request; its caller unlocks.
func (d *Device) ask(method string) error {
	var err error
	if d.Before != nil {
		err = d.Before(method)
	}
	d.mu.Lock()
	if d.removed {
		return unix.EIO
	}
	return err
}

// number is for a new object.
func (d *Device) number() uint32 {
	d.next++
	return d.next
}

// opened is a Device with what one user has of it.
type opened struct {
	device *Device
	own    []func() // how to drop what was made and may be gone, newest last
	told   []verbs.Event
}

func (o *opened) QueryDevice() (verbs.DeviceAttr, error) {
	err := o.device.ask("QueryDevice")
	defer o.device.mu.Unlock()
	if err != nil {
		return verbs.DeviceAttr{}, err
	}
	return verbs.DeviceAttr{MaxDestRDAtomic: depth, MaxRDAtomic: depth}, nil
}

func (o *opened) QueryPort(port uint8) (verbs.PortAttr, error) {
	err := o.device.ask("QueryPort")
	defer o.device.mu.Unlock()
	if err == nil && port != 1 {
		err = unix.EINVAL
	}
	if err != nil {
		return verbs.PortAttr{}, err
	}
	attr := verbs.PortAttr{State: verbs.PortActive, ActiveMTU: 3}
	if o.device.down {
		attr.State = verbs.PortDown
	}
	return attr, nil
}

func (o *opened) AllocPD() (verbs.Handle, error) {
	d := o.device
	err := d.ask("AllocPD")
	defer d.mu.Unlock()
	if err != nil {
		return 0, err
	}
	pd := verbs.Handle(d.number())
	d.pds[pd] = 0
	o.own = append(o.own, func() { delete(d.pds, pd) })
	return pd, nil
}

// ending is what the end of an object answers that others may use.
func ending(failed error, users int, there bool) error {
	switch {
	case failed != nil:
		return failed
	case !there:
		return unix.EINVAL
	case users > 0:
		return unix.EBUSY
	}
	return nil
}

func (o *opened) DeallocPD(pd verbs.Handle) error {
	d := o.device
	err := d.ask("DeallocPD")
	defer d.mu.Unlock()
	users, there := d.pds[pd]
	if err := ending(err, users, there); err != nil {
		return err
	}
	delete(d.pds, pd)
	return nil
}

func (o *opened) RegisterMR(pd verbs.Handle, mem []byte, access verbs.Access) (verbs.MR, error) {
	d := o.device
	err := d.ask("RegisterMR")
	defer d.mu.Unlock()
	if _, ok := d.pds[pd]; err == nil && (!ok || access&verbs.AccessRemoteWrite != 0 && access&verbs.AccessLocalWrite == 0) {
		err = unix.EINVAL
	}
	if err == nil {
		err = reach(mem, access&(verbs.AccessLocalWrite|verbs.AccessRemoteWrite) != 0)
	}
	if err != nil {
		return verbs.MR{}, err
	}
	key := d.number()
	mr := verbs.MR{Handle: verbs.Handle(key), LKey: key, RKey: key}
	d.pds[pd]++
	d.mrs[mr.Handle] = &region{pd, mem, access, key}
	o.own = append(o.own, func() { d.dropMR(mr.Handle) })
	return mr, nil
}

func (o *opened) RegisterMRs(pd verbs.Handle, mems [][]byte, access verbs.Access, into []verbs.MR) (int, error) {
	return verbs.EachOf(mems, into, func(mem []byte) (verbs.MR, error) { return o.RegisterMR(pd, mem, access) })
}

// RegisterDMABuf is of a device that registers none.
func (o *opened) RegisterDMABuf(verbs.Handle, int, uint64, verbs.Access) (verbs.MR, error) {
	defer o.device.mu.Unlock()
	if err := o.device.ask("RegisterDMABuf"); err != nil {
		return verbs.MR{}, err
	}
	return verbs.MR{}, unix.EOPNOTSUPP
}

// reach is EFAULT if the process cannot read every page of mem, or write it.
func reach(mem []byte, write bool) error {
	var page [1]byte
	local := []unix.Iovec{{Base: &page[0], Len: 1}}
	size := uint64(unix.Getpagesize())
	first := verbs.AddressOf(mem)
	for at := first; at < first+uint64(len(mem)); at = at&^(size-1) + size {
		remote := []unix.RemoteIovec{{Base: uintptr(at), Len: 1}}
		_, err := unix.ProcessVMReadv(unix.Getpid(), local, remote, 0)
		if err == nil && write {
			_, err = unix.ProcessVMWritev(unix.Getpid(), local, remote, 0)
		}
		if err != nil {
			return unix.EFAULT
		}
	}
	return nil
}

func (o *opened) DeregisterMR(mr verbs.Handle) error {
	d := o.device
	err := d.ask("DeregisterMR")
	defer d.mu.Unlock()
	if err == nil {
		err = ending(nil, d.windowsOf(mr), d.mrs[mr] != nil)
	}
	if err == nil {
		d.dropMR(mr)
	}
	return err
}

func (d *Device) dropMR(mr verbs.Handle) {
	if r := d.mrs[mr]; r != nil {
		d.pds[r.pd]--
		delete(d.mrs, mr)
	}
}

func (o *opened) Close() error {
	if o.device.Before != nil {
		if err := o.device.Before("Close"); err != nil {
			return err
		}
	}
	o.device.mu.Lock()
	defer o.device.mu.Unlock()
	for _, drop := range slices.Backward(o.own) {
		drop()
	}
	o.device.users = slices.DeleteFunc(o.device.users, func(other *opened) bool { return other == o })
	return nil
}

func (o *opened) CreateAH(pd verbs.Handle, to verbs.AH) (verbs.Handle, error) {
	d := o.device
	err := d.ask("CreateAH")
	defer d.mu.Unlock()
	if _, domain := d.pds[pd]; err == nil && (!domain || to.Port != 1) {
		err = unix.EINVAL
	}
	if err != nil {
		return 0, err
	}
	ah := verbs.Handle(d.number())
	d.ahs[ah] = true
	o.own = append(o.own, func() { delete(d.ahs, ah) })
	return ah, nil
}

func (o *opened) DestroyAH(ah verbs.Handle) error {
	d := o.device
	err := d.ask("DestroyAH")
	defer d.mu.Unlock()
	if err == nil && !d.ahs[ah] {
		err = unix.EINVAL
	}
	if err == nil {
		delete(d.ahs, ah)
	}
	return err
}
