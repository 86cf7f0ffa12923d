// Package rxe reads and writes the queues that rdma_rxe shares with its users.
//
// A queue is one mmap'd block: a head (struct rxe_queue_buf) and a ring of
// elements, each of 1<<log2_elem_size bytes.
//
//	  0  log2_elem_size   set once by the kernel
//	  4  index_mask       elements-1, a power of two less one; set once
//	128  producer_index   next element to fill; its own cache line
//	256  consumer_index   next element to take; its own cache line
//	384  data             (index_mask+1) << log2_elem_size bytes
//
// Both indices are masked. The ring is empty when they are equal, full when the
// producer stands one behind the consumer, so it holds index_mask elements.
//
//	              send, receive queue    completion queue
//	producer      we; kernel reads       kernel writes, we read
//	consumer      kernel writes, we read we; kernel reads
//
// What makes it sound without a lock:
//   - We store our own index with an atomic store, which orders every earlier
//     write before it: the kernel, which loads the index with acquire, never sees
//     an element that is half filled, nor refills one that we still read.
//   - We load the peer's index with an atomic load, which orders every later
//     read after it: we never read a completion older than the index says, nor
//     fill a request slot that the kernel still works on.
//   - Our own index needs no atomic load: nobody else writes it. A lock above
//     this package keeps two goroutines from being "we" at once.
package rxe

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"

	"umemstress/rdma/internal/uapi"
	"umemstress/rdma/internal/verbs"
)

const headSize = 384

var errLayout = errors.New("this is no queue of rdma_rxe")

// ring is what both kinds of queue share.
type ring struct {
	mem  []byte
	head *uapi.RxeQueueBuf
	mask uint32
	log2 uint32
}

// newRing checks the head against the block's size and the least element size,
// because a driver other than rxe could answer the same requests otherwise.
func newRing(mem []byte, elem int) (ring, error) {
	if len(mem) < headSize {
		return ring{}, fmt.Errorf("%w: %d bytes", errLayout, len(mem))
	}
	head := headOf(mem)
	r := ring{mem: mem, head: head, mask: head.IndexMask, log2: head.Log2ElemSize}
	count := uint64(r.mask) + 1
	if bits.OnesCount64(count) != 1 || r.log2 > 16 || 1<<r.log2 < elem ||
		headSize+count<<r.log2 > uint64(len(mem)) {
		return ring{}, fmt.Errorf("%w: index mask %#x, element size 1<<%d, %d bytes", errLayout, r.mask, r.log2, len(mem))
	}
	return r, nil
}

func (r *ring) next(index, by uint32) uint32 { return (index + by) & r.mask }

// element is the memory of one element.
func (r *ring) element(index uint32) []byte {
	off := headSize + uint64(index&r.mask)<<r.log2
	return r.mem[off : off+1<<r.log2 : off+1<<r.log2]
}

// filled is a ring that we fill: what was put into it becomes visible to the kernel with Publish.
type filled struct {
	ring
	pending uint32
}

// Free is how many elements there is room for.
func (q *filled) Free() int {
	used := q.next(q.head.ProducerIndex, q.pending) - atomic.LoadUint32(&q.head.ConsumerIndex)
	return int(q.mask - used&q.mask)
}

// put gives the next free element; the caller has looked at Free.
func (q *filled) put() []byte {
	elem := q.element(q.next(q.head.ProducerIndex, q.pending))
	q.pending++
	return elem
}

// Publish hands what was put in to the kernel.
func (q *filled) Publish() {
	atomic.StoreUint32(&q.head.ProducerIndex, q.next(q.head.ProducerIndex, q.pending))
	q.pending = 0
}

// SendQueue is the ring of work requests of one queue pair. A doorbell must follow its Publish.
type SendQueue struct {
	filled
	ssn uint32
}

// NewSendQueue reads a mapped send queue of a queue pair that was made for so much.
func NewSendQueue(mem []byte, most verbs.Limits) (*SendQueue, error) {
	r, err := newRing(mem, sendWQESize+max(most.SGEs*sgeSize, int(most.Inline)))
	return &SendQueue{filled: filled{ring: r}}, err
}

