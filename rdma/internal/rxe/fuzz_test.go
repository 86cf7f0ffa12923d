package rxe

import (
	"errors"
	"slices"
	"testing"
)

// queueMemory is a queue's head with foreign bytes, of any size.
func queueMemory(log2, mask, producer, consumer uint32, size uint16) []byte {
	mem := bytesOf(make([]uint64, (int(size)+headSize+7)/8))
	head := headOf(mem)
	head.Log2ElemSize, head.IndexMask, head.ProducerIndex, head.ConsumerIndex = log2, mask, producer, consumer
	return mem[:size]
}

// Whatever a driver that is not rdma_rxe has mapped: it is refused, or used without
// leaving it, however wild the indices.
func FuzzQueues(f *testing.F) {
	f.Add(uint32(8), uint32(7), uint32(0), uint32(0), uint16(headSize+8<<8))
	f.Add(uint32(8), uint32(7), uint32(5), uint32(2), uint16(headSize+8<<8))
	f.Add(uint32(8), uint32(7), uint32(0), uint32(0), uint16(headSize+8<<8-1))
	f.Add(uint32(8), uint32(0), uint32(0), uint32(0), uint16(headSize+1<<8))
	f.Add(uint32(8), uint32(3), uint32(0xffffffff), uint32(0x80000001), uint16(headSize+4<<8))
	f.Add(uint32(6), uint32(15), uint32(3), uint32(9), uint16(headSize+16<<6))
	f.Add(uint32(16), uint32(0xffffffff), uint32(0), uint32(0), uint16(headSize))
	f.Add(uint32(63), uint32(1), uint32(0), uint32(0), uint16(headSize+512))
	f.Add(uint32(0), uint32(0), uint32(0), uint32(0), uint16(0))
	f.Fuzz(func(t *testing.T, log2, mask, producer, consumer uint32, size uint16) {
		send, err := NewSendQueue(queueMemory(log2, mask, producer, consumer, size), one)
		if err != nil && !errors.Is(err, errLayout) {
			t.Fatal(err)
		}
		if err == nil {
			fuzzSend(t, send)
		}
		completions, err := NewCompletionQueue(queueMemory(log2, mask, producer, consumer, size))
		if err == nil {
			fuzzCompletions(t, completions)
		}
	})
}

func fuzzSend(t *testing.T, q *SendQueue) {
	free := q.Free()
	if free < 0 || free > int(q.mask) {
		t.Fatalf("%d of %d free", free, q.mask)
	}
	producer := q.next(q.head.ProducerIndex, 0)
	for i := range min(free, 32) {
		before := slices.Clone(q.mem)
		at := headSize + int(q.next(producer, uint32(i)))<<q.log2
		q.Put(&Request{ID: uint64(i), Pieces: Pieces{{Length: 1}}})
		if !slices.Equal(q.mem[:at], before[:at]) || !slices.Equal(q.mem[at+sendElementSize:], before[at+sendElementSize:]) {
			t.Fatalf("request %d changed more than its element", i)
		}
	}
	q.Publish()
	if q.head.ProducerIndex > q.mask || q.Free() > free {
		t.Fatalf("producer %d of mask %d, %d free after %d", q.head.ProducerIndex, q.mask, q.Free(), free)
	}
}

func fuzzCompletions(t *testing.T, q *CompletionQueue) {
	ready := q.Ready()
	if ready < 0 || ready > int(q.mask) {
		t.Fatalf("%d of %d ready", ready, q.mask)
	}
	for i := range min(ready, 32) {
		_ = *q.At(i) // within the memory, or the race detector and checkptr say so
	}
	q.Consume(ready)
	if q.Ready() != 0 || q.head.ConsumerIndex > q.mask {
		t.Fatalf("%d ready after all %d were taken", q.Ready(), ready)
	}
}
