package ibverbs

import (
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// NextEvent acknowledges the event that it takes: destroying what it is of waits for that. That there can be no
// more is the device's end, too.
func (b *backend) NextEvent() (verbs.Event, bool) {
	b.events.Lock()
	defer b.events.Unlock()
	for {
		e, status, errno := b.takeAsyncEvent()
		switch {
		case status == 0:
			return e, true
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return verbs.Event{}, false
		default:
			return verbs.Event{Type: verbs.EventDeviceFatal}, true
		}
	}
}

func (b *backend) takeAsyncEvent() (e verbs.Event, status int32, errno unix.Errno) {
	var told asyncEvent
	lend(&told, func(address uintptr) {
		var result uintptr
		result, errno = b.library.call(b.library.getAsyncEvent, b.address, address)
		if status = int32(result); status == 0 {
			e = eventOf(&told) // what it is of may be gone afterwards
			callC(b.library.ackAsyncEvent, address)
		}
	})
	return e, status, errno
}

// eventOf names the port or the queue pair that an event is of.
func eventOf(told *asyncEvent) verbs.Event {
	e := verbs.Event{Type: verbs.EventType(told.EventType)}
	switch {
	case e.Type.OfPort():
		e.Port = uint8(told.Element)
	case e.Type.OfQP():
		e.QPN = at[queuePair](uintptr(told.Element)).QPNum
	}
	return e
}
