package rxe

import (
	"errors"
	"math/bits"
	"testing"

	"umemstress/rdma/internal/uapi"
	"umemstress/rdma/internal/verbs"
)

// one is what most queue pairs are made for.
var one = verbs.Limits{SGEs: 1}

// The least elements, of one SGE.
const sendElementSize = sendWQESize + sgeSize

// block is a queue in plain memory, as the kernel makes it.
func block(t testing.TB, entries, elem int) []byte {
	t.Helper()
	log2 := bits.Len(uint(elem - 1))
	// Backed by words, so that it is aligned like mapped memory.
	words := make([]uint64, (headSize+entries<<log2)/8)
	mem := bytesOf(words)
	head := headOf(mem)
	head.Log2ElemSize, head.IndexMask = uint32(log2), uint32(entries-1)
	return mem
}

func TestSendQueueFillsAndWraps(t *testing.T) {
	const entries = 8
	q, err := NewSendQueue(block(t, entries, sendElementSize), one)
	if err != nil {
		t.Fatal(err)
	}
	kernel := uint32(0) // the consumer's side
	id := uint64(0)
	for round := range 50 {
		if free := q.Free(); free != entries-1 {
			t.Fatalf("round %d: %d of an empty ring free, want %d", round, free, entries-1)
		}
		n := round%(entries-1) + 1
		for range n {
			q.Put(&Request{ID: id, Opcode: uint32(id % 2 * uapi.WROpRDMARead), Pieces: Pieces{{Addr: 2 * id, Length: uint32(id), LKey: 7}}, RemoteAddr: 3 * id, RKey: 9, Signaled: id%2 == 1})
			id++
		}
		if q.head.ProducerIndex != kernel {
			t.Fatal("requests are visible before they are published")
		}
		if free := q.Free(); free != entries-1-n {
			t.Fatalf("round %d: %d free behind %d requests", round, free, n)
		}
		q.Publish()
		for i := range n {
			wqe, behind := sendElement(q.element(kernel))
			sge := &sgesOf(behind)[0]
			want := id - uint64(n-i)
			if wqe.WR.WRID != want || wqe.SSN != uint32(want) || wqe.IOVA != 3*want || wqe.WR.RemoteAddr != 3*want ||
				wqe.WR.RKey != 9 || wqe.WR.Opcode != uint32(want%2*uapi.WROpRDMARead) || wqe.DMA.Length != uint32(want) || wqe.DMA.Resid != uint32(want) ||
				wqe.DMA.NumSGE != 1 || *sge != (uapi.RxeSGE{Addr: 2 * want, Length: uint32(want), LKey: 7}) ||
				(wqe.WR.SendFlags == uapi.SendSignaled) != (want%2 == 1) {
				t.Fatalf("request %d is %+v, %+v", want, wqe, sge)
			}
			wqe.State, wqe.Status = 5, 5 // what the kernel scribbles must be gone next time
			kernel = q.next(kernel, 1)
		}
		q.head.ConsumerIndex = kernel
	}
}

func TestSendQueueClearsWhatTheKernelWrote(t *testing.T) {
	q, err := NewSendQueue(block(t, 2, sendElementSize), one)
	if err != nil {
		t.Fatal(err)
	}
	for i := range mem(q) {
		mem(q)[i] = 0xff
	}
	q.Put(&Request{ID: 1})
	wqe, _ := sendElement(q.element(0))
	if wqe.State != 0 || wqe.Status != 0 || wqe.WR.SendFlags != 0 || wqe.DMA.SGEOffset != 0 || wqe.HasRDAtomic != 0 {
		t.Errorf("left over: %+v", wqe)
	}
}

func mem(q *SendQueue) []byte { return q.mem[headSize:] }

func TestCompletionQueueWraps(t *testing.T) {
	const entries = 4
	q, err := NewCompletionQueue(block(t, entries, completionSize))
	if err != nil {
		t.Fatal(err)
	}
	kernel, sent, taken := uint32(0), uint64(0), uint64(0)
	for round := range 40 {
		n := round % entries // 0 to 3
		for range n {
			completion(q.element(kernel)).WRID = sent
			kernel = q.next(kernel, 1)
			sent++
		}
		q.head.ProducerIndex = kernel
		if q.Ready() != n {
			t.Fatalf("round %d: %d ready, want %d", round, q.Ready(), n)
		}
		// Take some first, the rest then.
		for _, part := range []int{n / 2, n - n/2} {
			for i := range part {
				if id := q.At(i).WRID; id != taken {
					t.Fatalf("round %d: completion %d, want %d", round, id, taken)
				}
				taken++
			}
			q.Consume(part)
		}
		if q.Ready() != 0 || q.head.ConsumerIndex != kernel {
			t.Fatalf("round %d: not empty", round)
		}
	}
}

