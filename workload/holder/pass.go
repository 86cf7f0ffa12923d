package holder

import "iter"

// Pass cuts one pass over the target region into messages. Byte b of the target
// comes from byte b modulo source of the source region, so what the target
// holds after a pass is known for any two sizes.
type Pass struct {
	Size           int   // bytes a message carries at most
	Target, Source int64 // bytes of the regions
	// Piece is of how many bytes the target's pieces are, whose ends no message reaches over; 0: it
	// is one.
	Piece int64
}

// Message is a copy of length bytes between the regions.
type Message struct {
	From, To int64 // offsets into the source and the target region, in bytes
	Length   int
}

// Messages are those of the pass, in the order of the target.
func (p Pass) Messages() iter.Seq[Message] { return p.From(0) }

// From are those from the one on that begins there in the target.
func (p Pass) From(to int64) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for to := to; to < p.Target; {
			from := to % p.Source
			length := min(int64(p.Size), p.Target-to, p.Source-from)
			if p.Piece > 0 {
				length = min(length, p.Piece-to%p.Piece)
			}
			if !yield(Message{From: from, To: to, Length: int(length)}) {
				return
			}
			to += length
		}
	}
}

// Count is the number of messages in a pass.
func (p Pass) Count() int {
	n := 0
	for range p.Messages() {
		n++
	}
	return n
}
