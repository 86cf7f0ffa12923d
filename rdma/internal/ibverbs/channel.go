package ibverbs

import (
	"errors"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// CreateEventCQ makes a queue whose channel nobody else uses: it goes with the queue.
func (b *backend) CreateEventCQ(entries uint32) (verbs.EventCQ, error) {
	l := b.library
	if b.context.ReqNotifyCQ == 0 {
		return nil, unix.EOPNOTSUPP
	}
	channel, err := l.make(l.createChannel, b.address)
	if err != nil {
		return nil, err
	}
	if at[compChannel](channel).Context != b.address {
		return nil, unix.EPROTO // not destroyed: who knows what it is
	}
	var q *cq
	if err = unix.SetNonblock(int(at[compChannel](channel).FD), true); err == nil {
		q, err = b.createCQ(entries, channel)
	}
	if err != nil {
		return nil, errors.Join(err, l.do(l.destroyChannel, channel))
	}
	q.channel = channel
	return q, nil
}

func (q *cq) EventFD() int { return int(at[compChannel](q.channel).FD) }

// Arm acknowledges each event, which destroying the queue waits for.
func (q *cq) Arm() error {
	b := q.backend
	for {
		status, errno := b.takeEvent(q.channel)
		switch {
		case status == 0, errno == unix.EINTR:
		case errno == unix.EAGAIN:
			const any = 0 // not only solicited ones
			if status := int32(callC(b.context.ReqNotifyCQ, q.address, any)); status != 0 {
				return noSilence(statusErrno(status))
			}
			return nil
		default:
			return noSilence(errno)
		}
	}
}

// takeEvent takes an event from a channel, and acknowledges it.
func (b *backend) takeEvent(channel uintptr) (status int32, errno unix.Errno) {
	var out struct{ queue, context uintptr }
	lend(&out, func(address uintptr) {
		var result uintptr
		result, errno = b.library.call(b.library.getCQEvent, channel, address, address+sizeOf[uintptr](1))
		status = int32(result)
	})
	if status == 0 {
		callC(b.library.ackCQEvents, out.queue, 1)
	}
	return status, errno
}
