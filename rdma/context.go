package rdma

import (
	"errors"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

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

	mu      sync.Mutex // never held while the backend is asked
	idle    sync.Cond  // of mu: busy is 0, or ended
	busy    int        // calls that need the backend open
	closed  bool       // nothing new
	ended   bool       // Close is done
	objects []*object  // without those that are being destroyed
	told    told       // what the device has told of
}

// object is the life of a verbs object. Context.mu guards it.
type object struct {
	ctx     *Context
	label   string
	needs   []*object
	users   int // objects that need it, and those that are being made
	closed  bool
	ending  bool          // out of the context's list, for one goroutine to destroy
	ended   chan struct{} // closed when that is done
	destroy func() error
}

func newContext(d Device, b verbs.Backend) *Context {
	c := &Context{device: d, backend: b}
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
	objects := c.objects
	c.objects = nil
	for _, o := range objects {
		o.closed, o.ending = true, true
	}
	c.mu.Unlock()

	var errs []error
	// Needs are made before their users, so the newest has none left.
	for _, o := range slices.Backward(objects) {
		errs = append(errs, c.end(o)...)
	}
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
func (c *Context) create(label string, needs []*object, destroy func() error, request func() error) (*object, error) {
	if err := c.reserve(label, needs); err != nil {
		return nil, err
	}
	if err := request(); err != nil {
		if errs := c.release(needs); len(errs) > 0 {
			err = errors.Join(append([]error{err}, errs...)...)
		}
		return nil, err
	}
	o := &object{ctx: c, label: label, needs: needs, destroy: destroy, ended: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.objects = append(c.objects, o)
	c.left()
	return o, nil
}

// reserve counts an object that is to be made as a user of what it needs.
func (c *Context) reserve(label string, needs []*object) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return closedError("create", label+" on device "+c.device.Name)
	}
	for _, n := range needs {
		if n.closed {
			return closedError("create", label+": "+n.label)
		}
	}
	for _, n := range needs {
		n.users++
	}
	c.busy++
	return nil
}

// release takes back what reserve did, and ends what waited for it.
func (c *Context) release(needs []*object) []error {
	defer c.leave()
	return c.endAll(c.lose(needs))
}

// close ends the object, now or when its last user ends.
func (o *object) close() error {
	c := o.ctx
	c.mu.Lock()
	if o.closed {
		ending := o.ending
		c.mu.Unlock()
		if ending {
			<-o.ended
		}
		return nil
	}
	o.closed = true
	if o.users > 0 {
		c.mu.Unlock()
		return nil
	}
	c.take(o)
	c.busy++
	c.mu.Unlock()
	defer c.leave()
	return errors.Join(c.end(o)...)
}

// take gives an object to the caller to end, who holds the lock.
func (c *Context) take(o *object) {
	o.ending = true
	i := slices.Index(c.objects, o)
	c.objects = slices.Delete(c.objects, i, i+1)
}

// end destroys an object that has no users, and what only waited for it.
func (c *Context) end(o *object) []error {
	var errs []error
	err := o.destroy()
	// A removed device has destroyed its objects already.
	if err != nil && !errors.Is(err, unix.EIO) {
		errs = append(errs, newError("close", o.label, err))
	}
	close(o.ended)
	return append(errs, c.endAll(c.lose(o.needs))...)
}

// lose takes a user from each of the objects, and those that this leaves to be
// ended.
func (c *Context) lose(needs []*object) (last []*object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range needs {
		n.users--
		if n.closed && n.users == 0 && !n.ending {
			c.take(n)
			last = append(last, n)
		}
	}
	return last
}

func (c *Context) endAll(objects []*object) (errs []error) {
	for _, o := range objects {
		errs = append(errs, c.end(o)...)
	}
	return errs
}
