package rdma

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// Completion tells how a work request ended. struct ib_uverbs_wc, ib_user_verbs.h.
type Completion struct {
	ID        uint64 // of the request
	Status    Status
	ByteLen   uint32 // of what was read or received; not set for writes
	QPN       uint32 // number of the queue pair
	VendorErr uint32
	WithImm   bool   // what was received has an immediate
	Imm       uint32 // of OpSendImm and OpWriteImm
}

// Err is nil for a request that succeeded.
func (c *Completion) Err() error {
	if c.Status == StatusSuccess {
		return nil
	}
	return &CompletionError{*c}
}

// CompletionError is the error of a request that failed. After the first, its
// queue pair is in the error state and flushes all others (StatusFlushed).
type CompletionError struct{ Completion Completion }

// Error says what became of which request, and what the device's vendor has a code for, if it has one.
func (e *CompletionError) Error() string {
	c := &e.Completion
	text := fmt.Sprintf("request %d on queue pair %d: %v", c.ID, c.QPN, c.Status)
	if c.VendorErr != 0 {
		text += fmt.Sprintf(", vendor error %#x", c.VendorErr)
	}
	return text
}

// Status is the outcome of a work request. enum ib_wc_status, ib_verbs.h.
type Status uint32

// The outcomes that requests and receives of this package can have.
const (
	StatusSuccess         = Status(verbs.StatusSuccess)
	StatusLocalLength     = Status(verbs.StatusLocalLength)     // longer than the local memory
	StatusLocalOperation  = Status(verbs.StatusLocalOperation)  // the local queue pair broke down
	StatusLocalProtection = Status(verbs.StatusLocalProtection) // the local key does not cover the bytes
	StatusFlushed         = Status(verbs.StatusFlushed)         // never tried: the queue pair had failed
	StatusBind            = Status(verbs.StatusBind)            // the region does not let a window be bound so
	StatusLocalAccess     = Status(verbs.StatusLocalAccess)     // the local memory does not permit it
	StatusRemoteInvalid   = Status(verbs.StatusRemoteInvalid)   // the peer found the request malformed
	StatusRemoteAccess    = Status(verbs.StatusRemoteAccess)    // the remote key does not cover the bytes
	StatusRemoteOperation = Status(verbs.StatusRemoteOperation) // the peer broke down
	StatusRetryExceeded   = Status(verbs.StatusRetryExceeded)   // no answer: peer or link is gone
	StatusRNRExceeded     = Status(verbs.StatusRNRExceeded)     // the peer was never ready
	StatusBadResponse     = Status(verbs.StatusBadResponse)     // the peer answered what makes no sense
	StatusRemoteAborted   = Status(verbs.StatusRemoteAborted)   // the peer gave up
	StatusFatal           = Status(verbs.StatusFatal)
	StatusResponseTimeout = Status(verbs.StatusResponseTimeout)
	StatusGeneral         = Status(verbs.StatusGeneral)
)

// statusNames has those, too, of what this package does not ask for: a device that is at fault may say anything.
var statusNames = [...]string{
	StatusSuccess:         "success",
	StatusLocalLength:     "local length error",
	StatusLocalOperation:  "local queue pair operation error",
	StatusLocalProtection: "local protection error",
	StatusFlushed:         "flushed, because the queue pair is in the error state",
	StatusBind:            "memory window bind error",
	StatusLocalAccess:     "local access error",
	StatusRemoteInvalid:   "remote invalid request",
	StatusRemoteAccess:    "remote access error",
	StatusRemoteOperation: "remote operation error",
	StatusRetryExceeded:   "no answer from the remote queue pair (transport retry counter exceeded)",
	StatusRNRExceeded:     "remote queue pair not ready (RNR retry counter exceeded)",
	StatusBadResponse:     "bad response from the remote queue pair",
	StatusRemoteAborted:   "aborted by the remote queue pair",
	StatusFatal:           "fatal error",
	StatusResponseTimeout: "response timeout",
	StatusGeneral:         "general error",

	verbs.StatusLocalEEContext:   "local EE context operation error",
	verbs.StatusLocalRDD:         "local RDD violation error",
	verbs.StatusRemoteRDInvalid:  "remote invalid RD request",
	verbs.StatusInvalidEENumber:  "invalid EE context number",
	verbs.StatusInvalidEEState:   "invalid EE context state",
	verbs.StatusTagMatching:      "tag matching error",
	verbs.StatusTagMatchingShort: "tag matching rendezvous that is not complete",
}

func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "completion status " + strconv.Itoa(int(s))
}

// CQ is a completion queue.
type CQ struct {
	object *object

	mu     sync.Mutex
	queue  verbs.CQ      // nil once destroyed
	events verbs.EventCQ // the same, if it can wake who waits; nil: it cannot
	batch  [16]verbs.Completion
	asked  time.Time // when the device was last known to be alive
}

// maxEntries is what libibverbs takes: ibv_create_cq has an int.
const maxEntries = math.MaxInt32

// CreateCQ makes a completion queue with room for at least entries completions.
// It must hold those of all signaled requests that are under way at once: rdma_rxe
// drops what finds no room.
func (c *Context) CreateCQ(entries int) (*CQ, error) {
	label := label{"completion queue of %d entries", entries}
	if entries < 1 || entries > maxEntries {
		return nil, &Error{Op: "create", Object: label.String(), reason: limitError("entries", entries, 1, maxEntries)}
	}
	return c.createCQ(label, func(cq *CQ) (err error) {
		cq.queue, err = c.backend.CreateCQ(uint32(entries))
		return err
	})
}

