package rdma

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

var (
	// ErrPortDown is in the chain when a port that queue pairs are connected through went down.
	ErrPortDown = errors.New("the port went down while it was in use")

	// ErrBrokeDown is in the chain when the device told that a queue or a queue pair broke down.
	ErrBrokeDown = errors.New("the device tells that it broke down")
)

// told is what a device has told of by asynchronous events.
type told struct {
	fatal bool            // of its own end
	down  map[uint8]bool  // ports
	used  map[uint8]bool  // ports that queue pairs were connected through
	broke map[string]bool // what broke down, in words
}

// Alive returns nil while the device can carry what it is asked for. It costs two or three system calls:
// for a wait that takes too long, not for every poll. The errors have in their chain
//
//   - [ErrDeviceGone], once the device was removed or is about to be
//   - [ErrPortDown], while a port is down that a queue pair was connected through
//   - [ErrBrokeDown], once the device has told that a queue or a queue pair broke down
//
// It is needed because a removed device may stay silent. rdma_rxe cannot be
// taken from its users: deleting its link waits until they close, so requests
// neither fail nor give an event, and at most traffic stops. What the kernel
// does first, in every version, is to take the uverbs device out of sysfs.
// Drivers that can leave their users report IB_EVENT_DEVICE_FATAL instead.
func (c *Context) Alive() error {
	if !c.enter() {
		return closedError("use", "device "+c.device.Name)
	}
	defer c.leave()
	_, err := os.Lstat(filepath.Join(c.device.sysfs, "class/infiniband_verbs", c.device.Uverbs))
	c.takeEvents()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		return newError("use", "device "+c.device.Name, unix.ENODEV)
	}
	return c.told.trouble(c.device)
}

// takeEvents takes all events that are there. Drivers that tell of their end may go on to do so.
func (c *Context) takeEvents() {
	for {
		e, ok := c.backend.NextEvent()
		if !ok {
			return
		}
		c.mu.Lock()
		c.told.take(e)
		c.mu.Unlock()
		if e.Type == verbs.EventDeviceFatal {
			return
		}
	}
}

// use notes that traffic goes through a port.
func (t *told) use(port int) {
	if t.used == nil {
		t.used = map[uint8]bool{}
	}
	t.used[uint8(port)] = true
}

func (t *told) take(e verbs.Event) {
	if t.down == nil {
		t.down, t.broke = map[uint8]bool{}, map[string]bool{}
	}
	switch e.Type {
	case verbs.EventDeviceFatal:
		t.fatal = true
	case verbs.EventPortError:
		t.down[e.Port] = true
	case verbs.EventPortActive:
		delete(t.down, e.Port)
	case verbs.EventCQError:
		t.broke["a completion queue, which may have lost completions"] = true
	case verbs.EventSRQError:
		t.broke["a shared receive queue"] = true
	case verbs.EventQPFatal, verbs.EventQPRequest, verbs.EventQPAccess:
		t.broke[fmt.Sprintf("queue pair %d (%s)", e.QPN, qpEvents[e.Type])] = true
	}
}

// qpEvents are what a queue pair can have broken down of.
var qpEvents = map[verbs.EventType]string{
	verbs.EventQPFatal:   "fatal error",
	verbs.EventQPRequest: "its peer sent what is malformed",
	verbs.EventQPAccess:  "its peer may not do what it asked for",
}

// trouble is why traffic cannot go on; nil: nothing was told.
func (t *told) trouble(d Device) error {
	if t.fatal {
		return &Error{Op: "use", Object: "device " + d.Name, lacks: true, reason: ErrDeviceGone,
			Remedy: "it has told of a fatal error, or of its removal: look at the kernel's log for why, and start over once it is back"}
	}
	for _, port := range slices.Sorted(maps.Keys(t.used)) {
		if t.down[port] {
			return &Error{Op: "use", Object: portLabel(d, int(port)), lacks: true, reason: ErrPortDown, Remedy: remedyPortDown}
		}
	}
	for _, what := range slices.Sorted(maps.Keys(t.broke)) {
		return &Error{Op: "use", Object: what + " on device " + d.Name, reason: ErrBrokeDown, Remedy: "look at the kernel's log for why, and start over"}
	}
	return nil
}