// Request is one RDMA WRITE or READ, one atomic operation or one message. The queue has elements that its
// pieces of memory fit into or, of a request that carries them inline, their bytes.
type Request struct {
	ID         uint64
	Opcode     uint32 // one of uapi.WROp
	Imm        uint32 // of those that have it, in network byte order; of those that take a key, the key
	Pieces     Pieces
	Inline     bool
	RemoteAddr uint64
	RKey       uint32
	Signaled   bool

	Way              *uapi.RxeAV // of datagrams; nil: it is none
	QPN, QKey        uint32      // of the queue pair that they go to
	CompareAdd, Swap uint64      // of atomic operations
}

func (w *Request) atomic() bool {
	return w.Opcode == uapi.WROpAtomicCmpAndSwp || w.Opcode == uapi.WROpAtomicFetchAndAdd
}

// Put fills in the next free element; the caller has looked at Free.
func (q *SendQueue) Put(w *Request) {
	wqe, behind := sendElement(q.put())
	length, n := w.Pieces.length(), uint32(len(w.Pieces))
	*wqe = uapi.RxeSendWQE{
		WR: uapi.RxeSendWR{
			WRID: w.ID, NumSGE: n, Opcode: w.Opcode, ImmData: w.Imm,
			RemoteAddr: w.RemoteAddr, RKey: w.RKey,
		},
		IOVA: w.RemoteAddr,
		SSN:  q.ssn,
		DMA:  uapi.RxeDMAInfo{Length: length, Resid: length, NumSGE: n},
	}
	if w.atomic() {
		wr := atomicView(&wqe.WR)
		wr.CompareAdd, wr.Swap, wr.RKey = w.CompareAdd, w.Swap, w.RKey
	}
	if w.Way != nil {
		wr := datagramView(&wqe.WR)
		wr.RemoteQPN, wr.RemoteQKey, wr.AV = w.QPN, w.QKey, *w.Way
	}
	if w.Signaled {
		wqe.WR.SendFlags = uapi.SendSignaled
	}
	if w.Inline {
		wqe.WR.SendFlags |= uapi.SendInline
		w.Pieces.carry(behind)
	} else {
		w.Pieces.list(behind)
	}
	q.ssn++
}

// RecvQueue is the ring of memory for messages of one queue pair. The kernel looks at it when a
// message comes, without a doorbell.
type RecvQueue struct{ filled }

// NewRecvQueue reads a mapped receive queue of one.
func NewRecvQueue(mem []byte, most verbs.Limits) (*RecvQueue, error) {
	r, err := newRing(mem, recvWQESize+most.SGEs*sgeSize)
	return &RecvQueue{filled{ring: r}}, err
}

// Receive is local memory for one message. The queue has elements that its pieces fit into.
type Receive struct {
	ID     uint64
	Pieces Pieces
}

// Put fills in the next free element; the caller has looked at Free.
func (q *RecvQueue) Put(r *Receive) {
	wqe, behind := recvElement(q.put())
	length, n := r.Pieces.length(), uint32(len(r.Pieces))
	*wqe = uapi.RxeRecvWQE{WRID: r.ID, NumSGE: n, DMA: uapi.RxeDMAInfo{Length: length, Resid: length, NumSGE: n}}
	r.Pieces.list(behind)
}

// CompletionQueue is the ring of completions.
type CompletionQueue struct{ ring }

// NewCompletionQueue reads a mapped completion queue.
func NewCompletionQueue(mem []byte) (*CompletionQueue, error) {
	r, err := newRing(mem, completionSize)
	return &CompletionQueue{r}, err
}

// Ready is how many completions wait.
func (q *CompletionQueue) Ready() int {
	return int((atomic.LoadUint32(&q.head.ProducerIndex) - q.head.ConsumerIndex) & q.mask)
}

// At is the i-th waiting completion, i < Ready. It is the kernel's memory again
// after Consume.
func (q *CompletionQueue) At(i int) *uapi.WC {
	return completion(q.element(q.next(q.head.ConsumerIndex, uint32(i))))
}

// Consume gives the first n waiting completions' elements back to the kernel.
func (q *CompletionQueue) Consume(n int) {
	atomic.StoreUint32(&q.head.ConsumerIndex, q.next(q.head.ConsumerIndex, uint32(n)))
}