// CreateEventCQ makes one with a completion channel: Wait sleeps until the device says that there is a
// completion, where else it looks again and again.
func (c *Context) CreateEventCQ(entries int) (*CQ, error) {
	label := label{"completion queue of %d entries with events", entries}
	if entries < 1 || entries > maxEntries {
		return nil, &Error{Op: "create", Object: label.String(), reason: limitError("entries", entries, 1, maxEntries)}
	}
	return c.createCQ(label, func(cq *CQ) (err error) {
		cq.events, err = c.backend.CreateEventCQ(uint32(entries))
		cq.queue = cq.events
		return err
	})
}

func (c *Context) createCQ(label label, request func(*CQ) error) (*CQ, error) {
	cq := &CQ{asked: time.Now()}
	o, err := c.create(label, nil, cq.destroy, func() error {
		if err := request(cq); err != nil {
			return newCreateCQError(label.String(), err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	cq.object = o
	return cq, nil
}

func newCreateCQError(what string, err error) error {
	e := newError("create", what, err)
	if e.Errno == unix.EINVAL || e.Errno == unix.ENOMEM {
		e.Remedy = "it may be more than the device allows (ibv_devinfo -v has its max_cqe)"
	}
	return e
}

// Poll takes up to len(wc) completions and says how many. It reads shared memory
// and neither blocks nor enters the kernel. That a device was removed shows as
// nothing arriving: ask [Context.Alive] when that lasts, or use Wait.
func (q *CQ) Poll(wc []Completion) (n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.queue == nil {
		return 0, closedError("poll", "completion queue")
	}
	for n < len(wc) {
		batch := q.batch[:min(len(q.batch), len(wc)-n)]
		k, err := q.queue.Poll(batch)
		for i := range k {
			c := &batch[i]
			wc[n+i] = Completion{ID: c.ID, Status: Status(c.Status), ByteLen: c.ByteLen, QPN: c.QPN, VendorErr: c.VendorErr, WithImm: c.WithImm, Imm: networkOrder(c.Imm)}
		}
		n += k
		if err != nil {
			return n, newError("poll", "completion queue", err)
		}
		if k < len(batch) {
			break
		}
	}
	return n, nil
}

// How long Wait does what. A device in hardware answers while it spins. rdma_rxe
// works on the very processors that a spinning waiter would take from it, so it
// soon sleeps; a send queue of the usual depth does not run dry meanwhile. Asking
// whether the device is alive costs a look into sysfs.
const (
	spinTime    = 50 * time.Microsecond
	sleepTime   = 50 * time.Microsecond // the runtime may make it a millisecond
	alivePeriod = 100 * time.Millisecond
)

// Wait is Poll until there is a completion. It returns with an error when ctx is
// done, and when the device was removed or the port is down, which it asks [Context.Alive] now and
// then: kernels that cannot take a device from its users let their traffic go on. What else
// Alive tells ends it once no completion comes: these say more. It allocates nothing between.
//
// Bandwidth over rdma_rxe is best when one completion answers for many requests:
// signal every 64th of a queue of 128, and post 64 with one doorbell.
func (q *CQ) Wait(ctx context.Context, wc []Completion) (int, error) {
	start := time.Now()
	for now := start; ; now = time.Now() {
		trouble := q.askAlive(now)
		if trouble != nil && !errors.Is(trouble, ErrBrokeDown) {
			return 0, trouble
		}
		if n, err := q.Poll(wc); n > 0 || err != nil {
			return n, err
		}
		if err := cmp.Or(trouble, ctx.Err()); err != nil {
			return 0, err
		}
		switch {
		case q.events != nil:
			if n, err := q.sleep(wc); n > 0 || err != nil {
				return n, err
			}
		case now.Sub(start) < spinTime:
			runtime.Gosched()
		default:
			time.Sleep(sleepTime)
		}
	}
}

// sleep waits for an event, unless a completion has come before it was asked for. It holds no lock
// meanwhile, so that the queue can be closed; it then wakes late, and finds that.
func (q *CQ) sleep(wc []Completion) (int, error) {
	fd, err := q.arm()
	if err != nil {
		return 0, err
	}
	if n, err := q.Poll(wc); n > 0 || err != nil {
		return n, err
	}
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds[:], int(alivePeriod.Milliseconds())); err != nil && err != unix.EINTR {
		return 0, newError("wait for", "completion event", err)
	}
	return 0, nil
}

func (q *CQ) arm() (fd int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.queue == nil {
		return -1, closedError("wait for", "completion queue")
	}
	if err := q.events.Arm(); err != nil {
		return -1, newError("arm", "completion queue", err)
	}
	return q.events.EventFD(), nil
}

// askAlive asks Alive unless it did so a short while ago.
func (q *CQ) askAlive(now time.Time) error {
	q.mu.Lock()
	due := now.Sub(q.asked) >= alivePeriod
	if due {
		q.asked = now
	}
	q.mu.Unlock()
	if !due {
		return nil
	}
	return q.object.ctx.Alive()
}

// Close removes the queue, once the queue pairs that use it are closed.
func (q *CQ) Close() error { return q.object.close() }

func (q *CQ) destroy() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	queue := q.queue
	q.queue = nil
	return queue.Destroy()
}
