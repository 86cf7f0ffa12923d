package rxe

import "testing"

const benchEntries = 128

func BenchmarkPut(b *testing.B) {
	q, err := NewSendQueue(block(b, benchEntries, sendElementSize), one)
	if err != nil {
		b.Fatal(err)
	}
	w := &Request{ID: 1, Pieces: Pieces{{Addr: 2, Length: 4096, LKey: 3}}, RemoteAddr: 4, RKey: 5, Signaled: true}
	b.ReportAllocs()
	for b.Loop() {
		if q.Free() == 0 {
			b.Fatal("full")
		}
		q.Put(w)
		q.Publish()
		q.head.ConsumerIndex = q.head.ProducerIndex // the kernel is fast
	}
}

func BenchmarkPoll(b *testing.B) {
	q, err := NewCompletionQueue(block(b, benchEntries, completionSize))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var sum uint64
	for b.Loop() {
		q.head.ProducerIndex = q.next(q.head.ProducerIndex, 1)
		if q.Ready() != 1 {
			b.Fatal("nothing ready")
		}
		sum += uint64(q.At(0).Status)
		q.Consume(1)
	}
	if sum != 0 {
		b.Error("a completion that nobody wrote")
	}
}
