package rdma

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// object is the life of a verbs object. Context.mu guards it. There may be 100,000 of them: what each
// takes is memory of the process, and none may cost more because there are others.
type object struct {
	ctx    *Context
	label  label
	needs  []*object
	users  int // objects that need it, and those that are being made
	closed bool
	ending bool // out of the context's list, for one goroutine to destroy
	ended  bool // that is done
	what   destroyer

	older, newer *object // in the context's list
}

// destroyer is what an object is the life of. An interface and no closure: what it is may have its object in itself,
// so that both are one piece of memory.
type destroyer interface{ destroy() error }

// destruction is one of which nothing else is known.
type destruction func() error

func (d destruction) destroy() error { return d() }

// label is what errors call an object. It is put into words when there is one.
type label struct {
	text string // with %d for n, or without
	n    int
}

func (l label) String() string { return strings.Replace(l.text, "%d", strconv.Itoa(l.n), 1) }

// objectList has them in the order in which they were made.
type objectList struct{ newest *object }

func (l *objectList) add(o *object) {
	if o.older = l.newest; o.older != nil {
		o.older.newer = o
	}
	l.newest = o
}

func (l *objectList) remove(o *object) {
	if o.newer != nil {
		o.newer.older = o.older
	} else {
		l.newest = o.older
	}
	if o.older != nil {
		o.older.newer = o.newer
	}
	o.older, o.newer = nil, nil
}

// close ends the object, now or when its last user ends.
func (o *object) close() error { return o.ctx.closeAll(o) }

// closeAll is close of objects of this context, which takes over the list. The lock is taken as often as for one.
func (c *Context) closeAll(objects ...*object) error {
	c.mu.Lock()
	mine := objects[:0]
	var others []*object // that somebody else is destroying
	for _, o := range objects {
		switch {
		case o.ending:
			others = append(others, o)
		case o.closed: // by its last user
		default:
			if o.closed = true; o.users == 0 {
				c.take(o)
				mine = append(mine, o)
			}
		}
	}
	c.busy++
	c.mu.Unlock()
	errs := c.end(mine...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left() // before it waits: a context that is closed does not wait for who waits for it
	for _, o := range others {
		for !o.ended {
			c.idle.Wait()
		}
	}
	return errors.Join(errs...)
}

// take gives an object to the caller to end, who holds the lock.
func (c *Context) take(o *object) {
	o.ending = true
	c.objects.remove(o)
}

// end destroys objects that have no users, and then what only waited for them.
func (c *Context) end(objects ...*object) (errs []error) {
	if len(objects) == 0 {
		return nil
	}
	for _, o := range objects {
		err := o.what.destroy()
		// A removed device has destroyed its objects already.
		if err != nil && !errors.Is(err, unix.EIO) {
			errs = append(errs, newError("close", o.label.String(), err))
		}
	}
	var last []*object
	c.mu.Lock()
	for _, o := range objects {
		o.ended = true
		last = append(last, c.lose(o.needs)...)
	}
	c.idle.Broadcast()
	c.mu.Unlock()
	return append(errs, c.end(last...)...)
}

// lose takes a user from each of the objects, and those that this leaves to be
// ended, for who holds the lock.
func (c *Context) lose(needs []*object) (last []*object) {
	for _, n := range needs {
		n.users--
		if n.closed && n.users == 0 && !n.ending {
			c.take(n)
			last = append(last, n)
		}
	}
	return last
}
