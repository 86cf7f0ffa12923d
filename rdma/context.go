package rdma

import (
	"errors"
	"sync"

	"umemstress/rdma/internal/verbs"
)

// Context is an open device. It owns every object made from it: closing the
// context closes them all.
//
// All objects may be used by several goroutines at once. They may be closed in
// any order and any number of times. Closing an object that others still need,
// such as a PD before its MRs, defers its end until the last of them is closed;
// an error of that deferred end is returned by the Close that caused it. Nobody
// waits for what another goroutine asks of the kernel, except a Close for the end
// of the same object, and the context's Close for everything.
type Context struct {
	device  Device
	backend verbs.Backend
	attr    func() (verbs.DeviceAttr, error) // what the device has; asked once

	mu      sync.Mutex // never held while the backend is asked
	idle    sync.Cond  // of mu: busy is 0, or ended
	busy    int        // calls that need the backend open
	closed  bool       // nothing new
	ended   bool       // Close is done
	objects objectList // without those that are being destroyed
	told    told       // what the device has told of
}

func newContext(d Device, b verbs.Backend) *Context {
	c := &Context{device: d, backend: b, attr: sync.OnceValues(b.QueryDevice)}
	c.idle.L = &c.mu
	return c
}

// Device returns what was opened, as it was then.
func (c *Context) Device() Device { return c.device }

// enter keeps the backend open until leave, unless it is closed.
func (c *Context) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.busy++
	return true
}

func (c *Context) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left()
}

// left is leave for who holds the lock.
func (c *Context) left() {
	if c.busy--; c.busy == 0 {
		c.idle.Broadcast()
	}
}

// Close closes the device and all that is left of it. Memory regions are
// unpinned when it returns.
func (c *Context) Close() error {
	c.mu.Lock()
	if c.closed { // by another goroutine, perhaps a moment ago
		for !c.ended {
			c.idle.Wait()
		}
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	for c.busy > 0 {
		c.idle.Wait()
	}
	var left []*object
	for o := c.objects.newest; o != nil; o = o.older {
		o.closed, o.ending = true, true
		left = append(left, o)
	}
	c.objects = objectList{}
	c.mu.Unlock()

	// Needs stand before their users, so the newest has none left.
	errs := c.end(left...)
	if err := c.backend.Close(); err != nil {
		errs = append(errs, newError("close", "device "+c.device.Name, err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.idle.Broadcast()
	return errors.Join(errs...)
}

// create makes an object by request, unless the context or a needed object is
// closed, and adopts it. While the request is under way, which may be long, what it
// needs does not end, and a context that is closed waits.
func (c *Context) create(label label, needs []*object, destroy func() error, request func() error) (*object, error) {
	o := &object{label: label, needs: needs, what: destruction(destroy)}
	if err := c.begin(o, request); err != nil {
		return nil, err
	}
	return o, nil
}

// begin is create for an object that the caller has made.
func (c *Context) begin(o *object, request func() error) error {
	if err := c.reserve(o.label, o.needs); err != nil {
		return err
	}
	if err := request(); err != nil {
		if errs := c.release(o.needs); len(errs) > 0 {
			err = errors.Join(append([]error{err}, errs...)...)
		}
		return err
	}
	o.ctx = c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.objects.add(o)
	c.left()
	return nil
}

// reserve counts an object that is to be made as a user of what it needs.
func (c *Context) reserve(label label, needs []*object) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return closedError("create", label.String()+" on device "+c.device.Name)
	}
	for _, n := range needs {
		if n.closed {
			return closedError("create", label.String()+": "+n.label.String())
		}
	}
	for _, n := range needs {
		n.users++
	}
	c.busy++
	return nil
}

// need has an object need another one more until it ends, unless that is closed.
func (c *Context) need(o, another *object) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if another.closed {
		return closedError("use", another.label.String())
	}
	another.users++
	o.needs = append(o.needs, another)
	c.objects.remove(o) // what it needs may have been made after it
	c.objects.add(o)
	return nil
}

// release takes back what reserve did, and ends what waited for it.
func (c *Context) release(needs []*object) []error {
	defer c.leave()
	c.mu.Lock()
	last := c.lose(needs)
	c.mu.Unlock()
	return c.end(last...)
}