// Another driver may answer in the same format and mean something else.
func TestForeignMemoryIsNoQueue(t *testing.T) {
	good := func() []byte { return block(t, 8, sendElementSize) }
	for name, mem := range map[string][]byte{
		"too short for a head":      good()[:headSize-8],
		"too short for its ring":    good()[:len(good())-8],
		"mask not a power of two":   with(good(), func(h *uapi.RxeQueueBuf) { h.IndexMask = 6 }),
		"mask of all ones":          with(good(), func(h *uapi.RxeQueueBuf) { h.IndexMask = ^uint32(0) }),
		"elements too small":        with(good(), func(h *uapi.RxeQueueBuf) { h.Log2ElemSize = 7 }),
		"elements beyond reason":    with(good(), func(h *uapi.RxeQueueBuf) { h.Log2ElemSize = 63 }),
		"all zero":                  bytesOf(make([]uint64, 1024)),
		"text where numbers should": with(good(), func(h *uapi.RxeQueueBuf) { h.Log2ElemSize, h.IndexMask = 0x20657865, 0x65757172 }),
	} {
		if _, err := NewSendQueue(mem, one); !errors.Is(err, errLayout) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func with(mem []byte, change func(*uapi.RxeQueueBuf)) []byte {
	change(headOf(mem))
	return mem
}

func TestPutAllocatesNothing(t *testing.T) {
	q, err := NewSendQueue(block(t, 8, sendElementSize), one)
	if err != nil {
		t.Fatal(err)
	}
	w := &Request{ID: 1, Pieces: Pieces{{Length: 4096}}}
	if n := testing.AllocsPerRun(100, func() {
		q.Put(w)
		q.Publish()
		q.head.ConsumerIndex = q.head.ProducerIndex
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Several pieces lie one behind the other, and an element has room for as many as the queue pair was made for, or
// for the bytes that it carries inline.
func TestPieces(t *testing.T) {
	most := verbs.Limits{SGEs: 3, Inline: 60}
	bytes := []byte("what is carried inline is copied when it is posted")
	pieces := Pieces{{Addr: verbs.AddressOf(bytes[:20]), Length: 20, LKey: 5}, {Addr: verbs.AddressOf(bytes[20:]), Length: uint32(len(bytes) - 20), LKey: 6}}
	q, err := NewSendQueue(block(t, 4, sendWQESize+60), most)
	if err != nil {
		t.Fatal(err)
	}
	q.Put(&Request{ID: 1, Pieces: pieces})
	q.Put(&Request{ID: 2, Pieces: pieces, Inline: true})
	wqe, behind := sendElement(q.element(0))
	if sges := sgesOf(behind); wqe.DMA.NumSGE != 2 || wqe.DMA.Length != uint32(len(bytes)) || wqe.WR.SendFlags != 0 ||
		sges[0] != (uapi.RxeSGE{Addr: pieces[0].Addr, Length: 20, LKey: 5}) || sges[1] != (uapi.RxeSGE{Addr: pieces[1].Addr, Length: uint32(len(bytes) - 20), LKey: 6}) {
		t.Errorf("%+v, %+v", wqe, sges)
	}
	wqe, behind = sendElement(q.element(1))
	if wqe.WR.SendFlags != uapi.SendInline || wqe.DMA.Resid != uint32(len(bytes)) || string(behind[:len(bytes)]) != string(bytes) {
		t.Errorf("%+v, %q", wqe, behind)
	}
	receives, err := NewRecvQueue(block(t, 4, recvWQESize+3*sgeSize), most)
	if err != nil {
		t.Fatal(err)
	}
	receives.Put(&Receive{ID: 3, Pieces: pieces})
	got, behind := recvElement(receives.element(0))
	if sges := sgesOf(behind); got.WRID != 3 || got.DMA.NumSGE != 2 || got.DMA.Length != uint32(len(bytes)) || sges[1].Addr != pieces[1].Addr {
		t.Errorf("%+v, %+v", got, sges)
	}
	// Elements of the next power of two below are no queue of such a queue pair.
	if _, err := NewSendQueue(block(t, 4, sendElementSize), verbs.Limits{SGEs: 1, Inline: 400}); !errors.Is(err, errLayout) {
		t.Errorf("elements too small for what is inline: %v", err)
	}
	if _, err := NewRecvQueue(block(t, 4, recvWQESize+sgeSize), verbs.Limits{SGEs: 32}); !errors.Is(err, errLayout) {
		t.Errorf("elements too small for pieces: %v", err)
	}
}
