package rdma

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Context is an open device. It owns every object made from it: closing the
// context closes them all.
//
// All objects may be used by several goroutines at once. They may be closed in
// any order and any number of times. Closing an object that others still need,
// such as a PD before its MRs, defers its end until the last of them is closed;
// an error of that deferred end is returned by the Close that caused it.
type Context struct {
	device  Device
	backend backend

	mu      sync.Mutex
	closed  bool
	objects []*object
}

// object is the life of a verbs object. Context.mu guards it.
type object struct {
	ctx     *Context
	label   string
	needs   []*object
	users   int
	closed  bool
	destroy func() error
}

const deviceNodes = "/dev/infiniband"

// Open opens a device found by [Devices] or [FindDevice].
//
// A process that changes its credentials cannot use devices, not even one that it
// opens afterwards, because in Go every thread then has its own: EACCES. Start the
// process with the credentials it shall have.
func Open(d Device) (*Context, error) {
	label := "device " + d.Name
	if d.Uverbs == "" {
		return nil, &Error{Op: "open", Object: label, lacks: true,
			reason: errors.New("it has no uverbs device"), Remedy: "load the module: modprobe ib_uverbs"}
	}
	if d.Driver != DriverRxe {
		return nil, &Error{Op: "open", Object: label, lacks: true,
			reason: errors.New("its queues are known to the driver " + d.Driver + " only"),
			Remedy: "choose a soft-RoCE device, or make one: umemstress soft-roce up"}
	}
	b, err := openUverbs(filepath.Join(deviceNodes, d.Uverbs))
	if err != nil {
		return nil, newOpenError(label, err)
	}
	return &Context{device: d, backend: b}, nil
}

// Device returns what was opened, as it was then.
func (c *Context) Device() Device { return c.device }

// Alive returns nil while the device exists and an error with [ErrDeviceGone] in
// its chain once it was removed or is about to be. It costs two system calls:
// for a wait that takes too long, not for every poll.
//
// It is needed because a removed device may stay silent. rdma_rxe cannot be
// taken from its users: deleting its link waits until they close, so requests
// neither fail nor give an event, and at most traffic stops. What the kernel
// does first, in every version, is to take the uverbs device out of sysfs.
// Drivers that can leave their users report IB_EVENT_DEVICE_FATAL instead.
func (c *Context) Alive() error {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return closedError("use", "device "+c.device.Name)
	}
	_, err := os.Lstat(filepath.Join(c.device.sysfs, "class/infiniband_verbs", c.device.Uverbs))
	if err != nil || c.backend.fatal() {
		return newError("use", "device "+c.device.Name, unix.ENODEV)
	}
	return nil
}

// Close closes the device and all that is left of it. Memory regions are
// unpinned when it returns.
func (c *Context) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	var errs []error
	for len(c.objects) > 0 {
		// Needs are made before their users, so the newest has none left.
		errs = append(errs, c.end(c.objects[len(c.objects)-1])...)
	}
	if err := c.backend.close(); err != nil {
		errs = append(errs, newError("close", "device "+c.device.Name, err))
	}
	return errors.Join(errs...)
}

// create runs make, unless the context or a needed object is closed, and adopts
// what it made. A context that is closed at the same time waits.
func (c *Context) create(label string, needs []*object, destroy func() error, make func() error) (*object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, closedError("create", label+" on device "+c.device.Name)
	}
	for _, n := range needs {
		if n.closed {
			return nil, closedError("create", label+": "+n.label)
		}
	}
	if err := make(); err != nil {
		return nil, err
	}
	o := &object{ctx: c, label: label, needs: needs, destroy: destroy}
	for _, n := range needs {
		n.users++
	}
	c.objects = append(c.objects, o)
	return o, nil
}

// close ends the object, now or when its last user ends.
func (o *object) close() error {
	o.ctx.mu.Lock()
	defer o.ctx.mu.Unlock()
	if o.closed {
		return nil
	}
	o.closed = true
	if o.users > 0 {
		return nil
	}
	return errors.Join(o.ctx.end(o)...)
}

// end destroys an object without users, and what only waited for it.
func (c *Context) end(o *object) []error {
	o.closed = true
	i := slices.Index(c.objects, o)
	c.objects = slices.Delete(c.objects, i, i+1)
	var errs []error
	err := o.destroy()
	// A removed device has destroyed its objects already.
	if err != nil && !errors.Is(err, unix.EIO) {
		errs = append(errs, newError("close", o.label, err))
	}
	for _, n := range o.needs {
		n.users--
		if n.closed && n.users == 0 {
			errs = append(errs, c.end(n)...)
		}
	}
	return errs
}
