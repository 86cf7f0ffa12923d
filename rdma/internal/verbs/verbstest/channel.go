package verbstest

import (
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

func (o *opened) CreateEventCQ(entries uint32) (verbs.EventCQ, error) {
	q, err := o.createCQ(entries)
	if err == nil {
		q.event, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	}
	if err != nil {
		return nil, err
	}
	return q, nil
}

func (q *cq) EventFD() int { return q.event }

func (q *cq) Arm() error {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	if q.device.removed {
		return unix.EIO
	}
	var count [8]byte
	_, _ = unix.Read(q.event, count[:]) // EAGAIN where there is no event
	q.armed = true
	return nil
}

// add is of a completion that has come. One that finds no room is lost.
func (q *cq) add(c verbs.Completion) {
	if len(q.waiting) == q.room {
		q.device.tell(verbs.Event{Type: verbs.EventCQError})
		return
	}
	q.waiting = append(q.waiting, c)
	if q.armed {
		q.armed = false
		_, _ = unix.Write(q.event, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// drop is of a queue that is gone.
func (q *cq) drop() {
	delete(q.device.cqs, q)
	if q.event >= 0 {
		_ = unix.Close(q.event)
		q.event = -1
	}
}
